"""Provider records: who says that it holds a key, kept by the peers nearest to it; and whom we told. Pure.

A record is believed from its provider alone and names nobody else, so a false one leads to whoever made it.
"""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Annotated

from p2p.kad import K, Table
from protocol.codec import Max
from protocol.errors import Ignore
from protocol.ids import Hash

PROVIDE_PROTOCOL = "/openledger/provide/1"
PROVIDERS_PROTOCOL = "/openledger/providers/1"
EXPIRE_SECONDS = 24 * 3600.0
REPUBLISH_SECONDS = 8 * 3600.0  # two may be missed
REFUSED_SECONDS = 600.0  # a record that a keeper did not take is offered again
FIRST_PAUSE_SECONDS = 60.0  # before a keeper that failed is tried again; doubled each time
LONGEST_PAUSE_SECONDS = 3600.0
MAX_KEYS = 256  # of one request
MAX_HOLDERS = 20  # of one key
MAX_OF_ONE = 16_384  # records of one provider
MAX_RECORDS = 65_536  # some 20 MB


@dataclass(frozen=True, slots=True)
class Provide:
    """Request: the asker holds these keys, and serves what they name."""

    keys: Annotated[tuple[Hash, ...], Max(MAX_KEYS)]


@dataclass(frozen=True, slots=True)
class Kept:
    """Response: of these a record is kept."""

    keys: Annotated[tuple[Hash, ...], Max(MAX_KEYS)]


@dataclass(frozen=True, slots=True)
class WantProviders:
    """Request: who holds this key?"""

    key: Hash


@dataclass(frozen=True, slots=True)
class Providers:
    """Response: peer keys of holders, and of registered peers nearest to the key."""

    holders: Annotated[tuple[Hash, ...], Max(MAX_HOLDERS)]
    nearer: Annotated[tuple[Hash, ...], Max(K)]


class Records:
    """What this node keeps of others. Time is a parameter, seconds of one clock."""

    def __init__(self) -> None:
        self._ends: OrderedDict[tuple[bytes, bytes], float] = OrderedDict()  # first to end first
        self._holders: dict[bytes, dict[bytes, None]] = defaultdict(dict)  # key -> providers
        self._of: Counter[bytes] = Counter()

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, key: bytes, provider: bytes, now: float) -> None:
        """Keep or renew a record. Raises Ignore."""
        self.drop(now)
        if provider not in self._holders.get(key, ()):
            self._check_room(key, provider)
            self._holders[key][provider] = None
            self._of[provider] += 1
        self._ends[key, provider] = now + EXPIRE_SECONDS
        self._ends.move_to_end((key, provider))

    def _check_room(self, key: bytes, provider: bytes) -> None:
        # [IGNORE] who asks needs no more sources than these
        if len(self._holders.get(key, ())) >= MAX_HOLDERS:
            raise Ignore("key-full")
        # [IGNORE] one provider cannot take all room
        if self._of[provider] >= MAX_OF_ONE:
            raise Ignore("provider-full")
        # [IGNORE] nor can all together take more memory than this
        if len(self._ends) >= MAX_RECORDS:
            raise Ignore("store-full")

    def holders(self, key: bytes, now: float) -> tuple[bytes, ...]:
        """Who provides a key, in order of their first word."""
        self.drop(now)
        return tuple(self._holders.get(key, ()))

    def drop(self, now: float) -> None:
        """Forget what expired."""
        while self._ends:
            (key, provider), end = next(iter(self._ends.items()))
            if end > now:
                return
            del self._ends[key, provider], self._holders[key][provider]
            if not self._holders[key]:
                del self._holders[key]
            self._of[provider] -= 1
            if not self._of[provider]:
                del self._of[provider]


class Telling:
    """What this node provides, which keepers it told, and when each is to be told again."""

    def __init__(self) -> None:
        self._told: dict[bytes, dict[bytes, float]] = {}  # key -> keeper -> not before
        # keeper -> not before, pause after that
        self._failing: dict[bytes, tuple[float, float]] = {}
        self._table: Table | None = None
        self._near: dict[bytes, list[bytes]] = {}
        self._next = -inf  # nothing is due before

    def __len__(self) -> int:
        return len(self._told)

    def add(self, key: bytes) -> None:
        """Provide a key from now on."""
        if key not in self._told:
            self._told[key] = {}
            self._next = -inf

    def due(self, table: Table, now: float) -> dict[bytes, list[bytes]]:
        """Keys to tell now, by keeper: new keys, new keepers, and what was told long ago."""
        if table is not self._table:
            self._table, self._near = table, {}
        elif now < self._next:
            return {}
        found: dict[bytes, list[bytes]] = defaultdict(list)
        self._next = inf
        for key, told in self._told.items():
            for keeper in self._keepers(key, table):
                when = max(told.get(keeper, -inf), self._failing.get(keeper, (-inf, 0.0))[0])
                if when <= now:
                    found[keeper].append(key)
                else:
                    self._next = min(self._next, when)
        if found:  # until somebody says what came of it
            self._next = -inf
        return found

    def _keepers(self, key: bytes, table: Table) -> list[bytes]:
        """The nearest K, and for each of them that fails the next one."""
        if key not in self._near:
            self._near[key] = table.nearest(key, 2 * K)
        chosen, healthy = [], 0
        for keeper in self._near[key]:
            if healthy == K:
                break
            chosen.append(keeper)
            healthy += keeper not in self._failing
        return chosen

    def told(self, keeper: bytes, keys: Iterable[bytes], kept: Iterable[bytes], now: float) -> None:
        """A keeper was told ``keys``, and keeps a record of those in ``kept``."""
        taken = frozenset(kept)
        self._failing.pop(keeper, None)
        for key in keys:
            self._told[key][keeper] = now + (REPUBLISH_SECONDS if key in taken else REFUSED_SECONDS)
        self._next = -inf

    def failed(self, keeper: bytes, now: float) -> None:
        """A keeper could not be told; each time it is left alone for longer."""
        _, pause = self._failing.get(keeper, (now, FIRST_PAUSE_SECONDS))
        self._failing[keeper] = now + pause, min(2 * pause, LONGEST_PAUSE_SECONDS)
        self._next = -inf
