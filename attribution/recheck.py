"""What a verifier measures: its own rows against committed rows and against the published evidence.

Distances are parts per billion. Judging them is ``agree.py``'s.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from attribution.influence import Gram
from lora.vectors import Vector, norm

PPB = 10**9


def row_ppb(own: Vector, committed: Vector) -> int:
    """||committed - own|| / ||own||, rounded up; capped at one billion times."""
    scale = norm(own)
    gap = norm(committed.astype(np.float64) - own.astype(np.float64))
    if scale == 0:
        return 0 if gap == 0 else PPB
    return min(PPB * PPB, -int(-gap / scale * PPB // 1))


def evidence_ppb(
    gram: Gram,
    slices: Sequence[slice],
    rows: Mapping[int, Vector],
    queries: Mapping[int, Vector],
) -> int:
    """Largest |entry - own inner product| / (norm x norm) over all pairs of own rows and queries.

    ``rows`` and ``queries``: own gradient by position. The norms are of the whole vectors, so a
    matrix that hardly counts cannot fail on its rounding.
    """
    worst = 0.0
    rs, qs = list(rows), list(queries)
    g, q = np.stack([rows[i] for i in rs]), np.stack([queries[j] for j in qs])
    row_norms, query_norms = np.linalg.norm(g, axis=1), np.linalg.norm(q, axis=1)
    for m, where in enumerate(slices):
        gm, qm = g[:, where], q[:, where]
        gaps = (
            (np.abs(gm @ gm.T - gram.rows[m][np.ix_(rs, rs)]), np.outer(row_norms, row_norms)),
            (np.abs(gm @ qm.T - gram.cross[m][np.ix_(rs, qs)]), np.outer(row_norms, query_norms)),
            (np.abs((qm * qm).sum(axis=1) - gram.queries[m][qs]), query_norms**2),
        )
        worst = max(worst, *(float((gap / scale).max()) for gap, scale in gaps))
    return int(worst * PPB) + 1
