"""First contact: a newcomer asks, a seed names a bounded random sample of other peers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from blake3 import blake3

from p2p.peers import Peer, PeerBook
from protocol.codec import Max, pack, unpack
from protocol.seams import Clock, PeerId, Randomness, Transport

PEERS_PROTOCOL = "/openledger/peers/1"
MAX_ANSWER = 32
ANSWER_BYTES = 16 * 1024
ASK_SECONDS = 5.0
FRESH_SECONDS = 3600  # only peers seen since are named


@dataclass(frozen=True, slots=True)
class WantPeers:
    """Request: name at most ``limit`` peers."""

    limit: int


@dataclass(frozen=True, slots=True)
class PeerAddrs:
    """Response: full multiaddrs, one a peer."""

    addrs: Annotated[tuple[Annotated[str, Max(256)], ...], Max(MAX_ANSWER)]


class Seed:
    """Answers from the peer book."""

    def __init__(
        self, transport: Transport, book: PeerBook, clock: Clock, randomness: Randomness
    ) -> None:
        self._transport = transport
        self._book = book
        self._clock = clock
        self._randomness = randomness

    def serve(self) -> None:
        """Register the handler; before the transport runs."""
        self._transport.handle(PEERS_PROTOCOL, self._answer, 16)

    async def _answer(self, peer: PeerId, body: bytes) -> bytes:
        limit = max(0, min(unpack(WantPeers, body).limit, MAX_ANSWER))
        now = self._clock.now()
        known = [
            entry
            for entry in self._book.dialable(now)
            if entry.peer != peer and now - entry.last_seen < FRESH_SECONDS
        ]
        chosen = sample(known, limit, self._randomness.token(32))
        return pack(PeerAddrs(tuple(entry.addrs[0] for entry in chosen)))


def sample(peers: Sequence[Peer], limit: int, salt: bytes) -> list[Peer]:
    """``limit`` of them, uniformly for a fresh ``salt``: by the order of salted hashes."""
    return sorted(peers, key=lambda entry: blake3(entry.peer.encode(), key=salt).digest())[:limit]


async def ask_peers(transport: Transport, peer: PeerId) -> tuple[str, ...]:
    """Addresses that a connected seed names. Raises PeerError."""
    raw = await transport.request(
        peer,
        PEERS_PROTOCOL,
        pack(WantPeers(MAX_ANSWER)),
        timeout=ASK_SECONDS,
        max_response=ANSWER_BYTES,
    )
    return unpack(PeerAddrs, raw, limit=ANSWER_BYTES).addrs
