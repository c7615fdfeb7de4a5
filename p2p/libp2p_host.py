"""The door to libp2p 0.8.1: TCP, Noise, yamux, gossipsub, behind the Transport seam.

Notable: the library lets one bad byte stop the host, drops bursts in silence, never notices a
frozen peer and shares its port with strangers. Each of these is mended here and pinned by a test in
``tests/p2p/test_libp2p_facts.py``.
"""

import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import trio
from libp2p import new_host
from libp2p.abc import IHost, INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_new_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.network import swarm as swarm_module
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

from p2p.guard import Guard, StreamGuard
from p2p.inbox import Inbox
from p2p.libp2p_gate import Gate
from p2p.libp2p_gossip import LIBRARY, CountedGossip, GuardedPubsub
from p2p.libp2p_links import conns_of, knock, last_moment, links_of, muxers_of, peer_info
from p2p.libp2p_openings import Openings
from p2p.libp2p_relay import CIRCUIT, Relays
from p2p.libp2p_requests import Requests
from p2p.libp2p_yamux import YAMUX, WholeYamux
from p2p.listen import check_free, own_ips, spread
from p2p.liveness import Liveness
from p2p.nursery import lone, plain_nursery
from p2p.scores import Scores
from p2p.service import Services
from p2p.slots import Slots, Staked
from protocol.errors import LocalError, OperatorError, PeerError
from protocol.seams import Ask, Clock, GossipHandler, Link, PeerId, StreamHandler

DIAL_SECONDS = 10.0
PROBE_SECONDS = 4.0
STOP_SECONDS = 2.5  # the whole stop, forced after that
MAX_CONNECTIONS = 300

# What a peer does wrong is counted here; the library would print pages about it.
logging.getLogger("libp2p").setLevel(logging.CRITICAL)

# 250 ms in every dial: we try one address at a time, so there is nothing to race against.
swarm_module._HAPPY_EYEBALLS_DELAY = 0.0


class _NoAutoConnector(AutoConnector):
    """The library dials every address it has heard of until half its limit is connected."""

    async def maybe_connect(self) -> None:
        """Nothing: p2p/redial.py and the daemon decide whom to dial."""


class Libp2pTransport:
    """The Transport seam on libp2p. ``seed`` is the 32-byte Ed25519 secret behind the peer id."""

    def __init__(
        self,
        seed: bytes,
        clock: Clock,
        *,
        listen: str = "/ip4/127.0.0.1/tcp/0",
        announce: Sequence[str] = (),
        slots: Slots | None = None,
        scores: Scores | None = None,
        relay: bool = False,
    ) -> None:
        self._keys = create_new_key_pair(seed)
        self._id = ID.from_pubkey(self._keys.public_key)
        self._listen = listen
        self._announce = [Multiaddr(addr) for addr in announce] or None
        self._counts: Counter[str] = Counter()
        self._clock = clock
        self._scores = scores or Scores()
        self._is_staked: Staked = lambda peer: False
        self._gate = Gate(self._counts, slots or Slots(), self._banned, self._staked)
        self._inbox = Inbox(clock, self._counts, self.blame)
        self._services = Services(self._counts, self.blame)
        self._openings = Openings(self._reset)
        self._requests = Requests(self._services, self._open_stream, self._reset)
        self._streams = StreamGuard(self._counts, LIBRARY, self.blame)
        self._liveness = Liveness(clock, self._counts, self._silences, self._ping, self._drop)
        self._relays = Relays(relay)
        self._host: IHost | None = None
        self._gossip: CountedGossip | None = None
        self._pubsub: GuardedPubsub | None = None
        self._nursery: trio.Nursery | None = None

    @property
    def peer_id(self) -> PeerId:
        return str(self._id)

    @property
    def addrs(self) -> Sequence[str]:
        """Full multiaddrs; empty while not running."""
        found = self._host.get_addrs() if self._host else []
        return [one for addr in found for one in spread(str(addr), own_ips)]

    def counters(self) -> dict[str, int]:
        return dict(self._counts)

    def peers(self) -> Sequence[PeerId]:
        if self._host is None:
            return []
        table = self._swarm().get_connections_map()
        return [str(peer) for peer, conns in table.items() if any(not c.is_closed for c in conns)]

    def handle(self, protocol: str, handler: StreamHandler, max_request: int) -> None:
        if self._host is not None:
            raise LocalError("running", f"register {protocol} before the transport runs")
        self._services.add(protocol, handler, max_request)

    # ---- whom to trust

    def prefer(self, staked: Staked) -> None:
        """Half of all connections and of the gossip mesh are kept for peers of which this is true."""
        self._is_staked = staked

    def blame(self, peer: PeerId, code: str) -> None:
        """A peer was at fault; when it was often enough it is hung up on, and not let in for a while."""
        if self._scores.fault(peer, code, self._clock.monotonic()):
            self._counts["peer-banned"] += 1
            if self._nursery is not None:
                self._nursery.start_soon(self._drop, peer)

    def scores(self) -> list[tuple[PeerId, float, float]]:
        """(peer, points, seconds of ban left), the worst first."""
        return self._scores.worst(self._clock.monotonic())

    def _banned(self, peer: PeerId) -> bool:
        return self._scores.banned(peer, self._clock.monotonic())

    def _staked(self, peer: PeerId) -> bool:
        return self._is_staked(peer)

    # ---- life

    def running(self) -> AbstractAsyncContextManager[None]:
        """Serve while the context is open. Raises OperatorError when the address cannot be used."""
        return self._running()

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        check_free(self._listen)
        ready, stop = trio.Event(), trio.Event()
        async with plain_nursery() as nursery:
            nursery.start_soon(self._serve, ready, stop)
            await ready.wait()
            try:
                yield
            finally:
                stop.set()

    async def _serve(self, ready: trio.Event, stop: trio.Event) -> None:
        """Run the stack until ``stop``, shielded: a cancelled close would leak the listener."""
        with trio.CancelScope(shield=True) as scope, Guard(self._counts, "stop", LIBRARY) as guard:
            async with self._stack(scope):
                ready.set()
                await stop.wait()
        if scope.cancelled_caught:
            self._counts["stop-forced"] += 1
        if guard.tripped is not None and not stop.is_set():
            error = lone(guard.tripped)
            if isinstance(error, OperatorError):
                raise error
            raise LocalError("libp2p-stopped", f"the library stopped: {error!r}") from error

    @asynccontextmanager
    async def _stack(self, scope: trio.CancelScope) -> AsyncIterator[None]:
        host, gossip, pubsub = self._build()
        try:
            async with (
                host.run([Multiaddr(self._listen)]),
                background_trio_service(gossip),
                background_trio_service(pubsub),
                self._relays.running(host),
                trio.open_nursery() as nursery,
            ):
                self._nursery = nursery
                await self._start(host, gossip, pubsub)
                nursery.start_soon(self._liveness.run, self.peers)
                try:
                    yield
                finally:
                    scope.deadline = trio.current_time() + STOP_SECONDS
                    await self._close(_swarm_of(host))
                    self._host = self._gossip = self._pubsub = self._nursery = None
                    nursery.cancel_scope.cancel()
        finally:
            pubsub.seen_messages.stop()  # a thread that would sweep for ever

    def _build(self) -> tuple[IHost, CountedGossip, GuardedPubsub]:
        noise = NoiseTransport(self._keys, noise_privkey=create_new_noise_key_pair().private_key)
        host = new_host(
            key_pair=self._keys,
            # named, because the defaults also accept plaintext, secio and mplex
            sec_opt={NOISE: noise},
            muxer_opt={TProtocol(YAMUX): WholeYamux},
            listen_addrs=[Multiaddr(self._listen)],
            announce_addrs=self._announce,
            connection_config=ConnectionConfig(
                max_connections=MAX_CONNECTIONS,
                high_watermark=MAX_CONNECTIONS,
                min_connections=0,
                low_watermark=0,
            ),
        )
        network = _swarm_of(host)
        network.retry_config = RetryConfig(max_retries=0)  # ours is the redialler
        network.auto_connector = _NoAutoConnector(network)
        network.set_stream_handler(partial(self._guarded, network.common_stream_handler))
        self._gate.guard(network)
        gossip = CountedGossip(self._counts, self._staked)
        return host, gossip, GuardedPubsub(host, gossip, self._counts)

    async def _start(self, host: IHost, gossip: CountedGossip, pubsub: GuardedPubsub) -> None:
        if not _swarm_of(host).listeners:
            raise OperatorError(
                "cannot-listen",
                f"Cannot listen on {self._listen}.",
                "Choose another --listen-port.",
            )
        await pubsub.wait_until_ready()
        self._host, self._gossip, self._pubsub = host, gossip, pubsub
        for protocol in self._services.protocols:
            host.set_stream_handler(TProtocol(protocol), partial(self._requests.answer, protocol))
        for topic in self._inbox.topics:
            await self._join(pubsub, topic)

    async def _guarded(
        self, inner: Callable[[INetStream], Awaitable[None]], stream: INetStream
    ) -> None:
        """Around every inbound stream: an error in one would stop the whole swarm."""
        peer = str(stream.muxed_conn.peer_id)
        await self._streams.run(peer, partial(inner, stream), partial(self._reset, stream))

    async def _reset(self, stream: INetStream) -> None:
        with last_moment(), Guard(self._counts, "stream-reset", LIBRARY):
            await stream.reset()

    # ---- peers

    async def dial(self, addr: str) -> PeerId:
        """Connect once. Raises PeerError ``dial-failed``, with the cause, within DIAL_SECONDS."""
        info = peer_info(addr)
        if info.peer_id == self._id:
            raise PeerError("dial-failed", f"{addr} is this node itself")
        host = self._running_host()
        network = _swarm_of(host)
        network.unblock_peer(info.peer_id)  # else refused for 60 s after one failure
        host.get_peerstore().clear_addrs(info.peer_id)  # else an address of its last life is tried
        for conn in conns_of(network, info.peer_id):
            if conn.is_closed:
                network.remove_conn(conn)  # else taken for the connection that is wanted
        with Guard(Counter(), "dial", LIBRARY) as guard, trio.fail_after(DIAL_SECONDS):
            await (self._relays.dial(addr) if CIRCUIT in addr else host.connect(info))
            return str(info.peer_id)
        raise PeerError("dial-failed", f"{addr}: {guard.tripped}") from guard.tripped

    async def probe(self, addr: str) -> None:
        info = peer_info(addr)
        if info.peer_id == self._id:
            raise PeerError("dial-failed", f"{addr} is this node itself")
        with Guard(Counter(), "probe", LIBRARY) as guard, trio.fail_after(PROBE_SECONDS):
            return await knock(self._swarm(), info)
        raise PeerError("dial-failed", f"{addr}: {guard.tripped}") from guard.tripped

    async def reserve(self, relay: PeerId) -> str:
        ways = [link.remote for link in self.links() if link.peer == relay and not link.inbound]
        with Guard(Counter(), "reserve", LIBRARY) as guard, trio.fail_after(DIAL_SECONDS):
            await self._relays.reserve(ID.from_string(relay))
            return f"{ways[0]}/p2p/{relay}{CIRCUIT}p2p/{self._id}"
        raise PeerError("no-relay", f"{relay}: {guard.tripped}") from guard.tripped

    def links(self) -> Sequence[Link]:
        return links_of(self._swarm(), self._liveness.latency) if self._host else []

    async def drop(self, peer: PeerId, reason: str) -> None:
        self._counts[reason] += 1
        await self._drop(peer)

    def _silences(self, peer: PeerId) -> list[float]:
        return [muxer.silence for muxer in muxers_of(self._swarm(), peer)]

    async def _ping(self, peer: PeerId) -> None:
        """One echo of every connection to the peer: a dead one beside a living one is not used."""
        async with trio.open_nursery() as nursery:
            for muxer in muxers_of(self._swarm(), peer):
                nursery.start_soon(self._echo, muxer)

    async def _echo(self, conn: WholeYamux) -> None:
        with Guard(self._counts, "ping", LIBRARY):
            await conn.echo()

    async def _drop(self, peer: PeerId) -> None:
        network, target = self._swarm(), ID.from_string(peer)
        for conn in conns_of(network, target):
            with last_moment(), Guard(self._counts, "peer-close", LIBRARY):
                await conn.close()
            network.remove_conn(conn)  # a close that was cut short leaves it in the table
        if self._pubsub is not None:
            self._pubsub.forget(target)

    async def _close(self, network: Swarm) -> None:
        """Listeners first: the library's own stop is cancelled before it reaches them.

        Then all peers at once, where the library takes 0.2 s for each in turn.
        """
        for listener in tuple(network.listeners.values()):
            with Guard(self._counts, "listener-close", LIBRARY):
                await listener.close()
        async with trio.open_nursery() as nursery:
            for peer in network.get_connections_map():
                nursery.start_soon(self._drop, str(peer))

    # ---- requests

    async def request(
        self, peer: PeerId, protocol: str, body: bytes, *, timeout: float, max_response: int
    ) -> bytes:
        """One request on a stream of its own. Raises PeerError, see the seam, and DecodeError."""
        self._check_connected(peer)
        return await self._requests.request(
            peer, protocol, body, timeout=timeout, max_response=max_response
        )

    def conversation(self, peer: PeerId, protocol: str) -> AbstractAsyncContextManager[Ask]:
        """Several requests on one stream. Raises as ``request`` does."""
        self._check_connected(peer)
        return self._requests.conversation(peer, protocol)

    def _check_connected(self, peer: PeerId) -> None:
        if peer not in self.peers():
            raise PeerError("unreachable", f"no connection to {peer}")

    async def _open_stream(self, peer: ID, protocols: list[TProtocol]) -> INetStream:
        host, nursery = self._running_host(), self._nursery
        assert nursery is not None
        act = partial(host.new_stream, peer, protocols)
        return await self._openings.open(nursery, str(peer), act)

    # ---- gossip

    async def subscribe(self, topic: str, handler: GossipHandler) -> None:
        self._inbox.subscribe(topic, handler)
        if self._pubsub is not None:
            await self._join(self._pubsub, topic)

    async def _join(self, pubsub: GuardedPubsub, topic: str) -> None:
        # an async validator: a sync one that raises would end the pubsub service
        pubsub.set_topic_validator(topic, partial(self._validate, topic), is_async_validator=True)
        await pubsub.subscribe(topic)

    async def _validate(self, topic: str, forwarder: ID, message: rpc_pb2.Message) -> bool:
        if forwarder == self._id:
            return True
        return await self._inbox.accept(str(forwarder), topic, message.data)

    async def publish(self, topic: str, body: bytes) -> int:
        """Raises LocalError ``too-large``: the library would drop it in silence."""
        self._inbox.published(topic, body)
        if self._pubsub is None or self._gossip is None:
            raise LocalError("not-running", "publish needs a running transport")
        targets = len(list(self._gossip._get_peers_to_send([topic], self._id, self._id)))
        if not targets:
            self._counts["published-to-nobody"] += 1
        await self._pubsub.publish(topic, body)
        return targets

    def _running_host(self) -> IHost:
        if self._host is None:
            raise LocalError("not-running", "the transport is not running")
        return self._host

    def _swarm(self) -> Swarm:
        return _swarm_of(self._running_host())


def _swarm_of(host: IHost) -> Swarm:
    network: Any = host.get_network()
    assert isinstance(network, Swarm)
    return network
