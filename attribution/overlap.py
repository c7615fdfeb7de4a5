"""Which records overlap a query: they earn nothing from it, having copied the question paper.

The measure is the one of precedence: skip-grams of three words, so that replacing every third word
hides nothing. It is taken both ways, since a query may hide in a long record.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

from datanet.precedence import FAR_PPM, PPM, SKIPPED, WORDS

_WORD = re.compile(r"\w+")


def near_rows(queries: Sequence[str], texts: Sequence[str]) -> tuple[frozenset[int], ...]:
    """For each query the positions of the texts that share more than ``FAR_PPM`` of the skip-grams
    of either."""
    sizes: list[int] = []
    holders: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for position, text in enumerate(texts):
        grams = _skip_grams(text)
        sizes.append(len(grams))
        for gram in grams:
            holders[gram].append(position)
    return tuple(_near(_skip_grams(query), holders, sizes) for query in queries)


def _near(
    grams: set[tuple[str, ...]],
    holders: defaultdict[tuple[str, ...], list[int]],
    sizes: Sequence[int],
) -> frozenset[int]:
    shared: defaultdict[int, int] = defaultdict(int)
    for gram in grams:
        for position in holders.get(gram, ()):
            shared[position] += 1
    return frozenset(
        position
        for position, count in shared.items()
        if count * PPM > FAR_PPM * min(len(grams), sizes[position])
    )


def _skip_grams(text: str) -> set[tuple[str, ...]]:
    """Every choice of ``WORDS`` words in order within ``WORDS + SKIPPED``; else the whole text."""
    words = _WORD.findall(text.casefold())
    grams = {tuple(words)} if len(words) < WORDS else set()
    for start, first in enumerate(words):
        window = words[start + 1 : start + WORDS + SKIPPED]
        grams.update((first, *rest) for rest in combinations(window, WORDS - 1))
    return grams
