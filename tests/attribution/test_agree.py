"""Drawing rows to re-compute, and judging what was found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.agree import draw_rows, judge, score_ppm
from protocol.errors import LocalError

WEIGHTS = st.lists(st.integers(0, 10**20), min_size=1, max_size=30)


@given(st.binary(min_size=32, max_size=32), WEIGHTS, st.integers(0, 9), st.integers(0, 9))
def test_draws_are_distinct_repeatable_and_as_many_as_there_are(
    seed: bytes, weights: list[int], by_pay: int, uniform: int
) -> None:
    drawn = draw_rows(seed, weights, by_pay, uniform)
    paid = min(by_pay, sum(weight > 0 for weight in weights))
    assert drawn == draw_rows(seed, weights, by_pay, uniform)
    assert len(set(drawn)) == len(drawn) == min(len(weights), paid + uniform)


def test_pay_draws_checks() -> None:
    seeds = [bytes([i]) * 32 for i in range(200)]
    hits = [draw_rows(seed, [1, 0, 3], 1, 0)[0] for seed in seeds]
    assert hits.count(1) == 0
    assert 110 < hits.count(2) < 190


def test_the_score_gap_is_relative_to_the_largest() -> None:
    assert score_ppm(((100, 0),), ((100, 0),)) == 0
    assert score_ppm(((100, 3),), ((-100, 2),)) == 2_000_000
    assert score_ppm(((101, 0),), ((100, 0),)) == 10_000
    with pytest.raises(LocalError, match="bad-scores"):
        score_ppm(((1,),), ((1, 2),))


@pytest.mark.parametrize(
    ("rows", "evidence", "scores", "finding"),
    [
        ((10, 100), 25, 50, ""),
        ((10, 101), 0, 0, "rows"),
        ((0,), 26, 0, "evidence"),
        ((0,), 0, 51, "scores"),
    ],
)
def test_the_first_thing_out_of_tolerance_is_named(
    rows: tuple[int, ...], evidence: int, scores: int, finding: str
) -> None:
    assert judge(rows, evidence, scores, 100, 50) == finding
