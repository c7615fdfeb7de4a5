"""A unit's table: no state is a trap, and what is not in the table cannot happen."""

import pytest

from protocol.errors import LocalError
from tasks.lifecycle import FINAL, TABLE, Fact, State, step

ILLEGAL = [(state, fact) for state in State for fact in Fact if fact not in TABLE[state]]


def reachable(start: State) -> set[State]:
    found, edge = {start}, [start]
    while edge:
        after = set(TABLE[edge.pop()].values()) - found
        found |= after
        edge += after
    return found


@pytest.mark.parametrize(("state", "fact"), ILLEGAL)
def test_an_illegal_event_raises_and_nothing_changes(state: State, fact: Fact) -> None:
    before = {state: dict(moves) for state, moves in TABLE.items()}
    with pytest.raises(LocalError, match="illegal-transition"):
        step(state, fact)
    assert before == TABLE


def test_every_state_stands_in_the_table_and_is_reached() -> None:
    assert set(TABLE) == set(State)
    assert reachable(State.RESERVED) == set(State)


def test_every_fact_is_used() -> None:
    assert {fact for moves in TABLE.values() for fact in moves} == set(Fact)


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_way_to_an_end(state: State) -> None:
    assert reachable(state) & FINAL


def test_no_way_leads_back() -> None:
    assert all(state not in reachable(after) for state in State for after in TABLE[state].values())


@pytest.mark.parametrize(
    ("facts", "end"),
    [
        ((Fact.HANDED_BACK,), State.HANDED_BACK),
        ((Fact.EXPIRED,), State.EXPIRED),
        ((Fact.ANCHORED, Fact.ALL_OK), State.ACCEPTED),
        ((Fact.ANCHORED, Fact.TIME_UP_SOME_OK), State.ACCEPTED),
        ((Fact.ANCHORED, Fact.TIME_UP_NONE_OK), State.VOID),
        ((Fact.ANCHORED, Fact.GUILTY, Fact.RULED_GUILTY), State.FAILED),
        ((Fact.ANCHORED, Fact.GUILTY, Fact.RULED_OK), State.ACCEPTED),
        ((Fact.ANCHORED, Fact.GUILTY, Fact.RULED_NO_DATA), State.VOID),
        ((Fact.ANCHORED, Fact.GUILTY, Fact.DISPUTE_TIME_UP), State.VOID),
    ],
)
def test_the_ways_a_unit_ends(facts: tuple[Fact, ...], end: State) -> None:
    state = State.RESERVED
    for fact in facts:
        assert state not in FINAL
        state = step(state, fact)
    assert state is end
    assert state in FINAL
