"""``sigmoid`` and ``softplus`` of many values at once: the same integers as in ``learner_fixed``, in int64.

A product of two 40-bit numbers leaves int64, its quotient does not: that is estimated in floats, which
are off by one at most, and set right by the remainder, which wraps to its true value because it is small.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from simnet.learner_fixed import EXP_DIVISORS, FINE, LN2, LOG_TERMS, ONE, Vector

Many = npt.NDArray[np.int64]
LARGEST = 1 << 52  # of an absolute value: what is larger is computed one by one


def floor_divide(a: Many, b: Many | int, by: Many | int) -> Many:
    """``a * b // by`` for a positive ``by`` below 2^44 and a quotient below 2^48."""
    quotient = np.floor(a.astype(np.float64) * b / by).astype(np.int64)
    rest: Many = a * b - quotient * by
    return quotient + rest // by


def exp_neg(x: Many) -> Many:
    """e^-x for 0 <= x <= LARGEST, in ``FINE``."""
    halvings, rest = np.divmod(x * (FINE // ONE), LN2)
    term = total = np.full_like(x, FINE)
    for divisor in EXP_DIVISORS:
        term = floor_divide(-term, rest, divisor)
        total = total + term
    shifted: Many = total >> np.minimum(halvings, 62)
    return shifted


def sigmoid(x: Many, tail: Many) -> Many:
    """1 / (1 + e^-x) of every value, given ``exp_neg`` of its absolute value."""
    return floor_divide(np.where(x >= 0, FINE, tail), ONE, FINE + tail)


def softplus(x: Many, tail: Many) -> Many:
    """ln(1 + e^x) of every value, given ``exp_neg`` of its absolute value."""
    t = floor_divide(tail, FINE, 2 * FINE + tail)
    square, power, total = floor_divide(t, t, FINE), t, np.zeros_like(t)
    for n in range(LOG_TERMS):
        total = total + power // (2 * n + 1)
        power = floor_divide(power, square, FINE)
    found: Many = np.maximum(x, 0) + floor_divide(total, 2 * ONE, FINE)
    return found


def products(rows: npt.NDArray[Any], other: Many) -> list[int]:
    """Inner product of each row with ``other``, all values below 2^31: by halves, which fit int64."""
    high, low = other >> 16, other & 0xFFFF
    return [(int(h) << 16) + int(lo) for h, lo in zip(rows @ high, rows @ low, strict=True)]


def blended(beta: tuple[int, int], old: Vector, new: Vector, *, squared: bool) -> Vector | None:
    """Moments: ``beta`` of each old value and the rest of each new one, or of its square, rounded.

    None when int64 may not hold what comes out.
    """
    if max(max(old), -min(old)) > 1 << 61 or max(max(new), -min(new)) > 1 << 30:
        return None
    part, whole = beta
    before, fresh = np.array(old, dtype=np.int64), np.array(new, dtype=np.int64)
    fresh = fresh * fresh if squared else fresh
    estimate = before * (part / whole) + fresh * ((whole - part) / whole)
    found = np.floor(estimate).astype(np.int64)
    rest: Many = 2 * (part * before + (whole - part) * fresh) + whole - found * (2 * whole)
    return tuple((found + rest // (2 * whole)).tolist())
