"""The libp2p door: nothing that a peer sends stops a node, and a node stops quickly."""

import contextlib
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from libp2p.custom_types import TProtocol
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11

from node.doors import SystemClock
from p2p.framing import encode_frame
from p2p.guard import MAX_STREAMS
from p2p.libp2p_gossip import LIBRARY
from p2p.libp2p_host import STOP_SECONDS, Libp2pTransport
from protocol.errors import OperatorError, PeerError
from protocol.signing import peer_id_of, public_key

ECHO = "/openledger/echo/1"
BUG = "/openledger/bug/1"
STALL = "/openledger/stall/1"
TOPIC = "openledger/test"


def node(number: int, **options: str) -> Libp2pTransport:
    transport = Libp2pTransport(bytes([number]) * 32, SystemClock(), **options)

    async def echo(peer: str, body: bytes) -> bytes:
        return body

    async def bug(peer: str, body: bytes) -> bytes:
        raise KeyError("a bug in a handler")

    async def stall(peer: str, body: bytes) -> bytes:
        await trio.sleep_forever()
        raise AssertionError

    for protocol, handler in ((ECHO, echo), (BUG, bug), (STALL, stall)):
        transport.handle(protocol, handler, max_request=1000)
    return transport


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    with trio.fail_after(seconds):
        while not condition():
            await trio.sleep(0.02)


async def ignore(peer: str, topic: str, body: bytes) -> None:
    pass


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Libp2pTransport, Libp2pTransport]]:
    """A victim and a peer connected to it."""
    victim, peer = node(1), node(2)
    await victim.subscribe(TOPIC, ignore)
    async with victim.running(), peer.running():
        await peer.dial(victim.addrs[0])
        yield victim, peer


async def throw(
    peer: Libp2pTransport, victim: Libp2pTransport, protocol: str, raw: bytes, close: bool = True
) -> None:
    """Raw bytes on a stream of ``protocol``."""
    target = next(iter(peer._swarm().get_connections_map()))
    assert str(target) == victim.peer_id
    stream = await peer._running_host().new_stream(target, [TProtocol(protocol)])
    await stream.write(raw)
    if close:
        await stream.close()


async def served(peer: Libp2pTransport, victim: Libp2pTransport) -> bool:
    answer = await peer.request(victim.peer_id, ECHO, b"ok", timeout=5, max_response=10)
    return answer == b"ok"


def test_the_peer_id_is_the_one_that_envelopes_name() -> None:
    assert node(1).peer_id == peer_id_of(public_key(bytes([1]) * 32))


@pytest.mark.parametrize(
    ("protocol", "raw", "reason"),
    [
        (ECHO, b"\xff" * 20, "request-refused-bad-frame"),  # a length without end
        (ECHO, b"\x05ab", "request-refused-cut-short"),  # less than announced
        (ECHO, encode_frame(bytes(1001)), "request-refused-too-large"),
        (BUG, encode_frame(b""), "stream-invalid"),
        (PROTOCOL_ID_V11, encode_frame(b"\xff\xff\xff"), "stream-invalid"),  # no protobuf
        (PROTOCOL_ID_V11, b"\xff" * 20, "gossip-stream-broken"),
        ("/ipfs/ping/1.0.0", b"short", ""),  # the library contains this one, and the next
        ("/ipfs/id/push/1.0.0", encode_frame(b"\xff" * 9), ""),
    ],
)
async def test_bad_bytes_are_counted_and_the_next_request_is_served(
    protocol: str, raw: bytes, reason: str
) -> None:
    async with pair() as (victim, peer):
        await throw(peer, victim, protocol, raw)
        if reason:
            await until(lambda: victim.counters().get(reason, 0) >= 1)
        assert await served(peer, victim)


async def test_garbage_before_the_handshake_is_survived() -> None:
    async with pair() as (victim, peer):
        port = int(victim.addrs[0].split("/")[4])
        for raw in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(raw)
            await stream.aclose()
        assert await served(peer, victim)


async def test_a_gossip_message_with_junk_inside_is_survived() -> None:
    from libp2p.pubsub.pb import rpc_pb2

    async with pair() as (victim, peer):
        for key in (b"", b"\xff" * 8, b"\x08\x01\x12\x03abc"):
            message = rpc_pb2.Message(
                data=b"x",
                topicIDs=[TOPIC],
                from_id=b"\x01" * 3,
                seqno=b"1",
                signature=b"s",
                key=key,
            )
            raw = rpc_pb2.RPC(publish=[message]).SerializeToString()
            await throw(peer, victim, PROTOCOL_ID_V11, encode_frame(raw))
        await until(lambda: victim.counters().get("gossip-message-invalid", 0) >= 1)
        assert await served(peer, victim)


async def test_one_peer_cannot_hold_more_than_its_share_of_streams() -> None:
    async with pair() as (victim, peer):
        async with trio.open_nursery() as nursery:
            for _ in range(MAX_STREAMS + 10):
                nursery.start_soon(throw, peer, victim, ECHO, b"", False)
            await until(lambda: victim.counters().get("stream-too-many", 0) >= 5)
            nursery.cancel_scope.cancel()
        assert victim.peers() == [peer.peer_id]


async def test_a_stream_beyond_its_window_ends_the_connection() -> None:
    async with pair() as (victim, peer):
        target = next(iter(peer._swarm().get_connections_map()))
        stream = await peer._running_host().new_stream(target, [TProtocol(STALL)])
        muxed: Any = stream.muxed_conn
        number = stream.muxed_stream.stream_id  # type: ignore[attr-defined]
        for _ in range(12):  # 768 KiB that nobody reads, where 256 KiB are allowed
            frame = struct.pack("!BBHII", 0, 0, 0, number, 65_536) + bytes(65_536)
            with contextlib.suppress(*LIBRARY, OSError, trio.BrokenResourceError):
                await muxed._write_frame(frame)
        await until(lambda: victim.peers() == [])


async def test_several_requests_on_one_stream() -> None:
    async with pair() as (victim, peer):
        async with peer.conversation(victim.peer_id, ECHO) as ask:
            for number in range(20):
                body = b"%d" % number
                assert await ask(body, timeout=5, max_response=10) == body
        assert await served(peer, victim)


async def test_a_burst_of_a_thousand_arrives_whole() -> None:
    nodes = [node(number) for number in (1, 2, 3)]
    got: list[set[bytes]] = [set(), set(), set()]

    def collect(into: set[bytes]) -> Callable[[str, str, bytes], object]:
        async def handler(peer: str, topic: str, body: bytes) -> None:
            into.add(body)

        return handler

    for transport, into in zip(nodes, got, strict=True):
        await transport.subscribe(TOPIC, collect(into))  # type: ignore[arg-type]
    async with nodes[0].running(), nodes[1].running(), nodes[2].running():
        await nodes[1].dial(nodes[0].addrs[0])
        await nodes[2].dial(nodes[1].addrs[0])
        with trio.fail_after(10):
            while not (await nodes[0].publish(TOPIC, b"?") and await nodes[1].publish(TOPIC, b"!")):
                await trio.sleep(0.1)
        burst = {b"%d" % number for number in range(1000)}
        for body in burst:
            await nodes[0].publish(TOPIC, body)
        await until(lambda: all(burst <= bodies for bodies in got[1:]), seconds=60)
        assert not any("dropped" in code for transport in nodes for code in transport.counters())


async def test_an_address_in_use_names_the_remedy() -> None:
    async with node(1).running():
        pass
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"/ip4/127.0.0.1/tcp/{taken.getsockname()[1]}"
        with pytest.raises(OperatorError) as caught:
            async with node(1, listen=listen).running():
                pass
    assert caught.value.code == "port-taken" and "--listen" in caught.value.remedy


@pytest.mark.parametrize(
    ("listen", "code"),
    [
        ("nonsense", "bad-listen"),
        ("/ip4/192.0.2.1/tcp/0", "cannot-listen"),
        ("/tcp/1", "bad-listen"),
    ],
)
async def test_other_bad_listen_addresses(listen: str, code: str) -> None:
    with pytest.raises(OperatorError) as caught:
        async with node(1, listen=listen).running():
            pass
    assert caught.value.code == code


async def test_a_node_comes_back_on_its_port_and_is_dialled_at_once() -> None:
    first, other = node(1), node(2)
    async with other.running():
        async with first.running():
            addr = first.addrs[0]
            await other.dial(addr)
        await until(lambda: not other.peers())
        with pytest.raises(PeerError):
            await other.dial(addr)
        again = node(1, listen=addr.split("/p2p/")[0])
        async with again.running():
            await other.dial(addr)  # no minute of waiting after the failure
            assert await served(other, again)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_stop_is_quick_with_open_streams_and_gossip_under_way(cancelled: bool) -> None:
    async with pair() as (_, peer):
        victim = node(3)
        await victim.subscribe(TOPIC, ignore)
        await peer.subscribe(TOPIC, ignore)
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                async with victim.running():
                    port = int(victim.addrs[0].split("/")[4])
                    await peer.dial(victim.addrs[0])
                    for _ in range(20):
                        nursery.start_soon(hang, peer, victim)
                    await until(lambda: len(victim._streams._serving) > 0)
                    for number in range(200):
                        await peer.publish(TOPIC, b"%d" % number)
                    start = time.monotonic()
                    if cancelled:
                        scope.cancel()
                        await trio.sleep_forever()
            assert time.monotonic() - start < STOP_SECONDS + 0.5
        assert "stop-forced" not in victim.counters()
        with socket.socket() as free:  # the listener is gone
            free.bind(("127.0.0.1", port))


async def hang(peer: Libp2pTransport, victim: Libp2pTransport) -> None:
    with pytest.raises(PeerError):
        await peer.request(victim.peer_id, STALL, b"", timeout=20, max_response=1)


@pytest.mark.parametrize("size", [100, 200_000])
async def test_cancelled_requests_leave_the_connection_in_order(size: int) -> None:
    """Cut short in any place: the library loses the connection in one of forty (test_libp2p_facts)."""
    victim, peer = node(1), node(2)
    rng = random.Random(size)

    async def large(_: str, body: bytes) -> bytes:
        return body

    victim.handle("/test/large/1", large, size)
    async with victim.running(), peer.running():
        await peer.dial(victim.addrs[0])
        await until(lambda: bool(victim.links()))
        before = [link.remote for link in victim.links()]

        async def ask() -> None:
            with trio.move_on_after(rng.random() * 0.05), contextlib.suppress(PeerError):
                await peer.request(
                    victim.peer_id, "/test/large/1", bytes(size), timeout=5, max_response=size
                )

        for _ in range(60):
            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    nursery.start_soon(ask)
        assert await served(peer, victim)
        assert [link.remote for link in victim.links()] == before
        assert victim.scores() == []  # to cancel is no fault
