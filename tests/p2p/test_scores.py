"""Faults cost points, points fade, too many are a ban, bans end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.scores import BAN_POINTS, BAN_SECONDS, HALF_LIFE_SECONDS, MAX_PEERS, Scores, points_of

CODES = ("exchange-lying-chunk", "gossip-rejected-bad-signature", "stream-slow", "exchange-refused")


def test_two_lies_are_a_ban_and_it_ends() -> None:
    scores = Scores()
    assert not scores.fault("p", "exchange-lying-chunk", 0.0)
    assert scores.fault("p", "exchange-lying-chunk", 0.0)
    assert scores.banned("p", BAN_SECONDS - 1) and not scores.banned("p", BAN_SECONDS)
    assert scores.worst(0.0) == [("p", 60.0, BAN_SECONDS)]
    assert not scores.fault("p", "stream-slow", BAN_SECONDS)  # and may behave from then on


def test_points_fade() -> None:
    scores = Scores()
    scores.fault("p", "exchange-lying-chunk", 0.0)
    assert scores.points("p", HALF_LIFE_SECONDS) == pytest.approx(30.0)
    assert not scores.fault("p", "exchange-lying-chunk", HALF_LIFE_SECONDS)  # 90 of 100


@pytest.mark.parametrize(
    ("code", "points"),
    [
        ("gossip-rejected-wrong-network", 5.0),
        ("gossip-ignored-expired", 0.0),
        ("exchange-refused", 0.0),
        ("exchange-not-canonical", 20.0),
        ("request-refused-no-blob", 0.0),
        ("request-refused-not-msgpack", 5.0),
        ("request-refused-not-drawn", 0.0),
    ],
)
def test_what_costs_and_what_does_not(code: str, points: float) -> None:
    assert points_of(code) == points


@given(st.lists(st.tuples(st.sampled_from(CODES), st.floats(0, 10_000)), max_size=60))
def test_nobody_is_banned_for_less_than_the_points(faults: list[tuple[str, float]]) -> None:
    scores, spent, now = Scores(), 0.0, 0.0
    for code, later in faults:
        now += later
        spent += points_of(code)
        if scores.fault("p", code, now):
            assert spent >= BAN_POINTS
            break
        assert scores.points("p", now) <= spent + 1e-9


def test_what_is_remembered_is_bounded() -> None:
    scores = Scores()
    for number in range(MAX_PEERS + 10):
        scores.fault(str(number), "stream-slow", 0.0)
    assert scores.points("0", 0.0) == 0.0 and scores.points(str(MAX_PEERS), 0.0) > 0
