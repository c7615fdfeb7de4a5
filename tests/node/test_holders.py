"""Holders of a shard are found among liars, silence, strangers, older nodes and churn."""

import random
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
import trio
from trio.testing import MockClock

from node.context import Context
from node.holders import Holders
from p2p.kad import K, Table
from p2p.memory import MemoryTransport, Network
from p2p.providers import EXPIRE_SECONDS, PROVIDE_PROTOCOL, PROVIDERS_PROTOCOL, Provide, Providers
from protocol.codec import pack
from protocol.errors import PeerError
from protocol.signing import public_key
from simnet.seams import TrioClock
from tests.node import bare, ring
from tests.node.ring import BLOB, BODY, SHARD, told, up

Lie = Callable[[Context], bytes]
MANY = ("fay", "hal", *(f"m{number}" for number in range(22)))


class Ring:
    """Registered members on one network in memory."""

    def __init__(self, members: Sequence[str]) -> None:
        self.members = members
        self.clock = TrioClock(1_800_000_000.0)
        self.network = Network(self.clock, random.Random(1))

    def node(self, name: str) -> Context:
        transport = MemoryTransport(self.network, bare.peer(name), self.clock)
        return ring.node(name, transport, self.clock, self.members)

    def nearest(self, count: int) -> list[str]:
        """Members by their distance to the shard."""
        names = {public_key(bare.keys(name).peer_seed): name for name in self.members}
        return [names[key] for key in Table(names).nearest(SHARD, count)]


def answering(ctx: Context, answer: bytes | None) -> None:
    """Let a keeper say this to whatever is asked of its records, or nothing at all."""
    services = ctx.seams.transport._services  # type: ignore[attr-defined]

    async def handler(peer: str, request: bytes) -> bytes:
        if answer is None:
            await trio.sleep_forever()
        assert answer is not None
        return answer

    for protocol in (PROVIDE_PROTOCOL, PROVIDERS_PROTOCOL):
        services._handlers[protocol] = (handler, 16_384)


LIES: dict[str, tuple[Lie, str]] = {
    "nonsense": (lambda ctx: b"\xff", "keeper-wrong-shape"),
    "too much": (lambda ctx: bytes(20_000), "keeper-too-large"),
    "nobody": (lambda ctx: pack(Providers((), ())), ""),
    "itself": (lambda ctx: pack(Providers((ctx.peer_key,), (ctx.peer_key,))), ""),
    "strangers": (
        lambda ctx: pack(Providers((b"x" * 32,), tuple(bytes([n]) * 32 for n in range(8)))),
        "keeper-names-strangers",
    ),
    "too many": (
        lambda ctx: b"\x92\xdc\x00\x15" + (b"\xc4\x20" + ctx.peer_key) * 21 + b"\x90",
        "keeper-too-many",
    ),
}


@pytest.mark.parametrize("lie", [*LIES, "silence"])
async def test_one_honest_keeper_is_enough(lie: str, autojump_clock: MockClock) -> None:
    """All keepers but one lie; the holder is found and serves, and each lie is counted."""
    world = Ring(("fay", "hal", "kim", "lea", "mia", "ned"))
    fay, hal, *keepers = nodes = [world.node(name) for name in world.members]
    async with up(*nodes):
        await told(hal)
        await hal.seams.transport.drop(fay.seams.transport.peer_id, "test")
        fay.holders.records.drop(world.clock.monotonic() + EXPIRE_SECONDS)  # type: ignore[attr-defined]
        for ctx in (hal, *keepers[:-1]):
            answering(ctx, None if lie == "silence" else LIES[lie][0](ctx))
        assert await fay.fetch(BLOB, shard=SHARD) == BODY
        code = "keeper-timeout" if lie == "silence" else LIES[lie][1]
        assert not code or fay.holders.counters()[code] >= 1


async def test_keepers_of_before_are_skipped_and_counted(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Ring(MANY)
    old = set(world.nearest(3)) - {"hal"}
    monkeypatch.setattr(Holders, "serve", lambda self: None)
    before = [world.node(name) for name in old]
    monkeypatch.undo()
    nodes = [*before, *(world.node(name) for name in MANY if name not in old)]
    hal = next(ctx for ctx in nodes if ctx.seams.transport.peer_id == bare.peer("hal"))
    async with up(*nodes, hub=hal):
        await told(hal)
        assert hal.holders.counters() == {"keeper-refused": len(old)}
        await told(hal)  # the next nearest, in their place
        assert sum(ctx.holders.figures().records for ctx in nodes) == K


async def test_far_away_nothing_is_kept(autojump_clock: MockClock) -> None:
    world = Ring(MANY)
    far = world.nearest(len(MANY))[-1]
    near = world.nearest(1)[0]
    nodes = [world.node(far), world.node(near)]
    async with up(*nodes, hub=nodes[0]):
        await told(nodes[1])
        body = pack(Provide((SHARD,)))
        await ring.ask(nodes[1], nodes[0], PROVIDE_PROTOCOL, body)
        assert nodes[0].holders.counters()["record-refused-not-near"] == 1
        assert nodes[0].holders.figures().records == 0


async def test_keepers_go_and_the_holder_starts_again(autojump_clock: MockClock) -> None:
    """Half of the keepers die: the others answer. The holder restarts: the next nearest are told too."""
    world = Ring(MANY)
    near = [name for name in world.nearest(2 * K) if name not in ("fay", "hal")]
    everybody = {name: world.node(name) for name in MANY}
    hal, fay = everybody["hal"], everybody["fay"]
    async with trio.open_nursery() as nursery, up(*everybody.values(), hub=everybody[near[-1]]):
        await told(hal)
        keepers = {name for name, ctx in everybody.items() if ctx.holders.figures().records}
        assert keepers == set(world.nearest(K))
        for name in near[: K // 2]:
            answering(everybody[name], None)
        assert await fay.fetch(BLOB, shard=SHARD) == BODY
        fresh = Holders(hal)  # what it told is forgotten with its process
        nursery.start_soon(fresh.run)
        await trio.sleep(100)
        told_to = Counter(ctx.holders.figures().records for ctx in everybody.values())
        assert told_to[1] == K + len(set(near[: K // 2]) & keepers)
        nursery.cancel_scope.cancel()


async def test_a_stranger_s_address_is_never_dialled(autojump_clock: MockClock) -> None:
    """Who is not registered, or never signed an address, is not reached whatever anybody says."""
    world = Ring(("fay", "kim"))
    fay, kim = nodes = [world.node(name) for name in world.members]
    async with up(*nodes):
        with pytest.raises(PeerError, match="unreachable"):
            await fay.dialler.reach(bare.peer("zoe"))
        fay.mail._by_kind.clear()  # kim's record is not here
        await fay.seams.transport.drop(kim.seams.transport.peer_id, "test")
        with pytest.raises(PeerError, match="unreachable"):
            await fay.dialler.reach(kim.seams.transport.peer_id)
        assert fay.dialler.counters() == {"reach-no-address": 2}  # type: ignore[attr-defined]


async def test_dead_keepers_hold_up_a_lookup_for_twenty_seconds(autojump_clock: MockClock) -> None:
    world = Ring(MANY)
    nodes = [world.node(name) for name in MANY]
    fay, hal, *rest = nodes
    async with up(*nodes, hub=rest[-1]):
        await told(hal)
        fay.holders.records.drop(world.clock.monotonic() + EXPIRE_SECONDS)  # type: ignore[attr-defined]
        for ctx in (hal, *rest):
            answering(ctx, None)
        before = world.clock.monotonic()
        with pytest.raises(PeerError, match="no-source"):
            await fay.fetch(BLOB, shard=SHARD)
        assert world.clock.monotonic() - before < 25
        assert fay.holders.counters()["lookup-cut-short"] == 1
