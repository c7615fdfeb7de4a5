"""One running node over any six seams: handlers registered, stages looping. Daemon and simnet share it."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import trio

from node import keep, learn, serve, sync, tabs, train, watch
from node.context import Context, Pace, Seams
from node.flow import ONLY, STAGES, Stage
from node.holders import Holders
from node.identity import Keys, Network
from node.join import addresses_of
from node.mail import Mail
from node.wakes import Alarm
from p2p.dialler import Dialler
from p2p.exchange import Exchange
from protocol.errors import OpenLedgerError
from protocol.signing import ed25519_of
from protocol.wire import SPOKEN
from tasks.board import Board

MAX_REQUEST = 256 * 1024

Handler = Callable[[Context, str, bytes], Awaitable[bytes]]

HANDLERS: dict[str, Handler] = {
    train.REVEAL_PROTOCOL: train.serve_reveal,
    tabs.INFER_PROTOCOL: serve.serve_infer,
    tabs.VOUCHER_PROTOCOL: serve.serve_voucher,
    sync.RECONCILE_PROTOCOL: sync.serve_reconcile,
    sync.LETTERS_PROTOCOL: sync.serve_letters,
    watch.SYNC_PROTOCOL: watch.serve_sync,
}


def build(
    seams: Seams,
    keys: Keys,
    network: Network,
    roles: tuple[str, ...],
    payout: bytes,
    pace: Pace | None = None,
    spoken: frozenset[int] = SPOKEN,
) -> Context:
    """A context with its protocol handlers registered; the transport must not run yet.

    ``spoken``: the wire versions that the node reads; other than the default it is an older node.
    """
    board = Board(network.seats, network.quorum)

    def standing(author: bytes) -> bool:
        return ctx.standing(author)

    ctx = Context(
        seams=seams,
        keys=keys,
        network=network,
        roles=roles,
        payout=payout,
        board=board,
        mail=Mail(network.id, keys.peer_seed, standing, network.wire, spoken),
        exchange=Exchange(
            seams.transport, seams.blobs, lambda peer, blob: True, seams.transport.blame
        ),
        pace=pace or Pace(),
    )
    ctx.dialler = Dialler(seams.transport, seams.clock, partial(addresses_of, ctx))
    seams.transport.prefer(lambda peer: (key := ed25519_of(peer)) is not None and standing(key))
    ctx.private["session"] = seams.randomness.token(16)
    ctx.exchange.serve()
    holders = Holders(ctx)
    holders.serve()
    ctx.holders = holders
    for protocol, handler in HANDLERS.items():
        seams.transport.handle(protocol, partial(handler, ctx), MAX_REQUEST)
    return ctx


class Started(Protocol):
    """trio's TaskStatus; libp2p brings old stubs of trio that do not know it."""

    def started(self) -> None: ...


async def run(ctx: Context, *, task_status: Started = trio.TASK_STATUS_IGNORED) -> None:
    """Watch and act until cancelled; the transport must be running."""
    await ctx.mail.load(ctx.seams.store)
    await watch.look(ctx)  # a chain that cannot be reached at the start is the operator's to know
    await ctx.seams.transport.subscribe(ctx.network.topic, partial(_hear, ctx))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.watch_chain, ctx)
        nursery.start_soon(watch.sync_mail, ctx)
        nursery.start_soon(watch.keep_mail, ctx)
        nursery.start_soon(learn.learn_bodies, ctx)
        nursery.start_soon(ctx.holders.run)
        if ctx.datanets:
            nursery.start_soon(keep.keep_datanets, ctx)
        alarms = {stage: Alarm() for stage in STAGES if stage.concerns(ctx.roles)}
        for stage, alarm in alarms.items():
            nursery.start_soon(_loop, ctx, stage, alarm)
        nursery.start_soon(_beat, ctx, alarms)
        nursery.start_soon(_tick, ctx)
        task_status.started()


async def _hear(ctx: Context, peer: str, topic: str, body: bytes) -> None:
    await watch.hear(ctx, peer, body)


async def _beat(ctx: Context, alarms: dict[Stage, Alarm]) -> None:
    """Wake stages after each change; what changes in the rest before it is seen with it."""
    clock = ctx.seams.clock
    while True:
        await ctx.wakes.change()
        await clock.sleep(ctx.pace.rest)
        what = ctx.wakes.take()
        every = not what <= ONLY
        for stage, alarm in alarms.items():
            if every or not what.isdisjoint(stage.hears):
                alarm.ring()
        if every:
            ctx.wakes.looked = clock.monotonic()


async def _tick(ctx: Context) -> None:
    """Deadlines pass silently: let all stages look when none made them for so long."""
    clock = ctx.seams.clock
    while True:
        await clock.sleep(max(ctx.pace.rest, ctx.wakes.looked + ctx.pace.tick - clock.monotonic()))
        if clock.monotonic() >= ctx.wakes.looked + ctx.pace.tick:
            ctx.touch()


async def _loop(ctx: Context, stage: Stage, alarm: Alarm) -> None:
    while True:
        if not ctx.standby:
            try:
                await stage.act(ctx)
            except OpenLedgerError as error:
                ctx.fail(stage.name, error)
        await alarm.wait()
