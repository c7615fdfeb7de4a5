"""Precedence of near-duplicates: how much of a record is its owner's own, once, in commit order.

A record yields to earlier records that it is *directly* near: it keeps less the more of its n-grams
stand in them. Nothing passes through a third record, later records change nothing, and the measure
has no step to hide below. n-grams are skip-grams (3 words in order, at most 3 skipped in all;
Guthrie et al. 2006, "A closer look at skip-gram modelling"): plain word 3-grams all vanish when
every third word is replaced, skip-grams fall smoothly, about as (1 - edited share)^3.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from datanet.record import Record, record_id
from protocol.errors import LocalError
from protocol.ids import Hash

PPM = 1_000_000
WORDS = 3
"""Words of an n-gram."""
SKIPPED = 3
"""Words that may stand between the first and the last word of an n-gram without belonging to it."""
FAR_PPM, NEAR_PPM = 80_000, 200_000
"""A pair weighs nothing up to the first containment, fully from the second, linear between.

Nine in ten honest rows share at most 8 % (503 construction Q&A) or 10 % (King James, five books)
with any earlier one; a copy with every third word replaced still shares 20 %.
"""
STEEPNESS = 5
"""kept = (1 - cover) ** STEEPNESS.

Kept on average: honest owners 97 to 99 %; a copy with every 12th, 6th, 4th, 3rd word replaced 0.1,
4, 11, 37 %. Such copies have half the influence of their original (SmolLM2, whitened rows), so
copying gains less than 0.2. Not caught, since no pair is near: every second word replaced (0.37 of
the influence; the same words in random order have 0.31), and splices of 5 words of many records.
"""

# A letter of a script written without spaces counts as a word.
_WORD = re.compile(r"[\u2e80-\uffff]|[^\W\u2e80-\uffff]+")

Order = tuple[int, int, int]
"""Block of the commitment, its position in the block, index of the record in the shard."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A revealed record at its place in commit order."""

    order: Order
    owner: bytes
    record: Record


@dataclass(frozen=True, slots=True)
class Yield:
    """How much a record gave up to one earlier record (part of ``PPM``)."""

    record: Hash
    owner: bytes
    ppm: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What a record keeps of its credit, and to whom the rest was yielded (earliest first).

    ``kept_ppm`` and the yields sum to ``PPM`` exactly.
    """

    record: Hash
    owner: bytes
    kept_ppm: int
    yielded: tuple[Yield, ...]


def decide(existing: Sequence[Placed], new: Sequence[Placed]) -> list[Kept]:
    """What each of ``new`` keeps, in the order given; ``existing`` came earlier and stays as it is.

    Raises LocalError ``out-of-order`` when a new record precedes an existing one or shares a place.
    """
    index = Precedence()
    for placed in sorted(existing, key=lambda placed: placed.order):
        index.place(placed)
    kept = {placed.order: index.place(placed) for placed in sorted(new, key=lambda row: row.order)}
    return [kept[placed.order] for placed in new]


def place_all(placed: tuple[Placed, ...], most_words: int | None) -> tuple[Kept, ...]:
    """What each record keeps, all in commit order; pure, so a simulation may share the finding.

    Raises LocalError ``out-of-order``.
    """
    index = Precedence(most_words)
    return tuple(index.place(each) for each in placed)


class Precedence:
    """The n-grams of all originals so far; each new record is measured, then joins them.

    ``most_words``: how much of a record counts. Training and attribution cut a record at so many
    tokens (a text loses its tail, a long question its head) and a token is at most a word, so words
    that are cut would only dilute what was copied.
    """

    def __init__(self, most_words: int | None = None) -> None:
        self._most_words = most_words
        self._originals: list[tuple[Hash, bytes]] = []
        self._last: Order | None = None
        self._words: dict[str, int] = {}
        self._holders: defaultdict[int, list[int]] = defaultdict(list)

    def place(self, placed: Placed) -> Kept:
        """What the next record in commit order keeps. Raises LocalError ``out-of-order``."""
        if self._last is not None and placed.order <= self._last:
            raise LocalError("out-of-order", f"{placed.order} does not follow {self._last}")
        self._last = placed.order
        grams = self._grams(placed.record)
        kept = self._kept(placed, self._covered(grams), len(grams))
        if kept.kept_ppm:  # one that keeps nothing is no original: its n-grams have holders
            for gram in grams:
                self._holders[gram].append(len(self._originals))
            self._originals.append((kept.record, kept.owner))
        return kept

    def _grams(self, record: Record) -> set[int]:
        """The record's distinct skip-grams, as numbers that are equal where the words are."""
        prompt, completion = (
            _WORD.findall(t.casefold()) for t in (record.prompt, record.completion)
        )
        if self._most_words is not None:
            completion = completion[: self._most_words]
            prompt = prompt[max(0, len(prompt) + len(completion) - self._most_words) :]
        numbers = [self._words.setdefault(word, len(self._words)) for word in prompt + completion]
        return set(_skip_grams(numbers)) or {-1}

    def _covered(self, grams: set[int]) -> Counter[int]:
        """Covered weight (n-grams x PPM) by earlier record.

        Each n-gram goes to the nearest of its holders, the earliest among equals.
        """
        held = [self._holders[gram] for gram in grams if gram in self._holders]
        shared = Counter(number for holders in held for number in holders)
        near = {number: _nearness(count * PPM // len(grams)) for number, count in shared.items()}
        covered: Counter[int] = Counter()
        for holders in held:
            nearest = min(holders, key=lambda number: (-near[number], number))
            covered[nearest] += near[nearest]
        return +covered

    def _kept(self, placed: Placed, covered: Counter[int], total: int) -> Kept:
        fresh = PPM - covered.total() // total
        kept = fresh**STEEPNESS // PPM ** (STEEPNESS - 1)
        parts = _apportioned(PPM - kept, covered)
        yields = tuple(Yield(*self._originals[other], ppm) for other, ppm in parts)
        return Kept(record_id(placed.record), placed.owner, kept, yields)


def _skip_grams(numbers: Sequence[int]) -> Iterable[int]:
    """Each ordered choice of ``WORDS`` numbers within ``WORDS + SKIPPED``, packed 32 bits a word.

    A text shorter than ``WORDS`` is one n-gram of what it has.
    """
    size = min(WORDS, len(numbers))
    for start, first in enumerate(numbers[: len(numbers) - size + 1] if size else ()):
        window = numbers[start + 1 : start + WORDS + SKIPPED]
        for rest in combinations(window, size - 1):
            gram = first + 1
            for number in rest:
                gram = gram << 32 | number + 1
            yield gram


def _nearness(containment_ppm: int) -> int:
    """0 to ``PPM``: how far a pair with this containment counts as near."""
    above = max(0, containment_ppm - FAR_PPM) * PPM // (NEAR_PPM - FAR_PPM)
    return min(PPM, above)


def _apportioned(amount: int, weights: Counter[int]) -> list[tuple[int, int]]:
    """``amount`` in proportion to the weights; rounding goes to the first."""
    keys = sorted(weights)
    total = weights.total()
    parts = {key: amount * weights[key] // total for key in keys}
    if keys:
        parts[keys[0]] += amount - sum(parts.values())
    return [(key, parts[key]) for key in keys if parts[key]]
