"""FraudProofs: what voids a pending commit and costs its signers, and what does not."""

from dataclasses import replace

import pytest

from protocol import typed_data
from protocol.params import OPEN
from settlement import claims
from settlement.sumtree import SumNode, SumTree, parent
from tests.contracts.scene import GENESIS, NOBODY, STAKE, Scene
from tests.settlement.pair import ACCOUNTS, PARAMS, Outcome

POOL, FRAUD = "AttributionPool", "FraudProofs"
QUARTER = PARAMS.window // 4
DECREASE, WRONG_OWNER, WRONG_SUM, UNOPENED, OMISSION, STRANGER = range(6)


def leaf(tree: SumTree, index: int) -> tuple[bytes, int, bytes]:
    return claims.claim_args(tree, index)[1:]


def stakes(scene: Scene) -> list[int]:
    return [scene.read("WorkerStake", "stakeOf", ACCOUNTS[who]) for who in (1, 2, 3)]


def pot(scene: Scene) -> int:
    escrow = scene.read(POOL, "potOf", scene.job)[1]
    assert isinstance(escrow, int)
    return escrow


def voided(scene: Scene, outcome: Outcome, fraud: int, tree: SumTree) -> None:
    """The commit of accounts 1 and 2 is gone, they lost everything, the draws return."""
    told = [args for _, name, args in outcome.events if name == "FraudProven"]
    assert [args["fraud"] for args in told] == [fraud]
    assert stakes(scene) == [0, 0, STAKE]
    assert scene.read(POOL, "pendingHead", GENESIS)[1] == bytes(32)
    root = scene.roots[tree.root]
    args = scene.commit_args(scene.epoch(tree), (2, 3))
    assert scene.refused(5, POOL, "commit", *args) == "DrawsPending"
    drawn = ((scene.job, 40 * OPEN - pot(scene)),)
    assert scene.refused(8, POOL, "restore", GENESIS, root, ()) == "WrongHead"
    scene.done(8, POOL, "restore", GENESIS, root, drawn)
    assert scene.refused(8, POOL, "restore", GENESIS, root, drawn) == "NothingToRestore"
    assert pot(scene) == 40 * OPEN


def first_epoch(scene: Scene) -> SumTree:
    """Epoch 1 pays out of another pot."""
    return scene.settle(5 * OPEN, OPEN, job=scene.another(b"k" * 32, 6 * OPEN))


def test_a_lower_amount_than_in_the_last_good_root(scene: Scene) -> None:
    good = first_epoch(scene)
    bad = scene.pending(4 * OPEN, 10 * OPEN)
    roots = scene.roots[good.root], scene.roots[bad.root]
    honest = (GENESIS, *roots, 1, leaf(good, 1), leaf(bad, 1))
    assert scene.refused(8, FRAUD, "proveDecrease", *honest) == "NoFraud"
    swapped = (GENESIS, *reversed(roots), 0, leaf(bad, 0), leaf(good, 0))
    assert scene.refused(8, FRAUD, "proveDecrease", *swapped) == "NotActiveRoot"
    forged = (GENESIS, *roots, 0, (leaf(good, 0)[0], 9 * OPEN, leaf(good, 0)[2]), leaf(bad, 0))
    assert scene.refused(8, FRAUD, "proveDecrease", *forged) == "BadLeaf"
    outside = (GENESIS, *roots, 4, leaf(good, 0), leaf(bad, 0))
    assert scene.refused(8, FRAUD, "proveDecrease", *outside) == "IndexOutside"
    args = (GENESIS, *roots, 0, leaf(good, 0), leaf(bad, 0))
    voided(scene, scene.done(8, FRAUD, "proveDecrease", *args), DECREASE, bad)
    assert scene.refused(8, FRAUD, "proveDecrease", *args) == "NotPendingRoot"
    scene.done(8, POOL, "claim", *scene.claim_args(good, 0))


def test_a_leaf_of_another_than_the_registered_owner(scene: Scene) -> None:
    honest = scene.tree(OPEN, OPEN)
    stolen = SumTree(
        [replace(honest.leaves[0], owner_id=claims.owner_id(ACCOUNTS[3])), *honest.leaves[1:]]
    )
    scene.commit(scene.epoch(stolen, typed_data.Draw(scene.job, 2 * OPEN)))
    root = scene.roots[stolen.root]
    assert scene.refused(8, FRAUD, "proveOwner", GENESIS, root, 1, leaf(stolen, 1)) == "NoFraud"
    assert scene.refused(8, FRAUD, "proveOwner", GENESIS, root, 0, leaf(honest, 0)) == "BadLeaf"
    outcome = scene.done(8, FRAUD, "proveOwner", GENESIS, root, 0, leaf(stolen, 0))
    voided(scene, outcome, WRONG_OWNER, stolen)


@pytest.mark.parametrize("total", [2 * OPEN, 3 * OPEN - 1, 3 * OPEN + 1, 5 * OPEN])
def test_a_total_that_is_not_the_root_s_sum(scene: Scene, total: int) -> None:
    tree = scene.tree(OPEN, OPEN, OPEN)
    wrong = replace(scene.epoch(tree, typed_data.Draw(scene.job, total)), total=total)
    scene.commit(wrong)
    root = scene.roots[tree.root]
    other = (*tree.top()[2:], *tree.top()[:2])
    assert scene.refused(8, FRAUD, "proveSum", GENESIS, root, other, ()) == "NoFraud"
    voided(scene, scene.done(8, FRAUD, "proveSum", GENESIS, root, tree.top(), ()), WRONG_SUM, tree)


def test_a_sum_on_the_way_that_is_not_its_children_s(scene: Scene) -> None:
    """The root states less for its left child than that child's leaves hold."""
    honest = scene.tree(3 * OPEN, 4 * OPEN, OPEN, 0)
    nodes = [each.node() for each in honest.leaves]
    left, right = parent(nodes[0], nodes[1]), parent(nodes[2], nodes[3])
    lie = parent(SumNode(left.hash, OPEN), right)
    epoch = scene.epoch(honest, typed_data.Draw(scene.job, 2 * OPEN))
    scene.commit(replace(epoch, root=lie.hash, total=2 * OPEN))
    root = scene.roots[lie.hash]
    children = (nodes[0].hash, nodes[0].sum, nodes[1].hash, nodes[1].sum)
    step = (OPEN, right.hash, right.sum, False)
    told = (7 * OPEN, right.hash, right.sum, False)
    assert scene.refused(8, FRAUD, "proveSum", GENESIS, root, children, (told,)) == "NoFraud"
    top = (left.hash, OPEN, right.hash, right.sum)
    assert scene.refused(8, FRAUD, "proveSum", GENESIS, root, top, ()) == "NoFraud"
    huge = (nodes[0].hash, 2**256 - 1, nodes[1].hash, nodes[1].sum)
    assert scene.refused(8, FRAUD, "proveSum", GENESIS, root, huge, (step,)) == "NoFraud"
    outcome = scene.done(8, FRAUD, "proveSum", GENESIS, root, children, (step,))
    assert [name for _, name, _ in outcome.events if name == "EpochVoided"]
    assert stakes(scene) == [0, 0, STAKE]


def test_a_first_time_account_that_is_left_out(scene: Scene) -> None:
    """Who registered before the epoch began must have a leaf; who came later need not."""
    first_epoch(scene)
    scene.done(9, "AssetRegistry", "registerOwner", ACCOUNTS[9])
    scene.wait(1)
    tree = scene.pending(5 * OPEN, 2 * OPEN)  # four leaves for five owners: the fifth came later
    root = scene.roots[tree.root]
    assert scene.refused(8, FRAUD, "proveOmission", GENESIS, root, 4) == "NoFraud"
    assert scene.refused(8, FRAUD, "proveOmission", GENESIS, root, 3) == "NoFraud"
    assert scene.refused(8, FRAUD, "proveOmission", GENESIS, root, 5) == "UnknownOwner"
    scene.wait(PARAMS.window)
    again = scene.pending(5 * OPEN, 3 * OPEN, job=scene.another(b"l" * 32, OPEN))
    outcome = scene.done(8, FRAUD, "proveOmission", GENESIS, scene.roots[again.root], 4)
    assert [name for _, name, _ in outcome.events if name == "EpochVoided"]
    assert stakes(scene) == [0, 0, STAKE]


def test_a_leaf_for_nobody(scene: Scene) -> None:
    tree = claims.tree_of([*ACCOUNTS[1:5], ACCOUNTS[6]], {4: OPEN})
    scene.commit(scene.epoch(tree, typed_data.Draw(scene.job, OPEN)))
    outcome = scene.done(8, FRAUD, "proveStranger", GENESIS, scene.roots[tree.root])
    voided(scene, outcome, STRANGER, tree)


def test_no_proof_succeeds_against_honest_signers_when_a_payout_rotates(scene: Scene) -> None:
    good = first_epoch(scene)
    scene.done(5, "AssetRegistry", "setPayout", 0, ACCOUNTS[8])
    then = scene.pending(6 * OPEN, 2 * OPEN)
    roots = scene.roots[good.root], scene.roots[then.root]
    for index in range(4):
        pair = (leaf(good, index), leaf(then, index))
        assert scene.refused(8, FRAUD, "proveDecrease", GENESIS, *roots, index, *pair) == "NoFraud"
        args = (GENESIS, roots[1], index, leaf(then, index))
        assert scene.refused(8, FRAUD, "proveOwner", *args) == "NoFraud"
        assert scene.refused(8, FRAUD, "proveOmission", GENESIS, roots[1], index) == "NoFraud"
    assert scene.refused(8, FRAUD, "proveStranger", GENESIS, roots[1]) == "NoFraud"
    assert scene.refused(8, FRAUD, "proveSum", GENESIS, roots[1], then.top(), ()) == "NoFraud"
    scene.wait(PARAMS.window)
    scene.done(2, POOL, "claim", *scene.claim_args(then, 0))
    assert scene.balance(8) == 6 * OPEN
    assert scene.refused(8, FRAUD, "proveStranger", GENESIS, roots[1]) == "NotPendingRoot"


def test_only_the_proofs_condemn_and_only_the_arbiter_freezes(scene: Scene) -> None:
    scene.pending(OPEN)
    assert scene.refused(8, POOL, "condemn", GENESIS, 1, b"e" * 32, NOBODY) == "NotFraudProofs"
    assert scene.refused(8, POOL, "freeze", GENESIS, 1) == "NotArbiter"
    assert scene.refused(8, POOL, "resolve", GENESIS, 1, True) == "NotArbiter"
    assert scene.refused(8, POOL, "assignSet", GENESIS, 0, 1) == "NotSets"


# -- forced openings ---


def test_a_shown_leaf_costs_the_bond(scene: Scene) -> None:
    tree = scene.pending(3 * OPEN, OPEN)
    root, before = scene.roots[tree.root], scene.balance(0)
    assert scene.refused(0, FRAUD, "demand", GENESIS, root, 4) == "IndexOutside"
    scene.done(0, FRAUD, "demand", GENESIS, root, 2)
    assert scene.refused(0, FRAUD, "demand", GENESIS, root, 2) == "AlreadyDemanded"
    _, _, cumulative, proof = claims.claim_args(tree, 2)
    assert scene.refused(9, FRAUD, "answer", GENESIS, root, 1, cumulative, proof) == "NotDemanded"
    assert scene.refused(9, FRAUD, "answer", GENESIS, root, 2, 1, proof) == "BadLeaf"
    paid = scene.balance(9)
    scene.done(9, FRAUD, "answer", GENESIS, root, 2, cumulative, proof)
    assert scene.refused(9, FRAUD, "answer", GENESIS, root, 2, cumulative, proof) == "NotDemanded"
    assert (scene.balance(9) - paid, before - scene.balance(0)) == (OPEN, OPEN)
    scene.wait(PARAMS.window)
    scene.done(8, POOL, "claim", *scene.claim_args(tree, 0))


def test_an_unopened_leaf_voids_the_commit_and_costs_its_signers(scene: Scene) -> None:
    tree = scene.pending(3 * OPEN)
    root, before = scene.roots[tree.root], scene.balance(0)
    opened = scene.done(0, FRAUD, "demand", GENESIS, root, 1).events[0][2]
    scene.wait(QUARTER)
    assert scene.refused(8, FRAUD, "close", opened["id"]) == "AnswerOpen"
    scene.wait(1)
    outcome = scene.done(8, FRAUD, "close", opened["id"])
    assert [name for _, name, _ in outcome.events if name == "EpochVoided"]
    fine = PARAMS.opening_fine
    assert stakes(scene) == [STAKE - fine, STAKE - fine, STAKE]
    assert scene.balance(0) >= before
    assert scene.refused(8, FRAUD, "close", opened["id"]) == "NotDemanded"
    scene.done(8, POOL, "restore", GENESIS, root, ((scene.job, 3 * OPEN),))
    again = scene.settle(3 * OPEN)
    scene.done(8, POOL, "claim", *scene.claim_args(again, 0))


def test_a_demand_comes_while_half_the_window_is_left(scene: Scene) -> None:
    tree = scene.pending(3 * OPEN)
    scene.wait(PARAMS.window - 2 * QUARTER)
    scene.done(0, FRAUD, "demand", GENESIS, scene.roots[tree.root], 1)
    scene.wait(1)
    args = (GENESIS, scene.roots[tree.root], 2)
    assert scene.refused(0, FRAUD, "demand", *args) == "TooLate"


def test_a_bond_returns_when_its_commit_is_gone(scene: Scene) -> None:
    tree = claims.tree_of([*ACCOUNTS[1:5], ACCOUNTS[6]], {4: OPEN})
    scene.commit(scene.epoch(tree, typed_data.Draw(scene.job, OPEN)))
    root, before = scene.roots[tree.root], scene.balance(0)
    opened = scene.done(0, FRAUD, "demand", GENESIS, root, 1).events[0][2]
    scene.done(8, FRAUD, "proveStranger", GENESIS, root)
    scene.done(8, FRAUD, "close", opened["id"])
    assert scene.balance(0) == before


def test_two_depths_for_one_index_prove_nothing(scene: Scene) -> None:
    tree = scene.pending(3 * OPEN, OPEN)
    root = scene.roots[tree.root]
    owner, cumulative, proof = leaf(tree, 0)
    for wrong in (proof[48:], proof + bytes(48), proof[:48]):
        args = (GENESIS, root, 0, (owner, cumulative, wrong))
        assert scene.refused(8, FRAUD, "proveOwner", *args) == "BadLeaf"
    inner = (tree.top()[0], tree.top()[1], proof[48:])
    assert scene.refused(8, FRAUD, "proveOwner", GENESIS, root, 0, inner) == "BadLeaf"


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_trees_of_few_leaves_are_judged_alike(scene: Scene, count: int) -> None:
    tree = claims.tree_of(ACCOUNTS[1 : count + 1], {0: OPEN})
    scene.commit(scene.epoch(tree, typed_data.Draw(scene.job, OPEN)))
    root = scene.roots[tree.root]
    assert scene.refused(8, FRAUD, "proveOwner", GENESIS, root, 0, leaf(tree, 0)) == "NoFraud"
    if count > 1:
        assert scene.refused(8, FRAUD, "proveSum", GENESIS, root, tree.top(), ()) == "NoFraud"
    scene.wait(PARAMS.window)
    scene.done(8, POOL, "claim", *scene.claim_args(tree, 0))
