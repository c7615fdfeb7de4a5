"""Do redundant results of attribution agree? Pure: judges distances that others measured.

A verifier re-computes drawn rows. It draws most of them in proportion to pay, because that is where
lying pays, and the rest uniformly, so that no row is safe.
"""

from collections.abc import Sequence
from itertools import accumulate

from blake3 import blake3

from protocol.errors import LocalError

PPM = 1_000_000


def draw_rows(seed: bytes, weights: Sequence[int], by_pay: int, uniform: int) -> tuple[int, ...]:
    """Distinct row positions, ascending: ``by_pay`` by weight, ``uniform`` of the rest alike.

    Fewer when there are fewer rows (or rows with weight). The seed is a beacon later than the
    scores.
    """
    left = dict(enumerate(weights))
    drawn = _draw(seed + b"pay", left, by_pay)
    drawn += _draw(seed + b"all", dict.fromkeys(left, 1), uniform)
    return tuple(sorted(drawn))


def score_ppm(committed: Sequence[Sequence[int]], derived: Sequence[Sequence[int]]) -> int:
    """Largest difference of a score, in parts per million of the largest derived score, rounded up.

    Raises LocalError ``bad-scores`` for tables of different shapes.
    """
    if [len(line) for line in committed] != [len(line) for line in derived]:
        raise LocalError("bad-scores", "the committed table has another shape")
    pairs = [
        pair for a, b in zip(committed, derived, strict=True) for pair in zip(a, b, strict=True)
    ]
    largest = max((abs(own) for _, own in pairs), default=0)
    gap = max((abs(theirs - own) for theirs, own in pairs), default=0)
    return -(-gap * PPM // max(largest, 1))


def judge(
    row_ppb: Sequence[int],
    evidence_ppb: int,
    score_ppm: int,
    row_tolerance_ppb: int,
    score_tolerance_ppm: int,
) -> str:
    """'' when all is within tolerance, else what is not: 'rows', 'evidence' or 'scores'.

    Inner products average the rounding of rows: an honest 0.09 permille at rows off by 1.7 permille
    (SmolLM2, bfloat16), so they get a quarter of the rows' tolerance.
    """
    if any(distance > row_tolerance_ppb for distance in row_ppb):
        return "rows"
    if evidence_ppb > row_tolerance_ppb // 4:
        return "evidence"
    if score_ppm > score_tolerance_ppm:
        return "scores"
    return ""


def _draw(seed: bytes, left: dict[int, int], count: int) -> list[int]:
    """Weighted draws without replacement; what was drawn is removed from ``left``."""
    drawn = []
    for turn in range(count):
        total = sum(left.values())
        if total == 0:
            break
        point = int.from_bytes(blake3(seed + turn.to_bytes(4, "big")).digest(), "big") % total
        ends = accumulate(left.values())
        position = next(i for i, end in zip(left, ends, strict=True) if point < end)
        drawn.append(position)
        del left[position]
    return drawn
