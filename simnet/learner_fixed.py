"""Fixed-point arithmetic in Python integers: equal bits on every machine.

A real number x is stored as round(x * ONE). Vectors travel as little-endian int64 and saturate, so
that no value of a peer can make one node raise where another goes on.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from math import isqrt
from operator import mul

Vector = tuple[int, ...]

ONE = 10**9
WORD = 8  # bytes an element
PPB = 10**9
FAR_PPB = 10**12  # a distance from zero, where the ratio has no meaning
_LARGEST = 2**63 - 1
FINE = 10**12  # inner scale of exp and log
REMEMBERED = 1 << 14  # exponentials: a batch's loss needs those of its gradient
LN2 = 693_147_180_560
EXP_DIVISORS = tuple(n * FINE for n in range(1, 15))  # ln(2)^15 / 15! < 1e-14
LOG_TERMS = 12  # (1/3)^25 / 25 < 1e-13


def divide(value: int, by: int) -> int:
    """``value / by`` (``by`` positive) rounded to the nearest integer, halves upwards."""
    return (2 * value + by) // (2 * by)


def saturate(value: int) -> int:
    """``value`` or the nearest int64 of symmetric range."""
    return max(-_LARGEST, min(_LARGEST, value))


def sigmoid(x: int) -> int:
    """1 / (1 + e^-x)."""
    tail = _exp_neg(abs(x))
    return ONE * (FINE if x >= 0 else tail) // (FINE + tail)


def softplus(x: int) -> int:
    """ln(1 + e^x)."""
    y = _exp_neg(abs(x))
    t = y * FINE // (2 * FINE + y)  # ln(1 + y) = 2 atanh(y / (2 + y))
    square, power, total = t * t // FINE, t, 0
    for n in range(LOG_TERMS):
        total += power // (2 * n + 1)
        power = power * square // FINE
    return max(x, 0) + 2 * total * ONE // FINE


@lru_cache(maxsize=REMEMBERED)
def _exp_neg(x: int) -> int:
    """e^-x for x >= 0, in ``FINE``: a Taylor series below ln 2, then halvings."""
    halvings, rest = divmod(x * (FINE // ONE), LN2)
    term = total = FINE
    for divisor in EXP_DIVISORS:
        term = -term * rest // divisor
        total += term
    return total >> min(halvings, 64)


def dot(a: Sequence[int], b: Sequence[int]) -> int:
    """Inner product, in ONE squared."""
    return sum(map(mul, a, b))


def norm(a: Sequence[int]) -> int:
    """Euclidean norm."""
    return isqrt(dot(a, a))


def distance_ppb(own: Sequence[int], theirs: Sequence[int]) -> int:
    """||own - theirs|| / ||own|| x 1e9; from a zero ``own`` all others are ``FAR_PPB`` away."""
    apart = norm([x - y for x, y in zip(own, theirs, strict=True)])
    length = norm(own)
    if length == 0:
        return FAR_PPB if apart else 0
    return min(FAR_PPB, apart * PPB // length)


def pack_vector(vector: Sequence[int]) -> bytes:
    """The one encoding of a vector of int64."""
    return struct.pack(f"<{len(vector)}q", *vector)


def unpack_vector(body: bytes) -> Vector:
    """Raises ValueError when the length is no multiple of ``WORD``."""
    if len(body) % WORD:
        raise ValueError(f"{len(body)} bytes are no vector of int64")
    return struct.unpack(f"<{len(body) // WORD}q", body)
