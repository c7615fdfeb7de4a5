"""Whitened influence in integers, from a Gram matrix that a verifier can re-compute entry by entry.

Influence is the cosine of two gradients a, b under M = Q'Q / n + damping, Q being the n *queries'*
gradients: every entry of the evidence then follows from at most two records, and all scores follow
from the evidence. By Woodbury a'M^-1 b = (a.b - (Qa)'A^-1 (Qb)) / damping with A = QQ' + n damping.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from typing import Annotated

import numpy as np

from protocol.codec import Size, pack
from protocol.errors import ComputeError
from protocol.ids import Hash
from simnet.learner_fixed import (
    FAR_PPB,
    WORD,
    Vector,
    distance_ppb,
    dot,
    pack_vector,
    unpack_vector,
)
from simnet.learner_many import products as many_products
from simnet.learner_text import PARAMETERS

SMALL = 1 << 31  # values below it are multiplied at once
REMEMBERED = 64  # whole matrices: verifiers repeat what a worker scored
SCORE_ONE = 10**9  # a cosine of 1
_INNER_ONE = 10**18
_FINE = 10**60  # of the inverse; A's condition is at most PARAMETERS + 1
_GUARD = 10**20  # digits that the elimination may lose

Matrix = tuple[Vector, ...]
Packed = Annotated[bytes, Size(WORD * PARAMETERS)]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Inner products: queries with queries, queries with rows, each row with itself."""

    rows: tuple[Hash, ...]
    gram: tuple[tuple[int, ...], ...]  # [query][query]
    cross: tuple[tuple[int, ...], ...]  # [query][row]
    squares: tuple[int, ...]  # [row]

    def __post_init__(self) -> None:
        shapes = {len(line) for line in self.gram} | {len(self.cross)}
        lengths = {len(line) for line in self.cross} | {len(self.squares)}
        if shapes != {len(self.gram)} or lengths != {len(self.rows)}:
            raise ValueError("evidence whose parts differ in length")

    def column(self, row: int) -> Vector:
        """Products of every query with one row."""
        return tuple(line[row] for line in self.cross)


@dataclass(frozen=True, slots=True)
class Index:
    """What an answer's gradient is scored against."""

    base: Hash
    queries: tuple[Packed, ...]
    rows: tuple[Packed, ...]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Whitening:
    """A^-1 in ``_FINE``, and the damping: the mean of M's diagonal before it."""

    inverse: Matrix
    damping: int

    @staticmethod
    @lru_cache(maxsize=REMEMBERED)
    def of(gram: Matrix) -> "Whitening":
        """Raises ComputeError ``bad-input`` for what is no Gram matrix."""
        trace = sum(line[at] for at, line in enumerate(gram))
        damping = trace // (len(gram) * PARAMETERS) + 1
        damped = [
            [
                value + (len(gram) * damping if at == place else 0)
                for place, value in enumerate(line)
            ]
            for at, line in enumerate(gram)
        ]
        return Whitening(_inverse(damped), damping)

    def solve(self, column: Vector) -> Vector:
        """A^-1 times the products of every query with one gradient."""
        return tuple(dot(line, column) for line in self.inverse)

    def inner(self, solved: Vector, column: Vector, plain: int) -> int:
        """a'M^-1 b in ``_INNER_ONE`` from A^-1 Qa, Qb and a.b."""
        return (plain * _FINE - dot(solved, column)) * _INNER_ONE // (self.damping * _FINE)

    def length(self, column: Vector, square: int) -> int:
        """sqrt(a'M^-1 a) from Qa and a.a, in the root of ``_INNER_ONE``."""
        return isqrt(max(0, self.inner(self.solve(column), column, square)))


def gather(queries: Sequence[Vector], ids: Sequence[bytes], rows: Sequence[Vector]) -> Evidence:
    """The evidence of all rows."""
    return Evidence(
        tuple(ids),
        tuple(products(queries, query) for query in queries),
        tuple(products(rows, query) for query in queries),
        tuple(dot(row, row) for row in rows),
    )


def products(vectors: Sequence[Vector], other: Vector) -> Vector:
    """Inner product of each vector with another one."""
    return tuple(dot(vector, other) for vector in vectors)


@lru_cache(maxsize=REMEMBERED)
def scores(evidence: Evidence) -> Matrix:
    """``[query][row]``: follows from the evidence alone. Raises ComputeError ``bad-input``."""
    whitening = Whitening.of(evidence.gram)
    columns = [evidence.column(row) for row in range(len(evidence.rows))]
    lengths = _lengths(evidence)
    found = []
    for at, line in enumerate(evidence.gram):
        solved, own = whitening.solve(line), whitening.length(line, line[at])
        inner = map(whitening.inner, [solved] * len(columns), columns, evidence.cross[at])
        found.append(tuple(map(_cosine, inner, [own] * len(columns), lengths)))
    return tuple(found)


@lru_cache(maxsize=REMEMBERED)
def _lengths(evidence: Evidence) -> Vector:
    """The length of every row."""
    columns = (evidence.column(row) for row in range(len(evidence.rows)))
    return tuple(map(Whitening.of(evidence.gram).length, columns, evidence.squares))


def entry_distance(queries: Sequence[Vector], own: Vector, row: bytes, evidence: Evidence) -> int:
    """ppb between a row's evidence and what our ``own`` row gives; ``FAR_PPB`` if it has none."""
    if row not in evidence.rows:
        return FAR_PPB
    at = evidence.rows.index(row)
    theirs = (*evidence.column(at), evidence.squares[at])
    return distance_ppb((*products(queries, own), dot(own, own)), theirs)


def gram_distance(queries: Sequence[Vector], evidence: Evidence) -> int:
    """ppb between the queries' part of the evidence and what our own queries give."""
    own = [value for query in queries for value in products(queries, query)]
    return distance_ppb(own, [value for line in evidence.gram for value in line])


def build_index(
    base: bytes, queries: Sequence[Vector], rows: Sequence[Vector], evidence: Evidence
) -> bytes:
    """Canonical bytes of the ``Index``."""
    packed_queries, packed_rows = tuple(map(pack_vector, queries)), tuple(map(pack_vector, rows))
    return pack(Index(base, packed_queries, packed_rows, evidence))


def index_scores(index: Index, answer: Vector) -> Vector:
    """Cosine of every indexed row with an answer's gradient, on the scale of ``scores``."""
    evidence, whitening = index.evidence, Whitening.of(index.evidence.gram)
    column = tuple(_packed_products(index.queries, answer))
    solved, own = whitening.solve(column), whitening.length(column, dot(answer, answer))
    plain, lengths, found = _packed_products(index.rows, answer), _lengths(evidence), []
    for at, product in enumerate(plain):
        inner = whitening.inner(solved, evidence.column(at), product)
        found.append(_cosine(inner, own, lengths[at]))
    return tuple(found)


def _packed_products(rows: Sequence[bytes], other: Vector) -> Sequence[int]:
    """``products`` of packed vectors; at once where int64 holds them, as it does all honest ones."""
    matrix = np.frombuffer(b"".join(rows), dtype="<i8").reshape(len(rows), -1)
    small = bool(rows) and max(map(abs, other)) < SMALL
    if small and matrix.max() < SMALL and matrix.min() > -SMALL:
        return many_products(matrix, np.array(other, dtype=np.int64))
    return products([unpack_vector(row) for row in rows], other)


def _cosine(inner: int, a: int, b: int) -> int:
    return inner * SCORE_ONE // (a * b) if a and b else 0


def _inverse(matrix: Sequence[Sequence[int]]) -> Matrix:
    """Gauss-Jordan, in ``_FINE``; a positive definite matrix needs no pivoting."""
    size = len(matrix)
    lines = [
        [value * _GUARD for value in line]
        + [_FINE * _GUARD * (at == place) for place in range(size)]
        for at, line in enumerate(matrix)
    ]
    for at in range(size):
        head = lines[at]
        if head[at] <= 0:
            raise ComputeError("bad-input", "the queries' products are no Gram matrix.")
        for other in range(size):
            if other != at and lines[other][at]:
                factor = lines[other][at]
                lines[other] = [
                    value - factor * part // head[at]
                    for value, part in zip(lines[other], head, strict=True)
                ]
    return tuple(tuple(value // line[at] for value in line[size:]) for at, line in enumerate(lines))
