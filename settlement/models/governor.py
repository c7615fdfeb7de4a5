"""Model of ``OpenGovernor``: proposals, votes, queue, execution."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from settlement.models.ledger import ZERO32, ZERO_ADDRESS, Env, Model, Slot, Table, revert
from settlement.models.timelock import DONE, Calls, OpenTimelock, governor_salt
from settlement.models.token import OpenToken
from settlement.models.votes import GOpen

QUORUM_BPS_OF_VOTES, QUORUM_BPS_OF_COINS, ALL_BPS = 500, 100, 10_000
SUFFIX = re.compile(r"#proposer=(0x[0-9a-fA-F]{40})$", re.DOTALL)


class State(IntEnum):
    """Of a proposal, by the contract's numbers."""

    PENDING = 0
    ACTIVE = 1
    CANCELED = 2
    DEFEATED = 3
    SUCCEEDED = 4
    QUEUED = 5
    EXPIRED = 6
    EXECUTED = 7


@dataclass(frozen=True, slots=True)
class Proposal:
    """``start`` 0: no such proposal. Times are unix seconds."""

    proposer: str = ZERO_ADDRESS
    start: int = 0
    seconds: int = 0
    eta: int = 0
    executed: bool = False
    canceled: bool = False
    operation: bytes = ZERO32  # in the timelock


@dataclass(frozen=True, slots=True)
class GovernorTerms:
    """Constructor parameters: seconds, gOPEN, OPEN, who gets the fees."""

    voting_delay: int
    voting_period: int
    threshold: int
    fee: int
    treasury: str


class OpenGovernor(Model):
    """Votes over calls of the timelock."""

    NAME = "OpenGovernor"

    def __init__(
        self,
        env: Env,
        address: str,
        token: OpenToken,
        votes: GOpen,
        timelock: OpenTimelock,
        terms: GovernorTerms,
    ) -> None:
        super().__init__(env, address)
        self._token = token
        self._gopen = votes
        self._timelock = timelock
        self._terms = terms
        self._delay = Slot(env, 0)
        self._period = Slot(env, 0)
        self._threshold = Slot(env, 0)
        self._proposals: Table[int, Proposal] = Table(env, Proposal())
        self._tallies: Table[int, tuple[int, int, int]] = Table(env, (0, 0, 0))
        self._voted: Table[tuple[int, str], bool] = Table(env, False)
        self._set("VotingDelay", self._delay, terms.voting_delay)
        self._set_period(terms.voting_period)
        self._set("ProposalThreshold", self._threshold, terms.threshold)
        change = {"oldTimelock": ZERO_ADDRESS, "newTimelock": timelock.address}
        self.emit("TimelockChange", change)
        if terms.treasury == ZERO_ADDRESS:
            raise revert("ZeroTreasury")

    def propose(
        self,
        sender: str,
        targets: Sequence[str],
        values: Sequence[int],
        calldatas: Sequence[bytes],
        description: str,
    ) -> int:
        self._check_proposer(sender, description)
        calls = targets, values, calldatas
        number = proposal_id(calls, keccak(description.encode()))
        if not len(targets) == len(values) == len(calldatas) or not targets:
            raise revert("GovernorInvalidProposalLength", *map(len, calls))
        if self._proposals[number].start:
            raise revert("GovernorUnexpectedProposalState", number, self.state(number))
        start, seconds = self.env.now + self._delay.value, self._period.value
        self._proposals[number] = Proposal(sender, start, seconds)
        self._emit_created(number, sender, calls, description)
        fee = {"proposalId": number, "proposer": sender, "amount": self._terms.fee}
        self.emit("ProposalFeePaid", fee)
        if self._terms.fee:
            to = self._terms.treasury
            self._token.transferFrom(self.address, sender, to, self._terms.fee)
        return number

    def castVote(self, sender: str, proposalId: int, support: int) -> int:
        self._in_state(proposalId, State.ACTIVE)
        weight = self._gopen.getPastVotes(sender, self._proposals[proposalId].start)
        if self._voted[proposalId, sender]:
            raise revert("GovernorAlreadyCastVote", sender)
        tally = list(self._tallies[proposalId])
        if support >= len(tally):
            raise revert("GovernorInvalidVoteType")
        tally[support] += weight
        self._voted[proposalId, sender] = True
        self._tallies[proposalId] = (tally[0], tally[1], tally[2])
        told = {"voter": sender, "proposalId": proposalId, "support": support, "weight": weight}
        self.emit("VoteCast", {**told, "reason": ""})
        return weight

    def queue(
        self,
        _sender: str,
        targets: Sequence[str],
        values: Sequence[int],
        calldatas: Sequence[bytes],
        descriptionHash: bytes,
    ) -> int:
        calls = targets, values, calldatas
        number = proposal_id(calls, descriptionHash)
        self._in_state(number, State.SUCCEEDED)
        operation = self._timelock.schedule_batch(calls, self._salt(descriptionHash))
        eta = self.env.now + self._timelock.getMinDelay()
        proposal = self._proposals[number]
        self._proposals[number] = replace(proposal, eta=eta, operation=operation)
        self.emit("ProposalQueued", {"proposalId": number, "etaSeconds": eta})
        return number

    def execute(
        self,
        _sender: str,
        targets: Sequence[str],
        values: Sequence[int],
        calldatas: Sequence[bytes],
        descriptionHash: bytes,
    ) -> int:
        calls = targets, values, calldatas
        number = proposal_id(calls, descriptionHash)
        self._in_state(number, State.QUEUED)
        self._proposals[number] = replace(self._proposals[number], executed=True)
        self._timelock.execute_batch(calls, self._salt(descriptionHash))
        self.emit("ProposalExecuted", {"proposalId": number})
        return number

    def cancel(
        self,
        sender: str,
        targets: Sequence[str],
        values: Sequence[int],
        calldatas: Sequence[bytes],
        descriptionHash: bytes,
    ) -> int:
        number = proposal_id((targets, values, calldatas), descriptionHash)
        mine = sender == self._proposals[number].proposer
        if self.state(number) != State.PENDING or not mine:
            raise revert("GovernorUnableToCancel", number, sender)
        self._proposals[number] = replace(self._proposals[number], canceled=True)
        self.emit("ProposalCanceled", {"proposalId": number})
        return number

    def setVotingDelay(self, sender: str, newVotingDelay: int) -> None:
        self._only_timelock(sender)
        self._set("VotingDelay", self._delay, newVotingDelay)

    def setVotingPeriod(self, sender: str, newVotingPeriod: int) -> None:
        self._only_timelock(sender)
        self._set_period(newVotingPeriod)

    def setProposalThreshold(self, sender: str, newProposalThreshold: int) -> None:
        self._only_timelock(sender)
        self._set("ProposalThreshold", self._threshold, newProposalThreshold)

    def state(self, proposalId: int) -> int:
        proposal = self._proposals[proposalId]
        if proposal.executed or proposal.canceled:
            return State.EXECUTED if proposal.executed else State.CANCELED
        if not proposal.start:
            raise revert("GovernorNonexistentProposal", proposalId)
        if proposal.start >= self.env.now:
            return State.PENDING
        if proposal.start + proposal.seconds >= self.env.now:
            return State.ACTIVE
        if not self._passed(proposalId, proposal.start):
            return State.DEFEATED
        return self._queued(proposal) if proposal.eta else State.SUCCEEDED

    def quorum(self, timepoint: int) -> int:
        of_votes = self._gopen.getPastTotalSupply(timepoint) * QUORUM_BPS_OF_VOTES // ALL_BPS
        return max(of_votes, self._token.totalSupply() * QUORUM_BPS_OF_COINS // ALL_BPS)

    def hasVoted(self, proposalId: int, account: str) -> bool:
        return self._voted[proposalId, account]

    def proposalVotes(self, proposalId: int) -> tuple[int, int, int]:
        return self._tallies[proposalId]

    def proposalSnapshot(self, proposalId: int) -> int:
        return self._proposals[proposalId].start

    def proposalDeadline(self, proposalId: int) -> int:
        return self._proposals[proposalId].start + self._proposals[proposalId].seconds

    def proposalEta(self, proposalId: int) -> int:
        return self._proposals[proposalId].eta

    def proposalProposer(self, proposalId: int) -> str:
        return self._proposals[proposalId].proposer

    def votingDelay(self) -> int:
        return self._delay.value

    def votingPeriod(self) -> int:
        return self._period.value

    def proposalThreshold(self) -> int:
        return self._threshold.value

    def proposalFee(self) -> int:
        return self._terms.fee

    def treasury(self) -> str:
        return self._terms.treasury

    def token(self) -> str:
        return self._gopen.address

    def timelock(self) -> str:
        return self._timelock.address

    def _check_proposer(self, sender: str, description: str) -> None:
        named = SUFFIX.search(description)
        if named and named.group(1).lower() != sender.lower():
            raise revert("GovernorRestrictedProposer", sender)
        if self._threshold.value:
            votes = self._gopen.getPastVotes(sender, self.env.now - 1)
            if votes < self._threshold.value:
                least = self._threshold.value
                raise revert("GovernorInsufficientProposerVotes", sender, votes, least)

    def _emit_created(self, number: int, proposer: str, calls: Calls, description: str) -> None:
        start = self._proposals[number].start
        told = {
            "proposalId": number,
            "proposer": proposer,
            "targets": tuple(calls[0]),
            "values": tuple(calls[1]),
            "signatures": ("",) * len(calls[0]),
            "calldatas": tuple(calls[2]),
            "voteStart": start,
            "voteEnd": start + self._period.value,
            "description": description,
        }
        self.emit("ProposalCreated", told)

    def _passed(self, number: int, start: int) -> bool:
        against, for_, abstain = self._tallies[number]
        return self.quorum(start) <= for_ + abstain and for_ > against

    def _queued(self, proposal: Proposal) -> State:
        if self._timelock.isOperationPending(proposal.operation):
            return State.QUEUED
        done = self._timelock.getOperationState(proposal.operation) == DONE
        return State.EXECUTED if done else State.CANCELED

    def _in_state(self, number: int, needed: State) -> None:
        state = self.state(number)
        if state != needed:
            raise revert("GovernorUnexpectedProposalState", number, state)

    def _salt(self, description_hash: bytes) -> bytes:
        return governor_salt(self.address, description_hash)

    def _only_timelock(self, sender: str) -> None:
        if sender != self._timelock.address:
            raise revert("GovernorOnlyExecutor", sender)

    def _set_period(self, seconds: int) -> None:
        if not seconds:
            raise revert("GovernorInvalidVotingPeriod", 0)
        self._set("VotingPeriod", self._period, seconds)

    def _set(self, what: str, slot: Slot[int], value: int) -> None:
        self.emit(f"{what}Set", {f"old{what}": slot.value, f"new{what}": value})
        slot.value = value


def proposal_id(calls: Calls, description_hash: bytes) -> int:
    """uint256(keccak256(abi.encode(targets, values, calldatas, descriptionHash)))."""
    types = ["address[]", "uint256[]", "bytes[]", "bytes32"]
    return int.from_bytes(keccak(encode(types, [*calls, description_hash])), "big")
