"""Robust statistics in integers: what a row is worth over many queries, and what noise looks like.

Both resist a minority: queries with up to ``cut_ppm`` of the weight can lower a row, never lift it
above what the rest says; the noise is a median over rows, so half of all original rows set it.
"""

from collections.abc import Sequence

PPM = 1_000_000
MAD_PPM = 1_482_602
"""Standard deviation of a normal variable over its median absolute value, 1 / 0.67449."""


def winsorised_mean(values: Sequence[int], weights: Sequence[int], cut_ppm: int) -> int:
    """Weighted mean after the top ``cut_ppm`` of the weight is lowered to the value just below it.

    Monotone in every value and unchanged when a weight is split between equal values. 0 without
    any weight. Rounds down.
    """
    total = sum(weights)
    if total == 0:
        return 0
    cap = quantile(values, weights, PPM - cut_ppm)
    return sum(w * min(v, cap) for v, w in zip(values, weights, strict=True)) // total


def quantile(values: Sequence[int], weights: Sequence[int], ppm: int) -> int:
    """The least value that has ``ppm`` of the (positive) total weight at or below it."""
    needed = sum(weights) * ppm
    below = 0
    for value, weight in sorted(zip(values, weights, strict=True)):
        below += weight
        if below * PPM >= needed and below:
            return value
    raise ValueError("a quantile needs some weight")


def noise(values: Sequence[int], weights: Sequence[int]) -> int:
    """Robust standard deviation about zero: scaled weighted median of |value|; 0 without weight."""
    if sum(weights) == 0:
        return 0
    return quantile([abs(value) for value in values], weights, PPM // 2) * MAD_PPM // PPM
