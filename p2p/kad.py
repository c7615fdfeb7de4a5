"""Kademlia's geometry: which peers are nearest to a key, and a lookup that asks nearer and nearer ones. Pure.

Maymounkov and Mazieres, "Kademlia: A Peer-to-peer Information System Based on the XOR Metric" (2002). A
place is a SHA-256, as in libp2p's kad-dht specification; the distance of two places is their XOR. Peers
go by the Ed25519 keys that the chain's registry holds: a lookup hears of nobody else.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import sha256
from itertools import zip_longest

K = 8  # peers that keep the record of a key
ALPHA = 3  # asked at once
MOST_ASKED = 2 * K  # in one lookup, the silent ones included
PLACE_BITS = 256


@lru_cache(maxsize=65_536)
def place(name: bytes) -> int:
    """Where a key, or the key of a peer, lies."""
    return int.from_bytes(sha256(name).digest(), "big")


class Table:
    """Names in the order of their places."""

    def __init__(self, names: Iterable[bytes]) -> None:
        self.names = frozenset(names)
        self._places = sorted((place(name), name) for name in self.names)

    def nearest(self, key: bytes, count: int = K) -> list[bytes]:
        """The ``count`` names nearest to a key, nearest first.

        Whoever shares a longer prefix with the key is nearer than all who do not: only those under the
        longest one that ``count`` names share are compared.
        """
        target, low, high = place(key), 0, len(self._places)
        for bits in range(PLACE_BITS - 1, -1, -1):
            prefix = target >> bits
            first = bisect_left(self._places, (prefix << bits,), low, high)
            end = bisect_left(self._places, ((prefix + 1) << bits,), first, high)
            if end - first < count:
                break
            low, high = first, end
        near = sorted(self._places[low:high], key=lambda entry: entry[0] ^ target)
        return [name for _, name in near[:count]]


class Lookup:
    """One search for the K names nearest to a key that answer, and for whom they name as holders.

    Liars can only name those of whom ``known`` is true; silent ones make room for the next nearest.
    """

    def __init__(self, key: bytes, start: Iterable[bytes], known: Callable[[bytes], bool]) -> None:
        self._target = place(key)
        self._known = known
        self._candidates = set(start)
        self._asked: set[bytes] = set()
        self._silent: set[bytes] = set()
        self._answered: set[bytes] = set()
        self._named: list[list[bytes]] = []  # by each answer
        self.strangers = 0  # names in answers that are not known

    def following(self) -> list[bytes]:
        """Whom to ask now, none when nobody is left or enough are under way; they count as asked."""
        waiting = len(self._asked) - len(self._answered) - len(self._silent)
        room = min(ALPHA - waiting, MOST_ASKED - len(self._asked))
        able = sorted(self._candidates - self._silent, key=lambda name: place(name) ^ self._target)
        chosen = [name for name in able[:K] if name not in self._asked][: max(0, room)]
        self._asked.update(chosen)
        return chosen

    def answer(self, name: bytes, holders: Iterable[bytes], nearer: Iterable[bytes]) -> None:
        """One of those asked, or who asks itself, named holders of the key and peers near to it."""
        self._asked.add(name)
        self._candidates.add(name)
        self._answered.add(name)
        self._named.append(self._checked(holders))
        self._candidates.update(self._checked(nearer))

    def silence(self, name: bytes) -> None:
        """One of those asked did not answer, or not with sense."""
        self._silent.add(name)

    @property
    def answers(self) -> int:
        """How many answered."""
        return len(self._answered)

    def holders(self) -> list[bytes]:
        """Who was named, of each answer one in turn: no number of liars talks down an honest one."""
        turns = zip_longest(*self._named)
        return list(dict.fromkeys(name for turn in turns for name in turn if name is not None))

    def _checked(self, names: Iterable[bytes]) -> list[bytes]:
        distinct = dict.fromkeys(names)
        known = [name for name in distinct if self._known(name)]
        self.strangers += len(distinct) - len(known)
        return known
