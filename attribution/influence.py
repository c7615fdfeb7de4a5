"""Whitened influence in the dual form: only inner products of gradient rows are needed.

For every LoRA matrix with rows G [n, d], F = G^T G / n and the damping lam = trace(F) / d, the mean
eigenvalue of F, the influence of record i on query q is q^T (F + lam I)^-1 g_i. By Woodbury that is
n (n lam I + K)^-1 k with K = G G^T [n, n] and k = G q [n].
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


def whitened(gram: Gram) -> Whitened:
    """Sums over matrices; one without any gradient (A while B is zero) adds nothing."""
    _, n, queries = gram.cross.shape
    influence, rows, norms = np.zeros((n, queries)), np.zeros(n), np.zeros(queries)
    for width, k_rows, k_cross, k_queries in zip(
        gram.widths, gram.rows, gram.cross, gram.queries, strict=True
    ):
        kernel, cross = k_rows.astype(np.float64), k_cross.astype(np.float64)
        ridge = np.trace(kernel) / width  # n * lam
        if ridge <= 0:
            continue
        solved = np.linalg.solve(kernel + ridge * np.eye(n), np.hstack([kernel, cross]))
        influence += n * solved[:, n:]
        rows += n * np.diag(solved)
        # Woodbury again for q^T (F + lam I)^-1 q; rounding may leave a tiny negative.
        inner = np.einsum("iq,iq->q", cross, solved[:, n:])
        norms += np.maximum(0.0, n / ridge * (k_queries.astype(np.float64) - inner))
    return Whitened(influence, rows, norms)


def scores(gram: Gram) -> tuple[tuple[int, ...], ...]:
    """``scores[query][row]`` in units of 1 / SCALE. DecodeError ``bad-gram`` if not finite."""
    found = whitened(gram)
    return integers(found, float(np.median(np.sqrt(found.queries))))


def integers(found: Whitened, query_norm: float) -> tuple[tuple[int, ...], ...]:
    """Clip to the median row norm and to ``query_norm``, divide by both, round to integers."""
    row_norms, query_norms = np.sqrt(found.rows), np.sqrt(found.queries)
    rows = 1.0 / np.maximum(row_norms, np.median(row_norms))
    queries = 1.0 / np.maximum(query_norms, query_norm)
    cosines = found.influence * rows[:, None] * queries[None, :]
    if not np.isfinite(cosines).all():
        raise DecodeError("bad-gram", "the inner products give no finite score")
    table = np.rint(cosines.T * SCALE).astype(np.int64)
    return tuple(tuple(map(int, line)) for line in table)
