"""Logistic regression on word pairs (noise-contrastive estimation, Gutmann and Hyvaerinen 2010).

The loss of a word is -ln s(z) of its true pair plus the mean of -ln(1 - s(z)) of its false ones,
where z is the sum of the pair's two weights: 2 ln 2 under a base, which knows nothing.
"""

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from simnet import learner_many as many
from simnet.learner_fixed import PPB, Vector, divide, norm, sigmoid, softplus
from simnet.learner_many import LARGEST, Many
from simnet.learner_text import NEGATIVES, PARAMETERS, Features, Word, Words, features

REMEMBERED = 4_096  # gradients and losses: all nodes of a world compute the same ones
AT_ONCE = 16  # gradients whose loss is asked for next
VOCABULARY: tuple[Word, ...] = tuple(
    b"the a an of and to in is was are be by for with that this it as at on from or not all who "
    b"lord god king people house land day man work building contract law president state rights "
    b"congress safety concrete project site shall will said came went made what when".split()
)
"""The base's own words; an answer may also use those of its prompt."""


def logit(w: Sequence[int], pair: Features) -> int:
    """Log-odds that the pair is of the text and not of the noise."""
    return w[pair[0]] + w[pair[1]]


@lru_cache(maxsize=REMEMBERED)
def loss(w: Vector, texts: tuple[Words, ...]) -> int:
    """Mean loss of the texts' words; 0 for none."""
    costs = _costs(w, texts)
    total = costs[:, 0].sum() + _divided(costs[:, 1:].sum(axis=1), NEGATIVES).sum()
    return divide(int(total), max(1, len(costs)))


@lru_cache(maxsize=REMEMBERED)
def gradient(w: Vector, texts: tuple[Words, ...]) -> Vector:
    """Gradient of ``loss``."""
    slopes = _slopes(w, texts)
    slopes[:, 0] *= -NEGATIVES
    total = np.zeros(PARAMETERS, dtype=slopes.dtype)
    for part in ("first", "second"):
        np.add.at(total, _joined(texts, part).ravel(), slopes.ravel())
    return tuple(_divided(total, NEGATIVES * max(1, len(slopes))).tolist())


def _divided(values: npt.NDArray[Any], by: int) -> npt.NDArray[Any]:
    """``divide`` of every value."""
    found: npt.NDArray[Any] = (2 * values + by) // (2 * by)
    return found


def _joined(texts: tuple[Words, ...], part: str) -> npt.NDArray[np.int64]:
    return np.concatenate([getattr(text, part) for text in texts])


@lru_cache(maxsize=AT_ONCE)
def _logits(w: Vector, texts: tuple[Words, ...]) -> tuple[Many, Many] | None:
    """The logit that each pair costs by, negative for a true one, and ``exp_neg`` of its size.

    None when a weight is so large that values must be computed one by one.
    """
    if max(max(w), -min(w)) > LARGEST // 2:
        return None
    weights = np.array(w, dtype=np.int64)
    z = weights[_joined(texts, "first")] + weights[_joined(texts, "second")]
    z[:, 0] *= -1
    return z, many.exp_neg(np.abs(z))


def _slopes(w: Vector, texts: tuple[Words, ...]) -> npt.NDArray[Any]:
    """Derivative of each pair's cost by its logit."""
    found = _logits(w, texts)
    return _one_by_one(sigmoid, w, texts) if found is None else many.sigmoid(*found)


def _costs(w: Vector, texts: tuple[Words, ...]) -> npt.NDArray[Any]:
    found = _logits(w, texts)
    return _one_by_one(softplus, w, texts) if found is None else many.softplus(*found)


def _one_by_one(
    function: Callable[[int], int], w: Vector, texts: tuple[Words, ...]
) -> npt.NDArray[Any]:
    """The same of weights that no honest state has."""
    pairs = zip(_joined(texts, "first"), _joined(texts, "second"), strict=True)
    lines = [[w[a] + w[b] for a, b in zip(*line, strict=True)] for line in pairs]
    found = [[function(-line[0]), *map(function, line[1:])] for line in lines]
    return np.array(found, dtype=object).reshape(-1, 1 + NEGATIVES)


def clip(g: Sequence[int], limit: int) -> Vector:
    """``g`` scaled down to a norm of at most ``limit``."""
    length = norm(g)
    return tuple(divide(value * limit, length) for value in g) if length > limit else tuple(g)


def with_noise(g: Sequence[int], ppb: int, seed: bytes) -> Vector:
    """``g`` with every element off by up to ``ppb`` of itself, as rounding on a device is."""
    draws = struct.unpack(f">{len(g)}H", blake3(seed).digest(length=2 * len(g)))
    half, whole, twice = PPB, 2 * PPB, 2 * ppb
    return tuple(  # ``divide`` written out: half a million values a busy hour
        value + (2 * value * (draw * twice // 0xFFFF - ppb) + half) // whole
        for value, draw in zip(g, draws, strict=True)
    )


@lru_cache(maxsize=REMEMBERED)
def answer(
    base: bytes, w: Vector, prompt: tuple[Word, ...], length: int, request: bytes, milli: int
) -> tuple[Word, ...]:
    """Up to ``length`` words, each the likeliest to follow the last, none used twice.

    With a temperature (``milli`` thousandths) a word is drawn by s(z / T) of its pair instead, by a
    uniform from H(request, position). An untrained base finds all words alike and lists its own.
    """
    free = list(dict.fromkeys([*VOCABULARY, *prompt]))
    said: list[Word] = []
    previous = prompt[-1] if prompt else b""
    while free and len(said) < length:
        logits = [logit(w, features(base, previous, word)) for word in free]
        place = logits.index(max(logits)) if milli == 0 else _draw(logits, milli, request, said)
        previous = free.pop(place)
        said.append(previous)
    return tuple(said)


def _draw(logits: Sequence[int], milli: int, request: bytes, said: Sequence[Word]) -> int:
    odds = [sigmoid(z * 1000 // milli) + 1 for z in logits]
    uniform = blake3(request + len(said).to_bytes(4, "big")).digest(length=16)
    left = int.from_bytes(uniform, "big") % sum(odds)
    for place, part in enumerate(odds):
        if left < part:
            return place
        left -= part
    raise AssertionError("a draw below the sum of all parts lies in one of them")
