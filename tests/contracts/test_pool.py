"""AttributionPool: what a commit and a claim may do, and everything that they may not."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import typed_data
from protocol.ids import address_bytes, job_round, unit_id
from protocol.params import OPEN
from settlement import claims
from settlement.deploy import create_address
from settlement.sumtree import SumTree
from tests.contracts.scene import NOBODY, SALT, TASK, UNIT, Scene, high_s
from tests.settlement.pair import ACCOUNTS, CHAIN_ID, PARAMS

POOL = "AttributionPool"
GENESIS_POOL = claims.GENESIS_POOL
DRAW = 30 * OPEN


def draw(scene: Scene, amount: int = DRAW) -> typed_data.Draw:
    return typed_data.Draw(scene.job, amount)


def test_a_claim_pays_the_difference_to_the_payout_address_only(scene: Scene) -> None:
    tree = scene.settle(7 * OPEN, 0, 3 * OPEN, 20 * OPEN)
    outcome = scene.done(8, POOL, "claim", *scene.claim_args(tree, 3))
    paid = {"pool": GENESIS_POOL, "index": 3, "payout": ACCOUNTS[8], "amount": 20 * OPEN}
    assert outcome.events[0] == (POOL, "Claimed", paid)
    assert scene.balance(8) == 20 * OPEN
    assert scene.refused(8, POOL, "claim", *scene.claim_args(tree, 3)) == "NothingToClaim"
    assert scene.read(POOL, "poolOf", GENESIS_POOL)[4] == 20 * OPEN


def test_the_next_epoch_pays_only_what_was_added(scene: Scene) -> None:
    first = scene.settle(5 * OPEN)
    scene.done(8, POOL, "claim", *scene.claim_args(first, 0))
    second = scene.settle(7 * OPEN, OPEN, job=scene.another(b"k" * 32, 10 * OPEN))
    scene.done(8, POOL, "claim", *scene.claim_args(second, 0))
    assert scene.balance(5) == 7 * OPEN


def test_a_root_pays_nothing_before_its_window_is_over(scene: Scene) -> None:
    tree = scene.pending(DRAW)
    scene.wait(PARAMS.window - 1)
    assert scene.refused(8, POOL, "claim", *scene.claim_args(tree, 0)) == "BadProof"
    again = scene.commit_args(scene.epoch(tree))
    assert scene.refused(5, POOL, "commit", *again) == "EpochPending"
    scene.wait(1)
    scene.done(8, POOL, "claim", *scene.claim_args(tree, 0))


def test_claims_go_on_from_the_last_good_root_while_a_commit_waits(scene: Scene) -> None:
    first = scene.settle(5 * OPEN)
    second = scene.pending(9 * OPEN, job=scene.another(b"k" * 32, 10 * OPEN))
    assert scene.refused(8, POOL, "claim", *scene.claim_args(second, 0)) == "BadProof"
    scene.done(8, POOL, "claim", *scene.claim_args(first, 0))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"epoch": 2}, "WrongEpoch"),
        ({"epoch": 0}, "WrongEpoch"),
        ({"previous": b"x" * 32}, "WrongPrevious"),
        ({"pool": bytes(31) + b"\x01"}, "UnknownPool"),
        ({"rule_version": 2}, "WrongRuleVersion"),
        ({"total": DRAW + 1}, "WrongTotal"),
        ({"total": DRAW - 1}, "WrongTotal"),
        ({"leaf_count": 0}, "NoLeaves"),
        ({"draws": (typed_data.Draw(b"?" * 32, DRAW),)}, "UnknownPot"),
        ({"draws": ()}, "NothingDrawn"),
    ],
)
def test_a_commit_with_a_defect_is_refused(
    scene: Scene, changes: dict[str, object], error: str
) -> None:
    epoch = replace(scene.epoch(scene.tree(DRAW), draw(scene)), **changes)
    assert scene.refused(5, POOL, "commit", *scene.commit_args(epoch)) == error


def test_a_draw_takes_at_most_its_pot(scene: Scene) -> None:
    amount = 40 * OPEN + 1
    scene.another(b"k" * 32, OPEN)
    epoch = scene.epoch(scene.tree(amount), draw(scene, amount))
    assert scene.refused(5, POOL, "commit", *scene.commit_args(epoch)) == "DrawAboveEscrow"


def test_a_pot_is_drawn_once(scene: Scene) -> None:
    twice = scene.epoch(scene.tree(2 * OPEN), draw(scene, OPEN), draw(scene, OPEN))
    assert scene.refused(5, POOL, "commit", *scene.commit_args(twice)) == "PotClosed"


def test_signers_cannot_move_more_than_half_their_stake(scene: Scene) -> None:
    rich = scene.another(b"k" * 32, 500 * OPEN)
    above = scene.epoch(scene.tree(100 * OPEN + 1), typed_data.Draw(rich, 100 * OPEN + 1))
    assert scene.refused(5, POOL, "commit", *scene.commit_args(above)) == "AboveStakeLimit"
    scene.done(1, "WorkerStake", "unbond", ACCOUNTS[1], 50 * OPEN)
    exact = scene.epoch(scene.tree(75 * OPEN + 1), typed_data.Draw(rich, 75 * OPEN + 1))
    assert scene.refused(5, POOL, "commit", *scene.commit_args(exact)) == "AboveStakeLimit"
    exact = scene.epoch(scene.tree(75 * OPEN), typed_data.Draw(rich, 75 * OPEN))
    scene.done(5, POOL, "commit", *scene.commit_args(exact))


def test_signatures_are_m_of_n_distinct_sorted_and_low(scene: Scene) -> None:
    epoch = scene.epoch(scene.tree(DRAW), draw(scene))
    struct, draws, signatures = scene.commit_args(epoch)
    first, second = signatures[:65], signatures[65:]
    wrong = {
        "SignersUnsorted": second + first,
        "ECDSAInvalidSignatureS": high_s(first) + second,
        "ECDSAInvalidSignature": first[:64] + b"\x1d" + second,
        "NotSeated": scene.commit_args(epoch, (1, 4))[2],
    }
    for error, given_signatures in wrong.items():
        assert scene.refused(5, POOL, "commit", struct, draws, given_signatures) == error
    assert scene.refused(5, POOL, "commit", struct, draws, first + first) == "SignersUnsorted"
    three = scene.commit_args(epoch, (1, 2, 3))[2]
    for number in (first, signatures[:-1], three, b""):
        assert scene.refused(5, POOL, "commit", struct, draws, number) == "WrongSignatureCount"


@pytest.mark.parametrize("change", ["chain", "contract", "name", "draws", "evidence", "pool"])
def test_signatures_serve_no_other_chain_contract_or_value(scene: Scene, change: str) -> None:
    epoch, domain = scene.epoch(scene.tree(DRAW), draw(scene)), scene.domain(POOL)
    other = {
        "chain": replace(domain, chain_id=CHAIN_ID + 1),
        "contract": replace(domain, contract=b"\x01" * 20),
        "name": replace(domain, name="InferenceChannels"),
    }
    struct, draws, signatures = scene.commit_args(epoch, domain=other.get(change))
    if change == "draws":
        draws = ((scene.job, DRAW - 1),)
    if change == "pool":
        struct = (scene.done(8, POOL, "openPool", 0, NOBODY).events[0][2]["pool"], *struct[1:])
    if change == "evidence":
        struct = (*struct[:6], b"f" * 32, struct[7])
    assert scene.refused(5, POOL, "commit", struct, draws, signatures) in (
        "NotSeated",
        "SignersUnsorted",
    )


def test_a_proof_has_the_exact_depth_and_every_sum(scene: Scene) -> None:
    *place, owner, cumulative, proof = scene.claim_args(scene.settle(OPEN, 2 * OPEN), 1)
    first, second = proof[:48], proof[48:]
    wrong = [
        (cumulative + 1, proof),
        (cumulative - 1, proof),
        (cumulative, first),
        (cumulative, proof[:-1]),
        (cumulative, proof + bytes(48)),
        (cumulative, first[:47] + bytes([first[47] ^ 1]) + second),
        (cumulative, first[:32] + b"\xff" * 16 + second),
        (cumulative, second + first),
        (2**256 - 1, proof),
    ]
    for amount, raw in wrong:
        assert scene.refused(8, POOL, "claim", *place, owner, amount, raw) == "BadProof"
    stranger = claims.owner_id(ACCOUNTS[2 + (owner == claims.owner_id(ACCOUNTS[2]))])
    assert scene.refused(8, POOL, "claim", *place, stranger, cumulative, proof) == "BadProof"


def test_coins_of_an_index_go_to_its_payout_address_whoever_stands_in_the_leaf(
    scene: Scene,
) -> None:
    tree = scene.tree(OPEN)
    leaf = replace(tree.leaves[0], owner_id=claims.owner_id(ACCOUNTS[2]))
    stolen = SumTree([leaf, *tree.leaves[1:]])
    scene.commit(scene.epoch(stolen, draw(scene, OPEN)))
    scene.wait(PARAMS.window)
    scene.done(8, POOL, "claim", *scene.claim_args(stolen, 0))
    assert (scene.balance(5), scene.balance(6)) == (OPEN, 0)
    pool, count, draws, _, *rest = scene.claim_args(stolen, 0)
    assert scene.refused(8, POOL, "claim", pool, count, draws, 4, *rest) == "NoLeaf"


def test_a_leaf_that_nobody_has_registered_is_paid_to_nobody(scene: Scene) -> None:
    tree = claims.tree_of([*ACCOUNTS[1:5], ACCOUNTS[6]], {4: OPEN})
    scene.commit(scene.epoch(tree, draw(scene, OPEN)))
    scene.wait(PARAMS.window)
    assert scene.refused(8, POOL, "claim", *scene.claim_args(tree, 4)) == "NoOwner"
    items = [claims.claim_args(tree, 4)]
    outcome = scene.done(8, POOL, "claimBatch", GENESIS_POOL, scene.roots[tree.root], items)
    assert [name for _, name, _ in outcome.events] == ["ClaimSkipped"]


def test_dishonest_signers_pay_out_no_more_than_was_drawn(scene: Scene) -> None:
    """The root's leaves sum to more than its total: no proof reaches the total."""
    greedy = scene.tree(20 * OPEN, 20 * OPEN)
    scene.commit(replace(scene.epoch(greedy, draw(scene)), total=DRAW))
    scene.wait(PARAMS.window)
    for index in range(2):
        args = scene.claim_args(greedy, index)
        assert scene.refused(8, POOL, "claim", *args) == "BadProof"
    assert scene.balance(POOL) == 40 * OPEN


def test_a_lowered_amount_never_frees_coins_of_others(scene: Scene) -> None:
    """Signers who move an owner's paid amount to another: claimedTotal stops the second payment."""
    first = scene.settle(30 * OPEN)
    scene.done(8, POOL, "claim", *scene.claim_args(first, 0))
    moved = scene.tree(0, 30 * OPEN + 1)
    added = typed_data.Draw(scene.another(b"k" * 32, OPEN), 1)
    scene.commit(scene.epoch(moved, added))
    scene.wait(PARAMS.window)
    assert scene.refused(8, POOL, "claim", *scene.claim_args(moved, 1)) == "ClaimAboveTotal"


def test_a_batch_skips_what_fails_and_pays_the_rest(scene: Scene) -> None:
    tree = scene.settle(OPEN, 2 * OPEN, 3 * OPEN)
    good = [claims.claim_args(tree, index) for index in range(4)]
    broken = (*good[1][:2], 5 * OPEN, good[1][3])
    nowhere = (4, *good[1][1:])
    root = scene.roots[tree.root]
    items = [good[0], broken, nowhere, good[0], good[2], good[3]]
    outcome = scene.done(8, POOL, "claimBatch", GENESIS_POOL, root, items)
    told = [(name, args["index"]) for _, name, args in outcome.events if name != "Transfer"]
    skipped = [("ClaimSkipped", index) for index in (1, 4, 0)]
    assert told == [("Claimed", 0), *skipped, ("Claimed", 2), ("ClaimSkipped", 3)]
    assert (scene.balance(5), scene.balance(6), scene.balance(7)) == (OPEN, 0, 3 * OPEN)
    other = (root[0], root[1] + 1, *root[2:])
    assert scene.refused(8, POOL, "claimBatch", GENESIS_POOL, other, items) == "WrongHead"


def test_the_rest_of_a_drawn_pot_returns_when_its_epoch_is_active(scene: Scene) -> None:
    epoch = scene.epoch(scene.tree(DRAW), draw(scene))
    scene.done(5, POOL, "commit", *scene.commit_args(epoch))
    assert scene.refused(0, POOL, "reclaim", scene.job) == "NotSettled"
    scene.wait(PARAMS.window)
    assert scene.refused(1, POOL, "reclaim", scene.job) == "NotFunder"
    before = scene.balance(0)
    scene.done(0, POOL, "reclaim", scene.job)
    assert scene.balance(0) == before + 40 * OPEN - DRAW
    assert scene.refused(0, POOL, "reclaim", scene.job) == "EmptyPot"
    assert scene.balance(POOL) == DRAW


def test_an_undrawn_pot_returns_only_when_idle(scene: Scene) -> None:
    scene.done(4, POOL, "reserve", scene.job, TASK)
    scene.wait(PARAMS.reclaim_seconds + 50)
    assert scene.refused(0, POOL, "reclaim", scene.job) == "NotIdle"
    scene.done(8, POOL, "expire", UNIT)
    assert scene.refused(0, POOL, "reclaim", scene.job) == "NotIdle"
    scene.wait(PARAMS.reclaim_seconds)
    scene.done(0, POOL, "reclaim", scene.job)


def test_nobody_opens_a_pot_in_another_s_name(scene: Scene) -> None:
    scene.done(0, "OpenToken", "transfer", ACCOUNTS[8], OPEN)
    scene.done(8, "OpenToken", "approve", scene.addresses[POOL], OPEN)
    scene.done(8, POOL, "fund", SALT, OPEN, OPEN, 30, b"s" * 32)
    mine, theirs = scene.read(POOL, "potId", ACCOUNTS[8], SALT), scene.job
    assert mine != theirs
    assert scene.read(POOL, "potOf", theirs)[0] == ACCOUNTS[0]
    assert scene.refused(0, POOL, "fund", SALT, OPEN, OPEN, 30, b"s" * 32) == "PotExists"


def test_the_whole_reservation_of_a_pot_is_covered(scene: Scene) -> None:
    for number in range(4):
        scene.done(number + 1, POOL, "reserve", scene.job, TASK)
    assert scene.refused(4, POOL, "reserve", scene.job, b"v" * 32) == "PotExhausted"
    scene.done(4, POOL, "handBack", UNIT)
    scene.done(4, POOL, "reserve", scene.job, b"v" * 32)


def test_nobody_takes_another_s_unit(scene: Scene) -> None:
    """Whatever account 3 reserves first, account 4's unit is free, and only account 4 gets it."""
    for task in (TASK, UNIT):
        taken = scene.done(3, POOL, "reserve", scene.job, task).events[0][2]["unit"]
        assert taken == scene.read(POOL, "unitId", ACCOUNTS[3], task) != UNIT
    assert scene.read(POOL, "unitOf", UNIT)[3] == 0
    assert scene.refused(3, POOL, "handBack", UNIT) == "WrongUnitState"
    reserved = scene.done(4, POOL, "reserve", scene.job, TASK).events[0][2]
    assert (reserved["unit"], reserved["operator"]) == (UNIT, ACCOUNTS[4])
    assert scene.refused(3, POOL, "handBack", UNIT) == "NotUnitOperator"


def test_a_drawn_worker_s_unit_id_is_the_pool_s(scene: Scene) -> None:
    for number, account in enumerate(ACCOUNTS[1:5]):
        unit = scene.read(POOL, "unitId", account, job_round(scene.job, number))
        assert unit == unit_id(scene.job, number, address_bytes(account))


def test_a_unit_is_anchored_once_in_time_by_its_operator(scene: Scene) -> None:
    scene.done(4, POOL, "reserve", scene.job, TASK)
    assert scene.read("WorkerStake", "lockedOf", ACCOUNTS[4]) == PARAMS.unit_stake
    anchor = (UNIT, b"r" * 32, b"a" * 32)
    assert scene.refused(3, POOL, "anchor", *anchor) == "NotUnitOperator"
    assert scene.refused(4, POOL, "reserve", scene.job, TASK) == "WrongUnitState"
    scene.done(4, POOL, "anchor", *anchor)
    assert scene.refused(4, POOL, "anchor", *anchor) == "WrongUnitState"
    assert scene.refused(4, POOL, "handBack", UNIT) == "WrongUnitState"
    scene.wait(1_000)
    assert scene.refused(8, POOL, "expire", UNIT) == "WrongUnitState"


def test_a_late_unit_is_not_anchored_and_frees_pay_and_stake(scene: Scene) -> None:
    scene.done(4, POOL, "reserve", scene.job, TASK)
    scene.wait(30)
    assert scene.refused(8, POOL, "expire", UNIT) == "DeadlineAhead"
    scene.wait(1)
    assert scene.refused(4, POOL, "anchor", UNIT, b"r" * 32, b"a" * 32) == "DeadlinePassed"
    scene.done(8, POOL, "expire", UNIT)
    assert scene.read("WorkerStake", "lockedOf", ACCOUNTS[4]) == 0
    assert scene.read(POOL, "potOf", scene.job)[2] == 0
    scene.done(4, POOL, "reserve", scene.job, TASK)


def test_a_unit_s_stake_is_free_when_its_draw_is_active(scene: Scene) -> None:
    scene.done(4, POOL, "reserve", scene.job, TASK)
    scene.done(4, POOL, "anchor", UNIT, b"r" * 32, b"a" * 32)
    assert scene.refused(8, POOL, "settleUnit", UNIT) == "NotSettled"
    epoch = scene.epoch(scene.tree(0, 0, 0, 10 * OPEN), draw(scene, 10 * OPEN))
    scene.done(5, POOL, "commit", *scene.commit_args(epoch))
    assert scene.refused(8, POOL, "settleUnit", UNIT) == "NotSettled"
    scene.wait(PARAMS.window)
    scene.done(8, POOL, "settleUnit", UNIT)
    assert scene.read("WorkerStake", "lockedOf", ACCOUNTS[4]) == 0
    assert scene.refused(8, POOL, "settleUnit", UNIT) == "WrongUnitState"


def test_a_slashed_unit_settles_never_and_its_pay_returns(scene: Scene) -> None:
    scene.anchor()
    scene.slash(5 * OPEN)
    scene.settle(OPEN)
    assert scene.refused(8, POOL, "settleUnit", UNIT) == "UnitSlashed"
    scene.done(8, POOL, "expire", UNIT)
    assert scene.read(POOL, "unitOf", UNIT)[3] == 4
    assert scene.read(POOL, "potOf", scene.job)[2] == 0
    assert scene.refused(3, POOL, "reserve", scene.job, TASK) == "PotClosed"


def test_no_stake_no_unit(scene: Scene) -> None:
    scene.done(4, "WorkerStake", "unbond", ACCOUNTS[4], 96 * OPEN)
    assert scene.refused(4, POOL, "reserve", scene.job, TASK) == "InsufficientStake"
    assert scene.refused(8, POOL, "reserve", scene.job, TASK) == "InsufficientStake"


def test_a_rotated_payout_changes_no_leaf(scene: Scene) -> None:
    tree = scene.settle(5 * OPEN)
    scene.done(5, "AssetRegistry", "setPayout", 0, ACCOUNTS[8])
    scene.done(2, POOL, "claim", *scene.claim_args(tree, 0))
    assert scene.balance(8) == 5 * OPEN


def test_addresses_are_predicted_with_ethereum_s_rule() -> None:
    """Vectors of go-ethereum's test of crypto.CreateAddress."""
    sender = "0x970E8128AB834E8EAC17Ab8E3812F010678CF791"
    expected = [
        "0x333c3310824b7c685133f2bedb2ca4b8b4df633d",
        "0x8bda78331c916a08481428e4b07c96d3e916d165",
        "0xc9ddedf451bc62ce88bf9292afb13df35b670699",
    ]
    assert [create_address(sender, nonce).lower() for nonce in range(3)] == expected


@given(st.lists(st.integers(0, 5 * OPEN), min_size=1, max_size=4).filter(any))
@settings(max_examples=5)
def test_everything_drawn_is_claimable_to_the_last_unit(earned: list[int]) -> None:
    scene = Scene()
    tree = scene.settle(*earned)
    items = [claims.claim_args(tree, index) for index in range(4)]
    scene.done(8, POOL, "claimBatch", GENESIS_POOL, scene.roots[tree.root], items)
    assert scene.read(POOL, "poolOf", GENESIS_POOL)[4] == sum(earned)
    scene.done(0, POOL, "reclaim", scene.job)
    assert scene.balance(POOL) == 0
