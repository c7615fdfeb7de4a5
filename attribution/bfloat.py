"""bfloat16 bytes of a row: half the size of fp32, the same range, 2^-9 relative error an element.

Rounds to nearest, ties to even, as hardware does; torch and numpy then see the same numbers.
"""

import numpy as np
import numpy.typing as npt

from lora.vectors import Vector
from protocol.errors import DecodeError

Bytes = bytes | memoryview


def to_bytes(row: Vector) -> bytes:
    """Little-endian bfloat16 of a finite fp32 vector, 2 bytes an element."""
    bits = row.astype("<f4", copy=False).view("<u4")
    halves: npt.NDArray[np.uint16] = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return halves.astype("<u2").tobytes()


def from_bytes(body: Bytes, size: int) -> Vector:
    """The fp32 vector of ``size`` elements.

    Raises DecodeError ``bad-row``: length, NaN, infinity.
    """
    if len(body) != 2 * size:
        raise DecodeError("bad-row", f"{len(body)} bytes where {size} elements need {2 * size}")
    row = part(body, slice(0, size))
    if not np.isfinite(row).all():
        raise DecodeError("bad-row", "it holds NaN or infinity")
    return row


def part(body: Bytes, where: slice) -> Vector:
    """Elements ``where`` of a row that was checked before; nothing else is widened."""
    half: npt.NDArray[np.uint16] = np.frombuffer(body, dtype="<u2")[where]
    return (half.astype(np.uint32) << 16).view(np.float32)
