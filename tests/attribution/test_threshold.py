"""The robust statistics: monotone, deaf to a minority, indifferent to how weight is cut."""

import statistics
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.threshold import PPM, noise, quantile, winsorised_mean

VALUES = st.lists(st.tuples(st.integers(-999, 999), st.integers(0, PPM)), min_size=1, max_size=9)
CUT = 250_000


def columns(pairs: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [value for value, _ in pairs], [weight for _, weight in pairs]


def test_without_a_cut_it_is_the_weighted_mean() -> None:
    assert winsorised_mean([10, 20, 90], [1, 1, 2], 0) == (10 + 20 + 180) // 4


def test_the_top_quarter_counts_as_the_value_below_it() -> None:
    assert winsorised_mean([1, 2, 3, 1_000], [1, 1, 1, 1], CUT) == (1 + 2 + 3 + 3) // 4


@given(VALUES, st.integers(0, 8), st.integers(0, 500))
def test_raising_a_value_never_lowers_the_mean(
    pairs: list[tuple[int, int]], which: int, more: int
) -> None:
    values, weights = columns(pairs)
    raised = list(values)
    raised[which % len(values)] += more
    assert winsorised_mean(raised, weights, CUT) >= winsorised_mean(values, weights, CUT)


@given(VALUES, st.integers(0, 8))
def test_splitting_a_weight_changes_nothing(pairs: list[tuple[int, int]], which: int) -> None:
    value, weight = pairs[which % len(pairs)]
    rest = [pair for i, pair in enumerate(pairs) if i != which % len(pairs)]
    split = [*rest, (value, weight // 3), (value, weight - weight // 3)]
    assert winsorised_mean(*columns(split), CUT) == winsorised_mean(*columns(pairs), CUT)


@given(VALUES, st.integers(1, 10**6))
def test_a_quarter_of_the_weight_cannot_lift_what_the_rest_refuses(
    pairs: list[tuple[int, int]], boost: int
) -> None:
    honest = [(min(value, 0), weight) for value, weight in pairs]
    junk = [(boost, sum(weight for _, weight in honest) // 3)]
    assert winsorised_mean(*columns(honest + junk), CUT) <= 0


@given(VALUES)
def test_the_quantile_rises_from_the_least_to_the_largest(pairs: list[tuple[int, int]]) -> None:
    values, weights = columns([(value, weight + 1) for value, weight in pairs])
    found = [quantile(values, weights, ppm) for ppm in (0, PPM // 4, PPM // 2, PPM)]
    assert found[0] == min(values) and found[-1] == max(values)
    assert all(a <= b for a, b in pairwise(found))


def test_noise_is_the_standard_deviation_of_normal_values() -> None:
    normal = statistics.NormalDist(0, 1_000)
    values = [round(normal.inv_cdf((i + 0.5) / 999)) for i in range(999)]
    assert noise(values, [1] * 999) == pytest.approx(1_000, rel=0.01)


def test_half_of_the_weight_sets_the_noise() -> None:
    assert noise([10] * 6 + [10**6] * 5, [1] * 11) == noise([10], [1])
    assert noise([10, 500], [1, 0]) == noise([10], [1])
    assert noise([10], [0]) == 0
