"""The beacon alone decides which records are reserved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datanet.reserve import reserve_count, reserved

seeds = st.binary(min_size=32, max_size=32)


@given(seeds, seeds, st.integers(3, 200), st.integers(0, 500_000), st.integers(0, 2))
def test_a_set_of_the_asked_size_inside_the_shard(
    beacon: bytes, shard: bytes, records: int, ppm: int, minimum: int
) -> None:
    aside = reserved(beacon, shard, records, ppm, minimum)
    assert list(aside) == sorted(set(aside))
    assert all(0 <= index < records for index in aside)
    assert len(aside) == reserve_count(records, ppm, minimum)
    assert minimum <= len(aside) < records
    assert len(aside) * 1_000_000 >= records * ppm


@given(seeds, seeds)
def test_it_follows_from_beacon_and_shard_alone(beacon: bytes, shard: bytes) -> None:
    assert reserved(beacon, shard, 50, 200_000, 2) == reserved(beacon, shard, 50, 200_000, 2)


def test_another_beacon_or_shard_draws_others_and_every_record_can_be_drawn() -> None:
    draws = [reserved(bytes([n]) * 32, b"s" * 32, 20, 200_000, 2) for n in range(60)]
    assert len(set(draws)) > 50
    assert {index for draw in draws for index in draw} == set(range(20))
    assert reserved(b"b" * 32, b"t" * 32, 20, 200_000, 2) != reserved(
        b"b" * 32, b"u" * 32, 20, 200_000, 2
    )


@pytest.mark.parametrize(("records", "minimum"), [(2, 2), (1, 1), (0, 1)])
def test_something_must_be_left_to_train_on(records: int, minimum: int) -> None:
    with pytest.raises(ValueError, match="cannot be reserved"):
        reserved(bytes(32), bytes(32), records, 20_000, minimum)
