"""The handshake: who may work together, and what each side is told."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from trio.testing import MockClock

from bootstrap.handshake import HELLO_PROTOCOL, Handshake, Hello, Refused, judge
from p2p.memory import MemoryTransport, Network
from protocol.errors import PeerError
from simnet.seams import TrioClock

HELLO = Hello(
    version=3,
    network=b"N" * 32,
    params=b"P" * 32,
    chain_id=1337,
    time=1_000_000,
    agent="openledger/0.1",
    roles=3,
    addrs=("/ip4/127.0.0.1/tcp/1/p2p/a",),
)


@pytest.mark.parametrize(
    "change",
    [{}, {"version": 2}, {"version": 4}, {"time": 1_000_030}, {"time": 999_970}, {"roles": 0}],
)
def test_accepted(change: dict[str, int]) -> None:
    assert judge(replace(HELLO, **change), HELLO) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "reason", "says"),
    [
        ({"version": 5}, "wire-version", "Update openledger-node"),
        ({"version": 1}, "wire-version", "peer must update"),
        ({"network": bytes(32)}, "wrong-network", "network file"),
        ({"params": bytes(32), "network": bytes(32)}, "wrong-params", "current file"),
        ({"chain_id": 1, "network": bytes(32)}, "wrong-chain", "rpc"),
        ({"time": 1_000_031}, "clock-skew", "clock"),
        ({"time": 999_969}, "clock-skew", "clock"),
    ],
)
def test_refused_with_reason_and_remedy(change: dict[str, object], reason: str, says: str) -> None:
    refused = judge(replace(HELLO, **change), HELLO)  # type: ignore[arg-type]
    assert refused is not None and refused.reason == reason and says in refused.remedy
    assert refused.error().code == reason and refused.error().remedy == refused.remedy


class Side:
    def __init__(self, network: Network, name: str, clock: TrioClock, hello: Hello) -> None:
        self.transport = MemoryTransport(network, name, clock)
        self.met: list[tuple[str, str]] = []
        self.handshake = Handshake(
            self.transport, clock, lambda now: replace(hello, time=now), self.meet
        )
        self.handshake.serve()

    async def meet(self, peer: str, hello: Hello) -> None:
        self.met.append((peer, hello.agent))


Meeting = Callable[[Hello, Hello], tuple[Side, Side]]


@pytest.fixture
def meeting() -> Meeting:
    def make(left: Hello, right: Hello) -> tuple[Side, Side]:
        clock = TrioClock(1e9)
        network = Network(clock, random.Random(1))
        return Side(network, "left", clock, left), Side(network, "right", clock, right)

    return make


async def test_both_sides_meet(meeting: Meeting, autojump_clock: MockClock) -> None:
    left, right = meeting(HELLO, replace(HELLO, agent="openledger/0.2"))
    async with left.transport.running(), right.transport.running():
        await left.transport.dial(right.transport.addrs[0])
        hello = await left.handshake.greet("right")
        assert isinstance(hello, Hello) and hello.agent == "openledger/0.2"
    assert left.met == [("right", "openledger/0.2")] and right.met == [("left", "openledger/0.1")]


async def test_neither_side_meets_a_stranger(meeting: Meeting, autojump_clock: MockClock) -> None:
    left, right = meeting(HELLO, replace(HELLO, network=bytes(32)))
    async with left.transport.running(), right.transport.running():
        await left.transport.dial(right.transport.addrs[0])
        refused = await left.handshake.greet("right")
        assert isinstance(refused, Refused) and refused.reason == "wrong-network"
    assert left.met == [] == right.met


async def test_junk_is_refused(meeting: Meeting, autojump_clock: MockClock) -> None:
    left, right = meeting(HELLO, HELLO)
    async with left.transport.running(), right.transport.running():
        await left.transport.dial(right.transport.addrs[0])
        with pytest.raises(PeerError) as caught:
            await left.transport.request(
                "right", HELLO_PROTOCOL, b"\xff\x00", timeout=5, max_response=100
            )
        assert caught.value.text == "not-msgpack"
    assert right.met == []
