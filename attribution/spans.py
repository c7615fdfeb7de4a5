"""Exact verbatim spans of an answer that stand in records: words alike, in order, at least eight.

A naive search, exact by construction; a suffix array replaces it when records are many.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 8
"""Words of the shortest span reported."""

_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Verbatim:
    """``answer[start:stop]`` stands in record ``row``, white space aside."""

    row: int
    start: int
    stop: int
    words: int


def verbatim(answer: str, texts: Sequence[str], least: int = LEAST) -> tuple[Verbatim, ...]:
    """Maximal spans of each record, by record, then by place. Words and punctuation marks count."""
    words = list(_WORD.finditer(answer))
    said = [word.group() for word in words]
    found = []
    for row, text in enumerate(texts):
        for first, length in maximal_runs(said, _WORD.findall(text), least):
            last = words[first + length - 1]
            found.append(Verbatim(row, words[first].start(), last.end(), length))
    return tuple(found)


def maximal_runs(a: Sequence[str], b: Sequence[str], least: int) -> list[tuple[int, int]]:
    """(start, length) in ``a`` of every run of ``least`` or more that stands in ``b`` and is not
    part of a longer one. Raises ValueError for ``least`` below 1."""
    if least < 1:
        raise ValueError("a span has at least one word")
    longest = [0] * len(a)  # of the runs that start here
    below = [0] * (len(b) + 1)
    for i in reversed(range(len(a))):
        row = [below[j + 1] + 1 if a[i] == b[j] else 0 for j in range(len(b))]
        longest[i] = max(row, default=0)
        below = [*row, 0]
    return [
        (i, length)
        for i, length in enumerate(longest)
        if length >= least and (i == 0 or longest[i - 1] <= length)
    ]
