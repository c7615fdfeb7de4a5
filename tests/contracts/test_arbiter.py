"""Arbiter: what the committee, an accuser, an accused and a jury can do to each other, and no more."""

import pytest

from protocol.params import OPEN
from settlement.models.arbiter import CLOSED
from settlement.models.jury import SEED_BLOCKS, SEED_DELAY, vote_commitment
from tests.contracts.court import (
    ARBITER,
    CASE,
    COURT,
    FINDING,
    JURORS,
    NO_DATA,
    PANEL,
    REJECT,
    SALT,
    UPHOLD,
    Court,
)
from tests.contracts.scene import EVIDENCE, NOBODY, TASK, UNIT, high_s
from tests.settlement.pair import ACCOUNTS, PARAMS, Outcome

STAKES, POOL, REGISTRY = "WorkerStake", "AttributionPool", "AssetRegistry"
LOSS, FALSE, BOND, FEE = PARAMS.unit_stake, COURT.accuser_stake, COURT.bond, COURT.juror_fee


@pytest.fixture
def court() -> Court:
    return Court()


def names(outcome: Outcome) -> list[str]:
    return [name for _, name, _ in outcome.events]


# -- orders ---


def test_an_order_acts_when_nobody_appealed_in_time(court: Court) -> None:
    court.order()
    assert court.refused(8, ARBITER, "execute", CASE) == "AppealOpen"
    assert court.stakes(4) == [0]
    court.wait(COURT.appeal_seconds)
    assert court.refused(4, ARBITER, "appeal", CASE) == "AppealOver"
    court.done(8, ARBITER, "execute", CASE)
    assert court.stakes(4) == [-LOSS]
    assert court.read(STAKES, "isSlashed", ACCOUNTS[4], UNIT) is True
    for function in ("execute", "appeal", "decide"):
        assert court.refused(8, ARBITER, function, CASE) == "WrongStage"
    assert court.refused(8, ARBITER, "order", *court.slash_args(4, OPEN)) == "AlreadyOrdered"


def test_only_a_quorum_of_seats_orders(court: Court) -> None:
    order, signatures = court.slash_args(4, OPEN, signers=(2, 4))
    assert court.refused(8, ARBITER, "order", order, signatures) == "NotSeated"
    order, signatures = court.slash_args(4, OPEN)
    assert court.refused(8, ARBITER, "order", order, signatures[:1]) == "WrongSignatureCount"
    assert court.refused(8, ARBITER, "order", order, signatures[::-1]) == "SignersUnsorted"
    more = (*order[:2], 2 * OPEN, *order[3:])
    assert court.refused(8, ARBITER, "order", more, signatures) in ("NotSeated", "SignersUnsorted")
    high = (high_s(signatures[0]), signatures[1])
    assert court.refused(8, ARBITER, "order", order, high) == "ECDSAInvalidSignatureS"


def test_seats_take_no_more_than_the_lock_of_an_anchored_unit(court: Court) -> None:
    """Not of any operator, not any amount, not before the commitment, not under another's unit."""
    above = court.slash_args(4, LOSS + 1)
    assert court.refused(8, ARBITER, "order", *above) == "AboveLock"
    assert court.refused(8, ARBITER, "order", *court.slash_args(4, 0)) == "AboveLock"
    assert court.refused(8, ARBITER, "order", *court.slash_args(1, OPEN)) == "AboveLock"
    made_up = court.slash_args(4, OPEN, unit=b"?" * 32)
    assert court.refused(8, ARBITER, "order", *made_up) == "UnitNotAnchored"
    court.done(1, POOL, "reserve", court.job, TASK)
    reserved = court.read(POOL, "unitId", ACCOUNTS[1], TASK)
    early = court.slash_args(1, OPEN, unit=reserved)
    assert court.refused(8, ARBITER, "order", *early) == "UnitNotAnchored"


def test_the_reporter_has_accused_with_this_evidence(court: Court) -> None:
    crony = court.slash_args(4, LOSS, reporter=1)
    assert court.refused(8, ARBITER, "order", *crony) == "NotReporter"
    court.done(1, ARBITER, "accuse", UNIT, FINDING, b"other".ljust(32))
    assert court.refused(8, ARBITER, "order", *crony) == "NotReporter"
    court.accuse(2)
    court.order(reporter=2)


def test_a_unit_cannot_settle_while_its_order_may_be_appealed(court: Court) -> None:
    court.order()
    court.settle(0, 0, 0, 10 * OPEN)  # a window is longer than an appeal here
    assert court.refused(8, POOL, "settleUnit", UNIT) == "UnitHeld"
    court.done(8, ARBITER, "execute", CASE)
    assert court.refused(8, POOL, "settleUnit", UNIT) == "UnitSlashed"
    court.done(8, POOL, "expire", UNIT)


# -- accusations ---


def test_an_accuser_stands_by_its_word_with_stake(court: Court) -> None:
    accusation = court.accuse()
    assert court.read(STAKES, "lockOf", accusation) == (ACCOUNTS[1], FALSE)
    again = (UNIT, FINDING, EVIDENCE)
    assert court.refused(1, ARBITER, "accuse", *again) == "AlreadyAccused"
    assert court.refused(8, ARBITER, "accuse", *again) == "InsufficientStake"
    assert court.refused(2, ARBITER, "accuse", b"?" * 32, *again[1:]) == "UnitNotAnchored"
    assert court.refused(8, ARBITER, "release", UNIT, ACCOUNTS[1]) == "AccusationOpen"
    assert court.refused(8, ARBITER, "release", UNIT, ACCOUNTS[2]) == "NotAccused"
    court.wait(COURT.accusation_seconds)
    court.done(8, ARBITER, "release", UNIT, ACCOUNTS[1])
    assert court.read(STAKES, "lockedOf", ACCOUNTS[1]) == 0
    assert court.refused(1, ARBITER, "accuse", *again) == "AlreadyAccused"


def test_a_refuted_accuser_loses_two_costs(court: Court) -> None:
    accusation = court.accuse()
    rewarded = court.slash_args(1, FALSE, reporter=3, unit=accusation)
    assert court.refused(8, ARBITER, "order", *rewarded) == "NotReporter"
    case = court.done(8, ARBITER, "order", *court.refutation(1)).events[0][2]["caseId"]
    court.wait(COURT.accusation_seconds)
    assert court.refused(8, ARBITER, "release", UNIT, ACCOUNTS[1]) == "UnitHeld"
    court.done(8, ARBITER, "execute", case)
    assert court.stakes(1, 4) == [-FALSE, 0]
    assert court.refused(8, ARBITER, "release", UNIT, ACCOUNTS[1]) == "NotLocked"


# -- appeals ---


def test_a_jury_overturns_a_colluding_committee_which_pays(court: Court) -> None:
    court.order()
    court.done(4, ARBITER, "appeal", CASE)
    assert court.read(STAKES, "lockOf", PANEL) == (ACCOUNTS[4], BOND)
    assert court.refused(8, ARBITER, "execute", CASE) == "WrongStage"
    outcome = court.judged(REJECT, REJECT, UPHOLD)
    assert {"caseId": CASE, "slashed": False} in [args for _, _, args in outcome.events]
    assert court.stakes(4, 2, 3) == [0, -FALSE, -FALSE]
    paid = [args["amount"] for _, name, args in outcome.events if name == "JurorPaid"]
    assert paid == [FEE] * 3
    assert court.balance(ARBITER) == 0
    assert court.read(STAKES, "lockedOf", ACCOUNTS[4]) == LOSS  # the unit's own lock
    assert court.refused(8, ARBITER, "order", *court.slash_args(4, OPEN)) == "AlreadyOrdered"
    court.settle(0, 0, 0, 10 * OPEN)
    court.done(8, POOL, "settleUnit", UNIT)


def test_a_seat_that_appeals_its_own_order_pays_like_the_others(court: Court) -> None:
    court.order()
    court.done(2, ARBITER, "appeal", CASE)
    court.judged(REJECT, REJECT, UPHOLD)
    assert court.stakes(4, 2, 3) == [0, -FALSE, -FALSE]
    assert court.read(STAKES, "lockedOf", ACCOUNTS[2]) == 0  # the bond is free again
    assert court.read(ARBITER, "caseOf", CASE)[1] == CLOSED
    court.settle(0, 0, 0, 10 * OPEN)
    court.done(8, POOL, "settleUnit", UNIT)


def test_who_appeals_and_loses_loses_more(court: Court) -> None:
    court.order()
    court.done(4, ARBITER, "appeal", CASE)
    supply = court.read("OpenToken", "totalSupply")
    court.judged(UPHOLD, UPHOLD, REJECT)
    assert court.stakes(4, 2, 3) == [-LOSS - BOND, 0, 0]
    assert court.read("OpenToken", "totalSupply") == supply - LOSS - BOND + 3 * FEE
    assert court.read(ARBITER, "caseOf", CASE)[1] == CLOSED


@pytest.mark.parametrize(
    "votes",
    [
        (NO_DATA, NO_DATA, UPHOLD),
        (UPHOLD, REJECT, NO_DATA),
        (UPHOLD,),  # a third of the seats is not more than a third
        (),
    ],
)
def test_without_a_clear_verdict_nobody_is_slashed(court: Court, votes: tuple[int, ...]) -> None:
    court.order()
    court.done(4, ARBITER, "appeal", CASE)
    court.judged(*votes)
    assert court.stakes(4, 2, 3) == [0, 0, 0]
    assert court.read(STAKES, "lockedOf", ACCOUNTS[4]) == LOSS
    missing = 3 - len(votes)
    assert sum(court.stakes(1, *JURORS)) == -missing * FEE
    assert court.balance(ARBITER) == 0


def test_another_may_bond_the_appeal_of_who_has_nothing_free(court: Court) -> None:
    free = court.read(STAKES, "stakeOf", ACCOUNTS[4]) - LOSS
    court.done(4, STAKES, "unbond", ACCOUNTS[4], free)
    court.order()
    assert court.refused(4, ARBITER, "appeal", CASE) == "InsufficientStake"
    assert court.refused(8, ARBITER, "appeal", CASE) == "InsufficientStake"
    court.done(1, ARBITER, "appeal", CASE)
    court.judged(UPHOLD, UPHOLD, UPHOLD)
    assert court.stakes(1) == [-BOND]


def test_nobody_judges_its_own_case(court: Court) -> None:
    """Nor a payout address that is a party's."""
    court.accuse()
    court.order(reporter=1)
    court.done(4, ARBITER, "appeal", CASE)
    index = court.read(REGISTRY, "ownerIndex", ACCOUNTS[9])
    court.done(9, REGISTRY, "setPayout", index, ACCOUNTS[8])  # account 4's
    jurors = court.seat()
    assert len(jurors) == COURT.seats
    assert not {1, 2, 3, 4, 9} & set(jurors)


def test_a_party_bars_nobody_by_moving_its_payout_once_the_seed_is_fixed(court: Court) -> None:
    court.order()
    court.done(4, ARBITER, "appeal", CASE)
    for party, juror in ((2, 9), (3, 10), (4, 11)):
        index = court.read(REGISTRY, "ownerIndex", ACCOUNTS[party])
        court.done(party + 4, REGISTRY, "setPayout", index, ACCOUNTS[juror])
    assert len(court.seat()) == COURT.seats  # of 1 and 12 alone there would be two


def test_a_network_without_three_free_jurors_slashes_nobody_on_appeal(court: Court) -> None:
    for juror in (1, *JURORS[2:]):
        court.done(juror, STAKES, "enlist", False)
    court.wait(2 * COURT.epoch_seconds)
    court.order()
    court.done(4, ARBITER, "appeal", CASE)
    assert len(court.seat()) == 2
    court.done(8, ARBITER, "decide", CASE)
    assert court.stakes(4, 9, 10) == [0, 0, 0]


# -- panels ---


def test_a_seed_is_known_to_nobody_when_it_is_fixed(court: Court) -> None:
    assert court.refused(8, ARBITER, "recordSeed", PANEL) == "NoPanel"
    court.order()
    court.done(4, ARBITER, "appeal", CASE)
    block = court.engine.at
    assert court.read(ARBITER, "panelOf", PANEL)[0] == block + SEED_DELAY
    assert court.refused(8, ARBITER, "recordSeed", PANEL) == "SeedAhead"
    assert court.refused(9, ARBITER, "commitVote", PANEL, 0, SALT) == "NotDrawn"
    assert court.refused(8, ARBITER, "decide", CASE) == "NotDrawn"
    court.seat()
    assert court.refused(8, ARBITER, "recordSeed", PANEL) == "AlreadyDrawn"


@pytest.mark.parametrize("late", [SEED_BLOCKS, 201, 255, 256, 257])
def test_a_seed_that_nobody_recorded_is_moved_and_never_zero(court: Court, late: int) -> None:
    court.order()
    court.done(4, ARBITER, "appeal", CASE)
    height = court.read(ARBITER, "panelOf", PANEL)[0]
    while court.engine.next() < height + late:
        court.wait(1)
    outcome = court.done(8, ARBITER, "recordSeed", PANEL)
    assert court.engine.at == height + late
    if late <= SEED_BLOCKS:
        assert names(outcome) == ["PanelDrawn"]
        return
    assert names(outcome) == ["SeedMoved"]
    assert court.read(ARBITER, "panelOf", PANEL)[0] == height + late + SEED_DELAY
    assert len(court.seat()) == COURT.seats


def test_stake_that_comes_after_the_summons_draws_nothing(court: Court) -> None:
    court.order()
    court.done(0, STAKES, "deposit", ACCOUNTS[12], 10**6 * OPEN // 2)
    court.done(4, ARBITER, "appeal", CASE)
    snapshot = court.read(ARBITER, "panelOf", PANEL)[1]
    assert court.read(STAKES, "stakeAt", ACCOUNTS[12], snapshot) == 100 * OPEN


def test_votes_are_sealed_until_all_are_in(court: Court) -> None:
    court.order()
    court.done(4, ARBITER, "appeal", CASE)
    seats = court.seat()
    first, second, _ = seats
    sealed = vote_commitment(PANEL, ACCOUNTS[first], UPHOLD, SALT)
    assert court.refused(second, ARBITER, "commitVote", PANEL, 0, sealed) == "NotJuror"
    assert court.refused(first, ARBITER, "commitVote", PANEL, 3, sealed) == "NotJuror"
    assert court.refused(first, ARBITER, "commitVote", PANEL, 0, bytes(32)) == "BadCommitment"
    court.done(first, ARBITER, "commitVote", PANEL, 0, sealed)
    assert court.refused(first, ARBITER, "commitVote", PANEL, 0, sealed) == "BadCommitment"
    opening = (PANEL, 0, UPHOLD, SALT)
    assert court.refused(first, ARBITER, "revealVote", *opening) == "VotingOpen"
    court.done(second, ARBITER, "commitVote", PANEL, 1, sealed)  # a copy, which opens to nothing
    court.wait(COURT.vote_seconds)
    third = vote_commitment(PANEL, ACCOUNTS[seats[2]], REJECT, SALT)
    assert court.refused(seats[2], ARBITER, "commitVote", PANEL, 2, third) == "VotingOver"
    assert court.refused(second, ARBITER, "revealVote", PANEL, 1, UPHOLD, SALT) == "BadReveal"
    assert court.refused(first, ARBITER, "revealVote", PANEL, 0, REJECT, SALT) == "BadReveal"
    court.done(first, ARBITER, "revealVote", *opening)
    assert court.refused(first, ARBITER, "revealVote", *opening) == "BadReveal"
    assert court.refused(8, ARBITER, "decide", CASE) == "PanelSitting"
    court.wait(COURT.vote_seconds)
    assert court.refused(second, ARBITER, "revealVote", PANEL, 1, UPHOLD, SALT) == "RevealingOver"
    court.done(8, ARBITER, "decide", CASE)
    assert court.refused(first, ARBITER, "revealVote", *opening) == "NoPanel"


# -- the pool's proofs ---


def test_only_the_pool_has_signers_punished(court: Court) -> None:
    args = ([ACCOUNTS[1]], OPEN, EVIDENCE, NOBODY)
    assert court.refused(8, ARBITER, "punish", *args) == "NotPool"
