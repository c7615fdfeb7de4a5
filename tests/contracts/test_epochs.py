"""Challenged epochs, pools apart, other sets of aggregators, and what happens when the quorum stalls."""

from dataclasses import replace

import pytest

from protocol import typed_data
from protocol.params import OPEN
from settlement import claims
from settlement.sumtree import SumTree
from tests.contracts.court import CHALLENGER, COURT, REJECT, UPHOLD, Court
from tests.contracts.scene import EVIDENCE, GENESIS, NOBODY, TASK, Scene
from tests.settlement.pair import ACCOUNTS, PARAMS

POOL, SETS, FRAUD, ARBITER = "AttributionPool", "AggregatorSets", "FraudProofs", "Arbiter"
WINDOW, STALL = PARAMS.window, PARAMS.stall_seconds


@pytest.fixture
def court() -> Court:
    return Court()


def restored(scene: Scene, tree: SumTree, pot: bytes, amount: int) -> None:
    scene.done(8, POOL, "restore", GENESIS, scene.roots[tree.root], ((pot, amount),))


# -- challenges ---


def test_a_challenge_freezes_activation_and_no_claim_on_the_last_good_root(court: Court) -> None:
    good = court.settle(2 * OPEN, job=court.another(b"k" * 32, 2 * OPEN))
    second = court.pending(2 * OPEN, OPEN)
    idle = court.another(b"l" * 32, OPEN)
    court.wait(3)
    case, clock = court.challenged(2), court.read(POOL, "clockOf", GENESIS)
    assert court.refused(CHALLENGER, ARBITER, "challenge", GENESIS, 2, EVIDENCE) == "NotPending"
    court.wait(PARAMS.reclaim_seconds)
    assert court.read(POOL, "clockOf", GENESIS) == clock
    assert court.read(POOL, "waits", GENESIS) == (True, False)
    assert court.refused(0, POOL, "reclaim", idle) == "NotIdle"
    assert court.refused(8, POOL, "claim", *court.claim_args(second, 1)) == "BadProof"
    court.done(8, POOL, "claim", *court.claim_args(good, 0))
    frozen = court.commit_args(court.epoch(second, typed_data.Draw(idle, OPEN)))
    assert court.refused(5, POOL, "commit", *frozen) == "VerdictPending"
    court.judged(REJECT, REJECT, REJECT, case=case)
    assert court.refused(8, POOL, "claim", *court.claim_args(second, 1)) == "BadProof"
    court.wait(WINDOW - 3 - 1)
    assert court.refused(8, POOL, "claim", *court.claim_args(second, 1)) == "BadProof"
    court.wait(1)
    court.done(8, POOL, "claim", *court.claim_args(second, 1))
    court.wait(PARAMS.reclaim_seconds)
    court.done(0, POOL, "reclaim", idle)


def test_a_verdict_voids_and_the_epoch_is_committed_again(court: Court) -> None:
    wrong = court.pending(0, 30 * OPEN)
    case = court.challenged(1)
    court.judged(UPHOLD, UPHOLD, UPHOLD, case=case)
    assert set(court.read(POOL, "signersOf", GENESIS, 1)) == {ACCOUNTS[1], ACCOUNTS[2]}
    again = court.tree(30 * OPEN)
    args = court.commit_args(court.epoch(again, typed_data.Draw(court.job, 30 * OPEN)))
    assert court.refused(5, POOL, "commit", *args) == "DrawsPending"
    restored(court, wrong, court.job, 30 * OPEN)
    assert court.read(POOL, "potOf", court.job)[1] == 40 * OPEN
    right = court.settle(30 * OPEN)
    court.done(8, POOL, "claim", *court.claim_args(right, 0))
    assert court.read(POOL, "runningEpoch", GENESIS)[0] == 1


def test_a_proof_during_a_challenge_voids_at_once_and_the_next_commit_waits_for_the_verdict(
    court: Court,
) -> None:
    tree = claims.tree_of([*ACCOUNTS[1:5], *ACCOUNTS[9:13], ACCOUNTS[6]], {8: OPEN})
    court.commit(court.epoch(tree, typed_data.Draw(court.job, OPEN)))
    case = court.challenged(1)
    court.done(8, FRAUD, "proveStranger", GENESIS, court.roots[tree.root])
    restored(court, tree, court.job, OPEN)
    assert court.read(POOL, "waits", GENESIS) == (True, False)
    args = court.commit_args(
        court.epoch(court.tree(OPEN), typed_data.Draw(court.job, OPEN)), (3, 4)
    )
    assert court.refused(5, POOL, "commit", *args) in ("NotSeated", "VerdictPending")
    court.judged(UPHOLD, UPHOLD, UPHOLD, case=case)
    assert court.read(POOL, "waits", GENESIS) == (False, False)
    assert court.read(POOL, "runningEpoch", GENESIS)[0] == 0


def test_a_challenge_in_each_of_twenty_epochs(court: Court) -> None:
    for epoch in range(1, 21):
        pot = court.another(epoch.to_bytes(32, "big"), OPEN)
        tree = court.pending(epoch * OPEN, job=pot)
        case = court.challenged(epoch)
        court.judged(REJECT, REJECT, REJECT, case=case)
        court.wait(WINDOW)
        court.done(8, POOL, "claim", *court.claim_args(tree, 0))
        court.done(0, "WorkerStake", "deposit", ACCOUNTS[CHALLENGER], COURT.bond)
        court.wait(COURT.epoch_seconds)
    assert court.read(POOL, "poolOf", GENESIS)[4] == 20 * OPEN


# -- what a commit cites ---


def test_an_epoch_without_work_has_nothing_to_commit(scene: Scene) -> None:
    tree = scene.settle(OPEN)
    for draws in ((), (typed_data.Draw(scene.another(b"k" * 32, OPEN), 0),)):
        args = scene.commit_args(scene.epoch(tree, *draws))
        assert scene.refused(5, POOL, "commit", *args) == "NothingDrawn"
    assert scene.refused(8, POOL, "claim", *scene.claim_args(tree, 1)) == "NothingToClaim"


def test_a_guardian_pauses_commits_and_never_a_claim(scene: Scene) -> None:
    tree = scene.settle(OPEN)
    scene.done(7, "RuleRegistry", "pause", 30)
    pot = scene.another(b"k" * 32, 5 * OPEN)
    args = scene.commit_args(scene.epoch(scene.tree(2 * OPEN), typed_data.Draw(pot, OPEN)))
    assert scene.refused(5, POOL, "commit", *args) == "CommitsPaused"
    scene.done(8, POOL, "claim", *scene.claim_args(tree, 0))
    scene.done(0, POOL, "reclaim", scene.job)
    scene.wait(30)
    scene.done(5, POOL, "commit", *args)


def test_a_pool_s_total_ends_at_128_bits_with_every_coin_paid() -> None:
    """The supply's greatest size, and all of it earned: coins that were paid come back as pots.

    The last root's total is 2**128 - 1. The pool takes no coin more, so none can be lost in it.
    """
    most = 2**128 - 1
    scene = Scene(replace(PARAMS, supply=most))
    scene.wait(PARAMS.reclaim_seconds)
    scene.done(0, POOL, "reclaim", scene.job)
    for who in (1, 2):
        scene.done(0, "WorkerStake", "deposit", ACCOUNTS[who], most // 4)
    for turn in range(1, 5):
        total = turn * (most // 4) if turn < 4 else most
        pot = scene.another(bytes([turn]) * 32, total - scene.total())
        tree = scene.settle(0, total, job=pot)
        scene.done(8, POOL, "claim", *scene.claim_args(tree, 1))
        scene.done(6, "OpenToken", "transfer", ACCOUNTS[0], scene.balance(6))
    assert scene.read(POOL, "poolOf", GENESIS)[2:] == (most, most, most)
    assert scene.balance(POOL) == 0
    assert scene.refused(0, POOL, "fund", b"k" * 32, 1, 1, 30, EVIDENCE) == "Panic"
    other = scene.done(8, POOL, "openPool", 0, NOBODY).events[0][2]["pool"]
    scene.another(b"k" * 32, 1, pool=other, pay=1)  # another pool has its own total


def test_one_unit_for_ten_thousand_owners(scene: Scene) -> None:
    """A pot of one base unit: one owner has it, all others' leaves are zero."""
    operators = [*ACCOUNTS[1:5], *(["0x" + "07" * 20] * 9_996)]
    tree = claims.tree_of(operators, {2: 1})
    pot = scene.another(b"k" * 32, 1, pay=1)
    scene.commit(scene.epoch(tree, typed_data.Draw(pot, 1)))
    scene.wait(WINDOW)
    scene.done(8, POOL, "claim", *scene.claim_args(tree, 2))
    assert scene.balance(7) == 1
    assert scene.refused(8, POOL, "claim", *scene.claim_args(tree, 1)) == "NothingToClaim"


# -- pools apart ---


def test_pools_do_not_touch_each_other_s_coins(scene: Scene) -> None:
    other = scene.done(8, POOL, "openPool", 0, NOBODY).events[0][2]["pool"]
    theirs = scene.another(b"t" * 32, 5 * OPEN, pool=other)
    assert scene.read(POOL, "poolOfPot", theirs) == other
    crossed = scene.epoch(scene.tree(OPEN), typed_data.Draw(theirs, OPEN))
    assert scene.refused(5, POOL, "commit", *scene.commit_args(crossed)) == "PotElsewhere"
    tree = scene.pending(5 * OPEN, job=theirs, pool=other)
    scene.wait(WINDOW)
    scene.done(8, POOL, "claim", *scene.claim_args(tree, 0, pool=other))
    assert scene.refused(8, POOL, "claim", *scene.claim_args(tree, 0)) == "BadProof"
    assert scene.read(POOL, "poolOf", GENESIS)[2:] == (0, 40 * OPEN, 0)
    assert scene.read(POOL, "poolOf", other)[2:] == (5 * OPEN, 5 * OPEN, 5 * OPEN)
    args = (bytes(31) + b"\x09", b"u" * 32, OPEN, OPEN, 30, EVIDENCE)
    assert scene.refused(0, POOL, "fundIn", *args) == "UnknownPool"


def test_one_stake_never_backs_two_pending_commits(scene: Scene) -> None:
    other = scene.done(8, POOL, "openPool", 0, NOBODY).events[0][2]["pool"]
    theirs = scene.another(b"t" * 32, 5 * OPEN, pool=other)
    scene.pending(10 * OPEN)
    epoch = scene.epoch(scene.tree(5 * OPEN), typed_data.Draw(theirs, 5 * OPEN), pool=other)
    assert scene.refused(5, POOL, "commit", *scene.commit_args(epoch)) == "StakeElsewhere"
    scene.wait(WINDOW)
    scene.commit(epoch)


# -- other aggregators ---


def seats(*who: int) -> list[str]:
    return sorted((ACCOUNTS[each] for each in who), key=lambda seat: int(seat, 16))


def test_seats_are_ascending_distinct_and_enough(scene: Scene) -> None:
    good = seats(1, 2, 4)
    for bad, threshold in (
        (good[::-1], 2),
        ([good[0], *good], 2),
        ([NOBODY, *good], 2),
        (good, 0),
        (good, 4),
        ([], 1),
    ):
        assert scene.refused(8, SETS, "openSet", bad, threshold) == "BadSeats"
    assert scene.done(8, SETS, "openSet", good, 3).events[0][2]["set"] == 1
    assert scene.read(SETS, "seatsOf", 1) == (tuple(good), 3)
    assert scene.refused(8, POOL, "openPool", 2, NOBODY) == "UnknownSet"


def test_another_set_acts_after_an_epoch_of_notice_in_which_coins_may_leave(scene: Scene) -> None:
    scene.done(8, SETS, "openSet", seats(3, 4), 2)
    pool = scene.done(8, POOL, "openPool", 0, ACCOUNTS[7]).events[0][2]["pool"]
    assert scene.refused(8, SETS, "announceSet", pool, 1) == "NotController"
    assert scene.refused(7, SETS, "announceSet", GENESIS, 1) == "NotController"
    kept, left = (scene.another(salt * 32, 5 * OPEN, pool=pool) for salt in (b"t", b"v"))
    assert scene.refused(0, POOL, "reclaim", left) == "NotIdle"
    scene.done(7, SETS, "announceSet", pool, 1)
    scene.done(4, POOL, "reserve", kept, TASK)
    assert scene.refused(0, POOL, "reclaim", kept) == "NotIdle"
    scene.done(0, POOL, "reclaim", left)
    assert scene.refused(8, SETS, "adoptSet", pool) == "NoticeRunning"
    scene.pending(OPEN, job=kept, pool=pool)
    assert scene.refused(8, SETS, "adoptSet", pool) == "NoticeRunning"
    scene.wait(WINDOW)
    scene.done(8, SETS, "adoptSet", pool)
    assert scene.refused(8, SETS, "adoptSet", pool) == "NoNotice"
    pot = scene.another(b"w" * 32, 5 * OPEN, pool=pool)
    epoch = scene.epoch(scene.tree(2 * OPEN), typed_data.Draw(pot, OPEN), pool=pool)
    assert scene.refused(5, POOL, "commit", *scene.commit_args(epoch)) == "NotSeated"
    scene.commit(epoch, (3, 4))
    assert list(scene.read(POOL, "signersOf", pool, 2)) == seats(3, 4)


def test_aggregators_who_die_leave_their_pool_to_another_set(scene: Scene) -> None:
    scene.done(8, SETS, "openSet", seats(3, 4), 1)
    pool = scene.done(8, POOL, "openPool", 0, ACCOUNTS[7]).events[0][2]["pool"]
    scene.done(7, SETS, "announceSet", pool, 1)
    scene.wait(STALL - 1)
    assert scene.refused(8, SETS, "adoptSet", pool) == "NoticeRunning"
    scene.wait(1)
    scene.done(8, SETS, "adoptSet", pool)
    assert scene.read(POOL, "poolOf", pool)[:2] == (1, 1)


# -- when the quorum stalls ---


def alone(scene: Scene, tree: SumTree, pot: bytes, amount: int) -> tuple[object, ...]:
    epoch = scene.epoch(tree, typed_data.Draw(pot, amount))
    scene.roots[tree.root] = claims.root_args(epoch)
    return claims.fallback_args(epoch)


def test_any_staker_commits_when_the_quorum_stalls(scene: Scene) -> None:
    tree = scene.tree(30 * OPEN)
    scene.wait(STALL - 1)
    args = alone(scene, tree, scene.job, 30 * OPEN)
    assert scene.refused(4, POOL, "commitFallback", *args) == "QuorumActive"
    scene.wait(1)
    fresh = scene.another(b"k" * 32, OPEN)
    refused = alone(scene, scene.tree(OPEN), fresh, OPEN)
    assert scene.refused(4, POOL, "commitFallback", *refused) == "PotNotStalled"
    assert scene.refused(7, POOL, "commitFallback", *args) == "AboveStakeLimit"
    scene.done(4, "WorkerStake", "unbond", ACCOUNTS[4], 41 * OPEN)
    assert scene.refused(4, POOL, "commitFallback", *args) == "AboveStakeLimit"
    scene.done(0, "WorkerStake", "deposit", ACCOUNTS[4], OPEN)
    scene.done(4, POOL, "commitFallback", *args)
    assert scene.read(POOL, "signersOf", GENESIS, 1) == (ACCOUNTS[4],)
    scene.wait(2 * WINDOW - 1)
    assert scene.refused(8, POOL, "claim", *scene.claim_args(tree, 0)) == "BadProof"
    scene.wait(1)
    scene.done(8, POOL, "claim", *scene.claim_args(tree, 0))
    assert scene.refused(4, POOL, "commitFallback", *args) == "QuorumActive"


def test_a_fallback_proposer_pays_for_fraud_like_a_quorum(scene: Scene) -> None:
    scene.wait(STALL)
    tree = claims.tree_of([*ACCOUNTS[1:5], ACCOUNTS[6]], {4: OPEN})
    scene.done(4, POOL, "commitFallback", *alone(scene, tree, scene.job, OPEN))
    scene.done(8, FRAUD, "proveStranger", GENESIS, scene.roots[tree.root])
    assert [scene.read("WorkerStake", "stakeOf", ACCOUNTS[who]) for who in (1, 4)] == [
        100 * OPEN,
        0,
    ]
    restored(scene, tree, scene.job, OPEN)
    scene.settle(30 * OPEN)


def test_aggregators_who_die_inside_the_window_keep_nobody_from_the_pay(scene: Scene) -> None:
    tree = scene.settle(30 * OPEN)
    scene.wait(10 * STALL)
    scene.done(8, POOL, "claim", *scene.claim_args(tree, 0))
