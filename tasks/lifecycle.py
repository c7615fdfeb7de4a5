"""A unit's life as a table. Illegal events raise and nothing changes.

    reserved --anchored--> judging --all ok------------------------------> accepted
       |  |                   |  |--refused by the seats (trained at home)--> void
       |  |                   |  \\--guilty--> disputed --ruled ok---------> accepted
       |  |                   |                  |  \\------ruled guilty----> failed
       |  |                   |                  \\---------deadline/no data> void
       |  |                   \\--deadline, some ok--> accepted; none ok --> void
       |  \\--expired--> expired
       \\--handed back--> handed-back

``void`` is unpaid and never slashed: data or verifiers were missing, and nobody is to blame for that.
Every state that waits has a deadline: ``reserved`` the unit's own, ``judging`` and ``disputed`` the
judging time after their beginning.
"""

from enum import StrEnum

from protocol.errors import LocalError


class State(StrEnum):
    RESERVED = "reserved"
    JUDGING = "judging"
    DISPUTED = "disputed"
    ACCEPTED = "accepted"
    FAILED = "failed"
    VOID = "void"
    EXPIRED = "expired"
    HANDED_BACK = "handed-back"


class Fact(StrEnum):
    ANCHORED = "anchored"
    HANDED_BACK = "handed-back"
    EXPIRED = "expired"
    ALL_OK = "all-ok"
    GUILTY = "guilty"
    REFUSED = "refused"
    TIME_UP_SOME_OK = "time-up-some-ok"
    TIME_UP_NONE_OK = "time-up-none-ok"
    RULED_OK = "ruled-ok"
    RULED_GUILTY = "ruled-guilty"
    RULED_NO_DATA = "ruled-no-data"
    DISPUTE_TIME_UP = "dispute-time-up"


TABLE: dict[State, dict[Fact, State]] = {
    State.RESERVED: {
        Fact.ANCHORED: State.JUDGING,
        Fact.HANDED_BACK: State.HANDED_BACK,
        Fact.EXPIRED: State.EXPIRED,
    },
    State.JUDGING: {
        Fact.ALL_OK: State.ACCEPTED,
        Fact.GUILTY: State.DISPUTED,
        Fact.REFUSED: State.VOID,
        Fact.TIME_UP_SOME_OK: State.ACCEPTED,
        Fact.TIME_UP_NONE_OK: State.VOID,
    },
    State.DISPUTED: {
        Fact.RULED_OK: State.ACCEPTED,
        Fact.RULED_GUILTY: State.FAILED,
        Fact.RULED_NO_DATA: State.VOID,
        Fact.DISPUTE_TIME_UP: State.VOID,
    },
    State.ACCEPTED: {},
    State.FAILED: {},
    State.VOID: {},
    State.EXPIRED: {},
    State.HANDED_BACK: {},
}
FINAL = frozenset(state for state, moves in TABLE.items() if not moves)


def step(state: State, fact: Fact) -> State:
    """The successor. Raises LocalError ``illegal-transition``."""
    if fact not in TABLE[state]:
        raise LocalError("illegal-transition", f"a unit that is {state} cannot become {fact}")
    return TABLE[state][fact]
