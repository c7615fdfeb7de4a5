"""A challenged epoch before real juries: whose coins move, what goes on, and what a further challenge costs."""

import pytest

from protocol import typed_data
from protocol.params import OPEN
from settlement import claims
from settlement.models.arbiter import APPEALABLE, CLOSED, panel_id
from settlement.models.jury import SEED_BLOCKS, SEED_DELAY
from settlement.sumtree import SumTree
from tests.contracts.court import ARBITER, CHALLENGER, COURT, NO_DATA, REJECT, UPHOLD, Court
from tests.contracts.scene import EVIDENCE, GENESIS, STAKE
from tests.settlement.pair import ACCOUNTS, PARAMS

POOL, STAKES = "AttributionPool", "WorkerStake"
BOND, FEE, LOSS = COURT.bond, COURT.juror_fee, COURT.signer_slash
SIGNERS = (1, 2)


@pytest.fixture
def court() -> Court:
    return Court()


def committed(court: Court, amount: int = 30 * OPEN) -> SumTree:
    """A pending epoch that pays account 6, the second owner's payout address."""
    return court.pending(0, amount)


def restored(court: Court, tree: SumTree, amount: int = 30 * OPEN) -> None:
    court.done(8, POOL, "restore", GENESIS, court.roots[tree.root], ((court.job, amount),))


def bond_of(court: Court, epoch: int = 1) -> int:
    bond = court.read(ARBITER, "bondFor", GENESIS, epoch)
    assert isinstance(bond, int)
    return bond


def coins(court: Court, operator: int) -> int:
    """Where an operator is paid."""
    payout = court.read("AssetRegistry", "payoutOfOperator", ACCOUNTS[operator])
    amount = court.read("OpenToken", "balanceOf", payout)
    assert isinstance(amount, int)
    return amount


# -- the first verdict ---


def test_a_jury_that_voids_returns_the_bond_and_the_draws(court: Court) -> None:
    """Draws are restored, the challenger has its bond back, the signers lose stake after the appeal."""
    tree = committed(court)
    case = court.challenged(1)
    assert court.read(STAKES, "lockOf", panel_id(case, 1)) == (ACCOUNTS[CHALLENGER], BOND)
    locked = court.read(STAKES, "lockedOf", ACCOUNTS[CHALLENGER])
    court.judged(UPHOLD, UPHOLD, REJECT, case=case)
    assert court.read(STAKES, "lockedOf", ACCOUNTS[CHALLENGER]) == locked - BOND
    restored(court, tree)
    assert court.read(POOL, "potOf", court.job)[1] == 40 * OPEN
    assert court.read(POOL, "poolOf", GENESIS)[2] == 0
    assert court.stakes(CHALLENGER, *SIGNERS) == [0, 0, 0]
    assert court.refused(8, ARBITER, "execute", case) == "AppealOpen"
    supply, reward = court.read("OpenToken", "totalSupply"), court.balance(CHALLENGER)
    court.wait(COURT.appeal_seconds)
    court.done(8, ARBITER, "execute", case)
    assert court.stakes(CHALLENGER, *SIGNERS) == [0, -LOSS, -LOSS]
    reward = court.balance(CHALLENGER) - reward
    assert reward == 2 * min(LOSS // 10, COURT.reward_cap)
    assert court.read("OpenToken", "totalSupply") == supply - 2 * LOSS + reward
    assert court.read(ARBITER, "caseOf", case)[1] == CLOSED


def test_a_jury_that_upholds_lets_the_epoch_activate_and_takes_the_bond(court: Court) -> None:
    tree = committed(court)
    court.wait(4)
    case = court.challenged(1)
    supply = court.read("OpenToken", "totalSupply")
    court.judged(REJECT, REJECT, UPHOLD, case=case)
    assert court.stakes(CHALLENGER, *SIGNERS) == [-BOND, 0, 0]
    assert court.read("OpenToken", "totalSupply") == supply - BOND + 3 * FEE
    assert court.balance(ARBITER) == 0
    assert court.read(ARBITER, "caseOf", case)[1] == CLOSED
    for function in ("execute", "appeal", "decide"):
        assert court.refused(8, ARBITER, function, case) == "WrongStage"
    court.wait(PARAMS.window - 4 - 1)
    assert court.refused(8, POOL, "claim", *court.claim_args(tree, 1)) == "BadProof"
    court.wait(1)
    court.done(8, POOL, "claim", *court.claim_args(tree, 1))
    assert court.refused(CHALLENGER, ARBITER, "challenge", GENESIS, 1, EVIDENCE) == "NotPending"


@pytest.mark.parametrize(
    "votes",
    [
        (NO_DATA, NO_DATA, UPHOLD),
        (UPHOLD, REJECT, NO_DATA),
        (UPHOLD, REJECT),
        (UPHOLD,),
        (),
    ],
)
def test_without_a_clear_verdict_the_epoch_activates_and_the_jurors_who_came_are_paid(
    court: Court, votes: tuple[int, ...]
) -> None:
    """First by the missing, then by who called them in vain; nobody comes off better by staying away."""
    tree = committed(court)
    locked = court.read(STAKES, "lockedOf", ACCOUNTS[CHALLENGER])
    case = court.challenged(1)
    panel = panel_id(case, 1)
    seats = court.seat(panel)
    paid = [coins(court, juror) for juror in seats]
    court.vote(dict(zip(seats, votes, strict=False)), seats, panel)
    court.wait(COURT.vote_seconds)
    court.done(8, ARBITER, "decide", case)
    present, missing = len(votes), COURT.seats - len(votes)
    assert court.stakes(CHALLENGER, *SIGNERS) == [-FEE * max(0, present - missing), 0, 0]
    assert court.read(STAKES, "lockedOf", ACCOUNTS[CHALLENGER]) == locked
    assert court.stakes(*seats) == [0] * present + [-FEE] * missing
    earned = [coins(court, juror) - before for juror, before in zip(seats, paid, strict=True)]
    assert earned == [FEE] * present + [0] * missing
    court.wait(PARAMS.window)
    court.done(8, POOL, "claim", *court.claim_args(tree, 1))


def test_delaying_an_epoch_by_challenges_that_come_to_nothing_costs_each_time(
    court: Court,
) -> None:
    """Jurors who find nothing to judge are paid by the challenger, whatever bond it can afford."""
    tree = committed(court)
    court.done(0, STAKES, "deposit", ACCOUNTS[CHALLENGER], 100 * OPEN)
    for number in range(4):
        case = court.challenged(1, number)
        court.judged(NO_DATA, NO_DATA, NO_DATA, case=case)
        lost = 3 * FEE * (number + 1)
        assert court.stakes(CHALLENGER) == [100 * OPEN - lost]
    court.wait(PARAMS.window)
    court.done(8, POOL, "claim", *court.claim_args(tree, 1))


def test_only_a_bonded_operator_challenges_and_only_what_is_pending(court: Court) -> None:
    assert court.refused(CHALLENGER, ARBITER, "challenge", GENESIS, 1, EVIDENCE) == "NotPending"
    committed(court)
    assert court.refused(8, ARBITER, "challenge", GENESIS, 1, EVIDENCE) == "InsufficientStake"
    assert court.refused(CHALLENGER, ARBITER, "challenge", GENESIS, 2, EVIDENCE) == "NotPending"
    other = b"\x09".rjust(32, b"\x00")
    assert court.refused(CHALLENGER, ARBITER, "challenge", other, 1, EVIDENCE) == "NotPending"
    assert bond_of(court) == BOND


def test_signers_challenger_and_their_payouts_are_no_jurors_of_an_epoch(court: Court) -> None:
    index = court.read("AssetRegistry", "ownerIndex", ACCOUNTS[9])
    court.done(9, "AssetRegistry", "setPayout", index, ACCOUNTS[5])  # the first signer's
    committed(court)
    jurors = court.seat(panel_id(court.challenged(1), 1))
    assert len(jurors) == COURT.seats
    assert not {*SIGNERS, CHALLENGER, 9} & set(jurors)


# -- the appeal ---


def voided(court: Court) -> tuple[bytes, list[int]]:
    """A first jury that voided, and who upheld in it; enough jurors are left for a second."""
    court.enlisted(*range(13, 20))
    tree = committed(court)
    case = court.challenged(1)
    upheld = court.seat(panel_id(case, 1))
    court.vote(dict.fromkeys(upheld, UPHOLD), upheld, panel_id(case, 1))
    court.done(8, ARBITER, "decide", case)
    restored(court, tree)
    return case, upheld


def test_a_second_jury_spares_the_signers_and_the_first_pays(court: Court) -> None:
    """The epoch stays void: a jury never validates."""
    case, upheld = voided(court)
    court.done(SIGNERS[0], ARBITER, "appeal", case)
    assert court.read(STAKES, "lockOf", panel_id(case, 2)) == (ACCOUNTS[SIGNERS[0]], 2 * BOND)
    court.judged(*[REJECT] * 7, case=case, instance=2)
    assert court.stakes(*SIGNERS, *upheld) == [0, 0, *[-FEE] * 3]
    assert court.read(POOL, "runningEpoch", GENESIS)[0] == 0
    assert court.refused(8, ARBITER, "execute", case) == "WrongStage"


def test_a_second_jury_that_agrees_costs_signers_and_appellant(court: Court) -> None:
    case, upheld = voided(court)
    court.done(SIGNERS[0], ARBITER, "appeal", case)
    court.judged(*[UPHOLD] * 7, case=case, instance=2)
    assert court.stakes(*SIGNERS, *upheld) == [-LOSS - 2 * BOND, -LOSS, 0, 0, 0]
    assert court.read(ARBITER, "caseOf", case)[1] == CLOSED


def test_no_juror_of_the_first_instance_sits_in_the_second(court: Court) -> None:
    case, upheld = voided(court)
    court.done(SIGNERS[0], ARBITER, "appeal", case)
    second = court.seat(panel_id(case, 2))
    assert len(second) == 2 * COURT.seats + 1
    assert not set(upheld) & set(second)


# -- further challenges ---


def test_bonds_double_for_further_challenges_of_one_epoch(court: Court) -> None:
    """Each is a case of its own; who challenges for ever runs out of coins."""
    tree = committed(court)
    court.done(0, STAKES, "deposit", ACCOUNTS[CHALLENGER], 100 * OPEN)
    lost = 0
    for number in range(5):
        assert bond_of(court) == BOND << number
        case = court.challenged(1, number)
        court.judged(REJECT, REJECT, REJECT, case=case)
        lost += BOND << number
        assert court.stakes(CHALLENGER) == [100 * OPEN - lost]
    assert lost == 31 * BOND
    court.wait(PARAMS.window)
    court.done(8, POOL, "claim", *court.claim_args(tree, 1))
    court.pending(0, 31 * OPEN, job=court.another(b"k" * 32, OPEN))
    assert bond_of(court, 2) == BOND


def test_an_epoch_that_is_committed_again_is_challenged_at_twice_the_bond(court: Court) -> None:
    """Also when the first challenge was right: its number stands for all its commits."""
    tree = committed(court)
    first = court.challenged(1)
    court.judged(UPHOLD, UPHOLD, UPHOLD, case=first)
    restored(court, tree)
    committed(court)
    assert bond_of(court) == 2 * BOND
    second = court.challenged(1, 1)
    assert court.read(ARBITER, "caseOf", first)[1] == APPEALABLE
    court.judged(UPHOLD, UPHOLD, UPHOLD, case=second)
    court.wait(COURT.appeal_seconds)
    for case in (first, second):
        court.done(8, ARBITER, "execute", case)
    assert court.stakes(*SIGNERS) == [-2 * LOSS, -2 * LOSS]


def test_a_proof_and_a_jury_each_take_their_own(court: Court) -> None:
    """Signers of a leaf for nobody lose all at once by the proof; the jury's slash finds nothing left."""
    stranger = claims.tree_of([*ACCOUNTS[1:5], *ACCOUNTS[9:13], ACCOUNTS[6]], {8: OPEN})
    court.commit(court.epoch(stranger, typed_data.Draw(court.job, OPEN)))
    case = court.challenged(1)
    court.done(8, "FraudProofs", "proveStranger", GENESIS, court.roots[stranger.root])
    assert court.stakes(*SIGNERS) == [-STAKE, -STAKE]
    court.judged(UPHOLD, UPHOLD, UPHOLD, case=case)
    court.wait(COURT.appeal_seconds)
    court.done(8, ARBITER, "execute", case)
    assert court.stakes(CHALLENGER, *SIGNERS) == [0, -STAKE, -STAKE]


def test_a_staker_that_proposed_alone_answers_for_it_alone(court: Court) -> None:
    court.wait(PARAMS.stall_seconds)
    epoch = court.epoch(court.tree(OPEN), typed_data.Draw(court.job, OPEN))
    court.roots[epoch.root] = claims.root_args(epoch)
    court.done(3, POOL, "commitFallback", *claims.fallback_args(epoch))
    case = court.challenged(1)
    assert court.read(ARBITER, "caseOf", case)[6] == (ACCOUNTS[3],)
    court.judged(UPHOLD, UPHOLD, UPHOLD, case=case)
    court.wait(COURT.appeal_seconds)
    court.done(8, ARBITER, "execute", case)
    assert court.stakes(1, 2, 3) == [0, 0, -LOSS]


# -- late seeds ---


@pytest.mark.parametrize("late", [255, 256, 257])
def test_an_epoch_waits_for_a_seed_that_is_recorded_late(court: Court, late: int) -> None:
    """A hash that is no longer to be had moves the seed; claims on the last good root go on."""
    good = court.settle(2 * OPEN, job=court.another(b"k" * 32, 2 * OPEN))
    court.pending(2 * OPEN, OPEN)
    case = court.challenged(2)
    panel = panel_id(case, 1)
    height = court.read(ARBITER, "panelOf", panel)[0]
    court.mine(height + late - court.engine.next())
    assert late > SEED_BLOCKS
    (moved,) = court.done(8, ARBITER, "recordSeed", panel).events
    assert moved[1:] == ("SeedMoved", {"panel": panel, "seedHeight": height + late + SEED_DELAY})
    court.done(8, POOL, "claim", *court.claim_args(good, 0))
    assert court.read(POOL, "waits", GENESIS) == (True, False)
    court.judged(REJECT, REJECT, REJECT, case=case)
    assert court.read(POOL, "waits", GENESIS) == (False, False)
