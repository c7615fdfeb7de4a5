"""Whitened influence in the dual form: only inner products of gradient rows are needed.

For every LoRA matrix with rows G [n, d], F = G^T G / n and the damping lam = trace(F) / 3d, a third of
the mean eigenvalue of F, the influence of record i on query q is g_i^T (F + lam I)^-1 q. By Woodbury
that is n (n lam I + K)^-1 c with K = G G^T [n, n] and c = G q [n].
Influence is summed over matrices, whitened rows and queries are clipped to their median norms and
the result is divided by those: |score| <= SCALE, however much a text is scaled or repeated.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lora.vectors import Vector
from protocol.errors import DecodeError

Array = npt.NDArray[np.float64]
SCALE = 10**9
"""One in integer scores. Honest means on SmolLM2 are near 0.003, so nine digits keep six."""
DAMPING = 1 / 3
"""Of the mean eigenvalue of F; docs/decisions/attribution.md has the scan from 1/100 to 24."""


@dataclass(frozen=True, slots=True, eq=False)
class Gram:
    """Inner products of rows and queries, matrix by matrix.

    ``widths`` [M] elements of each LoRA matrix; ``rows`` [M, n, n]; ``cross`` [M, n, Q] row by
    query; ``queries`` [M, Q] squared norms. All fp32.
    """

    widths: tuple[int, ...]
    rows: Vector
    cross: Vector
    queries: Vector


@dataclass(frozen=True, slots=True, eq=False)
class Whitened:
    """Sums over matrices: ``influence`` [n, Q], squared whitened norms of rows [n], queries [Q]."""

    influence: Array
    rows: Array
    queries: Array


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """One matrix: ``mix`` [n, n] @ G are its whitened rows (F + lam I)^-1 g."""

    mix: Array
    lam: float


def solved(gram: Gram, m: int) -> Solved | None:
    """None for a matrix without any gradient (A while B is zero)."""
    kernel = gram.rows[m].astype(np.float64)
    ridge = DAMPING * float(np.trace(kernel)) / gram.widths[m]  # n * lam
    if ridge <= 0:
        return None
    n = len(kernel)
    return Solved(n * np.linalg.inv(kernel + ridge * np.eye(n)), ridge / n)


def whitened(gram: Gram) -> Whitened:
    """Sums over matrices; one without any gradient adds nothing."""
    _, n, queries = gram.cross.shape
    influence, rows, norms = np.zeros((n, queries)), np.zeros(n), np.zeros(queries)
    for m in range(len(gram.widths)):
        if (part := solved(gram, m)) is None:
            continue
        kernel, cross = gram.rows[m].astype(np.float64), gram.cross[m].astype(np.float64)
        mixed = part.mix @ cross
        influence += mixed
        rows += np.einsum("ij,ji->i", part.mix, kernel)
        # Woodbury again; rounding may leave a tiny negative where a query lies within the rows.
        inner = np.einsum("iq,iq->q", cross, mixed) / n
        norms += np.maximum(0.0, gram.queries[m] - inner) / part.lam
    return Whitened(influence, np.maximum(0.0, rows), norms)


def scores(gram: Gram) -> tuple[tuple[int, ...], ...]:
    """``scores[query][row]`` in units of 1 / SCALE. DecodeError ``bad-gram`` if not finite."""
    found = whitened(gram)
    cosines = found.influence * clip(found.rows)[:, None] * clip(found.queries)[None, :]
    return integers(cosines.T)


def clip(squared_norms: Array) -> Array:
    """Factors that bring norms above the median down to it, and the median to one."""
    norms = np.sqrt(squared_norms)
    factors: Array = 1.0 / np.maximum(norms, np.median(norms))
    return factors


def integers(cosines: Array) -> tuple[tuple[int, ...], ...]:
    """Rounded to units of 1 / SCALE, line by line. DecodeError ``bad-gram`` if not finite."""
    if not np.isfinite(cosines).all():
        raise DecodeError("bad-gram", "the inner products give no finite score")
    table = np.rint(cosines * SCALE).astype(np.int64)
    return tuple(tuple(map(int, line)) for line in table)
