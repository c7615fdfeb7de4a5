"""Signed messages: what was accepted, by kind; gossip in and out; catching up by asking peers.

The chain says what is final; mail only carries the values that the chain points to, so an accepted
message never decides anything by itself. Everything refused is counted under its reason.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from p2p.gossip import Announcement, Limits, RateBook, SeenCache, judge
from protocol import messages
from protocol.codec import pack, unpack
from protocol.errors import DecodeError, Ignore, PeerError, Reject
from protocol.signing import WIRE_VERSION, Envelope, peer_id_of, public_key, seal, verify

T = TypeVar("T")

LIFETIME_S = 3_600
KINDS: dict[str, type[Any]] = {cls.__name__: cls for cls in messages.GOSSIP}


@dataclass(frozen=True, slots=True)
class Letter:
    """One accepted message."""

    envelope: Envelope
    body: Any

    @property
    def author(self) -> str:
        return peer_id_of(self.envelope.author)


class Mail:
    """All accepted messages of one network."""

    def __init__(self, network: bytes, seed: bytes, standing: Callable[[bytes], bool]) -> None:
        self._network = network
        self._seed = seed
        self._standing = standing  # author's public key -> may it speak
        self._limits = Limits(network, frozenset({WIRE_VERSION}), max_lifetime=LIFETIME_S)
        self._seen = SeenCache(ttl=LIFETIME_S, limit=100_000)
        self._rates = RateBook(rate=50.0, burst=500.0)
        self._letters: dict[bytes, Letter] = {}
        self._by_kind: dict[type[Any], list[Letter]] = defaultdict(list)
        self.refused: Counter[str] = Counter()

    def write(self, body: Any, now: float) -> Envelope:
        """A signed envelope of our own, accepted here at once."""
        sent = int(now)
        envelope = seal(
            Envelope(
                version=WIRE_VERSION,
                network=self._network,
                kind=type(body).__name__,
                author=public_key(self._seed),
                epoch=0,
                issued=sent,
                expires=sent + LIFETIME_S,
                body=pack(body),
                signature=bytes(64),
            ),
            self._seed,
        )
        self._keep(envelope, body)
        return envelope

    def accept(self, raw: bytes, now: float) -> Letter:
        """Judge and keep one received envelope. Raises Ignore or Reject, counted under the reason."""
        try:
            return self._accept(raw, now)
        except (Ignore, Reject) as verdict:
            self.refused[verdict.reason] += 1
            raise

    def _accept(self, raw: bytes, now: float) -> Letter:
        try:
            envelope = unpack(Envelope, raw, limit=self._limits.max_bytes)
            kind = KINDS.get(envelope.kind)
            if kind is None:
                raise Ignore("unknown-kind")
            body = unpack(kind, envelope.body)
        except DecodeError as error:
            raise Reject(error.code) from error
        if envelope.id in self._letters:
            raise Ignore("duplicate")
        item = Announcement(
            id=envelope.id,
            size=len(raw),
            version=envelope.version,
            network=envelope.network,
            author=peer_id_of(envelope.author),
            sent=envelope.issued,
            expiry=envelope.expires,
        )
        judge(
            item,
            self._limits,
            self._seen,
            self._rates,
            signed=lambda: _signed(envelope),
            standing=lambda _: self._standing(envelope.author),
            now=now,
        )
        return self._keep(envelope, body)

    def _keep(self, envelope: Envelope, body: Any) -> Letter:
        letter = Letter(envelope, body)
        self._letters[envelope.id] = letter
        self._by_kind[type(body)].append(letter)
        return letter

    def letters(self, kind: type[T]) -> list[Letter]:
        """Accepted messages of a kind, oldest first."""
        return self._by_kind[kind]

    def bodies(self, kind: type[T]) -> list[T]:
        return [letter.body for letter in self._by_kind[kind]]

    def ids(self, now: float) -> tuple[bytes, ...]:
        """Ids of the newest messages that have not expired, for a sync request."""
        alive = [i for i, x in self._letters.items() if x.envelope.expires > now]
        return tuple(alive[-4_096:])

    def missing(self, have: Iterable[bytes], now: float, limit: int = 256) -> tuple[bytes, ...]:
        """Packed envelopes that the asker lacks, newest last."""
        known = set(have)
        found = [
            pack(x.envelope)
            for i, x in self._letters.items()
            if i not in known and x.envelope.expires > now
        ]
        return tuple(found[:limit])


def _signed(envelope: Envelope) -> bool:
    try:
        verify(envelope)
    except PeerError:
        return False
    return True
