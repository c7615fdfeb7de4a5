"""Whitened rows at one bit an element, to score later answers without rows and evidence.

A line is the signs of a whitened row and one scale a LoRA matrix, with the row's clip in it. On
SmolLM2 (192 records, 12 queries) such scores correlate 0.93 with the exact ones and keep 8 of the top
ten; signs of the *raw* rows, whitened afterwards, keep 2: whitening amplifies what rounding left.
11 MB where the rows take 177.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from attribution.bfloat import Bytes
from attribution.gram import matrix
from attribution.influence import Array, Gram, clip, integers, solved, whitened
from lora.vectors import Vector, from_raw
from protocol.codec import Max, pack, unpack
from protocol.errors import DecodeError


@dataclass(frozen=True, slots=True)
class Index:
    """``widths`` of the matrices; ``signs`` one packed line a row, each matrix padded to whole bytes.

    ``scales`` fp32 [rows, matrices]; ``damping`` fp32 [matrices], 1 / lam, 0 where no row has any
    gradient; ``query_norm`` fp32, the median of the job's queries under that damping alone.
    """

    widths: tuple[int, ...]
    signs: Annotated[tuple[bytes, ...], Max(100_000)]
    scales: bytes
    damping: bytes
    query_norm: bytes


def build(rows: Sequence[Bytes], slices: Sequence[slice], gram: Gram) -> bytes:
    """Canonical index bytes of rows and the inner products that they were scored with."""
    found = whitened(gram)
    unit = clip(found.rows) / np.median(np.sqrt(found.queries))
    damping, scales = np.zeros(len(slices)), np.zeros((len(rows), len(slices)))
    signs: list[list[bytes]] = [[] for _ in rows]
    for m, where in enumerate(slices):
        part = solved(gram, m)
        mix = np.zeros_like(gram.rows[m]) if part is None else part.mix.astype(np.float32)
        values = mix @ matrix(rows, where)
        scales[:, m] = _scales(values) * unit
        damping[m] = 0.0 if part is None else 1.0 / part.lam
        for line, row in zip(signs, values, strict=True):
            line.append(np.packbits(row > 0).tobytes())
    norm = np.median(np.sqrt(gram.queries.T @ damping))
    packed = [_fp32(array) for array in (scales, damping, norm)]
    return pack(Index(gram.widths, tuple(b"".join(line) for line in signs), *packed))


def answer_scores(body: bytes, query: Vector) -> tuple[int, ...]:
    """Integer influence of every indexed record on one answer, from the answer's gradient row.

    Raises DecodeError ``bad-index`` for a malformed index or one of another adapter's size.
    """
    index = unpack(Index, body)
    if sum(index.widths) != len(query):
        raise DecodeError("bad-index", f"{sum(index.widths)} elements, the query {len(query)}")
    count, matrices = len(index.signs), len(index.widths)
    scales = from_raw(index.scales, count * matrices).reshape(count, matrices)
    damping, (norm,) = from_raw(index.damping, matrices), from_raw(index.query_norm, 1)
    total, squared, start = np.zeros(count), 0.0, 0
    for m, signs in enumerate(_matrices(index)):
        part = query[start : start + index.widths[m]].astype(np.float64)
        total += scales[:, m] * (signs @ part)
        squared += float(damping[m] * (part @ part))
        start += len(part)
    (line,) = integers(total[None, :] / max(1.0, np.sqrt(squared) / norm))
    return line


def _matrices(index: Index) -> Iterator[Vector]:
    """Signs (+1 or -1) of each matrix [rows, width], one at a time."""
    sizes = [-(-width // 8) for width in index.widths]
    if any(len(line) != sum(sizes) for line in index.signs):
        raise DecodeError("bad-index", "a line of the wrong length")
    packed = np.frombuffer(b"".join(index.signs), dtype=np.uint8).reshape(-1, sum(sizes))
    columns = np.split(packed, np.cumsum(sizes)[:-1], axis=1)
    for column, width in zip(columns, index.widths, strict=True):
        yield np.unpackbits(column, axis=1, count=width).astype(np.float32) * 2 - 1


def _scales(values: Vector) -> Array:
    """Per row: such that a code has its row's own inner product with the row."""
    sizes = np.abs(values).sum(axis=1, dtype=np.float64)
    squares = np.einsum("id,id->i", values, values, dtype=np.float64)
    found: Array = np.divide(squares, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    return found


def _fp32(values: Array) -> bytes:
    return np.asarray(values, dtype="<f4").tobytes()
