"""One running node over any six seams: handlers registered, stages looping. Daemon and simnet share it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import trio

from node import keep, learn, serve, sync, tabs, train, watch
from node.context import Context, Keys, Network, Pace, Seams
from node.flow import STAGES, Stage
from node.mail import Mail
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
        """A peer may speak once its key is registered by an operator with the least stake."""
        operator = board.operator_of_peer(author)
        return operator is not None and board.stake(operator) >= network.params.min_stake

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
    seams.transport.prefer(lambda peer: (key := ed25519_of(peer)) is not None and standing(key))
    ctx.private["session"] = seams.randomness.token(16)
    ctx.exchange.serve()
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
        if ctx.datanets:
            nursery.start_soon(keep.keep_datanets, ctx)
        pulse = Pulse()
        for stage in STAGES:
            if stage.concerns(ctx.roles):
                nursery.start_soon(_loop, ctx, stage, pulse)
        nursery.start_soon(_beat, ctx, pulse)
        task_status.started()


async def _hear(ctx: Context, peer: str, topic: str, body: bytes) -> None:
    await watch.hear(ctx, peer, body)


@dataclass(slots=True)
class Pulse:
    """What all stages of a node wait for; one task minds the time for all of them."""

    beats: int = 0
    _next: trio.Event = field(default_factory=trio.Event)

    def beat(self) -> None:
        """Let every stage look."""
        self.beats += 1
        self._next.set()
        self._next = trio.Event()

    async def after(self, seen: int) -> None:
        """Wait for a beat after the ``seen``-th."""
        if self.beats == seen:
            await self._next.wait()


async def _beat(ctx: Context, pulse: Pulse) -> None:
    """A beat after each change; what changes in the rest before it is seen with it."""
    while True:
        await ctx.changed(ctx.pace.tick)
        await ctx.seams.clock.sleep(ctx.pace.rest)
        pulse.beat()


async def _loop(ctx: Context, stage: Stage, pulse: Pulse) -> None:
    while True:
        seen = pulse.beats
        if not ctx.standby:
            try:
                await stage.act(ctx)
            except OpenLedgerError as error:
                ctx.fail(stage.name, error)
        await trio.lowlevel.checkpoint()  # a stage that had nothing to wait for lets others run
        await pulse.after(seen)
