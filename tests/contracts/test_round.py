"""Cancelling a unit and reclaiming its pot at every state of a round: what each call answers."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from protocol.params import OPEN
from settlement.sumtree import SumTree
from tests.contracts.court import REJECT, UPHOLD, Court
from tests.contracts.scene import GENESIS, TASK, UNIT
from tests.settlement.pair import PARAMS

POOL = "AttributionPool"
WORKER, ANYBODY, FUNDER = 4, 8, 0
ROUNDS = [
    "open reserved late",
    "open reserved anchored slashed",
    "open reserved anchored drawn frozen voided restored drawn active settled",
    "open reserved anchored drawn frozen thawed active reclaimed",
]
PATHS = {
    " ".join(line.split()[: end + 1]): line.split()[: end + 1]
    for line in ROUNDS
    for end in range(len(line.split()))
}
CALLS = [(WORKER, "handBack"), (ANYBODY, "expire"), (ANYBODY, "settleUnit"), (FUNDER, "reclaim")]
STATE = "WrongUnitState"
# What the calls answer, in their order; "" is done.
ANSWERS = {
    "open": (STATE, STATE, STATE, "NotIdle"),
    "reserved": ("", "DeadlineAhead", STATE, "NotIdle"),
    "late": ("", "", STATE, "NotIdle"),
    "anchored": (STATE, STATE, "NotSettled", "NotIdle"),
    "slashed": (STATE, "", "UnitSlashed", "NotIdle"),
    "drawn": (STATE, STATE, "NotSettled", "NotSettled"),
    "frozen": (STATE, STATE, "NotSettled", "NotSettled"),
    "thawed": (STATE, STATE, "NotSettled", "NotSettled"),
    "voided": (STATE, STATE, "NotSettled", "NotSettled"),
    "restored": (STATE, STATE, "NotSettled", "NotIdle"),
    "active": (STATE, STATE, "", ""),
    "settled": (STATE, STATE, STATE, ""),
    "reclaimed": (STATE, STATE, "", "EmptyPot"),
}


class Room(Court):
    """A court in which nobody has begun to work."""

    def anchor(self) -> None:
        """Left to the round."""


@dataclass(slots=True)
class Round:
    """A pot of 10 OPEN with one unit of 1 OPEN, of which an epoch draws 3."""

    court: Room = field(default_factory=Room)
    pot: bytes = b""
    tree: SumTree | None = None
    case: bytes = b""
    challenges: int = 0
    before: int = 0  # the funder's coins

    def to(self, *states: str) -> "Round":
        """Go through these states one after the other."""
        for state in states:
            step: Callable[[], None] = getattr(self, f"_{state}")
            step()
        return self

    def call(self, who: int, function: str) -> str:
        """The error, or nothing."""
        subject = self.pot if function == "reclaim" else UNIT
        return self.court.write(who, POOL, function, subject).error

    def _open(self) -> None:
        self.before = self.court.balance(FUNDER)
        self.pot = self.court.another(b"k" * 32, 10 * OPEN)

    def _reserved(self) -> None:
        self.court.done(WORKER, POOL, "reserve", self.pot, TASK)

    def _late(self) -> None:
        self.court.wait(31)

    def _anchored(self) -> None:
        self.court.done(WORKER, POOL, "anchor", UNIT, b"r" * 32, b"a" * 32)

    def _slashed(self) -> None:
        self.court.slash(OPEN)

    def _drawn(self) -> None:
        self.tree = self.court.pending(3 * OPEN, job=self.pot)

    def _frozen(self) -> None:
        self.case = self.court.challenged(1, self.challenges)
        self.challenges += 1

    def _voided(self) -> None:
        self.court.judged(UPHOLD, UPHOLD, UPHOLD, case=self.case)

    def _restored(self) -> None:
        assert self.tree is not None
        root = self.court.roots[self.tree.root]
        self.court.done(ANYBODY, POOL, "restore", GENESIS, root, ((self.pot, 3 * OPEN),))

    def _thawed(self) -> None:
        self.court.judged(REJECT, REJECT, REJECT, case=self.case)

    def _active(self) -> None:
        self.court.wait(PARAMS.window)

    def _settled(self) -> None:
        self.court.done(ANYBODY, POOL, "settleUnit", UNIT)

    def _reclaimed(self) -> None:
        self.court.done(FUNDER, POOL, "reclaim", self.pot)


@pytest.mark.parametrize("path", PATHS)
def test_cancel_and_reclaim_at_every_state_of_a_round(path: str) -> None:
    states = PATHS[path]
    refusing = Round().to(*states)
    for (who, function), error in zip(CALLS, ANSWERS[states[-1]], strict=True):
        if error:
            assert refusing.call(who, function) == error, function
        else:
            assert not Round().to(*states).call(who, function), function


@pytest.mark.parametrize("path", PATHS)
def test_a_round_s_coins_are_in_its_pot_owed_or_back_at_its_funder(path: str) -> None:
    """10 OPEN wherever the round stands; a voided draw is owed until it is restored."""
    now = Round().to(*PATHS[path])
    escrow = now.court.read(POOL, "potOf", now.pot)[1]
    back = now.court.balance(FUNDER) - (now.before - 10 * OPEN)
    assert escrow + now.court.total() + back == 10 * OPEN
