"""Meeting: who is accepted, who is refused and why, and what seeds find when they dial back."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from bootstrap import life
from bootstrap.handshake import HELLO_PROTOCOL, Answer
from node import meet
from node.context import Context
from node.doors import SystemClock, SystemRandomness
from node.meet import Meeting
from node.reach import Bound
from p2p.libp2p_host import Libp2pTransport
from p2p.memory import Conditions, MemoryTransport, Network
from p2p.peers import SCHEMA, PeerBook
from protocol.codec import pack
from protocol.errors import OperatorError
from protocol.seams import Clock, Transport
from simnet.seams import MemoryStore, TrioClock
from tests.node import bare


def member(name: str, seeds: tuple[str, ...], transport: Transport, clock: Clock) -> Meeting:
    """A node that only meets others."""
    ctx = bare.node(name, (), transport=transport, clock=clock, randomness=SystemRandomness())
    meeting = Meeting(ctx, PeerBook(MemoryStore((SCHEMA,))), seeds, Bound("0.0.0.0", True))
    meeting.serve()
    return meeting


def ctx_of(meeting: Meeting) -> Context:
    return meeting._ctx


@asynccontextmanager
async def running(*meetings: Meeting) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for meeting in meetings:
            await stack.enter_async_context(ctx_of(meeting).seams.transport.running())
        async with trio.open_nursery() as nursery:
            for meeting in meetings:
                nursery.start_soon(meeting.run)
            yield
            nursery.cancel_scope.cancel()


async def until(condition: Callable[[], bool], seconds: float) -> None:
    with trio.fail_after(seconds):
        while not condition():
            await trio.sleep(0.1)


class Place:
    """Members of one network in memory; the first ones are its seeds."""

    def __init__(self, relay: bool = True) -> None:
        self.relay = relay
        self.clock = TrioClock(1.8e9)
        self.wires = Network(self.clock, random.Random(1), Conditions(0.01, 0.05))
        self.seeds: list[str] = []

    def member(self, name: str, seed: bool = False) -> Meeting:
        transport = MemoryTransport(self.wires, bare.peer(name), self.clock, self.relay)
        if seed:
            self.seeds.append(f"/memory/{bare.peer(name)}/p2p/{bare.peer(name)}")
        return member(name, tuple(self.seeds), transport, self.clock)


async def test_two_seeds_find_a_node_public_within_ten_seconds(autojump_clock: MockClock) -> None:
    place = Place()
    seeds = [place.member(name, seed=True) for name in ("ann", "bob")]
    node = place.member("cyd")
    async with running(*seeds, node):
        await until(lambda: ctx_of(node).reach.verdict != "unknown", 10)
    reach = ctx_of(node).reach
    assert (reach.verdict, reach.asked) == ("public", 2)
    assert reach.addrs == (f"/memory/{bare.peer('cyd')}/p2p/{bare.peer('cyd')}",)


async def test_a_node_that_nobody_can_dial_is_told_what_to_do(autojump_clock: MockClock) -> None:
    place = Place(relay=False)
    seeds = [place.member(name, seed=True) for name in ("ann", "bob")]
    node = place.member("cyd")
    place.wires.hide(bare.peer("cyd"))
    async with running(*seeds, node):
        await until(lambda: ctx_of(node).reach.verdict != "unknown", 10)
        reach = ctx_of(node).reach
        assert (reach.verdict, reach.asked) == ("outbound-only", 2)
        assert "every duty can be done so" in reach.advice
        assert set(node.hellos) == {bare.peer("ann"), bare.peer("bob")}


async def test_a_node_without_seeds_says_so_and_keeps_trying(autojump_clock: MockClock) -> None:
    place = Place()
    seed = place.member("ann", seed=True)
    node = place.member("cyd")
    async with running(node):
        await until(lambda: "no-peers" in ctx_of(node).failures, 10)
        assert ctx_of(node).reach.verdict == "unknown"
        async with running(seed):
            await until(lambda: bare.peer("ann") in node.hellos, 15)


async def test_a_node_seeks_so_many_connections_and_takes_more(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meet, "STANDING", 3)
    place = Place()
    others = [place.member(f"n{number}") for number in range(6)]
    ann = place.member("ann")
    for other in others:
        peer = ctx_of(other).seams.transport.peer_id
        await ann.book.heard_of(peer, f"/memory/{peer}/p2p/{peer}")
    async with running(*others, ann):
        await trio.sleep(300)
        assert len(ctx_of(ann).seams.transport.peers()) == 3
        own = ctx_of(ann).seams.transport
        for other in others:
            await ctx_of(other).seams.transport.dial(own.addrs[0])
        assert len(own.peers()) == 6


async def test_a_growing_crowd_keeps_slots_free_and_together(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each newcomer seeks company among those who have enough: these send others away for it, and all stay one."""
    for name, value in {"STANDING": 4, "CROWDED": 6, "SETTLED_S": 30.0, "THIN_S": 2.0}.items():
        monkeypatch.setattr(meet, name, value)
    place = Place()
    seed = place.member("seed", seed=True)
    crowd = [place.member(f"n{number}") for number in range(14)]
    for one in crowd:
        for other in crowd:
            peer = ctx_of(other).seams.transport.peer_id
            await one.book.heard_of(peer, f"/memory/{peer}/p2p/{peer}")
    async with running(seed, *crowd):
        await trio.sleep(120)
        links = {m: set(ctx_of(m).seams.transport.peers()) for m in crowd}
        assert all(len(peers) <= 8 for peers in links.values())
        assert all(len(peers) >= 3 for peers in links.values())  # one may be on its way
        home = ctx_of(seed).seams.transport.peer_id
        assert all(home in peers for peers in links.values()), "a seed was sent away"
        assert sum(ctx_of(m).seams.transport.counters().get("thinned", 0) for m in crowd) > 0
        assert "thinned" not in ctx_of(seed).seams.transport.counters()


async def test_refused_by_everybody_is_what_the_node_does(autojump_clock: MockClock) -> None:
    place = Place()
    seed = place.member("ann", seed=True)
    late = TrioClock(1.8e9 - 3_600)
    transport = MemoryTransport(place.wires, bare.peer("cyd"), late)
    node = member("cyd", tuple(place.seeds), transport, late)
    async with running(seed, node):
        await until(lambda: bool(node.refused), 10)
        await until(lambda: "timedatectl" in ctx_of(node).duty, 10)
    assert "refused by all 1 peers: The clocks differ by 3600 s" in ctx_of(node).duty
    assert node.book.get(bare.peer("ann")).loss == "refused: clock-skew"


# -- one key in two homes: only the real transport lets them run at once ---


def real(name: str, *seeds: Meeting) -> Meeting:
    clock = SystemClock()
    transport = Libp2pTransport(bare.keys(name).peer_seed, clock)
    addrs = tuple(a for seed in seeds for a in ctx_of(seed).seams.transport.addrs)
    return member(name, addrs, transport, clock)


async def test_the_younger_of_two_nodes_with_one_key_stops_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(meet, "COPIED_S", 2.0)
    monkeypatch.setattr(life, "GREET_SECONDS", 5.0)
    seed = real("ann")
    async with running(seed):
        elder = real("cyd", seed)
        async with running(elder):
            await until(lambda: bool(elder.hellos), 15)
            await trio.sleep(1.1)  # starts are told apart by the second
            copy = real("cyd", seed)
            with pytest.raises(OperatorError) as told:
                async with running(copy):
                    await until(lambda: bool(ctx_of(copy).standby), 15)
                    await trio.sleep_forever()
            assert told.value.code == "duplicate-key"
            assert "openledger --home DIR init" in told.value.remedy
            assert not ctx_of(elder).standby and elder.hellos
        again = real("cyd", seed)  # the elder stopped: the same key may start again
        async with running(again):
            await until(lambda: bool(again.hellos), 15)
            assert not ctx_of(again).standby


async def test_a_peer_cannot_stop_a_node_by_saying_that_its_key_runs_twice(
    autojump_clock: MockClock,
) -> None:
    place = Place()
    liar = MemoryTransport(place.wires, bare.peer("ann"), place.clock)
    place.seeds.append(f"/memory/{bare.peer('ann')}/p2p/{bare.peer('ann')}")
    node = place.member("cyd")

    async def lie(peer: str, body: bytes) -> bytes:
        hello = node._hello(int(place.clock.now()))
        return pack(Answer(hello, "duplicate-key", hello.life))

    liar.handle(HELLO_PROTOCOL, lie, 4096)
    async with liar.running(), running(node):
        await until(lambda: bool(node.refused), 10)
        (refused,) = node.refused.values()
        assert refused.reason == "unproven-duplicate" and not ctx_of(node).standby


async def test_a_hidden_node_gets_a_place_at_a_seed_and_is_dialled_through_it(
    autojump_clock: MockClock,
) -> None:
    place = Place()
    seeds = [place.member(name, seed=True) for name in ("ann", "bob")]
    hidden, other = place.member("cyd"), place.member("dan")
    for name in ("cyd", "dan"):
        place.wires.hide(bare.peer(name))
    async with running(*seeds, hidden, other):
        await until(lambda: ctx_of(hidden).reach.verdict == "relayed", 15)
        assert all("/p2p-circuit/p2p/" in addr for addr in ctx_of(hidden).reach.addrs)
        await until(lambda: bare.peer("cyd") in other.hellos, 200)
        assert other.hellos[bare.peer("cyd")].reach == "relayed"
