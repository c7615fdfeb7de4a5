"""The published inner products from which anyone re-derives every score: canonical safetensors.

Upper triangles only. 192 rows, 48 queries and 120 matrices take 13.3 MB.
"""

import numpy as np

from attribution.influence import Gram
from lora.vectors import Vector, pack, unpack
from protocol.errors import DecodeError

FORMAT = "openledger-gram-1"


def to_bytes(gram: Gram) -> bytes:
    """Canonical bytes; their digest is the evidence id."""
    upper = np.triu_indices(gram.rows.shape[1])
    tensors = {
        "cross": gram.cross,
        "queries": gram.queries,
        "rows": gram.rows[:, upper[0], upper[1]],
    }
    widths = ",".join(map(str, gram.widths))
    return pack(tensors, {"format": FORMAT, "widths": widths})


def parse(body: bytes) -> Gram:
    """Raises DecodeError ``bad-tensors`` or ``bad-gram`` for anything but canonical evidence."""
    tensors, metadata = unpack(body)
    if set(tensors) != {"cross", "queries", "rows"} or set(metadata) != {
        "format",
        "widths",
    }:
        raise DecodeError("bad-gram", f"tensors {sorted(tensors)}, metadata {sorted(metadata)}")
    if metadata["format"] != FORMAT:
        raise DecodeError("bad-gram", f"format {metadata['format']!r} is not {FORMAT!r}")
    widths = _widths(metadata["widths"])
    cross, queries, upper = tensors["cross"], tensors["queries"], tensors["rows"]
    if cross.ndim != 3 or upper.shape != (len(widths), _triangle(cross.shape[1])):
        raise DecodeError("bad-gram", f"rows {upper.shape} do not fit cross {cross.shape}")
    if cross.shape[0] != len(widths) or queries.shape != (len(widths), cross.shape[2]):
        raise DecodeError("bad-gram", f"queries {queries.shape} do not fit cross {cross.shape}")
    return Gram(widths, _square(upper, cross.shape[1]), cross, queries)


def _triangle(n: int) -> int:
    return n * (n + 1) // 2


def _square(upper: Vector, n: int) -> Vector:
    rows = np.zeros((len(upper), n, n), dtype=np.float32)
    i, j = np.triu_indices(n)
    rows[:, i, j] = upper
    rows[:, j, i] = upper
    return rows


def _widths(text: str) -> tuple[int, ...]:
    fields = text.split(",")
    if not all(field.isascii() and field.isdecimal() and field[0] != "0" for field in fields):
        raise DecodeError("bad-gram", f"widths {text[:80]!r}")
    return tuple(map(int, fields))
