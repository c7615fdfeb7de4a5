"""Slots: free identities never get more than half, so one honest staked peer is enough."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import trio
from hypothesis import given
from hypothesis import strategies as st
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.transport.tcp.tcp import TCP
from multiaddr import Multiaddr

from node.doors import SystemClock
from p2p.libp2p_host import Libp2pTransport
from p2p.scores import Scores
from p2p.slots import Slots, refuse_address, refuse_peer
from protocol.errors import PeerError
from protocol.seams import Link

ECHO = "/openledger/echo/1"
TOPIC = "openledger/test"
SYBILS = 200
STAKED = Libp2pTransport(b"\x51" * 32, SystemClock()).peer_id
ROOMY = Slots(per_address=1_000)  # all of a test share one address


def link(peer: str, host: str = "10.0.0.1", inbound: bool = True) -> Link:
    return Link(peer, inbound, f"/ip4/{host}/tcp/4001")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=120))
def test_half_is_kept_whatever_comes(arrivals: list[tuple[bool, int]]) -> None:
    slots, links = Slots(total=20), list[Link]()
    for staked, number in arrivals:
        peer = f"{'staked' if staked else 'free'}{number}"
        if refuse_peer(peer, links, lambda peer: peer.startswith("staked"), slots) is None:
            links.append(link(peer))
    free = sum(one.peer.startswith("free") for one in links)
    assert free <= slots.total // 2 and len(links) <= slots.total
    assert all(sum(x.peer == one.peer for x in links) <= slots.per_peer for one in links)
    if len(links) < slots.total and not any(one.peer == "staked99" for one in links):
        assert refuse_peer("staked99", links, lambda peer: peer.startswith("staked"), slots) is None


def test_one_address_has_its_share() -> None:
    slots = Slots(per_address=3)
    links = [link("a"), link("b"), link("c", inbound=False), link("d", "10.0.0.2")]
    assert refuse_address("/ip4/10.0.0.1/tcp/9", 0, links, slots) is None
    assert refuse_address("/ip4/10.0.0.1/tcp/9", 1, links, slots) == "address-slots"
    assert refuse_address("/ip4/10.0.0.2/tcp/9", 1, links, slots) is None


def node(number: int, slots: Slots = ROOMY, scores: Scores | None = None) -> Libp2pTransport:
    transport = Libp2pTransport(bytes([number]) * 32, SystemClock(), slots=slots, scores=scores)

    async def echo(peer: str, body: bytes) -> bytes:
        return body

    transport.handle(ECHO, echo, 100)
    transport.prefer(lambda peer: peer == STAKED)
    return transport


async def ignore(peer: str, topic: str, body: bytes) -> None:
    pass


@asynccontextmanager
async def sybil(number: int, victim: str) -> AsyncIterator[None]:
    """A free identity that connects and stays."""
    identity = Libp2pTransport(number.to_bytes(32, "big"), SystemClock())
    host, _, pubsub = identity._build()
    pubsub.seen_messages.stop()
    info, network = info_from_p2p_addr(Multiaddr(victim)), host.get_network()
    raw = await TCP().dial(info.addrs[0])
    upgrader: Any = network.upgrader  # type: ignore[attr-defined]
    try:
        secured = await upgrader.upgrade_security(raw, True, info.peer_id)
        await upgrader.upgrade_connection(secured, info.peer_id)
        yield
    finally:
        await raw.close()


async def test_two_hundred_free_identities_do_not_keep_a_staked_peer_out() -> None:
    victim, honest = node(0x50), node(0x51)
    assert honest.peer_id == STAKED
    async with victim.running(), honest.running(), AsyncExitStack() as stack:
        for number in range(1, SYBILS + 1):
            await stack.enter_async_context(sybil(number, victim.addrs[0]))
            assert len(victim.peers()) <= ROOMY.total // 2
        with trio.fail_after(
            30
        ):  # they hold what they have for as long as they are not found silent
            while not victim.counters().get("connection-refused-free-slots"):
                await trio.sleep(0.05)
        await honest.dial(victim.addrs[0])
        assert await honest.request(victim.peer_id, ECHO, b"in", timeout=5, max_response=9) == b"in"
        assert STAKED in victim.peers()


async def test_half_of_a_mesh_is_kept() -> None:
    victim, others = node(0x50), [node(number) for number in range(0x60, 0x6A)]
    honest = node(0x51)
    async with AsyncExitStack() as stack:
        for transport in (victim, honest, *others):
            await transport.subscribe(TOPIC, ignore)
            await stack.enter_async_context(transport.running())
        for other in others:
            await other.dial(victim.addrs[0])
        gossip: Any = victim._gossip
        with trio.fail_after(20):
            while len(gossip.mesh[TOPIC]) < gossip.degree_high // 2:
                await trio.sleep(0.1)
        await honest.dial(victim.addrs[0])
        with trio.fail_after(20):
            while STAKED not in {str(peer) for peer in gossip.mesh[TOPIC]}:
                await trio.sleep(0.1)
        free = [peer for peer in gossip.mesh[TOPIC] if str(peer) != STAKED]
        assert len(free) <= gossip.degree_high // 2


async def test_a_ban_begins_and_ends() -> None:
    victim = node(0x50, scores=Scores(ban_seconds=1.0))
    peer = node(0x52)
    async with victim.running(), peer.running():
        await peer.dial(victim.addrs[0])
        for _ in range(2):
            victim.blame(peer.peer_id, "exchange-lying-chunk")
        with trio.fail_after(5):
            while victim.peers() or peer.peers():
                await trio.sleep(0.02)
            while not victim.counters().get("connection-refused-banned"):
                with contextlib.suppress(
                    PeerError
                ):  # it may look connected until the refusal comes
                    await peer.dial(victim.addrs[0])
                await trio.sleep(0.02)
            while peer.peers():
                await trio.sleep(0.02)
        await trio.sleep(1.1)
        await peer.dial(victim.addrs[0])
        assert await peer.request(victim.peer_id, ECHO, b"x", timeout=5, max_response=9) == b"x"
