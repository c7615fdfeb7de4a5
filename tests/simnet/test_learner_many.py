"""Many values at once give the integers that one after the other give, whatever a peer sends."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simnet import learner_many as many
from simnet.learner_fixed import ONE, Vector, divide, dot, saturate, sigmoid, softplus
from simnet.learner_influence import SMALL
from simnet.learner_model import gradient, loss
from simnet.learner_optimizer import BETA1, BETA2, _blended
from simnet.learner_text import NEGATIVES, PAIRS, PARAMETERS, WORDS, Words

LOGITS = st.integers(-many.LARGEST, many.LARGEST) | st.integers(-40 * ONE, 40 * ONE)
WEIGHTS = st.integers(-(2**63) + 1, 2**63 - 1) | st.integers(-3 * ONE, 3 * ONE)
LINES = st.lists(
    st.lists(
        st.tuples(st.integers(0, WORDS - 1), st.integers(WORDS, PARAMETERS - 1)),
        min_size=1 + NEGATIVES,
        max_size=1 + NEGATIVES,
    ),
    max_size=6,
)


@settings(max_examples=300)
@given(st.lists(LOGITS, min_size=1, max_size=50))
def test_all_at_once_are_the_same_integers(values: list[int]) -> None:
    x = np.array(values, dtype=np.int64)
    tail = many.exp_neg(np.abs(x))
    assert many.sigmoid(x, tail).tolist() == list(map(sigmoid, values))
    assert many.softplus(x, tail).tolist() == list(map(softplus, values))


@settings(max_examples=25)
@given(st.integers(1, 4), st.data())
def test_products_at_once_are_the_same_integers(count: int, data: st.DataObject) -> None:
    small = st.integers(1 - SMALL, SMALL - 1)
    lines = st.lists(small, min_size=PAIRS, max_size=PAIRS)
    rows, other = [data.draw(lines) for _ in range(count)], data.draw(lines)
    found = many.products(np.array(rows, dtype=np.int64), np.array(other, dtype=np.int64))
    assert found == [dot(row, other) for row in rows]


def plain(w: Vector, lines: list[list[tuple[int, int]]]) -> tuple[int, Vector]:
    """Loss and gradient as the formula says, one value after the other."""
    total, slopes = 0, [0] * PARAMETERS
    for true, *false in lines:
        z = w[true[0]] + w[true[1]]
        total += softplus(-z) + divide(sum(softplus(w[a] + w[b]) for a, b in false), NEGATIVES)
        for index in true:
            slopes[index] -= NEGATIVES * sigmoid(-z)
        for a, b in false:
            slopes[a] += sigmoid(w[a] + w[b])
            slopes[b] += sigmoid(w[a] + w[b])
    count = max(1, len(lines))
    return divide(total, count), tuple(divide(slope, NEGATIVES * count) for slope in slopes)


@settings(max_examples=100)
@given(LINES, LINES, st.lists(WEIGHTS, min_size=8, max_size=8))
def test_loss_and_gradient_follow_the_formula(
    one: list[list[tuple[int, int]]], other: list[list[tuple[int, int]]], weights: list[int]
) -> None:
    w = tuple(weights[i % len(weights)] for i in range(PARAMETERS))
    texts = []
    for lines in (one, other):
        pairs = np.array(lines, dtype=np.int64).reshape(-1, 1 + NEGATIVES, 2)
        texts.append(Words(pairs[:, :, 0], pairs[:, :, 1]))
    assert (loss(w, tuple(texts)), gradient(w, tuple(texts))) == plain(w, [*one, *other])


@settings(max_examples=200)
@given(
    st.sampled_from([BETA1, BETA2]),
    st.lists(st.tuples(WEIGHTS, WEIGHTS | st.integers(-(2**30), 2**30)), min_size=1, max_size=9),
    st.booleans(),
)
def test_moments_at_once_are_the_same_integers(
    beta: tuple[int, int], pairs: list[tuple[int, int]], squared: bool
) -> None:
    old, new = zip(*pairs, strict=True)
    part, whole = beta
    wanted = [
        saturate(divide(part * a + (whole - part) * (b * b if squared else b), whole))
        for a, b in pairs
    ]
    assert list(_blended(beta, old, new, squared=squared)) == wanted
