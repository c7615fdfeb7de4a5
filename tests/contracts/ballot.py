"""Proposals as the governance tests make them: calls of contracts by name, voted on by account 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils.crypto import keccak

from protocol.params import OPEN
from settlement import abi
from settlement.models.governor import proposal_id
from tests.contracts.scene import Scene
from tests.settlement.pair import ACCOUNTS, PARAMS, Outcome

GOVERNOR = "OpenGovernor"
VOTES = 100_000 * OPEN  # of a supply of 1,000,000: above the quorum of 1 %
VOTING = PARAMS.voting
AGAINST, FOR, ABSTAIN = range(3)
PENDING, ACTIVE, CANCELED, DEFEATED, SUCCEEDED, QUEUED, _, EXECUTED = range(8)


@dataclass(frozen=True)
class Ballot:
    """One proposal: its calls and its text."""

    calls: tuple[tuple[str, ...], tuple[int, ...], tuple[bytes, ...]]
    text: str

    @property
    def id(self) -> int:
        return proposal_id(self.calls, self.hash)

    @property
    def hash(self) -> bytes:
        return keccak(self.text.encode())


class Assembly(Scene):
    """A scene in which account 0 holds and delegates to itself enough votes to decide alone."""

    def __init__(self, votes: int = VOTES, *, box: bool = False) -> None:
        super().__init__(box=box)
        gopen = self.addresses["GOpen"]
        self.done(0, "OpenToken", "approve", gopen, 2**256 - 1)
        self.done(0, "OpenToken", "approve", self.addresses[GOVERNOR], 2**256 - 1)
        if votes:
            self.done(0, "GOpen", "depositFor", ACCOUNTS[0], votes)
            self.done(0, "GOpen", "delegate", ACCOUNTS[0])
        self.wait(1)

    def ballot(self, *calls: tuple[str, str, Sequence[Any]], text: str = "because") -> Ballot:
        """Calls of (contract, function, arguments)."""
        return Ballot(
            (
                tuple(self.addresses[contract] for contract, _, _ in calls),
                (0,) * len(calls),
                tuple(
                    abi.function(contract, function, view=False).call_data(args)
                    for contract, function, args in calls
                ),
            ),
            text,
        )

    def state(self, ballot: Ballot) -> int:
        return int(self.read(GOVERNOR, "state", ballot.id))

    def proposed(self, ballot: Ballot, who: int = 0) -> Outcome:
        return self.done(who, GOVERNOR, "propose", *ballot.calls, ballot.text)

    def queued(self, ballot: Ballot) -> None:
        """Proposed, voted for by account 0, queued."""
        self.proposed(ballot)
        self.wait(VOTING.delay + 1)
        self.done(0, GOVERNOR, "castVote", ballot.id, FOR)
        self.wait(VOTING.period)
        self.done(5, GOVERNOR, "queue", *ballot.calls, ballot.hash)

    def enacted(self, *calls: tuple[str, str, Sequence[Any]], text: str = "because") -> Outcome:
        """The whole way of a proposal that passes."""
        ballot = self.ballot(*calls, text=text)
        self.queued(ballot)
        self.wait(VOTING.timelock)
        return self.done(5, GOVERNOR, "execute", *ballot.calls, ballot.hash)
