"""One conformance suite for both sides of the Transport seam: in memory and libp2p on loopback."""

import itertools
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio

from p2p.libp2p_host import Libp2pTransport
from p2p.memory import MemoryTransport, Network
from protocol.errors import Ignore, LocalError, PeerError, Reject
from protocol.seams import Transport

ECHO = "/openledger/echo/1"
TOPIC = "openledger/test"


class WallClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return trio.current_time()

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


Make = Callable[[int], Transport]


@pytest.fixture(params=["memory", "libp2p"])
def make(request: pytest.FixtureRequest) -> Make:
    """A maker of nodes that can reach each other; the number fixes the identity."""
    clock = WallClock()
    if request.param == "libp2p":
        return lambda number: Libp2pTransport(bytes([number]) * 32, clock)
    network = Network(clock, random.Random(1))
    return lambda number: MemoryTransport(network, f"peer{number}", clock)


async def echo(peer: str, body: bytes) -> bytes:
    return peer.encode() + b":" + body


@asynccontextmanager
async def up(*nodes: Transport) -> AsyncIterator[None]:
    """All nodes running, each dialled by the next, gossip streams open."""
    async with AsyncExitStack() as stack:
        for node in nodes:
            await stack.enter_async_context(node.running())
        for left, right in itertools.pairwise(nodes):
            assert await right.dial(left.addrs[0]) == left.peer_id
        with trio.fail_after(5):
            for left, right in itertools.pairwise(nodes):
                while right.peer_id not in left.peers():
                    await trio.sleep(0.01)
        yield


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    with trio.fail_after(seconds):
        while not condition():
            await trio.sleep(0.02)


async def meshed(node: Transport, topic: str, peers: int) -> None:
    """Wait until a body from ``node`` goes to that many neighbours."""
    number = 0
    with trio.fail_after(10):
        while await node.publish(topic, b"probe%d" % number) < peers:
            number += 1
            await trio.sleep(0.1)


def collect(into: list[bytes]) -> Callable[[str, str, bytes], Awaitable[None]]:
    async def handler(peer: str, topic: str, body: bytes) -> None:
        if not body.startswith(b"probe"):
            into.append(body)

    return handler


async def test_dial_and_peers_are_mutual(make: Make) -> None:
    one, two = make(1), make(2)
    assert list(one.addrs) == [] and list(one.peers()) == []
    async with up(one, two):
        assert list(one.peers()) == [two.peer_id]
        assert list(two.peers()) == [one.peer_id]
        assert one.addrs[0].endswith("/p2p/" + one.peer_id)
    assert list(one.peers()) == []


async def test_request_reaches_the_handler_with_the_callers_id(make: Make) -> None:
    one, two = make(1), make(2)
    one.handle(ECHO, echo, max_request=100)
    async with up(one, two):
        answer = await two.request(one.peer_id, ECHO, b"hi", timeout=5, max_response=200)
        assert answer == two.peer_id.encode() + b":hi"


async def test_dial_of_nobody_fails(make: Make) -> None:
    one, two, gone = make(1), make(2), make(3)
    async with gone.running():
        addr = gone.addrs[0]
    async with up(one, two):
        for bad in (addr, "nonsense", one.addrs[0]):
            with pytest.raises(PeerError) as caught:
                await one.dial(bad)
            assert caught.value.code == "dial-failed"


async def test_request_errors_by_code(make: Make) -> None:
    async def stall(peer: str, body: bytes) -> bytes:
        await trio.sleep_forever()
        raise AssertionError

    async def object_to(peer: str, body: bytes) -> bytes:
        raise PeerError("no-blob", "we have none")

    one, two, three = make(1), make(2), make(3)
    one.handle(ECHO, echo, max_request=10)
    one.handle("/openledger/stall/1", stall, max_request=10)
    one.handle("/openledger/object/1", object_to, max_request=10)

    async def fails(peer: str, protocol: str, body: bytes, limit: int = 100) -> tuple[str, str]:
        with pytest.raises(PeerError) as caught:
            await two.request(peer, protocol, body, timeout=0.5, max_response=limit)
        return caught.value.code, caught.value.text

    async with up(one, two):
        assert (await fails(one.peer_id, "/openledger/stall/1", b""))[0] == "timeout"
        assert await fails(one.peer_id, "/openledger/object/1", b"") == ("refused", "no-blob")
        assert (await fails(one.peer_id, "/openledger/none/1", b""))[0] == "refused"
        assert (await fails(one.peer_id, ECHO, bytes(11)))[0] == "too-large"
        assert (await fails(one.peer_id, ECHO, b"x", limit=5))[0] == "too-large"
        assert (await fails(three.peer_id, ECHO, b""))[0] == "unreachable"
        assert one.counters()["request-refused-no-blob"] == 1
        assert one.counters()["request-refused-too-large"] == 1


async def test_a_conversation_asks_again_and_again(make: Make) -> None:
    async def picky(peer: str, body: bytes) -> bytes:
        if body == b"bad":
            raise PeerError("no-blob", "we have none")
        return body

    one, two, three = make(1), make(2), make(3)
    one.handle(ECHO, picky, max_request=10)
    async with up(one, two):
        async with two.conversation(one.peer_id, ECHO) as ask:
            assert await ask(b"a", timeout=5, max_response=9) == b"a"
            with pytest.raises(PeerError):
                await ask(b"bad", timeout=5, max_response=9)
            assert await ask(b"b", timeout=5, max_response=9) == b"b"
        with pytest.raises(PeerError) as caught:
            async with two.conversation(three.peer_id, ECHO) as ask:
                await ask(b"a", timeout=5, max_response=9)
        assert caught.value.code == "unreachable"


async def test_gossip_arrives_once_at_every_node(make: Make) -> None:
    nodes = [make(number) for number in (1, 2, 3)]
    got: list[list[bytes]] = [[], [], []]
    for node, into in zip(nodes, got, strict=True):
        await node.subscribe(TOPIC, collect(into))
    async with up(*nodes):
        await meshed(nodes[0], TOPIC, 1)
        await meshed(nodes[1], TOPIC, 2)
        for body in (b"a", b"b", b"c", b"a"):
            await nodes[0].publish(TOPIC, body)
        await until(lambda: len(got[2]) == 3)
    assert [sorted(bodies) for bodies in got] == [[], [b"a", b"b", b"c"], [b"a", b"b", b"c"]]


async def test_a_body_of_4096_bytes_passes_and_a_larger_one_is_an_error(make: Make) -> None:
    one, two = make(1), make(2)
    got: list[bytes] = []
    await one.subscribe(TOPIC, collect([]))
    await two.subscribe(TOPIC, collect(got))
    async with up(one, two):
        await meshed(one, TOPIC, 1)
        await one.publish(TOPIC, bytes(4096))
        await until(lambda: got == [bytes(4096)])
        with pytest.raises(LocalError):
            await one.publish(TOPIC, bytes(4097))


@pytest.mark.parametrize("verdict", [Ignore("stale"), Reject("forged")])
async def test_a_verdict_stops_forwarding_and_is_counted(
    make: Make, verdict: Ignore | Reject
) -> None:
    async def judge(peer: str, topic: str, body: bytes) -> None:
        if body == b"bad":
            raise verdict

    one, two, three = make(1), make(2), make(3)
    got: list[bytes] = []
    await one.subscribe(TOPIC, collect([]))
    await two.subscribe(TOPIC, judge)
    await three.subscribe(TOPIC, collect(got))
    async with up(one, two, three):
        await meshed(one, TOPIC, 1)
        await meshed(two, TOPIC, 2)
        await one.publish(TOPIC, b"bad")
        await one.publish(TOPIC, b"good")
        await until(lambda: b"good" in got)
        assert got == [b"good"]
        word = "ignored" if isinstance(verdict, Ignore) else "rejected"
        assert two.counters()[f"gossip-{word}-{verdict.reason}"] == 1


async def test_published_to_nobody_is_visible(make: Make) -> None:
    one = make(1)
    await one.subscribe(TOPIC, collect([]))
    async with one.running():
        assert await one.publish(TOPIC, b"alone") == 0
        assert one.counters()["published-to-nobody"] == 1


async def test_a_stopped_peer_is_noticed_and_comes_back(make: Make) -> None:
    one, two = make(1), make(2)
    two.handle(ECHO, echo, max_request=10)
    async with one.running():
        for _ in range(2):
            async with two.running():
                await one.dial(two.addrs[0])
                assert await one.request(two.peer_id, ECHO, b"x", timeout=5, max_response=100)
            await until(lambda: list(one.peers()) == [])


async def test_handlers_are_registered_once_and_before_running(make: Make) -> None:
    one = make(1)
    one.handle(ECHO, echo, max_request=10)
    with pytest.raises(LocalError):
        one.handle(ECHO, echo, max_request=10)
    async with one.running():
        with pytest.raises(LocalError):
            one.handle("/openledger/late/1", echo, max_request=10)


async def test_an_error_in_the_body_arrives_as_itself(make: Make) -> None:
    with pytest.raises(KeyError):
        async with make(1).running():
            raise KeyError("mine")


async def test_links_say_who_dialled(make: Make) -> None:
    one, two = make(1), make(2)
    async with up(one, two):
        (there,), (here,) = one.links(), two.links()
        assert (there.peer, there.inbound) == (two.peer_id, True)
        assert (here.peer, here.inbound) == (one.peer_id, False)
        assert one.addrs[0] == f"{here.remote}/p2p/{one.peer_id}"
        assert not here.relayed


async def test_a_probe_proves_an_address_and_leaves_no_link(make: Make) -> None:
    one, two, gone = make(1), make(2), make(3)
    async with gone.running():
        closed = gone.addrs[0]
    async with one.running(), two.running():
        await one.probe(two.addrs[0])
        with pytest.raises(PeerError, match="dial-failed"):
            await one.probe(closed)
        wrong = two.addrs[0].replace(two.peer_id, gone.peer_id)
        with pytest.raises(PeerError, match="dial-failed"):
            await one.probe(wrong)
        assert not one.links() and not two.links()


async def test_a_drop_ends_the_link_on_both_sides(make: Make) -> None:
    one, two = make(1), make(2)
    async with up(one, two):
        await one.drop(two.peer_id, "no-longer-wanted")
        assert not one.links() and one.counters()["no-longer-wanted"] == 1
        await until(lambda: not two.peers())


async def test_a_relay_links_whom_it_keeps_a_place_for(make: Make) -> None:
    relay, one, two = make(1), make(2), make(3)
    if isinstance(relay, Libp2pTransport):
        relay = Libp2pTransport(bytes([1]) * 32, WallClock(), relay=True)
    one.handle(ECHO, echo, 100)
    async with relay.running(), one.running(), two.running():
        with pytest.raises(PeerError, match="no-relay"):
            await one.reserve(relay.peer_id)
        for node in (one, two):
            await node.dial(relay.addrs[0])
        circuit = await one.reserve(relay.peer_id)
        assert circuit.endswith(f"/p2p/{relay.peer_id}/p2p-circuit/p2p/{one.peer_id}")
        assert await two.dial(circuit) == one.peer_id
        answer = await two.request(one.peer_id, ECHO, b"hi", timeout=5, max_response=100)
        assert answer == two.peer_id.encode() + b":hi"
