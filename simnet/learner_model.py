"""Logistic regression on word pairs (noise-contrastive estimation, Gutmann and Hyvaerinen 2010).

The loss of a word is -ln s(z) of its true pair plus the mean of -ln(1 - s(z)) of its false ones,
where z is the sum of the pair's two weights: 2 ln 2 under a base, which knows nothing.
"""

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache

from blake3 import blake3

from simnet.learner_fixed import PPB, Vector, divide, norm, sigmoid, softplus
from simnet.learner_text import NEGATIVES, PARAMETERS, Example, Features, Word, features

REMEMBERED = 4_096  # gradients and losses: all nodes of a world compute the same ones
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
def loss(w: Vector, examples: tuple[Example, ...]) -> int:
    """Mean loss of the examples' words; 0 for none."""
    total = 0
    for example in examples:
        false = sum(softplus(logit(w, pair)) for pair in example.false)
        total += softplus(-logit(w, example.true)) + divide(false, NEGATIVES)
    return divide(total, max(1, len(examples)))


@lru_cache(maxsize=REMEMBERED)
def gradient(w: Vector, examples: tuple[Example, ...]) -> Vector:
    """Gradient of ``loss``."""
    total = [0] * PARAMETERS
    for pair, slope in _slopes(w, examples):
        for index in pair:
            total[index] += slope
    return tuple(divide(value, NEGATIVES * max(1, len(examples))) for value in total)


def _slopes(w: Sequence[int], examples: Sequence[Example]) -> Iterator[tuple[Features, int]]:
    """Each pair with the derivative of its example's loss by the logit, times ``NEGATIVES``."""
    for example in examples:
        yield example.true, -NEGATIVES * sigmoid(-logit(w, example.true))
        for pair in example.false:
            yield pair, sigmoid(logit(w, pair))


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
