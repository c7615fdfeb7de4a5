"""Rows at one bit an element, to score later answers without the rows.

A code line is the signs of a gradient row and one scale a LoRA matrix: any holder of the row can
check it, alone. Whitening happens at the query, from the inner products that come along. 192
records of 460,800 elements take 11 MB of codes and 9 MB of inner products.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from attribution import evidence
from attribution.bfloat import Bytes, part
from attribution.influence import Gram, integers, whitened
from lora.vectors import Vector
from protocol.codec import Max, pack, unpack
from protocol.errors import DecodeError

MICRO = 10**6


@dataclass(frozen=True, slots=True)
class Line:
    """``signs``: packed bits of one row, each matrix padded to whole bytes; ``scales``: fp32, one a
    matrix, the mean absolute element."""

    signs: bytes
    scales: bytes


@dataclass(frozen=True, slots=True)
class Index:
    """``gram``: evidence bytes with no queries; ``query_norm_micro``: where a query is clipped."""

    gram: Annotated[bytes, Max(48 * 1024 * 1024)]
    lines: tuple[Line, ...]
    query_norm_micro: int


def build(rows: Sequence[Bytes], slices: Sequence[slice], scored: Gram) -> bytes:
    """Canonical index bytes of rows and the inner products that they were scored with."""
    n = len(rows)
    bare = Gram(scored.widths, scored.rows, scored.cross[:, :, :0], scored.queries[:, :0])
    norm = float(np.median(np.sqrt(whitened(scored).queries)))
    lines = tuple(_line(rows[i], slices) for i in range(n))
    return pack(Index(evidence.to_bytes(bare), lines, round(norm * MICRO)))


def answer_scores(body: bytes, query: Vector) -> tuple[int, ...]:
    """Integer influence of every indexed record on one answer, from the answer's gradient row.

    Raises DecodeError for a malformed index or one of another adapter's size.
    """
    index = unpack(Index, body)
    rows = evidence.parse(index.gram)
    if sum(rows.widths) != len(query) or len(index.lines) != rows.rows.shape[1]:
        raise DecodeError("bad-index", f"{sum(rows.widths)} elements, the query has {len(query)}")
    cross, norms = [], []
    for m, where in enumerate(_places(rows.widths)):
        q = query[where]
        cross.append(_decoded(index.lines, m, rows.widths) @ q)
        norms.append(np.dot(q, q))
    shape = (len(rows.widths), len(index.lines), 1)
    gram = Gram(
        rows.widths,
        rows.rows,
        np.array(cross, dtype=np.float32).reshape(shape),
        np.array(norms, dtype=np.float32).reshape(shape[0], 1),
    )
    return integers(whitened(gram), index.query_norm_micro / MICRO)[0]


def _line(row: Bytes, slices: Sequence[slice]) -> Line:
    parts = [part(row, where) for where in slices]
    signs = b"".join(np.packbits(values > 0).tobytes() for values in parts)
    scales = np.array([np.abs(values).mean() for values in parts], dtype="<f4")
    return Line(signs, scales.tobytes())


def _decoded(lines: Sequence[Line], m: int, widths: Sequence[int]) -> Vector:
    """Matrix ``m`` of all lines [n, width]: +scale or -scale."""
    start = sum(-(-width // 8) for width in widths[:m])
    stop = start + -(-widths[m] // 8)
    total = sum(-(-width // 8) for width in widths)
    if any(len(line.signs) != total or len(line.scales) != 4 * len(widths) for line in lines):
        raise DecodeError("bad-index", "a code line of the wrong length")
    packed = np.stack([np.frombuffer(line.signs[start:stop], dtype=np.uint8) for line in lines])
    signs = np.unpackbits(packed, axis=1, count=widths[m]).astype(np.float32) * 2 - 1
    scales = np.array([np.frombuffer(line.scales, dtype="<f4")[m] for line in lines])
    decoded: Vector = signs * scales[:, None]
    return decoded


def _places(widths: Sequence[int]) -> list[slice]:
    ends = np.cumsum(widths)
    return [slice(int(end) - width, int(end)) for end, width in zip(ends, widths, strict=True)]
