"""The simulated side of the Transport seam: a network in memory with every fault that links have.

Every delivery wakes at a virtual instant that is drawn, so that under trio's MockClock with autojump and
deterministic scheduling a seed fixes the whole order. Each node has one courier, which
hands its gossip over one after the other; a copy that cannot arrive first is counted and never carried.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache, partial
from math import ceil

import trio
from blake3 import blake3

from p2p.call import Answered, Call
from p2p.conditions import LATE, Alarm, Conditions, Draw, Pending, Traffic
from p2p.courier import Courier, Parcel
from p2p.framing import open_response
from p2p.inbox import Inbox
from p2p.nursery import plain_nursery
from p2p.service import Services
from protocol.errors import LocalError, OperatorError, PeerError
from protocol.seams import Ask, Clock, GossipHandler, Link, PeerId, StreamHandler

DUPLICATE = "gossip-ignored-duplicate"


class Network:
    """The world between the nodes: who runs, who is linked, who is cut off."""

    def __init__(
        self,
        clock: Clock,
        draw: Draw,
        conditions: Conditions | None = None,
        alarm: Alarm | None = None,
    ) -> None:
        self.conditions = conditions or Conditions()
        self._clock = clock
        self.call_at = alarm or self._call_at  # a virtual clock calls without a task of its own
        self._draw = draw
        self._running: dict[PeerId, MemoryTransport] = {}
        self._links: dict[PeerId, dict[PeerId, bool]] = {}  # in order of connection: inbound?
        self._group: dict[PeerId, int] = {}
        self._hidden: set[PeerId] = set()
        self.places: set[tuple[PeerId, PeerId]] = set()  # (relay, whom it relays to)
        self._meshes: dict[PeerId, tuple[PeerId, ...]] = {}
        self._choices: dict[PeerId, set[PeerId]] = {}
        self._last_due: dict[tuple[PeerId, PeerId], float] = {}
        self.traffic = Traffic()
        self.silenced: set[tuple[PeerId, PeerId]] = set()  # (from, to): one-way links

    def partition(self, *groups: Collection[PeerId]) -> None:
        """Cut every link between the groups; peers that are not named form one more group."""
        self._group = {peer: number for number, group in enumerate(groups) for peer in group}
        self._changed(*self._links)
        for peer, linked in self._links.items():
            for other in tuple(linked):
                if not self._together(peer, other):
                    del linked[other]
                    self._running[peer].count("peer-lost")

    def heal(self) -> None:
        """End the partition; whoever was cut off has to dial again."""
        self._group = {}

    def join(self, node: "MemoryTransport") -> None:
        """Raises OperatorError ``port-taken`` when the same peer runs already."""
        if node.peer_id in self._running:
            raise OperatorError(
                "port-taken", f"{node.peer_id} runs already.", "Stop it, or use another key."
            )
        self._running[node.peer_id] = node
        self._links[node.peer_id] = {}
        self._changed(node.peer_id)

    def leave(self, peer: PeerId) -> None:
        """The node is gone; its neighbours notice at once."""
        neighbours = self._links.pop(peer)
        for other in neighbours:
            del self._links[other][peer]
            self._running[other].count("peer-lost")
        del self._running[peer]
        self._changed(peer, *neighbours)

    async def link(self, one: PeerId, other: PeerId, relay: PeerId = "") -> None:
        """Connect two running nodes, after a round trip. Raises PeerError ``dial-failed``."""
        await self.knock(one, other, relay)
        self._links[one].setdefault(other, False)
        self._links[other].setdefault(one, True)
        self._changed(one, other)

    async def knock(self, one: PeerId, other: PeerId, relay: PeerId = "") -> None:
        """A round trip of a new connection. Raises PeerError ``dial-failed``."""
        await self.arrive(self.schedule(one, other))
        await self.arrive(self.schedule(other, one))
        up = one in self._running and other in self._running
        relayed = (relay, other) in self.places and self.linking(relay, other)
        if not up or not self._together(one, other) or (other in self._hidden and not relayed):
            raise PeerError("dial-failed", f"{other} does not answer")

    def unlink(self, one: PeerId, other: PeerId) -> None:
        """End a connection; both sides notice at once."""
        if self._links.get(one, {}).pop(other, None) is not None:
            self._links[other].pop(one, None)
            self._running[other].count("peer-lost")
            self._changed(one, other)

    def hide(self, peer: PeerId) -> None:
        """Put a node behind a translator of addresses: it dials out, nobody dials it."""
        self._hidden.add(peer)

    def linked(self, peer: PeerId) -> dict[PeerId, bool]:
        """Neighbours in order of connection, each with whether it dialled us."""
        return dict(self._links.get(peer, {}))

    def all_linked(self, peer: PeerId) -> bool:
        """Whether a node is connected to all that run."""
        return len(self._links.get(peer, ())) == len(self._running) - 1

    def node(self, peer: PeerId) -> "MemoryTransport | None":
        """The running node of that name."""
        return self._running.get(peer)

    def mesh(self, peer: PeerId) -> tuple[PeerId, ...]:
        """The neighbours that a node gossips with: those it chose, and those that chose it."""
        if peer not in self._meshes:
            linked = self.linked(peer)
            chosen = self._chosen(peer)
            self._meshes[peer] = tuple(n for n in linked if n in chosen or peer in self._chosen(n))
        return self._meshes[peer]

    def _changed(self, *peers: PeerId) -> None:
        """The links of these peers are others than before."""
        self._meshes.clear()
        for peer in peers:
            self._choices.pop(peer, None)

    def _chosen(self, peer: PeerId) -> set[PeerId]:
        if peer not in self._choices:
            linked, degree = self._links.get(peer, {}), self.conditions.mesh or None
            self._choices[peer] = set(sorted(linked, key=lambda n: _lot(peer, n))[:degree])
        return self._choices[peer]

    def lost(self, one: PeerId, other: PeerId, size: int) -> bool:
        """Draw whether one message is lost; each that is sent counts as traffic."""
        self.traffic.messages += 1
        self.traffic.bytes += size
        return (one, other) in self.silenced or self._happens(self.conditions.loss)

    def twice(self) -> bool:
        """Draw whether a message arrives a second time."""
        return self._happens(self.conditions.twice)

    def _happens(self, share: float) -> bool:
        return share > 0 and self._draw.random() < share

    def schedule(self, one: PeerId, other: PeerId) -> float:
        """Draw when a message sent now arrives: after those sent before it over this link, but for late ones.

        Called by the sender, so that the order of draws does not hang on the order in which trio
        starts tasks.
        """
        low, high = self.conditions.min_latency, self.conditions.max_latency
        takes, now = low + (high - low) * self._draw.random(), self._clock.monotonic()
        if self._happens(self.conditions.late):
            return self._on_grain(now + takes * (1 + (LATE - 1) * self._draw.random()))
        due = max(self._on_grain(now + takes), self._last_due.get((one, other), 0.0))
        self._last_due[one, other] = due
        return due

    def _on_grain(self, due: float) -> float:
        grain = self.conditions.grain
        return ceil(due / grain) * grain if grain else due

    def linking(self, one: PeerId, other: PeerId) -> bool:
        """Whether two nodes are connected."""
        return other in self._links.get(one, ())

    def now(self) -> float:
        return self._clock.monotonic()

    def _call_at(self, due: float, call: Callable[[], None]) -> Pending:
        pending = Pending(call)

        async def later() -> None:
            await self.arrive(due)
            if pending.wake is not None:
                pending.wake()

        trio.lowlevel.spawn_system_task(later)
        return pending

    def send(self, one: PeerId, other: PeerId, size: int, arrive: Callable[[], None]) -> None:
        """Let one message arrive over a link that is still there then, unless it is lost."""

        def due() -> None:
            if self.linking(one, other):
                arrive()

        lost, at = self.lost(one, other, size), self.schedule(one, other)
        if not lost:
            self.call_at(at, due)

    def after(self, seconds: float, call: Callable[[], None]) -> Pending:
        """Call in so many seconds."""
        return self.call_at(self.now() + seconds, call)

    async def arrive(self, due: float) -> None:
        """Wait until ``due``."""
        await self._clock.sleep(due - self._clock.monotonic())

    def _together(self, one: PeerId, other: PeerId) -> bool:
        return self._group.get(one) == self._group.get(other)


@lru_cache(maxsize=65_536)
def _lot(peer: PeerId, other: PeerId) -> bytes:
    """By which a node chooses its mesh; links come and go, and each asks for it again."""
    return blake3(f"{peer}/{other}".encode()).digest()


class MemoryTransport:
    """One node's Transport on a Network."""

    def __init__(self, network: Network, peer_id: PeerId, clock: Clock, relay: bool = True) -> None:
        self.relays = relay
        self._network = network
        self._peer_id = peer_id
        self._counts: Counter[str] = Counter()
        self._inbox = Inbox(clock, self._counts)
        self._services = Services(self._counts)
        self._nursery: trio.Nursery | None = None
        self._courier = Courier(network.now, network.call_at)

    @property
    def peer_id(self) -> PeerId:
        return self._peer_id

    @property
    def addrs(self) -> Sequence[str]:
        """One address while running, as libp2p's memory transport writes it."""
        return [f"/memory/{self._peer_id}/p2p/{self._peer_id}"] if self._nursery else []

    def counters(self) -> dict[str, int]:
        return dict(self._counts)

    def count(self, code: str) -> None:
        """Count one loss or drop under a reason code."""
        self._counts[code] += 1

    def peers(self) -> Sequence[PeerId]:
        return tuple(self._network.linked(self._peer_id))

    def links(self) -> Sequence[Link]:
        """Latency is not measured: nobody pings in a world whose delays are drawn."""
        linked = self._network.linked(self._peer_id)
        return [Link(peer, inbound, f"/memory/{peer}") for peer, inbound in linked.items()]

    def running(self) -> AbstractAsyncContextManager[None]:
        return self._running()

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        self._network.join(self)
        try:
            async with plain_nursery() as self._nursery:
                try:
                    self._nursery.start_soon(self._courier.run, self._deliver)
                    yield
                finally:
                    self._nursery.cancel_scope.cancel()
        finally:
            self._nursery = None
            self._courier.clear()
            self._network.leave(self._peer_id)

    async def dial(self, addr: str) -> PeerId:
        way, _, peer = addr.rpartition("/p2p/")
        if not way or peer == self._peer_id:
            raise PeerError("dial-failed", f"{addr} is no address of another peer")
        relay = way.removesuffix("/p2p-circuit").rpartition("/p2p/")[2]
        await self._network.link(self._peer_id, peer, relay)
        return peer

    async def probe(self, addr: str) -> None:
        await self._network.knock(self._peer_id, addr.rpartition("/p2p/")[2])

    async def reserve(self, relay: PeerId) -> str:
        await trio.lowlevel.checkpoint()
        server = self._network.node(relay)
        if relay not in self.peers() or server is None or not server.relays:
            raise PeerError("no-relay", f"{relay} is not connected, or does not relay")
        self._network.places.add((relay, self._peer_id))
        return f"/memory/{relay}/p2p/{relay}/p2p-circuit/p2p/{self._peer_id}"

    async def drop(self, peer: PeerId, reason: str) -> None:
        self.count(reason)
        self._network.unlink(self._peer_id, peer)
        await trio.lowlevel.checkpoint()

    def handle(self, protocol: str, handler: StreamHandler, max_request: int) -> None:
        if self._nursery is not None:
            raise LocalError("running", f"register {protocol} before the transport runs")
        self._services.add(protocol, handler, max_request)

    async def request(
        self, peer: PeerId, protocol: str, body: bytes, *, timeout: float, max_response: int
    ) -> bytes:
        if not self._network.linking(self._peer_id, peer):
            raise PeerError("unreachable", f"no connection to {peer}")
        call = Call(self._network, self._peer_id, peer, protocol, body)
        response = await call.response(timeout)
        if len(response) > max_response + 1:
            raise PeerError("too-large", f"{peer}: response of {len(response) - 1} bytes")
        return open_response(response)

    def prefer(self, staked: Callable[[PeerId], bool]) -> None:
        """Nothing to keep: the simulated network has no slots."""

    def blame(self, peer: PeerId, code: str) -> None:
        """Only counted: the simulated network bans nobody."""
        self.count(f"blamed-{code}")

    def scores(self) -> list[tuple[PeerId, float, float]]:
        """Nobody has any."""
        return []

    @asynccontextmanager
    async def conversation(self, peer: PeerId, protocol: str) -> AsyncIterator[Ask]:
        yield partial(self.request, peer, protocol)

    def serve(self, peer: PeerId, protocol: str, body: bytes, answered: Answered) -> bool:
        """Start answering in this node's own life; False when it has none."""

        async def answer() -> None:
            response = None
            try:
                response = await self._services.answer(peer, protocol, body)
            finally:
                answered(response)

        if self._nursery is not None:
            self._nursery.start_soon(answer)
        return self._nursery is not None

    async def subscribe(self, topic: str, handler: GossipHandler) -> None:
        self._inbox.subscribe(topic, handler)

    async def publish(self, topic: str, body: bytes) -> int:
        """Flood: every node forwards a new, accepted body to its other subscribed neighbours."""
        self._inbox.published(topic, body)
        if self._nursery is None:
            raise LocalError("not-running", "publish needs a running transport")
        targets = self._forward(topic, body, exclude=())
        if not targets:
            self.count("published-to-nobody")
        await trio.lowlevel.checkpoint()
        return targets

    def _forward(self, topic: str, body: bytes, exclude: Iterable[PeerId]) -> int:
        network = self._network
        nodes = [network.node(peer) for peer in network.mesh(self.peer_id) if peer not in exclude]
        targets = [node for node in nodes if node is not None and topic in node._inbox.topics]
        for node in targets:
            for _ in range(1 + network.twice()):
                if not network.lost(self.peer_id, node.peer_id, len(body)):
                    due = network.schedule(self.peer_id, node.peer_id)
                    if not node._courier.promise(Parcel(due, self.peer_id, topic, body)):
                        node.count(DUPLICATE)
        return len(targets)

    async def _deliver(self, parcel: Parcel) -> None:
        if not self._network.linking(parcel.forwarder, self.peer_id):
            return
        if await self._inbox.accept(parcel.forwarder, parcel.topic, parcel.body):
            self._forward(parcel.topic, parcel.body, exclude=(parcel.forwarder,))
