"""Whitened influence in integers: evidence that a verifier can re-compute entry by entry.

Influence of a row r on a query q is sum_k q_k r_k / d_k, rows clipped to the median whitened norm.
d is the mean square of the *queries'* gradients plus damping: a verifier has those, so that each
entry of the evidence follows from one record, the queries and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Annotated

from protocol.codec import Size, pack
from protocol.ids import Hash
from simnet.learner_fixed import (
    FAR_PPB,
    WORD,
    Vector,
    distance_ppb,
    divide,
    dot,
    pack_vector,
    saturate,
    unpack_vector,
)
from simnet.learner_text import PARAMETERS

SCORE_ONE = 10**6
DAMPING = 3  # x the mean moment: 1 let garbage have a quarter more on kjv and faq
_FINE = 10**30
_INDEX_ONE = 10**18


@dataclass(frozen=True, slots=True)
class Evidence:
    """Whitened norms and inner products in SCORE_ONE; column i belongs to ``rows[i]``."""

    rows: tuple[Hash, ...]
    norms: tuple[int, ...]
    cross: tuple[tuple[int, ...], ...]  # [query][row]

    def __post_init__(self) -> None:
        if any(len(part) != len(self.rows) for part in (self.norms, *self.cross)):
            raise ValueError("evidence whose parts differ in length")


@dataclass(frozen=True, slots=True)
class Index:
    """Whitened, clipped rows: a later answer's gradient times one of them is a score."""

    base: Hash
    rows: tuple[Annotated[bytes, Size(WORD * PARAMETERS)], ...]


@dataclass(frozen=True, slots=True)
class Whitening:
    """1 / d, in ``_FINE``, and the queries' gradients that it comes from."""

    queries: tuple[Vector, ...]
    inverse: Vector

    @classmethod
    def of(cls, queries: Sequence[Vector]) -> "Whitening":
        """Of at least one query."""
        moments = [sum(value * value for value in column) for column in zip(*queries, strict=True)]
        damping = DAMPING * sum(moments) // len(moments) + 1
        inverse = (_FINE * len(queries) // (moment + damping) for moment in moments)
        return cls(tuple(queries), tuple(inverse))

    def norm(self, row: Vector) -> int:
        whitened = [value * scale for value, scale in zip(row, self.inverse, strict=True)]
        return isqrt(dot(row, whitened) * SCORE_ONE**2 // _FINE)

    def cross(self, row: Vector) -> tuple[int, ...]:
        """Inner product with each query."""
        whitened = [value * scale for value, scale in zip(row, self.inverse, strict=True)]
        return tuple(dot(query, whitened) * SCORE_ONE // _FINE for query in self.queries)


def gather(whitening: Whitening, ids: Sequence[bytes], rows: Sequence[Vector]) -> Evidence:
    """The evidence of all rows."""
    columns = [whitening.cross(row) for row in rows]
    norms = tuple(whitening.norm(row) for row in rows)
    return Evidence(tuple(ids), norms, tuple(zip(*columns, strict=True)))


def scores(evidence: Evidence) -> tuple[tuple[int, ...], ...]:
    """``[query][row]``: follows from the evidence alone."""
    limit = _median(evidence.norms)
    return tuple(
        tuple(_clipped(value, norm, limit) for value, norm in zip(row, evidence.norms, strict=True))
        for row in evidence.cross
    )


def entry_distance(whitening: Whitening, own: Vector, row: bytes, evidence: Evidence) -> int:
    """ppb between a row's evidence and what our ``own`` row gives; ``FAR_PPB`` if it has none."""
    if row not in evidence.rows:
        return FAR_PPB
    column = evidence.rows.index(row)
    theirs = [*(line[column] for line in evidence.cross), evidence.norms[column]]
    return distance_ppb([*whitening.cross(own), whitening.norm(own)], theirs)


def build_index(base: bytes, whitening: Whitening, rows: Sequence[Vector], norms: Vector) -> bytes:
    """Canonical bytes of the ``Index``."""
    limit = _median(norms)
    whitened = (
        [
            saturate(_clipped(value * scale * _INDEX_ONE // _FINE, norm, limit))
            for value, scale in zip(row, whitening.inverse, strict=True)
        ]
        for row, norm in zip(rows, norms, strict=True)
    )
    return pack(Index(base, tuple(pack_vector(row) for row in whitened)))


def index_scores(index: Index, answer: Vector) -> tuple[int, ...]:
    """Influence of every indexed row on an answer's gradient."""
    rows = (unpack_vector(body) for body in index.rows)
    return tuple(dot(answer, row) * SCORE_ONE // _INDEX_ONE for row in rows)


def _median(norms: Sequence[int]) -> int:
    """Upper median of the rows that say anything."""
    positive = sorted(norm for norm in norms if norm > 0)
    return positive[len(positive) // 2] if positive else 0


def _clipped(value: int, norm: int, limit: int) -> int:
    return divide(value * limit, norm) if norm > limit else value
