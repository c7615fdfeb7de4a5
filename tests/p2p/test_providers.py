"""Provider records: bounded in every direction, expiring; and who is told what when."""

from collections.abc import Set as AbstractSet

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p import providers
from p2p.kad import K, Table
from p2p.providers import (
    EXPIRE_SECONDS,
    FIRST_PAUSE_SECONDS,
    MAX_HOLDERS,
    REFUSED_SECONDS,
    REPUBLISH_SECONDS,
    Records,
    Telling,
)
from protocol.errors import Ignore

KEY, OTHER = b"k" * 32, b"o" * 32
CROWD = [b"%032d" % number for number in range(40)]
BOUNDS = {"MAX_HOLDERS": 3, "MAX_OF_ONE": 5, "MAX_RECORDS": 9}


@given(
    st.lists(
        st.tuples(st.integers(0, 7), st.integers(0, 7), st.floats(0, EXPIRE_SECONDS / 2)),
        max_size=80,
    )
)
def test_records_stay_within_their_bounds_and_are_those_that_live(
    said: list[tuple[int, int, float]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, bound in BOUNDS.items():
            patch.setattr(providers, name, bound)
        records, now = Records(), 0.0
        ends: dict[tuple[bytes, bytes], float] = {}  # what must be there
        for key, provider, later in said:
            now += later
            pair = CROWD[key], CROWD[provider]
            ends = {pair: end for pair, end in ends.items() if end > now}
            try:
                records.add(*pair, now)
            except Ignore as verdict:
                assert pair not in ends
                assert verdict.reason in {"key-full", "provider-full", "store-full"}
            else:
                ends[pair] = now + EXPIRE_SECONDS
            assert len(records) == len(ends) <= 9
            for one in {key for key, _ in ends}:
                held = {provider for at, provider in ends if at == one}
                assert set(records.holders(one, now)) == held and len(held) <= 3
        assert not records.holders(KEY, now + EXPIRE_SECONDS)
        assert len(records) == 0 or said == []


def test_a_full_key_takes_renewals_and_others_again_when_one_ended() -> None:
    records = Records()
    for provider in CROWD[:MAX_HOLDERS]:
        records.add(KEY, provider, 0.0)
    with pytest.raises(Ignore, match="key-full"):
        records.add(KEY, CROWD[-1], 1.0)
    for provider in CROWD[1:MAX_HOLDERS]:
        records.add(KEY, provider, 2.0)
    records.add(KEY, CROWD[-1], EXPIRE_SECONDS)
    assert set(records.holders(KEY, EXPIRE_SECONDS)) == {*CROWD[1:MAX_HOLDERS], CROWD[-1]}


def tell(
    telling: Telling, table: Table, now: float, silent: AbstractSet[bytes] = frozenset()
) -> set[bytes]:
    """Tell all that are due, of whom ``silent`` do not answer; those told."""
    due = telling.due(table, now)
    for keeper, keys in due.items():
        if keeper in silent:
            telling.failed(keeper, now)
        else:
            telling.told(keeper, keys, keys, now)
    return set(due)


def test_the_nearest_are_told_once_and_again_when_it_is_time() -> None:
    telling, table = Telling(), Table(CROWD)
    telling.add(KEY)
    assert tell(telling, table, 0.0) == set(table.nearest(KEY))
    assert not tell(telling, table, REPUBLISH_SECONDS - 1)
    telling.add(OTHER)  # one request carries all keys of a keeper that are due
    assert telling.due(table, REPUBLISH_SECONDS - 1).keys() == set(table.nearest(OTHER))
    assert tell(telling, table, REPUBLISH_SECONDS) == {*table.nearest(KEY), *table.nearest(OTHER)}


def test_who_comes_near_is_told_and_who_was_told_is_not_told_again() -> None:
    telling = Telling()
    telling.add(KEY)
    few, many = Table(CROWD[:12]), Table(CROWD)
    told = tell(telling, few, 0.0)
    came = set(many.nearest(KEY)) - told
    assert came and tell(telling, many, 1.0) == came
    gone = Table(set(CROWD) - set(many.nearest(KEY)))
    assert tell(telling, gone, 2.0) <= set(gone.nearest(KEY))
    assert not tell(telling, gone, 3.0)


def test_for_a_keeper_that_fails_the_next_one_is_told_until_it_is_back() -> None:
    telling, table = Telling(), Table(CROWD)
    telling.add(KEY)
    near = table.nearest(KEY, 2 * K)
    silent = set(near[:2])
    assert tell(telling, table, 0.0, silent) == set(near[:K])
    assert tell(telling, table, 1.0, silent) == set(near[K : K + 2])
    assert not tell(telling, table, 2.0, silent)
    assert tell(telling, table, FIRST_PAUSE_SECONDS, silent) == silent
    assert not tell(telling, table, 2 * FIRST_PAUSE_SECONDS, silent)  # the pause has grown
    assert tell(telling, table, 3 * FIRST_PAUSE_SECONDS) == silent
    assert not tell(telling, table, 3 * FIRST_PAUSE_SECONDS + 1)


def test_a_record_that_is_not_taken_is_offered_again_before_the_others() -> None:
    telling, table = Telling(), Table(CROWD)
    telling.add(KEY)
    first, *rest = telling.due(table, 0.0)
    telling.told(first, [KEY], [], 0.0)
    for keeper in rest:
        telling.told(keeper, [KEY], [KEY], 0.0)
    assert not telling.due(table, REFUSED_SECONDS - 1)
    assert telling.due(table, REFUSED_SECONDS) == {first: [KEY]}
