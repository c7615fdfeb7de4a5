"""Signed messages: what was accepted, by kind; gossip in and out; catching up by asking peers.

The chain says what is final; mail only carries the values that the chain points to, so an accepted
message never decides anything by itself. Everything refused is counted under its reason. Letters expire
and are kept in the store until then; a body that the chain names by hash is *learnt* and needs none.
"""

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, TypeVar

from p2p.gossip import Announcement, Limits, RateBook, SeenCache, judge
from protocol import messages
from protocol.codec import pack, unpack
from protocol.errors import DecodeError, Ignore, PeerError, Reject
from protocol.ids import ZERO
from protocol.seams import Store
from protocol.signing import WIRE_VERSION, Envelope, peer_id_of, public_key, seal, verify
from protocol.wire import SPOKEN, read_body, version_of, write_body

T = TypeVar("T")

SCHEMA = ("create table mail (id blob primary key, envelope blob not null)",)
LIFETIME_S = 3_600
MAX_HAVE = 4_096  # ids in a sync request
MAX_MISSING = 256  # envelopes in its answer
AUTHOR_RATE, AUTHOR_BURST = 2.0, 4_096.0  # letters: 11,296 in the hour that they live
GRAIN_S = 30  # letters that end sooner are not reconciled: clocks differ
DECLINED_S = 300.0  # a letter that we refused is not asked for again so long
EARLY_S = 15.0  # nor this long one whose author we do not know as staked: our chain may lag behind


Slot = tuple[str, bytes, bytes]  # kind, author, body


@dataclass(frozen=True, slots=True)
class Letter:
    """One accepted message; ``id`` and ``author`` (a peer id) follow from the envelope."""

    envelope: Envelope
    body: Any
    raw: bytes
    id: bytes
    author: str

    @property
    def age(self) -> tuple[int, bytes]:
        """What decides which of two letters in one slot is the newer."""
        return self.envelope.issued, self.id


class Mail:
    """All accepted messages of one network; a repeated one takes the place of the older."""

    def __init__(
        self,
        network: bytes,
        seed: bytes,
        standing: Callable[[bytes], bool],
        wire: int = WIRE_VERSION,
        spoken: frozenset[int] = SPOKEN,
    ) -> None:
        self._network = network
        self.wire = wire  # the version that we write
        self._seed = seed
        self._author = public_key(seed)
        self._standing = standing  # author's public key -> may it speak
        self._limits = Limits(network, spoken, max_lifetime=LIFETIME_S)
        self._seen = SeenCache(ttl=LIFETIME_S, limit=100_000)
        self._rates = RateBook(AUTHOR_RATE, AUTHOR_BURST)
        self._letters: dict[bytes, Letter] = {}
        self._by_kind: dict[type[Any], dict[Slot, Letter]] = defaultdict(dict)
        self._learnt: dict[type[Any], dict[bytes, Any]] = defaultdict(dict)
        self._arrived: Counter[type[Any]] = Counter()
        self._declined = SeenCache(ttl=DECLINED_S, limit=20_000)
        self._early = SeenCache(ttl=EARLY_S, limit=20_000)
        self._hints: dict[bytes, dict[bytes, str]] = defaultdict(dict)  # blob -> letter -> author
        self._ascending: list[bytes] = []  # ids of all letters
        self._first_end = inf  # no letter expires before this, Unix seconds
        self._sorted: tuple[int, tuple[bytes, ...]] = (0, ())  # ids that live until then
        self._unsaved: dict[bytes, bytes | None] = {}  # id -> packed envelope, None: to delete
        self.refused: Counter[str] = Counter()
        self.newer: set[bytes] = set()  # peer keys that wrote a version above ours

    def write(self, body: Any, now: float) -> Envelope:
        """A signed envelope of our own, accepted here at once."""
        sent = int(now)
        envelope = seal(
            Envelope(
                version=self.wire,
                network=self._network,
                kind=type(body).__name__,
                author=self._author,
                epoch=0,
                issued=sent,
                expires=sent + LIFETIME_S,
                body=write_body(self.wire, body),
                signature=bytes(64),
            ),
            self._seed,
        )
        self._keep(_letter(envelope, body, pack(envelope)))
        return envelope

    def accept(self, raw: bytes, now: float) -> Letter:
        """Judge and keep one received envelope. Raises Ignore or Reject, counted under the reason."""
        try:
            return self._accept(raw, now)
        except (Ignore, Reject) as verdict:
            self.refused[verdict.reason] += 1
            raise

    def _accept(self, raw: bytes, now: float) -> Letter:
        letter = self._opened(raw)
        envelope = letter.envelope
        if letter.id in self._letters:
            raise Ignore("duplicate")
        known = self._by_kind[type(letter.body)].get(_slot(envelope))
        if known is not None and known.age > letter.age:
            raise Ignore("superseded")
        item = Announcement(
            id=letter.id,
            size=len(raw),
            version=envelope.version,
            network=envelope.network,
            author=letter.author,
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
        return self._keep(letter)

    def _opened(self, raw: bytes) -> Letter:
        """An envelope and its body, not judged yet. Raises Ignore or Reject."""
        try:
            return _opened(raw, self._limits.max_bytes, self._limits.versions)
        except Ignore as verdict:
            if verdict.reason == "unknown-version":
                self._newer(raw)
            raise

    def _newer(self, raw: bytes) -> None:
        """Remember who, of those that may speak, writes what is too new for us to read."""
        try:
            envelope = unpack(Envelope, raw, limit=self._limits.max_bytes)
        except DecodeError:  # of another shape: nothing tells whose it is
            return
        author = envelope.author
        above = envelope.version > max(self._limits.versions)
        if above and author not in self.newer and self._standing(author) and _signed(envelope):
            self.newer.add(author)

    def _keep(self, letter: Letter) -> Letter:
        slots, slot = self._by_kind[type(letter.body)], _slot(letter.envelope)
        if slot in slots:
            self._remove(slots[slot])
        self._arrived[type(letter.body)] += 1
        insort(self._ascending, letter.id)
        self._letters[letter.id] = slots[slot] = letter
        self._first_end = min(self._first_end, letter.envelope.expires)
        self._sorted = (0, ())
        for blob in _hinted(letter):
            self._hints[blob][letter.id] = letter.author
        self._unsaved[letter.id] = letter.raw
        return letter

    def _remove(self, letter: Letter) -> None:
        del self._letters[letter.id]
        del self._ascending[bisect_left(self._ascending, letter.id)]
        self._sorted = (0, ())
        for blob in _hinted(letter):
            del self._hints[blob][letter.id]
            if not self._hints[blob]:
                del self._hints[blob]
        del self._by_kind[type(letter.body)][_slot(letter.envelope)]
        self._unsaved[letter.id] = None

    # -- reading ---

    def says(self, body: Any, now: float) -> bool:
        """Whether a letter of ours says this and has half of its life before it."""
        slot = type(body).__name__, self._author, write_body(self.wire, body)
        known = self._by_kind[type(body)].get(slot)
        return known is not None and known.envelope.expires > now + LIFETIME_S / 2

    def letters(self, kind: type[T]) -> list[Letter]:
        """Accepted messages of a kind, in order of arrival."""
        return list(self._by_kind[kind].values())

    def hinting(self, blob: bytes) -> tuple[str, ...]:
        """Peer ids of those who say that they hold a blob, in order of arrival."""
        return tuple(self._hints[blob].values()) if blob in self._hints else ()

    def bodies(self, kind: type[T]) -> list[T]:
        """Bodies of a kind, each once: what was learnt, then what is in letters."""
        letters = [letter.body for letter in self._by_kind[kind].values()]
        if not self._learnt[kind]:
            return letters if len(letters) < 2 else list(dict.fromkeys(letters))
        return list(dict.fromkeys([*self._learnt[kind].values(), *letters]))

    def arrived(self, kind: type[Any]) -> int:
        """How many bodies of a kind ever came; when it grows, ``bodies`` may have more."""
        return self._arrived[kind]

    def learnt_as(self, kind: type[T], name: bytes) -> T | None:
        """The body that was learnt under a name."""
        return self._learnt[kind].get(name)

    def learn(self, name: bytes, body: Any) -> None:
        """Keep a body for good: the chain names it by hash, so that no author has to vouch for it."""
        self._learnt[type(body)][name] = body
        self._arrived[type(body)] += 1

    def learnt(self, kind: type[T], name: bytes) -> bool:
        """Whether the body that the chain names so is known for good."""
        return name in self._learnt[kind]

    # -- time ---

    def drop(self, now: float) -> None:
        """Forget expired letters; of a node's records the newest stays, as its keys do."""
        if now < self._first_end:
            return
        for letter in list(self._letters.values()):
            if letter.envelope.expires <= now and not isinstance(letter.body, messages.NodeRecord):
                self._remove(letter)
        ends = (letter.envelope.expires for letter in self._letters.values())
        self._first_end = min(ends, default=inf)

    def ending(self, now: float, within: float) -> list[Letter]:
        """Our own letters that expire within so many seconds."""
        if now + within < self._first_end:
            return []
        own = self._author
        return [
            letter
            for letter in self._letters.values()
            if letter.envelope.author == own and letter.envelope.expires <= now + within
        ]

    def last_issued(self) -> dict[bytes, int]:
        """When each author's newest letter was written, by peer key. Unix seconds."""
        last: dict[bytes, int] = {}
        for letter in self._letters.values():
            author, issued = letter.envelope.author, letter.envelope.issued
            last[author] = max(last.get(author, 0), issued)
        return last

    # -- catching up ---

    def ids(self, now: float, start: bytes = ZERO) -> tuple[bytes, ...]:
        """Ids that have not expired, ascending from ``start`` and around, for a sync request."""
        return tuple(self._from(start, now)[:MAX_HAVE])

    def missing(self, have: Sequence[bytes], now: float, start: bytes = ZERO) -> tuple[bytes, ...]:
        """Packed envelopes that the asker lacks, by id from ``start`` and around.

        A start that moves gives every letter its turn, also behind those that the asker refuses.
        A full list speaks only for the arc from its first to its last id.
        """
        known, full = set(have), len(have) >= MAX_HAVE
        found = [
            i
            for i in self._from(start, now)
            if i not in known and (not full or _within(i, have[0], have[-1]))
        ]
        return tuple(self._letters[i].raw for i in found[:MAX_MISSING])

    def _from(self, start: bytes, now: float) -> list[bytes]:
        alive = [i for i, x in self._letters.items() if x.envelope.expires > now]
        return sorted(alive, key=lambda i: (i < start, i))

    def sorted_ids(self, now: float) -> tuple[bytes, ...]:
        """Ids that live for a while yet, ascending: the set that is reconciled."""
        until = (int(now) // GRAIN_S + 1) * GRAIN_S
        if self._sorted[0] != until:
            alive = self._ascending
            if self._first_end <= until:
                alive = [i for i in alive if self._letters[i].envelope.expires > until]
            self._sorted = (until, tuple(alive))
        return self._sorted[1]

    def raw(self, letter: bytes) -> bytes | None:
        """A packed envelope by its id."""
        found = self._letters.get(letter)
        return None if found is None else found.raw

    def wants(self, letter: bytes, now: float) -> bool:
        """Whether to ask for a letter that a peer holds."""
        lately = self._declined.has(letter, now) or self._early.has(letter, now)
        return letter not in self._letters and not lately

    def declined(self, asked: Sequence[bytes], now: float, early: bool = False) -> None:
        """Those of them that did not become letters are not asked for again for some minutes.

        ``early``: some of their authors had no stake yet, so ask again in some seconds.
        """
        cache = self._early if early else self._declined
        for letter in asked:
            if letter not in self._letters:
                cache.add(letter, now)

    # -- store ---

    async def load(self, store: Store) -> None:
        """Take back what was saved; it was judged when it came."""
        for key, raw in await store.query("select id, envelope from mail order by rowid"):
            try:
                letter = self._keep(self._opened(bytes(raw)))
                del self._unsaved[letter.id]
            except (Ignore, Reject) as verdict:  # written by another version
                self.refused[verdict.reason] += 1
                self._unsaved[bytes(key)] = None

    async def save(self, store: Store) -> None:
        """Bring the store up to date, all or nothing."""
        changes = dict(self._unsaved)
        if not changes:
            return
        await store.transaction([_statement(i, raw) for i, raw in changes.items()])
        for i, raw in changes.items():
            if self._unsaved.get(i) == raw:
                self._unsaved.pop(i, None)


def _statement(letter: bytes, raw: bytes | None) -> tuple[str, Sequence[Any]]:
    if raw is None:
        return "delete from mail where id = ?", (letter,)
    return "insert or replace into mail (id, envelope) values (?, ?)", (letter, raw)


def _opened(raw: bytes, limit: int, versions: frozenset[int]) -> Letter:
    """An envelope and its body, not judged yet. Raises Ignore or Reject."""
    try:
        envelope = unpack(Envelope, raw, limit=limit)
        if envelope.version not in versions:
            raise Ignore("unknown-version")
        body = read_body(envelope.version, envelope.kind, envelope.body)
        return _letter(envelope, body, raw)
    except DecodeError as error:
        if (version_of(raw) or 0) > max(versions):
            raise Ignore("unknown-version") from error
        raise Reject(error.code) from error


def _letter(envelope: Envelope, body: Any, raw: bytes) -> Letter:
    return Letter(envelope, body, raw, envelope.id, peer_id_of(envelope.author))


def _hinted(letter: Letter) -> tuple[bytes, ...]:
    is_hint = isinstance(letter.body, messages.BlobHint)
    return tuple(dict.fromkeys(letter.body.blobs)) if is_hint else ()


def _slot(envelope: Envelope) -> Slot:
    """One letter each; a node has one record, whatever it says."""
    one = envelope.kind == messages.NodeRecord.__name__
    return envelope.kind, envelope.author, b"" if one else envelope.body


def _within(item: bytes, first: bytes, last: bytes) -> bool:
    """Whether an id lies on the arc from ``first`` upwards and around to ``last``."""
    return first <= item <= last if first <= last else item >= first or item <= last


def _signed(envelope: Envelope) -> bool:
    try:
        verify(envelope)
    except PeerError:
        return False
    return True
