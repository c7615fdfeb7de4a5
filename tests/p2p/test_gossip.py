"""Gossip verdicts: each rule alone, their order, and the bounds of what is remembered."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.gossip import Announcement, Limits, RateBook, SeenCache, judge
from protocol.errors import Ignore, Reject, Verdict

NOW = 1_000_000.0
LIMITS = Limits(network=b"N" * 32, versions=frozenset({1, 2}))
GOOD = Announcement(
    id=b"i" * 32,
    size=500,
    version=1,
    network=b"N" * 32,
    author="peer",
    sent=999_990,
    expiry=1_000_600,
)


class Rules:
    def __init__(self) -> None:
        self.seen = SeenCache(ttl=3600, limit=100)
        self.rates = RateBook(rate=1, burst=2)
        self.signed = True
        self.standing = True
        self.checked = 0

    def judge(self, item: Announcement = GOOD, now: float = NOW) -> None:
        judge(
            item,
            LIMITS,
            self.seen,
            self.rates,
            signed=self.verify,
            standing=lambda author: self.standing,
            now=now,
        )

    def verify(self) -> bool:
        self.checked += 1
        return self.signed

    def verdict(self, item: Announcement = GOOD, now: float = NOW) -> tuple[type[Verdict], str]:
        with pytest.raises(Verdict) as caught:
            self.judge(item, now)
        return type(caught.value), caught.value.reason


def test_a_good_announcement_passes_once() -> None:
    rules = Rules()
    rules.judge()
    assert rules.verdict() == (Ignore, "duplicate")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"size": 4097}, (Reject, "too-large")),
        ({"version": 3}, (Ignore, "unknown-version")),
        ({"network": b"M" * 32}, (Reject, "wrong-network")),
        ({"expiry": 999_990 + 3601}, (Reject, "bad-lifetime")),
        ({"expiry": 999_990}, (Reject, "bad-lifetime")),
        ({"sent": 999_000, "expiry": 1_000_000}, (Ignore, "expired")),
        ({"sent": 1_000_031}, (Ignore, "clock-skew")),
    ],
)
def test_each_cheap_rule_ends_before_the_signature(
    change: dict[str, object], expected: tuple[type[Verdict], str]
) -> None:
    rules = Rules()
    assert rules.verdict(replace(GOOD, **change)) == expected  # type: ignore[arg-type]
    assert rules.checked == 0


@pytest.mark.parametrize("change", [{"size": 4096}, {"version": 2}, {"sent": 1_000_030}])
def test_the_limits_themselves_pass(change: dict[str, int]) -> None:
    Rules().judge(replace(GOOD, **change))  # type: ignore[arg-type]


def test_without_stake_nothing_is_verified() -> None:
    rules = Rules()
    rules.standing = False
    assert rules.verdict() == (Ignore, "no-stake")
    assert rules.checked == 0


def test_a_forgery_costs_its_victim_neither_tokens_nor_the_id() -> None:
    rules = Rules()
    rules.signed = False
    for _ in range(5):
        assert rules.verdict() == (Reject, "bad-signature")
    rules.signed = True
    rules.judge()


def test_an_author_has_a_burst_and_a_rate() -> None:
    rules = Rules()
    rules.judge(replace(GOOD, id=b"1"))
    rules.judge(replace(GOOD, id=b"2"))
    assert rules.verdict(replace(GOOD, id=b"3")) == (Ignore, "author-rate")
    rules.judge(replace(GOOD, id=b"4", author="other"))
    rules.judge(replace(GOOD, id=b"3"), now=NOW + 1)  # a token later it passes


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=80))
def test_the_cache_remembers_exactly_the_young(steps: list[tuple[int, int]]) -> None:
    cache, added, now = SeenCache(ttl=10, limit=1000), dict[int, float](), 0.0
    for key, pause in steps:
        now += pause
        fresh = key not in added or now - added[key] >= 10
        assert cache.add(bytes([key]), now) == fresh
        if fresh:
            added[key] = now


def test_the_cache_is_bounded() -> None:
    cache = SeenCache(ttl=1e9, limit=10)
    for number in range(100):
        assert cache.add(number.to_bytes(2, "big"), float(number))
    assert len(cache) == 10
    assert cache.has((99).to_bytes(2, "big"), 99.0) and not cache.has(bytes(2), 99.0)


@given(st.lists(st.floats(0, 3), max_size=60))
def test_a_bucket_never_gives_more_than_burst_plus_rate(pauses: list[float]) -> None:
    book, now, given = RateBook(rate=2, burst=5), 0.0, 0
    for pause in pauses:
        now += pause
        given += book.take("key", now)
        assert given <= 5 + 2 * now + 1e-6


def test_a_clock_that_runs_back_gives_no_tokens() -> None:
    book = RateBook(rate=1, burst=1)
    assert book.take("key", 100.0)
    assert not book.take("key", 50.0)
