"""The canonical optimiser: AdamW whose every bit follows from its inputs (DESIGN 6.2).

Elementwise IEEE fp64 (numpy's add, multiply, divide and sqrt are correctly rounded, and unlike
torch's fused kernels contract nothing), state rounded to fp32, bias corrections by repeated
multiplication. One step over SmolLM2's 460,800 parameters takes 10 ms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lora.vectors import Array64, Vector, norm
from protocol.errors import ComputeError


@dataclass(frozen=True, slots=True)
class AdamW:
    """Constants of Loshchilov and Hutter, 1711.05101.

    ``eps`` is 1e-6 and not 1e-8: a clipped gradient has elements near 1e-3, and those near zero
    would let honest rounding noise dominate the norm that check B takes as the optimiser sees it.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-6
    weight_decay: float = 0.0


ADAMW = AdamW()


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Weights, first and second moment: flat fp32 vectors of one length."""

    w: Vector
    m: Vector
    v: Vector

    @classmethod
    def start(cls, w: Vector) -> "State":
        """The state of step 0: zero moments."""
        return cls(w, np.zeros_like(w), np.zeros_like(w))


def step(
    state: State, g: Vector, index: int, lr_table: Sequence[float], adam: AdamW = ADAMW
) -> State:
    """The state after step ``index`` (from 0) with the clipped gradient ``g``."""
    wide = g.astype(np.float64)
    m = adam.beta1 * state.m.astype(np.float64) + (1.0 - adam.beta1) * wide
    v = adam.beta2 * state.v.astype(np.float64) + (1.0 - adam.beta2) * (wide * wide)
    direction = (m / _correction(adam.beta1, index)) / _denominator(v, index, adam)
    w = state.w.astype(np.float64)
    w = w - lr_table[index] * (direction + adam.weight_decay * w)
    return State(w.astype(np.float32), m.astype(np.float32), v.astype(np.float32))


def clip(g: Array64, max_norm: float) -> Vector:
    """``g`` scaled to at most ``max_norm`` and rounded to fp32: what the gradient digest covers.

    Raises ComputeError ``diverged`` when it is not finite.
    """
    length = norm(g)
    if not math.isfinite(length):
        raise ComputeError("diverged", "the gradient is not finite; lower the learning rate.")
    return (g * min(1.0, max_norm / length) if length else g).astype(np.float32)


def distances(
    own: Vector, theirs: Vector, v: Vector, index: int, adam: AdamW = ADAMW
) -> tuple[float, float]:
    """Check B's two relative distances of a claimed gradient from the verifier's ``own``.

    ||own - theirs|| / ||own||, and the same with every element divided by sqrt(v_hat) + eps, where
    v_hat is the second moment that ``own`` leads to from the committed ``v``. A zero ``own`` gives
    0 for an equal claim and infinity for any other.
    """
    mine = own.astype(np.float64)
    apart = mine - theirs.astype(np.float64)
    moment = adam.beta2 * v.astype(np.float64) + (1.0 - adam.beta2) * (mine * mine)
    seen = _denominator(moment, index, adam)
    return _ratio(norm(apart), norm(mine)), _ratio(norm(apart / seen), norm(mine / seen))


def largest_move(lr_table: Sequence[float], adam: AdamW = ADAMW, largest: float = 0.0) -> float:
    """Check D: how far the whole table can move one element whose start is at most ``largest``.

    By Cauchy and Schwarz |m_hat| / sqrt(v_hat) is at most
    (1-b1) / (1-b1^t) * sqrt((1-b2^t) / (1-b2) * sum over j < t of (b1^2/b2)^j), 1 at first.
    The slack of 1e-5 covers the rounding of the state to fp32.
    """
    moved, series, power = 0.0, 0.0, 1.0
    for index, lr in enumerate(lr_table):
        series += power
        power *= adam.beta1 * adam.beta1 / adam.beta2
        first = (1.0 - adam.beta1) / _correction(adam.beta1, index)
        second = _correction(adam.beta2, index) / (1.0 - adam.beta2)
        moved += lr * (first * math.sqrt(second * series) + adam.weight_decay * (largest + moved))
    return moved * (1.0 + 1e-5) + 1e-6 * largest


def _denominator(v: Array64, index: int, adam: AdamW) -> Array64:
    return np.sqrt(v / _correction(adam.beta2, index)) + adam.eps


def _correction(beta: float, index: int) -> float:
    """1 - beta^(index + 1), by repeated multiplication: pow differs between C libraries."""
    power = 1.0
    for _ in range(index + 1):
        power *= beta
    return 1.0 - power


def _ratio(part: float, whole: float) -> float:
    if whole == 0.0:
        return 0.0 if part == 0.0 else math.inf
    return part / whole
