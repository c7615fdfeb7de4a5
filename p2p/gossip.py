"""Verdicts on gossip: pure rules that raise Ignore (nobody's fault) or Reject (the sender's fault).

Cheap rules first. State that they need (seen ids, rates) is passed in; so is the time, in seconds.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from p2p.framing import GOSSIP_BYTES
from protocol.errors import Ignore, Reject


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the rules need to know of one envelope. Times are unix seconds."""

    id: bytes
    size: int
    version: int
    network: bytes
    author: str
    sent: int
    expiry: int


@dataclass(frozen=True, slots=True)
class Limits:
    """This node's side of the rules."""

    network: bytes
    versions: frozenset[int]
    max_bytes: int = GOSSIP_BYTES
    max_lifetime: int = 3600  # seconds from sent to expiry; bounds the memory for duplicates
    max_skew: int = 30  # seconds that an honest clock may run ahead of ours


class SeenCache:
    """Ids seen in the last ``ttl`` seconds, at most ``limit``; the oldest goes first."""

    def __init__(self, ttl: float, limit: int) -> None:
        self._ttl = ttl
        self._limit = limit
        self._seen: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def has(self, key: bytes, now: float) -> bool:
        """Whether ``key`` was added and has not expired."""
        added = self._seen.get(key)
        return added is not None and now - added < self._ttl

    def add(self, key: bytes, now: float) -> bool:
        """Remember ``key``; False when it is remembered already."""
        if self.has(key, now):
            return False
        self._seen[key] = now
        self._seen.move_to_end(key)
        self._trim(now)
        return True

    def _trim(self, now: float) -> None:
        while self._seen:
            oldest = next(iter(self._seen))
            if len(self._seen) <= self._limit and now - self._seen[oldest] < self._ttl:
                return
            del self._seen[oldest]


class RateBook:
    """A token bucket per key: ``burst`` at once, ``rate`` a second after that."""

    def __init__(self, rate: float, burst: float, limit: int = 10_000) -> None:
        self._rate = rate
        self._burst = burst
        self._limit = limit
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, now: float) -> bool:
        """Spend one token of ``key``; False when none is left."""
        tokens, since = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + max(0.0, now - since) * self._rate)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > self._limit:
            self._buckets.popitem(last=False)
        return allowed


def check_size(size: int, limits: Limits) -> None:
    """Raise unless the body fits one announcement."""
    # [REJECT] size: every honest node refuses to publish a larger body
    if size > limits.max_bytes:
        raise Reject("too-large")


def check_origin(item: Announcement, limits: Limits) -> None:
    """Raise unless the envelope speaks our version on our network."""
    # [IGNORE] version: the author may be newer than we are
    if item.version not in limits.versions:
        raise Ignore("unknown-version")
    # [REJECT] network: the topic carries the network id, so no honest node mixes them up
    if item.network != limits.network:
        raise Reject("wrong-network")


def check_times(item: Announcement, limits: Limits, now: float) -> None:
    """Raise unless the envelope is of our time."""
    # [REJECT] lifetime: ids are remembered for this long only, a longer life could be replayed
    if not 0 < item.expiry - item.sent <= limits.max_lifetime:
        raise Reject("bad-lifetime")
    # [IGNORE] expiry: it may have expired on the way
    if item.expiry <= now:
        raise Ignore("expired")
    # [IGNORE] clock skew: the author's clock or ours is wrong
    if item.sent > now + limits.max_skew:
        raise Ignore("clock-skew")


def check_new(item: Announcement, seen: SeenCache, now: float) -> None:
    """Raise when the envelope was accepted before."""
    # [IGNORE] duplicate: gossip is redundant by design
    if seen.has(item.id, now):
        raise Ignore("duplicate")


def check_author(item: Announcement, standing: bool, rates: RateBook, now: float) -> None:
    """Raise unless the (verified) author may speak now. ``standing``: staked or cites a deposit."""
    # [IGNORE] stake or deposit: our view of the chain may lag behind the author's
    if not standing:
        raise Ignore("no-stake")
    # [IGNORE] rate: a busy honest author is not a liar, but must not crowd out others
    if not rates.take(item.author, now):
        raise Ignore("author-rate")


def judge(
    item: Announcement,
    limits: Limits,
    seen: SeenCache,
    rates: RateBook,
    *,
    signed: Callable[[], bool],
    standing: Callable[[str], bool],
    now: float,
) -> None:
    """Run all rules in order of cost; on success the id is remembered. Raises Ignore or Reject.

    The rate is charged after the signature was checked, so nobody can spend another's tokens.
    """
    check_size(item.size, limits)
    check_origin(item, limits)
    check_times(item, limits, now)
    check_new(item, seen, now)
    allowed = standing(item.author)
    # [REJECT] signature: nobody forwards what it has not verified; free identities end before
    if allowed and not signed():
        raise Reject("bad-signature")
    check_author(item, allowed, rates, now)
    seen.add(item.id, now)
