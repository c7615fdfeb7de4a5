"""A whole network in one process and virtual time: the node's own code over simulated seams.

One seed makes keys, latencies, salts, beacons and noise, so the same seed gives the same trace.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio
from blake3 import blake3

from datanet import credit
from node import runtime
from node.context import JOURNAL, Context, Pace, Seams
from node.identity import Keys, Network
from node.join import needed_stake
from p2p.conditions import Conditions
from p2p.memory import MemoryTransport
from p2p.memory import Network as Wires
from p2p.peers import SCHEMA as PEERS
from protocol.errors import PeerError
from protocol.ids import checksum, value_id
from protocol.params import OPEN, Params
from protocol.seams import Blobs, Chain, Compute
from protocol.signing import peer_id_of, public_key
from protocol.typed_data import address_of
from protocol.wire import SPOKEN
from settlement.deploy import terms_of
from settlement.simchain import SimChain
from simnet.endpoint import Endpoint
from simnet.learner import IntegerLearner
from simnet.seams import Disk, MemoryStore, SeededRandomness, SkewedClock, TrioClock, seeded_draws

EPOCH = 1_800_000_000.0  # virtual Unix time at the start
CHAIN_ID = 31_337
MIGRATIONS = ((*JOURNAL, *credit.SCHEMA, *PEERS),)
WIRED = Conditions(min_latency=0.005, max_latency=0.05)

REDIAL_S = 10.0  # between two looks of a node for members that it is not connected to

Wrap = Callable[[Compute, Blobs], Compute]
Posts = Callable[[Chain], Chain]


@dataclass(frozen=True, slots=True)
class Member:
    """One node of a world."""

    name: str
    roles: tuple[str, ...]
    wrap: Wrap | None = None  # an actor changes its work, nothing else
    open_tokens: int = 0  # OPEN that its operator account holds, for builders and users
    skew: float = 0.0  # seconds that its wall clock runs ahead
    spoken: frozenset[int] = (
        SPOKEN  # wire versions that it reads; an older node knows no newer ones
    )
    hidden: bool = False  # behind a translator of addresses: it dials out, nobody dials it
    posts: Posts | None = None  # the same for what it sends to the chain
    units: int = 0  # open units that its stake backs beyond those that a node must back


@dataclass(slots=True)
class Machine:
    """What of a node outlives its process."""

    member: Member
    keys: Keys
    store: MemoryStore
    blobs: Disk
    clock: SkewedClock
    endpoint: Endpoint
    starts: int = 0


@dataclass(slots=True)
class World:
    """A running network. ``nodes`` by member name; of one that was stopped, what it last knew."""

    chain: SimChain
    clock: TrioClock
    network: Network
    treasury_key: bytes
    seed: bytes
    wires: Wires
    pace: Pace
    nursery: trio.Nursery
    standing: int = 0  # connections that each node seeks; 0: to all
    machines: dict[str, Machine] = field(default_factory=dict)
    nodes: dict[str, Context] = field(default_factory=dict)
    scopes: dict[str, trio.CancelScope] = field(default_factory=dict)

    def stop(self, name: str) -> None:
        """End one node's tasks at once, as SIGKILL would; its peers see the connection go."""
        self.scopes[name].cancel()

    async def start(self, name: str) -> None:
        """Start a node, for the first time or again with what its machine kept."""
        machine = self.machines[name]
        self.nodes[name] = _node(machine, self)
        machine.starts += 1
        await self.nursery.start(_run, name, self)

    def runs(self, name: str) -> bool:
        """Whether a node's process is alive."""
        return name in self.scopes and not self.scopes[name].cancel_called

    async def until(self, what: Callable[[], bool], seconds: float, why: str) -> None:
        """Wait in virtual time. Raises TimeoutError with ``why`` and every node's state."""
        deadline = self.clock.monotonic() + seconds
        while not what():
            if self.clock.monotonic() > deadline:
                raise TimeoutError(f"{why}\n{self.state()}")
            await self.clock.sleep(1.0)

    def state(self) -> str:
        """What every node is doing and what failed, for people."""
        lines = []
        for name, ctx in self.nodes.items():
            lines.append(f"{name}: {ctx.duty}")
            lines += [f"   {code} x{f.count}: {f.text}" for code, f in ctx.failures.items()]
            lines += [f"   mail {reason} x{n}" for reason, n in ctx.mail.refused.items()]
        return "\n".join(lines)

    def trace(self) -> bytes:
        """A digest of everything that happened: chain heads, all notes in order, all failures."""
        lines = [self.chain_state()]
        for name, ctx in self.nodes.items():
            lines += [f"{name} {n.at:.3f} {n.stage} {n.text}" for n in ctx.notes]
            lines += [f"{name} {code} {f.count} {f.text}" for code, f in ctx.failures.items()]
        return blake3("\n".join(lines).encode()).digest()

    def chain_state(self) -> str:
        heads = {ctx.head.hash.hex() for ctx in self.nodes.values()}
        return " ".join(sorted(heads))


def key(seed: bytes, purpose: str) -> bytes:
    """A 32-byte secret that follows from the world's seed."""
    return blake3(purpose.encode(), key=blake3(seed).digest()).digest()


@asynccontextmanager
async def running(
    members: Sequence[Member],
    params: Params,
    seed: bytes,
    conditions: Conditions = WIRED,
    pace: Pace | None = None,
    standing: int = 0,
) -> AsyncIterator[World]:
    """Start all members and yield when each has registered; must run under ``run_world``.

    ``standing``: connections that each seeks, as if more nodes were there than it has slots; 0: to all.
    """
    clock = TrioClock(EPOCH)
    chain = SimChain(clock, CHAIN_ID, seed)
    keys = {m.name: _keys(seed, m.name) for m in members}
    treasury_key = key(seed, "treasury")
    network = _deploy(chain, members, keys, params, treasury_key)
    await chain.write(
        treasury_key, "AssetRegistry", "registerOwner", checksum(address_of(treasury_key))
    )
    wires = Wires(clock, seeded_draws(key(seed, "wires")), conditions, clock.call_at)
    async with trio.open_nursery() as nursery:
        facts = chain, clock, network, treasury_key, seed, wires, pace or Pace(), nursery
        world = World(*facts, standing)
        for member in members:
            store, own = MemoryStore(MIGRATIONS), SkewedClock(clock, member.skew)
            world.machines[member.name] = Machine(
                member, keys[member.name], store, Disk(), own, Endpoint(chain)
            )
        for member in members:
            await world.start(member.name)
        nursery.start_soon(_fund, world, members, keys)
        names = [ctx.operator for ctx in world.nodes.values()]
        await world.until(
            lambda: all(ctx.board.node(n) for n in names for ctx in world.nodes.values()),
            120,
            "not every node has registered",
        )
        yield world
        nursery.cancel_scope.cancel()


def _keys(seed: bytes, name: str) -> Keys:
    return Keys(key(seed, f"{name}/peer"), key(seed, f"{name}/operator"), key(seed, f"{name}/seal"))


def _deploy(
    chain: SimChain,
    members: Sequence[Member],
    keys: dict[str, Keys],
    params: Params,
    treasury_key: bytes,
) -> Network:
    seats = tuple(keys[m.name].operator for m in members if "aggregator" in m.roles)
    committee = tuple(keys[m.name].operator for m in members if "verifier" in m.roles)
    treasury = address_of(treasury_key)
    quorum = len(seats) // 2 + 1
    terms = terms_of(
        params,
        tuple(checksum(seat) for seat in seats),
        quorum,
        tuple(checksum(seat) for seat in committee),
        params.committee_quorum,
        checksum(treasury),
    )
    deployment = chain.deploy(terms, treasury_key)
    return Network(
        name="world",
        id=value_id("world", params),
        params=params,
        chain_id=CHAIN_ID,
        genesis_block=deployment.genesis_block,
        seats=seats,
        quorum=quorum,
        committee=committee,
        treasury=treasury,
        wire=min(max(member.spoken) for member in members),  # what all of them read
    )


def _node(machine: Machine, world: World) -> Context:
    """A process on a machine: the context that its stages share."""
    member, clock, chain = machine.member, machine.clock, machine.endpoint
    noise = key(world.seed, f"{member.name}/noise")
    compute: Compute = IntegerLearner(machine.blobs, clock, noise)
    random = key(world.seed, f"{member.name}/random/{machine.starts}")
    seams = Seams(
        clock=clock,
        randomness=SeededRandomness(random),
        transport=MemoryTransport(
            world.wires, peer_id_of(public_key(machine.keys.peer_seed)), world.clock
        ),
        store=machine.store,
        blobs=machine.blobs,
        compute=member.wrap(compute, machine.blobs) if member.wrap else compute,
        chain=member.posts(chain) if member.posts else chain,
    )
    if member.hidden:
        world.wires.hide(seams.transport.peer_id)
    payout = address_of(key(world.seed, f"{member.name}/payout"))
    return runtime.build(
        seams,
        machine.keys,
        world.network,
        member.roles,
        payout,
        pace=world.pace,
        spoken=member.spoken,
    )


async def _run(name: str, world: World, *, task_status: Any) -> None:
    ctx = world.nodes[name]
    with trio.CancelScope() as world.scopes[name]:
        async with ctx.seams.transport.running(), trio.open_nursery() as nursery:
            if not world.standing:  # else those who start first would have each other for company
                await _dial_all(ctx, world)
            nursery.start_soon(_keep_dialling, ctx, world)
            await runtime.run(ctx, task_status=task_status)


async def _keep_dialling(ctx: Context, world: World) -> None:
    """What supervision does for real peers: links that went are made again."""
    while True:
        await world.clock.sleep(REDIAL_S)
        await _dial_all(ctx, world)


async def _dial_all(ctx: Context, world: World) -> None:
    """Connect to every member that runs, or to as many as a node seeks; those that start later dial us."""
    transport = ctx.seams.transport
    if world.wires.all_linked(transport.peer_id):
        return
    linked = {transport.peer_id, *transport.peers()}
    others = list(world.nodes.values())
    if world.standing:  # each in an order of its own, or all would seek the same few
        own = transport.peer_id
        others.sort(key=lambda ctx: key(world.seed, f"{own}/{ctx.seams.transport.peer_id}"))
    for other in others:
        if other.seams.transport.peer_id in linked:
            continue
        if 0 < world.standing <= len(transport.peers()):
            return
        for addr in other.seams.transport.addrs:
            try:
                await transport.dial(addr)
            except PeerError as error:
                ctx.fail("dial", error)


def _stake(params: Params, member: Member) -> int:
    return needed_stake(params, member.roles) + member.units * params.unit_stake


async def _fund(world: World, members: Sequence[Member], keys: dict[str, Keys]) -> None:
    """The treasury deposits every member's stake once it has an owner index, and pays builders."""
    chain, treasury = world.chain, world.treasury_key
    total = sum(_stake(world.network.params, m) for m in members)
    await chain.write(treasury, "OpenToken", "approve", chain.address("WorkerStake"), total)
    for member in members:
        operator = checksum(keys[member.name].operator)
        while not await chain.read("AssetRegistry", "isRegistered", operator):
            await world.clock.sleep(1.0)
        stake = _stake(world.network.params, member)
        await chain.write(treasury, "WorkerStake", "deposit", operator, stake)
        if member.open_tokens:
            await chain.write(
                treasury, "OpenToken", "transfer", operator, member.open_tokens * OPEN
            )
