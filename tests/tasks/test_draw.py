"""Draws: everybody gets the same, nobody twice, weight counts."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import draw

hashes = st.binary(min_size=32, max_size=32)
members = st.binary(min_size=20, max_size=20)
weights = st.dictionaries(members, st.integers(1, 10**24), max_size=12)


def beacon(number: int) -> bytes:
    return number.to_bytes(32, "big")


@given(hashes, hashes, weights, st.integers(0, 15), st.randoms(use_true_random=False))
def test_a_draw_is_the_same_for_everybody_and_takes_nobody_twice(
    height: bytes, subject: bytes, pool: dict[bytes, int], count: int, order: object
) -> None:
    chosen = draw.weighted(height, "workers", subject, pool, count)
    learnt_later = dict(reversed(pool.items()))
    assert chosen == draw.weighted(height, "workers", subject, learnt_later, count)
    assert len(set(chosen)) == len(chosen) == min(count, len(pool))
    assert set(chosen) <= set(pool)


@given(hashes, hashes, weights, st.integers(1, 6))
def test_a_longer_draw_begins_with_the_shorter(
    height: bytes, subject: bytes, pool: dict[bytes, int], count: int
) -> None:
    longer = draw.weighted(height, "workers", subject, pool, count + 3)
    assert longer[:count] == draw.weighted(height, "workers", subject, pool, count)


def test_the_chance_of_being_first_is_the_share_of_the_stake() -> None:
    pool = {b"a" * 20: 600, b"b" * 20: 300, b"c" * 20: 100}
    firsts = Counter(draw.weighted(beacon(n), "workers", b"", pool, 1)[0] for n in range(2_000))
    for member, weight in pool.items():
        share = weight / 1_000
        deviation = (2_000 * share * (1 - share)) ** 0.5
        assert abs(firsts[member] - 2_000 * share) < 5 * deviation


def test_splitting_a_stake_over_several_keys_gains_no_seat() -> None:
    whole = {b"a" * 20: 500, b"b" * 20: 500}
    split = {b"b" * 20: 500, **{bytes([n]) * 20: 50 for n in range(10)}}
    one = sum(draw.weighted(beacon(n), "w", b"", whole, 1)[0] != b"b" * 20 for n in range(1_000))
    ten = sum(draw.weighted(beacon(n), "w", b"", split, 1)[0] != b"b" * 20 for n in range(1_000))
    assert abs(one - ten) < 110  # five standard deviations of the difference


@pytest.mark.parametrize("nothing", [0, -5])
def test_without_weight_nobody_is_drawn(nothing: int) -> None:
    assert draw.weighted(beacon(1), "workers", b"", {b"a" * 20: nothing}, 3) == ()


def test_purpose_subject_and_beacon_each_make_another_draw() -> None:
    pool = {bytes([n]) * 20: 1 for n in range(200)}
    drawn = {
        draw.weighted(beacon(1), "workers", b"s", pool, 5),
        draw.weighted(beacon(2), "workers", b"s", pool, 5),
        draw.weighted(beacon(1), "committee", b"s", pool, 5),
        draw.weighted(beacon(1), "workers", b"t", pool, 5),
    }
    assert len(drawn) == 4


@given(hashes, hashes, st.integers(0, 300))
def test_a_permutation_holds_every_position_once(height: bytes, unit: bytes, size: int) -> None:
    order = draw.permutation(height, "data", unit, size)
    assert sorted(order) == list(range(size))
    assert order == draw.permutation(height, "data", unit, size)


@given(hashes, hashes, st.integers(1, 64), st.data())
def test_drawn_steps_are_distinct_ascending_and_inside(
    height: bytes, unit: bytes, total: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, total))
    drawn = draw.steps(height, unit, total, count)
    assert list(drawn) == sorted(set(drawn))
    assert len(drawn) == count
    assert all(0 <= step < total for step in drawn)


def test_every_step_can_be_drawn_and_about_equally_often() -> None:
    seen = Counter(step for n in range(2_000) for step in draw.steps(beacon(n), b"u", 8, 2))
    assert sorted(seen) == list(range(8))
    assert max(seen.values()) - min(seen.values()) < 200  # 500 each, deviation 19


def test_each_step_has_verifiers_of_its_own() -> None:
    pool = {bytes([n]) * 20: 1 for n in range(50)}
    drawn = {draw.verifiers(beacon(1), b"u", step, pool, 2) for step in range(20)}
    assert len(drawn) > 15
    assert all(len(set(pair)) == 2 for pair in drawn)


@given(hashes, hashes, st.integers(1, 40), st.integers(1, 20), st.integers(1, 8))
def test_batches_cover_the_records_evenly(
    height: bytes, unit: bytes, records: int, count: int, size: int
) -> None:
    made = draw.batches(height, unit, records, count, size)
    assert [len(batch) for batch in made] == [size] * count
    used = Counter(position for batch in made for position in batch)
    assert set(used) <= set(range(records))
    times = [used[position] for position in range(records)]
    assert max(times) - min(times) <= 1


def test_another_worker_has_another_data_order() -> None:
    orders = {draw.batches(beacon(1), bytes([n]) * 32, 64, 8, 4) for n in range(10)}
    assert len(orders) == 10


def test_no_records_are_refused() -> None:
    with pytest.raises(ValueError, match="no records"):
        draw.batches(beacon(1), b"u", 0, 8, 4)
