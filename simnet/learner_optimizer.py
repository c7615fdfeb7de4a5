"""The integer learner's canonical optimiser (Adam, Kingma and Ba 1412.6980) and outer merge.

Everything here is exact: whoever repeats a step from the same vectors gets the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt

from protocol.compute import Hyper
from simnet.learner_fixed import Vector, distance_ppb, divide, norm, saturate
from simnet.learner_many import blended
from simnet.learner_model import clip

BETA1 = (9, 10)
BETA2 = (999, 1000)
EPS = 1_000  # 1e-6, above the rounding of the moments, so that the bound on moves is strict
MICRO = 10**6
REMEMBERED = 1_024  # steps: verifiers repeat those of the workers
_FINE = 10**18


@dataclass(frozen=True, slots=True)
class State:
    """Weights and first moment in ONE, second moment in ONE squared."""

    w: Vector
    m: Vector
    v: Vector

    @classmethod
    def start(cls, w: Vector) -> "State":
        """The state before step 0: zero moments."""
        return cls(w, (0,) * len(w), (0,) * len(w))


def learning_rate(hyper: Hyper, index: int) -> int:
    """Of step ``index``: falls linearly from the peak."""
    return hyper.lr_nano * max(0, hyper.steps - index) // max(1, hyper.steps)


@lru_cache(maxsize=REMEMBERED)
def step(state: State, g: Vector, index: int, hyper: Hyper) -> State:
    """The state after step ``index`` (from 0) with the clipped gradient ``g``."""
    lr, first = learning_rate(hyper, index), _correction(BETA1, index)
    m = _blended(BETA1, state.m, g, squared=False)
    v = _second(state.v, g)
    w = tuple(
        saturate(weight - divide(lr * (momentum * _FINE // first), scale))
        for weight, momentum, scale in zip(state.w, m, _seen(v, index), strict=True)
    )
    return State(w, m, v)


def distances(own: Vector, theirs: Vector, v: Vector, index: int) -> tuple[int, int]:
    """Check B in ppb: plainly, and with each element divided by sqrt(v_hat) + eps.

    v_hat is the second moment that ``own`` leads to: a large claim cannot hide behind its size.
    """
    seen = _seen(_second(v, own), index)
    fine_own = [value * _FINE // scale for value, scale in zip(own, seen, strict=True)]
    fine_theirs = [value * _FINE // scale for value, scale in zip(theirs, seen, strict=True)]
    return distance_ppb(own, theirs), distance_ppb(fine_own, fine_theirs)


@lru_cache(maxsize=REMEMBERED)
def largest_move(hyper: Hyper) -> int:
    """Check D: how far the whole schedule can move one weight.

    By Cauchy and Schwarz |m_hat| / sqrt(v_hat) is at most
    (1-b1)/(1-b1^t) sqrt((1-b2^t)/(1-b2) sum_j (b1^2/b2)^j), j < t; all divisions round up.
    """
    moved = series = 0
    power = _FINE
    for index in range(hyper.steps):
        series += power
        power = power * BETA1[0] ** 2 * BETA2[1] // (BETA1[1] ** 2 * BETA2[0]) + 1
        first = _FINE * _FINE // (BETA1[1] * _correction(BETA1, index)) + 1
        second = BETA2[1] * _correction(BETA2, index)
        factor = first * (isqrt(second * series) + 1) // _FINE + 1
        moved += learning_rate(hyper, index) * factor // _FINE + 1
    return moved


def outer_step(
    start: Vector, updates: Sequence[Vector], momentum: Vector, hyper: Hyper
) -> tuple[Vector, Vector]:
    """New weights and momentum: an outer Nesterov step on the mean of the moves.

    Each move is clipped to the median norm first. The order of ``updates`` does not matter.
    """
    moves = [[a - b for a, b in zip(update, start, strict=True)] for update in updates]
    median = sorted(norm(move) for move in moves)[len(moves) // 2]
    clipped = [clip(move, median) for move in moves]
    mean = [divide(sum(column), len(moves)) for column in zip(*clipped, strict=True)]
    mu, lr = hyper.outer_momentum_micro, hyper.outer_lr_micro
    held = tuple(
        saturate(divide(mu * old, MICRO) + new) for old, new in zip(momentum, mean, strict=True)
    )
    ahead = [new + divide(mu * value, MICRO) for new, value in zip(mean, held, strict=True)]
    moved = zip(start, ahead, strict=True)
    return tuple(saturate(w + divide(lr * move, MICRO)) for w, move in moved), held


def _second(v: Vector, g: Vector) -> Vector:
    return _blended(BETA2, v, g, squared=True)


def _seen(v: Vector, index: int) -> list[int]:
    """sqrt(v_hat) + eps; a negative moment, which no honest state holds, counts as zero."""
    correction = _correction(BETA2, index)
    return [isqrt(max(0, value) * _FINE // correction) + EPS for value in v]


def _blended(beta: tuple[int, int], old: Vector, new: Vector, *, squared: bool) -> Vector:
    """All at once, or one by one where no honest state is."""
    found = blended(beta, old, new, squared=squared)
    if found is None:
        pairs = zip(old, new, strict=True)
        found = tuple(_blend(beta, a, b * b if squared else b) for a, b in pairs)
    return found


def _blend(beta: tuple[int, int], old: int, new: int) -> int:
    return saturate(divide(beta[0] * old + (beta[1] - beta[0]) * new, beta[1]))


def _correction(beta: tuple[int, int], index: int) -> int:
    """1 - beta^(index + 1), in ``_FINE``, rounded up by the floor of each product."""
    power = _FINE
    for _ in range(index + 1):
        power = power * beta[0] // beta[1]
    return _FINE - power
