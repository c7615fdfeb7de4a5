"""Set reconciliation: exactly the difference is found, in few rounds, and a liar costs nothing."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.reconcile import LEAF_IDS, Branch, Branches, Probe, Search, answer, digest, under
from protocol.codec import pack
from protocol.errors import PeerError
from protocol.ids import content_id

SALT = b"s" * 32


def ids(*numbers: int) -> tuple[bytes, ...]:
    return tuple(sorted(content_id(b"%d" % number) for number in numbers))


def reconcile(ours: tuple[bytes, ...], theirs: tuple[bytes, ...]) -> tuple[list[bytes], int, int]:
    """(missing, rounds, bytes both ways)."""
    search, rounds, size = Search(ours, SALT), 0, 0
    while (probe := search.probe()) is not None:
        found = answer(theirs, probe)
        size += len(pack(probe)) + len(pack(found))
        search.take(found)
        rounds += 1
    return search.missing, rounds, size


@given(st.sets(st.integers(0, 400)), st.sets(st.integers(0, 400)))
def test_exactly_what_is_missing_is_found(ours: set[int], theirs: set[int]) -> None:
    missing, _, _ = reconcile(ids(*ours), ids(*theirs))
    assert sorted(missing) == list(ids(*(theirs - ours)))


def test_bytes_grow_with_the_difference_and_not_with_the_set() -> None:
    everything = ids(*range(20_000))
    lacking = set(random.Random(1).sample(everything, 50))
    missing, rounds, size = reconcile(tuple(i for i in everything if i not in lacking), everything)
    assert set(missing) == lacking and rounds <= 5
    assert size < len(everything) * 32 / 4  # what the list of all ids would take, four times over
    assert reconcile(everything, everything)[1:] <= (1, 400)


def test_a_wide_difference_takes_several_probes() -> None:
    missing, rounds, _ = reconcile((), ids(*range(5_000)))
    assert len(missing) == 5_000 and rounds <= 25


@pytest.mark.parametrize(
    "lie",
    [
        Branches(()),
        Branches((Branch((b"x",) * 15, ()),)),
        Branches((Branch((b"x",) * 16, ()),) * 2),
    ],
)
def test_nonsense_is_the_peers_fault(lie: Branches) -> None:
    search = Search(ids(1), SALT)
    search.probe()
    with pytest.raises(PeerError) as caught:
        search.take(lie)
    assert caught.value.code == "bad-branches"


def test_ids_that_are_not_under_the_prefix_are_refused() -> None:
    theirs = ids(*range(100))
    search = Search((), SALT)
    search.probe()
    search.take(answer(theirs, Probe(SALT, ("",))))
    probe = search.probe()
    assert probe is not None
    with pytest.raises(PeerError):
        search.take(Branches((Branch((), theirs[:LEAF_IDS]),) * len(probe.prefixes)))


def test_a_prefix_is_lower_case_hex() -> None:
    with pytest.raises(PeerError) as caught:
        answer(ids(1), Probe(SALT, ("AG",)))
    assert caught.value.code == "bad-prefix"


def test_digests_depend_on_the_salt() -> None:
    some = ids(*range(20))
    assert digest(some, SALT) != digest(some, b"t" * 32) and digest((), SALT) == b""
    assert [list(under(some, p)) for p in ("",)] == [list(some)]
