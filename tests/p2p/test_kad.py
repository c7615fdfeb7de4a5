"""Kademlia's geometry and lookups: against the plain definition, and against liars and silence."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.kad import ALPHA, MOST_ASKED, K, Lookup, Table, place

KEY = b"k" * 32
names = st.sets(st.binary(min_size=32, max_size=32), max_size=60)
crowd = [b"%032d" % number for number in range(40)]


def by_distance(key: bytes, among: set[bytes]) -> list[bytes]:
    """The definition."""
    return sorted(among, key=lambda name: place(name) ^ place(key))


@given(names, st.binary(max_size=32), st.integers(1, 20))
def test_the_nearest_are_those_of_the_definition(among: set[bytes], key: bytes, count: int) -> None:
    assert Table(among).nearest(key, count) == by_distance(key, among)[:count]


def search(lookup: Lookup, ask: Callable[[bytes], tuple[list[bytes], list[bytes]] | None]) -> int:
    """Play a lookup to its end; how many were asked."""
    asked = 0
    while chosen := lookup.following():
        assert len(chosen) <= ALPHA
        asked += len(chosen)
        for name in chosen:
            said = ask(name)
            if said is None:
                lookup.silence(name)
            else:
                lookup.answer(name, *said)
    return asked


@given(names, names, st.sets(st.integers(0, 59)))
def test_of_partial_views_the_nearest_that_answer_are_asked(
    among: set[bytes], more: set[bytes], mute: set[int]
) -> None:
    """Everybody knows all; who asks begins with a few and is told of nearer ones."""
    everybody = among | more
    silent = {name for number, name in enumerate(sorted(everybody)) if number in mute}
    silent = set(by_distance(KEY, silent)[:K])  # more would spend all questions
    table, asked = Table(everybody), list[bytes]()

    def ask(name: bytes) -> tuple[list[bytes], list[bytes]] | None:
        asked.append(name)
        return None if name in silent else ([name], table.nearest(KEY))

    start = by_distance(KEY, among)[:K]
    lookup = Lookup(KEY, start, table.names.__contains__)
    assert search(lookup, ask) == len(set(asked)) <= MOST_ASKED
    if set(start) <= silent:  # then nobody told of others
        assert not lookup.answers
    elif not silent:
        assert set(by_distance(KEY, everybody)[:K]) <= set(asked)
        assert set(lookup.holders()) == set(asked)


@pytest.mark.parametrize("lies", [1, K - 1])
def test_one_honest_answer_counts_among_any_number_of_liars(lies: int) -> None:
    table, holder, stranger = Table(crowd), crowd[0], b"s" * 32
    near = table.nearest(KEY)
    liars = near[:lies]

    def ask(name: bytes) -> tuple[list[bytes], list[bytes]]:
        if name not in liars:
            return [holder], near
        return [stranger, *crowd[20:39]], [stranger, *near]  # all of them the same

    lookup = Lookup(KEY, near, table.names.__contains__)
    assert search(lookup, ask) == K
    assert holder in lookup.holders()[:2] and stranger not in lookup.holders()
    assert lookup.strangers == 2 * lies


def test_each_answer_has_its_turn_and_each_name_comes_once() -> None:
    near = Table(crowd).nearest(KEY)
    lookup = Lookup(KEY, near, lambda name: True)
    assert lookup.following() == near[:ALPHA]
    lookup.answer(near[0], [crowd[1]] * 9 + crowd[2:4], ())
    lookup.answer(near[1], [crowd[4]], ())
    lookup.answer(near[2], [crowd[1], crowd[2], crowd[5]], ())
    assert lookup.holders() == [crowd[1], crowd[4], crowd[2], crowd[3], crowd[5]]


def test_the_next_nearest_are_asked_in_place_of_silent_ones_and_not_without_end() -> None:
    table = Table(crowd)
    near = table.nearest(KEY, len(crowd))
    lookup = Lookup(KEY, near, table.names.__contains__)
    assert search(lookup, lambda name: None if name in near[:3] else ([], [])) == K + 3
    assert lookup.answers == K
    mute = Lookup(KEY, near, table.names.__contains__)
    assert search(mute, lambda name: None) == MOST_ASKED and mute.answers == 0


def test_no_more_than_alpha_are_under_way() -> None:
    near = Table(crowd).nearest(KEY)
    lookup = Lookup(KEY, near, lambda name: True)
    assert len(lookup.following()) == ALPHA and lookup.following() == []
    lookup.answer(near[1], (), ())
    assert lookup.following() == [near[3]]
