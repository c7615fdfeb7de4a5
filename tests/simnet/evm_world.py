"""A network in real time over the real EVM: the nodes' own chain client and outbox against the chain in a
box. Wires and learning alone are simulated, so no process but the chain's and no torch is needed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import trio

from node import runtime
from node.aio import AsyncioThread
from node.context import Context, Keys, Seams
from node.daemon import network_of
from node.doors import SystemClock, SystemRandomness
from node.outbox import OUTBOX, OutboxChain
from p2p.memory import MemoryTransport
from p2p.memory import Network as Wires
from protocol.ids import checksum
from protocol.params import Params
from protocol.signing import peer_id_of, public_key
from protocol.typed_data import address_of
from settlement.abi import CONTRACTS
from settlement.evm import EvmChain
from simnet import world as virtual
from simnet.learner import IntegerLearner
from simnet.seams import Disk, MemoryStore, seeded_draws
from simnet.treasury import Seat, Treasury
from simnet.world import Member, World
from tests.settlement.box import CHAIN_ID, Box

CONFIRMATIONS = 2
MIGRATIONS = (*virtual.MIGRATIONS, OUTBOX)
SETTLE_S = 120.0  # until every node knows that all are registered and staked


@dataclass(slots=True)
class EvmWorld:
    """What a story asks of ``simnet.world.World``. ``chain``: the treasury's way to it."""

    clock: SystemClock
    chain: OutboxChain
    treasury_key: bytes
    wires: Wires
    nodes: dict[str, Context] = field(default_factory=dict)
    scopes: dict[str, trio.CancelScope] = field(default_factory=dict)

    until = World.until
    state = World.state


@asynccontextmanager
async def running(
    members: Sequence[Member], params: Params, seed: bytes, box: Box
) -> AsyncIterator[EvmWorld]:
    """Deploy, start all members, and yield when each has its stake."""
    keys = {member.name: virtual._keys(seed, member.name) for member in members}
    seats = [Seat(m.name, checksum(keys[m.name].operator), m.roles) for m in members]
    treasury = Treasury(box.url, CHAIN_ID, box.key)
    network = treasury.found(params, seats, ())
    treasury.approve_stakes(params, seats)
    for seat in seats:
        treasury.gas(seat.operator)
    addresses = {name: network.contract(name) for name in CONTRACTS}
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        stack.callback(treasury.close)
        thread = stack.enter_context(AsyncioThread())

        def outbox(store: MemoryStore) -> OutboxChain:
            chain = EvmChain(box.url, CHAIN_ID, addresses)
            stack.push_async_callback(thread.run, chain.close)
            return OutboxChain(chain, thread, store, clock, CONFIRMATIONS)

        wires = Wires(clock, seeded_draws(seed), virtual.WIRED)
        world = EvmWorld(clock, outbox(MemoryStore(MIGRATIONS)), box.key, wires)
        made: dict[str, tuple[Context, OutboxChain]] = {}
        for member in members:
            store, own = MemoryStore(MIGRATIONS), keys[member.name]
            chain = outbox(store)
            seams = _seams(member, own, store, chain, wires, seed)
            payout = address_of(virtual.key(seed, f"{member.name}/payout"))
            ctx = runtime.build(seams, own, network_of(network), member.roles, payout)
            chain.tell = partial(ctx.fail, "outbox")
            made[member.name] = ctx, chain
        async with trio.open_nursery() as nursery:
            for name, (ctx, chain) in made.items():
                world.nodes[name] = ctx
                await nursery.start(_run, name, chain, world)
            await _staked(world, treasury, members, seats, params)
            yield world
            nursery.cancel_scope.cancel()


def _seams(
    member: Member, keys: Keys, store: MemoryStore, chain: OutboxChain, wires: Wires, seed: bytes
) -> Seams:
    clock, blobs = SystemClock(), Disk()
    compute = IntegerLearner(blobs, clock, virtual.key(seed, f"{member.name}/noise"))
    return Seams(
        clock=clock,
        randomness=SystemRandomness(),
        transport=MemoryTransport(wires, peer_id_of(public_key(keys.peer_seed)), clock),
        store=store,
        blobs=blobs,
        compute=member.wrap(compute, blobs) if member.wrap else compute,
        chain=chain,
    )


async def _run(name: str, chain: OutboxChain, world: EvmWorld, *, task_status: Any) -> None:
    ctx = world.nodes[name]
    with trio.CancelScope() as world.scopes[name]:
        async with ctx.seams.transport.running(), trio.open_nursery() as nursery:
            await virtual._dial_all(ctx, world)
            nursery.start_soon(virtual._keep_dialling, ctx, world)
            nursery.start_soon(chain.tend)
            await runtime.run(ctx, task_status=task_status)


async def _staked(
    world: EvmWorld,
    treasury: Treasury,
    members: Sequence[Member],
    seats: Sequence[Seat],
    params: Params,
) -> None:
    """What a founder does by hand; the nodes register by themselves."""
    for member, seat in zip(members, seats, strict=True):
        known = partial(treasury.registered, seat.operator)
        await world.until(known, SETTLE_S, f"{seat.name} does not register")
        treasury.deposit(params, seat)
        if member.open_tokens:
            treasury.pay(seat.operator, member.open_tokens)
    names = [ctx.operator for ctx in world.nodes.values()]
    await world.until(
        lambda: all(ctx.board.node(n) for n in names for ctx in world.nodes.values()),
        SETTLE_S,
        "not every node has registered",
    )
