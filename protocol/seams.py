"""The six seams between the node's logic and the world. Each has a real and a simulated side.

All async methods run under trio. A conformance suite in ``tests/seams`` runs on both sides.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from protocol.compute import Request, Result


class Clock(Protocol):
    """Wall and monotonic time, and waiting."""

    def now(self) -> float:
        """Unix time in seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` (a trio checkpoint even when 0)."""
        ...


class Randomness(Protocol):
    """Unpredictable bytes for keys, salts and nonces (never for anything peers must agree on)."""

    def token(self, size: int) -> bytes:
        """``size`` fresh bytes."""
        ...


PeerId = str
StreamHandler = Callable[[PeerId, bytes], Awaitable[bytes]]
GossipHandler = Callable[[PeerId, str, bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Link:
    """One connection that stands. ``remote`` is the other end as seen from here, a multiaddr without
    ``/p2p``; ``latency`` the last round trip in seconds, None while there was none.
    """

    peer: PeerId
    inbound: bool
    remote: str
    relayed: bool = False
    latency: float | None = None


class Ask(Protocol):
    """One request of a conversation; the errors are those of ``Transport.request``."""

    async def __call__(self, body: bytes, *, timeout: float, max_response: int) -> bytes: ...


class Transport(Protocol):
    """Peers, gossip topics and request-response streams; the real one is libp2p."""

    @property
    def peer_id(self) -> PeerId: ...

    @property
    def addrs(self) -> Sequence[str]:
        """Full multiaddrs (``/ip4/../tcp/../p2p/ID``) under which this node can be dialled."""
        ...

    def running(self) -> AbstractAsyncContextManager[None]:
        """Listen and serve while the context is open; handlers must be registered before."""
        ...

    async def dial(self, addr: str) -> PeerId:
        """Connect to a full multiaddr. Raises PeerError (code ``dial-failed``)."""
        ...

    async def probe(self, addr: str) -> None:
        """Dial a full multiaddr over a connection of its own, let the peer prove its key, close.

        Raises PeerError ``dial-failed``. A connection that stands already proves nothing here.
        """
        ...

    async def reserve(self, relay: PeerId) -> str:
        """Ask a peer that we dialled to relay to us for a while: the address for that.

        Raises PeerError ``no-relay``. Whoever dials that address is linked to us through the relay.
        """
        ...

    async def drop(self, peer: PeerId, reason: str) -> None:
        """Close all connections to a peer; counted under ``reason``."""
        ...

    def peers(self) -> Sequence[PeerId]:
        """Peers connected now."""
        ...

    def links(self) -> Sequence[Link]:
        """Connections that stand now; a peer may have several."""
        ...

    def handle(self, protocol: str, handler: StreamHandler, max_request: int) -> None:
        """Serve ``protocol``: length-prefixed requests in, one response out for each, in order."""
        ...

    def conversation(self, peer: PeerId, protocol: str) -> AbstractAsyncContextManager[Ask]:
        """A stream kept for several requests, one after the other. Raises as ``request`` does."""
        ...

    async def request(
        self, peer: PeerId, protocol: str, body: bytes, *, timeout: float, max_response: int
    ) -> bytes:
        """One request to one peer. Raises PeerError: ``timeout``, ``refused``, ``too-large``, ``unreachable``."""
        ...

    async def subscribe(self, topic: str, handler: GossipHandler) -> None:
        """Deliver each new gossip body on ``topic``; the handler raises Ignore or Reject to stop forwarding."""
        ...

    async def publish(self, topic: str, body: bytes) -> int:
        """Gossip ``body`` (at most 4096 bytes); returns the number of peers it was sent to (0 is a visible state)."""
        ...

    def prefer(self, staked: Callable[[PeerId], bool]) -> None:
        """Half of all connections and of the gossip mesh are kept for peers of which this is true."""
        ...

    def blame(self, peer: PeerId, code: str) -> None:
        """A peer was at fault; enough of it is a ban, which expires."""
        ...

    def scores(self) -> list[tuple[PeerId, float, float]]:
        """(peer, points for faults, seconds of ban left) of all that have any, the worst first."""
        ...

    def counters(self) -> dict[str, int]:
        """What was dropped, refused or lost so far, by reason code."""
        ...


class Store(Protocol):
    """One SQLite database; the simulated side runs the same SQL in memory."""

    async def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        """Run one statement in its own transaction; returns the affected row count."""
        ...

    async def transaction(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Run all statements or none."""
        ...

    async def query(self, sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a select."""
        ...

    async def close(self) -> None: ...


class Draft(Protocol):
    """A body that is not complete yet. Nothing read from it is checked: a torn write is the reader's to see."""

    def write(self, at: int, part: bytes) -> None:
        """Keep bytes at their place. Raises OperatorError ``disk-full``."""
        ...

    def read(self, at: int, size: int) -> bytes:
        """What is there, perhaps less than ``size`` bytes, perhaps never written."""
        ...

    def finish(self, size: int) -> None:
        """The first ``size`` bytes are the blob: the caller has compared them with its id."""
        ...

    def discard(self) -> None:
        """Forget what was written."""
        ...


class Blobs(Protocol):
    """Content-addressed bytes; the id is BLAKE3-256 of the body. Belongs to the Store seam."""

    def put(self, body: bytes) -> bytes:
        """Store atomically; returns the 32-byte id. Idempotent."""
        ...

    def get(self, blob: bytes) -> bytes:
        """The body. Raises LocalError: ``no-blob``, ``blob-corrupt`` for bytes without its hash."""
        ...

    def part(self, blob: bytes, at: int, size: int) -> bytes:
        """At most ``size`` bytes from byte ``at``, not checked. Raises LocalError ``no-blob``."""
        ...

    def has(self, blob: bytes) -> bool: ...

    def pin(self, blob: bytes) -> None:
        """Keep a fetched blob for good; what was ``put`` stays anyhow."""
        ...

    def discard(self, blob: bytes) -> None:
        """Forget a damaged body, so that it may be stored or fetched again; nothing for an absent one."""
        ...

    def draft(self, blob: bytes) -> Draft:
        """The blob as far as it was written, in this life or an earlier one."""
        ...


class Compute(Protocol):
    """Everything that needs a model; the real side is a torch child process per device."""

    async def run(self, request: Request) -> Result:
        """Perform one request. Raises ComputeError (``out-of-memory``, ``crashed``, ``bad-model``, ``bad-input``)."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Block:
    """A chain head: number, 32-byte hash, unix seconds."""

    number: int
    hash: bytes
    time: int


@dataclass(frozen=True, slots=True)
class Event:
    """One contract event in chain order. ``args`` by Solidity name: int, bool, bytes, checksum text."""

    contract: str
    name: str
    args: dict[str, Any]
    block: int
    log_index: int
    tx: bytes


@dataclass(frozen=True, slots=True)
class TxReceipt:
    """A mined transaction: hash, block, gas used, decoded events."""

    tx: bytes
    block: int
    gas_used: int
    events: tuple[Event, ...]


class Chain(Protocol):
    """The settlement contracts, by Solidity contract and function name.

    Arguments and results are int, bool, bytes, str addresses, and tuples or lists of them (structs
    are tuples in field order). The simulated side is the integer model of the same contracts.
    """

    @property
    def chain_id(self) -> int: ...

    def address(self, contract: str) -> str:
        """Checksum address of a deployed contract."""
        ...

    async def head(self) -> Block: ...

    async def block(self, number: int) -> Block:
        """Raises ChainError ``no-block`` when it is not there yet."""
        ...

    async def read(self, contract: str, function: str, *args: Any) -> Any:
        """A view call at the head. Raises Reverted or ChainError ``unreachable``."""
        ...

    async def write(self, key: bytes, contract: str, function: str, *args: Any) -> TxReceipt:
        """Sign with the 32-byte secp256k1 ``key``, send, wait until mined.

        Raises Reverted with the custom error's name.
        """
        ...

    async def events(self, from_block: int, to_block: int) -> list[Event]:
        """All events of our contracts in the inclusive range, in order."""
        ...


__all__ = [
    "Ask",
    "AsyncIterator",
    "Blobs",
    "Block",
    "Chain",
    "Clock",
    "Compute",
    "Draft",
    "Event",
    "GossipHandler",
    "Link",
    "PeerId",
    "Randomness",
    "Store",
    "StreamHandler",
    "Transport",
    "TxReceipt",
]
