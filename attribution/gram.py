"""From rows to inner products, one LoRA matrix at a time: 240 records widen to 4.4 MB, not 442."""

from collections.abc import Sequence

import numpy as np

from attribution.bfloat import Bytes, part
from attribution.influence import Gram
from lora.vectors import Vector


def gram(
    rows: Sequence[Bytes],
    queries: Sequence[Bytes],
    slices: Sequence[slice],
) -> Gram:
    """Inner products of bfloat16 rows; ``slices`` are the matrices' places in a row."""
    kernels, crosses, norms = [], [], []
    for where in slices:
        g, q = matrix(rows, where), matrix(queries, where)
        kernels.append(g @ g.T)
        crosses.append(g @ q.T)
        norms.append(np.einsum("qd,qd->q", q, q))
    widths = tuple(where.stop - where.start for where in slices)
    return Gram(widths, np.stack(kernels), np.stack(crosses), np.stack(norms))


def matrix(rows: Sequence[Bytes], where: slice) -> Vector:
    """One LoRA matrix of all rows [n, width]."""
    return np.stack([part(row, where) for row in rows])
