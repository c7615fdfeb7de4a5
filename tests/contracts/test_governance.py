"""GOpen, OpenGovernor, OpenTimelock: who may propose, what passes, when it acts, who holds no key."""

from dataclasses import replace

import pytest

from protocol.params import OPEN
from settlement.abi import CONTRACTS, artifact
from tests.contracts.ballot import (
    ABSTAIN,
    ACTIVE,
    AGAINST,
    CANCELED,
    DEFEATED,
    EXECUTED,
    FOR,
    GOVERNOR,
    PENDING,
    QUEUED,
    SUCCEEDED,
    VOTES,
    VOTING,
    Assembly,
)
from tests.settlement.pair import ACCOUNTS, PARAMS, TREASURY

RULES = "RuleRegistry"
NEXT = replace(PARAMS.rules, contributors_bps=3_000, samples=4)


@pytest.fixture
def assembly() -> Assembly:
    return Assembly()


@pytest.fixture
def boxed() -> Assembly:
    """In the box, where also contracts may begin a call."""
    return Assembly(box=True)


def test_a_coin_is_wrapped_one_to_one_and_votes_once_delegated(assembly: Assembly) -> None:
    before = assembly.balance(0)
    assembly.done(0, "GOpen", "depositFor", ACCOUNTS[4], 7)
    assert assembly.balance(0) == before - 7
    assert assembly.read("GOpen", "balanceOf", ACCOUNTS[4]) == 7
    assert assembly.read("GOpen", "getVotes", ACCOUNTS[4]) == 0
    assembly.done(4, "GOpen", "delegate", ACCOUNTS[5])
    assert assembly.read("GOpen", "getVotes", ACCOUNTS[5]) == 7
    assert assembly.refused(4, "GOpen", "withdrawTo", ACCOUNTS[6], 8) == "ERC20InsufficientBalance"
    paid = assembly.balance(6)
    assembly.done(4, "GOpen", "withdrawTo", ACCOUNTS[6], 7)
    assert assembly.balance(6) == paid + 7
    assert assembly.read("GOpen", "getVotes", ACCOUNTS[5]) == 0
    supply = assembly.read("GOpen", "totalSupply")
    assert supply == assembly.balance("GOpen") == VOTES


def test_a_vote_changes_the_rules_at_the_stated_second(assembly: Assembly) -> None:
    start = assembly.now + 1_000
    fee = assembly.balance(8)
    ballot = assembly.ballot((RULES, "append", (NEXT.astuple(), start)))
    assembly.proposed(ballot)
    assert assembly.balance(8) == fee + VOTING.fee  # the treasury is account 8
    assert ACCOUNTS[8] == TREASURY
    assert assembly.state(ballot) == PENDING
    assert (
        assembly.refused(0, GOVERNOR, "castVote", ballot.id, FOR)
        == "GovernorUnexpectedProposalState"
    )
    assembly.wait(VOTING.delay + 1)
    assert assembly.state(ballot) == ACTIVE
    assembly.done(0, GOVERNOR, "castVote", ballot.id, FOR)
    assert assembly.refused(0, GOVERNOR, "castVote", ballot.id, FOR) == "GovernorAlreadyCastVote"
    assert assembly.refused(1, GOVERNOR, "castVote", ballot.id, 3) == "GovernorInvalidVoteType"
    assembly.wait(VOTING.period)
    assert assembly.state(ballot) == SUCCEEDED
    assembly.done(5, GOVERNOR, "queue", *ballot.calls, ballot.hash)
    assert assembly.state(ballot) == QUEUED
    early = assembly.refused(5, GOVERNOR, "execute", *ballot.calls, ballot.hash)
    assert early == "TimelockUnexpectedOperationState"
    assembly.wait(VOTING.timelock)
    assembly.done(5, GOVERNOR, "execute", *ballot.calls, ballot.hash)
    assert assembly.state(ballot) == EXECUTED
    assert assembly.read(RULES, "versionAt", start - 1) == 1
    assert assembly.read(RULES, "versionAt", start) == 2
    assert assembly.read(RULES, "rulesOf", 2) == NEXT.astuple()
    assert assembly.read(RULES, "rulesOf", 1) == PARAMS.rules.astuple()
    assert assembly.read(RULES, "effectiveAt", 2) == start


def test_a_vote_that_comes_too_late_for_its_start_changes_nothing(assembly: Assembly) -> None:
    ballot = assembly.ballot((RULES, "append", (NEXT.astuple(), assembly.now + 10)))
    assembly.queued(ballot)
    assembly.wait(VOTING.timelock)
    assert assembly.refused(5, GOVERNOR, "execute", *ballot.calls, ballot.hash) == "StartTooEarly"
    assert assembly.read(RULES, "lastVersion") == 1


def test_versions_start_in_order(assembly: Assembly) -> None:
    far, near = assembly.now + 2_000, assembly.now + 1_000
    assembly.enacted((RULES, "append", (NEXT.astuple(), far)))
    second = assembly.ballot((RULES, "append", (NEXT.astuple(), near)), text="sooner")
    assembly.queued(second)
    assembly.wait(VOTING.timelock)
    assert assembly.refused(5, GOVERNOR, "execute", *second.calls, second.hash) == "StartTooEarly"


def test_few_votes_propose_nothing_and_few_decide_nothing() -> None:
    assembly = Assembly(votes=VOTING.threshold - 1)
    ballot = assembly.ballot((RULES, "nameGuardian", (ACCOUNTS[1],)))
    refused = assembly.refused(0, GOVERNOR, "propose", *ballot.calls, ballot.text)
    assert refused == "GovernorInsufficientProposerVotes"
    assembly.done(0, "GOpen", "depositFor", ACCOUNTS[0], 1)
    assembly.wait(1)
    assembly.proposed(ballot)  # the threshold is met, the quorum of 10,000 OPEN is not
    assembly.wait(VOTING.delay + 1)
    assembly.done(0, GOVERNOR, "castVote", ballot.id, FOR)
    assembly.wait(VOTING.period)
    assert assembly.state(ballot) == DEFEATED
    refused = assembly.refused(0, GOVERNOR, "queue", *ballot.calls, ballot.hash)
    assert refused == "GovernorUnexpectedProposalState"


def test_the_quorum_is_the_larger_of_two_shares(assembly: Assembly) -> None:
    supply = PARAMS.supply
    assert assembly.read(GOVERNOR, "quorum", assembly.now - 1) == supply // 100
    assembly.done(0, "GOpen", "depositFor", ACCOUNTS[0], supply // 2)
    assembly.wait(1)
    assert assembly.read(GOVERNOR, "quorum", assembly.now - 1) == (VOTES + supply // 2) // 20


@pytest.mark.parametrize(("support", "state"), [(AGAINST, DEFEATED), (ABSTAIN, DEFEATED)])
def test_more_for_than_against_is_needed(assembly: Assembly, support: int, state: int) -> None:
    ballot = assembly.ballot((RULES, "nameGuardian", (ACCOUNTS[1],)))
    assembly.proposed(ballot)
    assembly.wait(VOTING.delay + 1)
    assembly.done(0, GOVERNOR, "castVote", ballot.id, support)
    assembly.wait(VOTING.period)
    assert assembly.state(ballot) == state


def test_coins_that_come_after_a_vote_began_do_not_count_in_it(assembly: Assembly) -> None:
    ballot = assembly.ballot((RULES, "nameGuardian", (ACCOUNTS[1],)))
    assembly.proposed(ballot)
    assembly.wait(VOTING.delay + 1)
    assembly.done(0, "GOpen", "depositFor", ACCOUNTS[0], VOTES)
    outcome = assembly.done(0, GOVERNOR, "castVote", ballot.id, FOR)
    assert outcome.events[0][2]["weight"] == VOTES


def test_a_proposal_costs_its_fee(assembly: Assembly) -> None:
    assembly.done(0, "OpenToken", "approve", assembly.addresses[GOVERNOR], VOTING.fee - 1)
    ballot = assembly.ballot((RULES, "nameGuardian", (ACCOUNTS[1],)))
    refused = assembly.refused(0, GOVERNOR, "propose", *ballot.calls, ballot.text)
    assert refused == "ERC20InsufficientAllowance"


def test_a_proposer_cancels_before_the_vote_only(assembly: Assembly) -> None:
    ballot = assembly.ballot((RULES, "nameGuardian", (ACCOUNTS[1],)))
    assembly.proposed(ballot)
    cancel = (GOVERNOR, "cancel", *ballot.calls, ballot.hash)
    assert assembly.refused(1, *cancel) == "GovernorUnableToCancel"
    assembly.done(0, *cancel)
    assert assembly.state(ballot) == CANCELED


def test_nobody_but_the_governor_moves_the_timelock(boxed: Assembly) -> None:
    ballot = boxed.ballot((RULES, "nameGuardian", (ACCOUNTS[1],)))
    salt = bytes(32)
    batch = (*ballot.calls, bytes(32), salt)
    for sender in (ACCOUNTS[0], TREASURY):
        for call in (("scheduleBatch", *batch, 100), ("executeBatch", *batch), ("cancel", salt)):
            assert boxed.would_on_evm(sender, "OpenTimelock", *call) == (
                "AccessControlUnauthorizedAccount"
            )
        admin = ("grantRole", bytes(32), sender)
        assert boxed.would_on_evm(sender, "OpenTimelock", *admin) == (
            "AccessControlUnauthorizedAccount"
        )
        assert boxed.would(sender, "OpenTimelock", "updateDelay", 0) == "TimelockUnauthorizedCaller"
        assert boxed.would(sender, GOVERNOR, "setVotingDelay", 0) == "GovernorOnlyExecutor"
    zero = bytes(32)
    holders = [*ACCOUNTS, *boxed.addresses.values()]
    admins = [a for a in holders if boxed.read_on_evm("OpenTimelock", "hasRole", zero, a)]
    assert admins == [boxed.addresses["OpenTimelock"]]


def test_a_vote_names_a_guardian_once_for_one_pause(assembly: Assembly) -> None:
    assembly.done(7, RULES, "pause", 100)
    assert assembly.refused(7, RULES, "pause", 100) == "NotGuardian"
    assembly.enacted((RULES, "nameGuardian", (ACCOUNTS[6],)))
    assembly.done(6, RULES, "pause", 1_000)
    assert assembly.read(RULES, "paused")
    assembly.enacted((RULES, "unpause", ()), text="enough")
    assert not assembly.read(RULES, "paused")


def test_a_vote_names_a_successor_once(boxed: Assembly) -> None:
    old, new = boxed.addresses["AttributionPool"], boxed.addresses["InferenceChannels"]
    boxed.enacted((RULES, "nameSuccessor", (old, new)))
    assert boxed.read(RULES, "successorOf", old) == new
    timelock = boxed.addresses["OpenTimelock"]
    again = (RULES, "nameSuccessor", old, boxed.addresses["OpenToken"])
    assert boxed.would(timelock, *again) == "SuccessorExists"
    for bad in (ACCOUNTS[1], new):
        assert boxed.would(timelock, RULES, "nameSuccessor", new, bad) == "BadSuccessor"


def test_balances_stay_claimable_in_a_contract_that_has_a_successor(assembly: Assembly) -> None:
    tree = assembly.settle(3 * OPEN, 2 * OPEN)
    old, new = assembly.addresses["AttributionPool"], assembly.addresses["InferenceChannels"]
    assembly.enacted((RULES, "nameSuccessor", (old, new)))
    for index, amount in enumerate((3 * OPEN, 2 * OPEN)):
        before = assembly.balance(index + 5)
        assembly.done(8, "AttributionPool", "claim", *assembly.claim_args(tree, index))
        assert assembly.balance(index + 5) == before + amount


def test_every_contract_fits_the_chain_s_limit() -> None:
    sizes = {name: len(artifact(name).runtime) for name in CONTRACTS}
    assert max(sizes.values()) < 24_576, sizes
