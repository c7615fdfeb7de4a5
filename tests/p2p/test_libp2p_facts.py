"""What libp2p 0.8.1 does that we mend or rely on. A failure here says: look at the door again."""

import contextlib
import inspect
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from libp2p import new_host
from libp2p.abc import IHost
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.exceptions import BaseLibp2pError
from libp2p.host.basic_host import BasicHost
from libp2p.host.ping import ID as PING
from libp2p.kad_dht.common import PROTOCOL_ID as KAD
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.swarm import Swarm, _NegativePeerCache
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub import pubsub as pubsub_module
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.pubsub import MAX_CONCURRENT_VALIDATORS, Pubsub
from libp2p.pubsub.rpc_queue import DefaultMaxMessageSize, OutBoundQueueSize, RpcQueue
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID
from libp2p.security.noise.io import MAX_PLAINTEXT_LENGTH
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.stream_muxer import muxer_multistream as muxer_module
from libp2p.stream_muxer.muxer_multistream import MuxerMultistream
from libp2p.stream_muxer.yamux import yamux as yamux_module
from libp2p.stream_muxer.yamux.yamux import (
    DEFAULT_WINDOW_SIZE,
    HEADER_SIZE,
    MAX_MESSAGE_SIZE,
    Yamux,
)
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

from node.doors import SystemClock
from p2p.libp2p_gossip import QUEUE_RPCS, CountedGossip, GuardedPubsub
from p2p.libp2p_host import Libp2pTransport
from p2p.libp2p_requests import WRITE_BYTES
from p2p.libp2p_yamux import WholeYamux, WindowedStream, YamuxStream

LISTEN = Multiaddr("/ip4/127.0.0.1/tcp/0")
UNDECODABLE = b"\x03\xff\xff\xff"  # a length, then no protobuf


def bare_host(number: int) -> IHost:
    return new_host(key_pair=create_new_key_pair(bytes([number]) * 32), listen_addrs=[LISTEN])


def bare_gossip() -> GossipSub:
    return GossipSub(protocols=[PROTOCOL_ID_V11], degree=6, degree_low=4, degree_high=12)


@asynccontextmanager
async def bare_node(number: int) -> AsyncIterator[tuple[IHost, Pubsub]]:
    """The library as it comes."""
    host, gossip = bare_host(number), bare_gossip()
    pubsub = Pubsub(host, gossip)
    try:
        async with (
            host.run([LISTEN]),
            background_trio_service(gossip),
            background_trio_service(pubsub),
        ):
            await pubsub.wait_until_ready()
            yield host, pubsub
    finally:
        pubsub.seen_messages.stop()
        await close_listeners(host)


async def close_listeners(host: IHost) -> None:
    network = host.get_network()
    assert isinstance(network, Swarm)
    for listener in network.listeners.values():
        await listener.close()


async def test_one_undecodable_rpc_stops_a_bare_host() -> None:
    attacker = Libp2pTransport(b"\x07" * 32, SystemClock())
    stopped = False
    async with attacker.running():
        try:
            async with bare_node(1) as (host, _):
                await attacker.dial(str(host.get_addrs()[0]))
                stream = await attacker._running_host().new_stream(host.get_id(), [PROTOCOL_ID_V11])
                await stream.write(UNDECODABLE)
                await trio.sleep(5)
        except BaseExceptionGroup as group:
            stopped = "DecodeError" in repr(group.exceptions)
    assert stopped


async def test_stopping_a_bare_host_leaves_its_listener_open() -> None:
    host = bare_host(1)
    async with host.run([LISTEN]):
        port = int(str(host.get_addrs()[0]).split("/")[4])
    stream = await trio.open_tcp_stream("127.0.0.1", port)  # still accepted
    await stream.aclose()
    await close_listeners(host)


async def test_two_bare_hosts_share_a_port_in_silence() -> None:
    one, two = bare_host(1), bare_host(2)
    async with one.run([LISTEN]):
        taken = Multiaddr(str(one.get_addrs()[0]).split("/p2p/")[0])
        async with two.run([taken]):
            assert str(two.get_addrs()[0]).startswith(str(taken))
    await close_listeners(one)
    await close_listeners(two)


async def test_a_listen_failure_is_not_an_error_of_the_library() -> None:
    host = bare_host(1)
    async with host.run([Multiaddr("/ip4/192.0.2.1/tcp/0")]):
        network = host.get_network()
        assert isinstance(network, Swarm) and not network.listeners


async def test_the_defaults_accept_plaintext_and_ours_only_noise() -> None:
    def security(host: IHost) -> set[str]:
        network = host.get_network()
        assert isinstance(network, Swarm)
        return {str(name) for name in network.upgrader.security_multistream.transports}

    assert str(PLAINTEXT_PROTOCOL_ID) in security(bare_host(1))
    transport = Libp2pTransport(b"\x01" * 32, SystemClock())
    host, _, pubsub = transport._build()
    assert security(host) == {str(NOISE)}
    pubsub.seen_messages.stop()


def test_the_names_that_we_replace_are_the_names_that_the_library_reads() -> None:
    assert "_HAPPY_EYEBALLS_DELAY" in Swarm.dial_peer.__code__.co_names
    assert "RpcQueue" in Pubsub._handle_new_peer.__code__.co_names
    assert vars(pubsub_module)["RpcQueue"]()._queue.max_size == QUEUE_RPCS
    assert "common_stream_handler" in SwarmConn._handle_muxed_stream.__code__.co_names
    assert "_handle_dropped_rpc" in GossipSub.send_rpc.__code__.co_names
    assert "maybe_connect" in AutoConnector._periodic_check_task.__code__.co_names
    for method in ("push_msg", "write_msg", "notify_subscriptions", "continuously_read_stream"):
        theirs, ours = (
            inspect.signature(getattr(kind, method)).parameters for kind in (Pubsub, GuardedPubsub)
        )
        assert list(theirs) == list(ours)


def test_the_ways_in_that_we_guard_are_the_ways_that_the_library_takes() -> None:
    names = Swarm._do_handle_inbound_connection.__code__.co_names
    assert "upgrade_inbound_raw_conn" in names
    for method in (Swarm.upgrade_inbound_raw_conn, Swarm.upgrade_outbound_raw_conn):
        assert "add_conn" in method.__code__.co_names
    assert "_handle_dead_peer" in Pubsub.handle_dead_peer_queue.__code__.co_names
    assert "_get_in_topic_gossipsub_peers_from_minus" in GossipSub.join.__code__.co_names
    for name in ("handle_graft", "_get_in_topic_gossipsub_peers_from_minus"):
        theirs, ours = (
            inspect.signature(getattr(kind, name)).parameters for kind in (GossipSub, CountedGossip)
        )
        assert list(theirs) == list(ours)


def test_yamux_makes_the_streams_that_we_replace() -> None:
    for method in (Yamux.open_stream, Yamux.handle_incoming):
        assert "YamuxStream" in method.__code__.co_names
    assert "MAX_WINDOW_SIZE" in Yamux.handle_incoming.__code__.co_names
    assert vars(yamux_module)["YamuxStream"] is WindowedStream
    assert "_auto_tune_and_send_window_update" in YamuxStream.read.__code__.co_names


def test_bare_yamux_only_logs_an_overrun_window() -> None:
    source = inspect.getsource(Yamux.handle_incoming)
    assert source.count("peer exceeded") == 3
    assert source.count("recv_window = 0") == 3  # and goes on
    assert (
        "except trio.TooSlowError" in source
    )  # what WindowOverrun is, and what ends the connection


def test_bare_yamux_answers_every_read_with_a_window_update() -> None:
    assert yamux_module._yamux_release_on_read()
    assert DEFAULT_WINDOW_SIZE == 256 * 1024
    assert (
        MAX_MESSAGE_SIZE == 64 * 1024 > MAX_PLAINTEXT_LENGTH
    )  # so a full frame takes two messages
    assert WRITE_BYTES + HEADER_SIZE == MAX_PLAINTEXT_LENGTH


async def test_a_cancelled_write_spends_a_number_of_the_cipher_and_the_connection_is_lost() -> None:
    async with bare_node(1) as (left, _), bare_node(2) as (right, _):
        await left.connect(info_from_p2p_addr(right.get_addrs()[0]))
        network = left.get_network()
        (conn,) = network.get_connections(right.get_id())
        with trio.CancelScope() as scope:
            scope.cancel()
            await conn.muxed_conn.secured_conn.write(bytes(HEADER_SIZE))  # type: ignore[attr-defined]
        assert scope.cancelled_caught
        with contextlib.suppress(BaseLibp2pError):
            await left.new_stream(right.get_id(), [PING])  # the next frame cannot be read
        with trio.fail_after(5):
            while not conn.is_closed:
                await trio.sleep(0.01)


def test_a_muxer_is_made_by_name_whatever_class_was_given() -> None:
    assert "yamux_conn = Yamux(" in inspect.getsource(MuxerMultistream.new_conn)
    assert vars(muxer_module)["Yamux"] is WholeYamux


def test_the_defaults_that_lose_a_burst() -> None:
    assert OutBoundQueueSize == RpcQueue()._queue.max_size == 32
    assert pubsub_module.SUBSCRIPTION_CHANNEL_SIZE == 32
    assert MAX_CONCURRENT_VALIDATORS == 10
    assert DefaultMaxMessageSize == 1024 * 1024
    bare, ours = bare_gossip(), CountedGossip(Counter())
    assert (bare.heartbeat_interval, ours.heartbeat_interval) == (120, 1)
    assert bare.spam_protection_enabled and not ours.spam_protection_enabled
    assert bare.max_messages_per_topic_per_second == 10
    assert bare.adaptive_gossip_enabled and not ours.adaptive_gossip_enabled


def test_a_failed_dial_is_refused_for_a_minute() -> None:
    cache = _NegativePeerCache()
    assert cache._ttl == 60
    cache.mark_failed("peer")
    assert cache.is_blocked("peer")
    cache.evict("peer")
    assert not cache.is_blocked("peer")


def test_the_library_dials_on_its_own_below_half_its_limit() -> None:
    source = inspect.getsource(AutoConnector.maybe_connect)
    assert "(low_watermark + high_watermark) / 2" in source
    assert ConnectionConfig().high_watermark == 300


async def test_a_closed_connection_in_the_table_counts_as_connected() -> None:
    source = inspect.getsource(BasicHost.connect)
    assert "is_closed" not in source  # why dial() clears closed ones first
    assert "if connections:" in source


async def test_a_sync_validator_that_raises_ends_a_bare_pubsub() -> None:
    stopped = False

    def raising(peer: ID, message: object) -> bool:
        raise KeyError("a validator's bug")

    try:
        async with bare_node(1) as (_, pubsub):
            await pubsub.subscribe("t")
            pubsub.set_topic_validator("t", raising, is_async_validator=False)
            peer = Libp2pTransport(b"\x02" * 32, SystemClock())
            await peer.subscribe("t", _ignore)
            async with peer.running():
                await peer.dial(str(pubsub.host.get_addrs()[0]))
                with trio.fail_after(8):
                    while True:
                        await peer.publish("t", b"%f" % trio.current_time())
                        await trio.sleep(0.1)
    except BaseExceptionGroup as group:
        stopped = "a validator's bug" in repr(group)
    assert stopped


async def _ignore(peer: str, topic: str, body: bytes) -> None:
    pass


def test_an_address_without_a_peer_is_a_value_error() -> None:
    for bad in ("nonsense", "/ip4/127.0.0.1/tcp/1"):
        with pytest.raises(ValueError):
            info_from_p2p_addr(Multiaddr(bad))


async def test_twelve_silent_streams_of_one_stranger_end_the_library_s_kad_dht() -> None:
    """Why providers are not found by it (docs/decisions/exchange.md)."""
    async with bare_node(1) as (host, _), bare_node(2) as (stranger, _):
        dht = KadDHT(host, DHTMode.SERVER)
        await stranger.connect(info_from_p2p_addr(host.get_addrs()[0]))

        async def ask() -> bytes:
            stream = await stranger.new_stream(host.get_id(), [KAD])
            await stream.write(b"\x02\x08\x05")  # a PING, with its length
            with trio.fail_after(2.0):
                return await stream.read(3)

        assert await ask()
        silent = [await stranger.new_stream(host.get_id(), [KAD]) for _ in range(12)]
        await trio.sleep(2.0)
        with pytest.raises((BaseLibp2pError, trio.TooSlowError)):
            assert await ask()
        assert len(silent) == dht._inbound_limiter.borrowed_tokens
