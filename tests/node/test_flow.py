"""The whole flow in virtual time: what the chain and the bodies say when the story is over."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from datanet.intake import read_records
from datanet.record import RecordList
from node.jobs import finished
from node.losses import by_datanet, total
from protocol.codec import pack
from protocol.ids import content_id, model_id
from protocol.params import SIMNET
from tasks.lifecycle import State
from tests.simnet.story import DEMO, FAULTY, LOSSY, RIVALS, Cast, Told, told, write_rows

BPS = 10_000
OTHER_SEED = replace(DEMO, seed=2)
HONEST_NAMES = ("ann", "bob", "cyd", "dan")


@pytest.fixture(params=[DEMO, OTHER_SEED], ids=["seed 1", "seed 2"])
def ended(request: pytest.FixtureRequest) -> Told:
    cast: Cast = request.param
    return told(cast)


@pytest.fixture(scope="module")
def rivals() -> Told:
    return told(RIVALS)


@pytest.fixture(scope="module")
def lossy() -> Told:
    return told(LOSSY)


@pytest.fixture(scope="module")
def faulty() -> Told:
    return told(FAULTY)


def outcome(story: Told, name: str) -> State:
    """The end of a member's only unit."""
    operator = story.nodes[name].operator
    ctx = story.nodes["ann"]
    unit = next(u for u in ctx.board.units.values() if u.operator == operator)
    state: State = ctx.outcomes[unit.unit].state
    return state


# -- money ---


def test_every_pots_shares_sum_to_the_pot(ended: Told) -> None:
    pots = [pot for body in ended.bodies for pot in body.pots]
    assert {pot.kind for pot in pots} == {"job", "answer"}
    for pot in pots:
        assert sum(share.amount for share in pot.shares) == pot.amount
        assert all(share.amount > 0 for share in pot.shares)


def test_epochs_add_up_shares_and_nothing_else(ended: Told) -> None:
    for owner in range(len(ended.board.owners)):
        shares = [
            share.amount
            for body in ended.bodies
            for pot in body.pots
            for share in pot.shares
            if share.owner == owner
        ]
        assert ended.bodies[-1].cumulative[owner] == sum(shares)
    assert ended.board.epochs[-1].total == sum(ended.bodies[-1].cumulative)


def test_the_job_pays_out_its_escrow_and_the_answer_its_contributors_part(ended: Told) -> None:
    first, second = (body.pots for body in ended.bodies)
    assert [pot.amount for pot in first] == [ended.job.spec.escrow]
    fee, others = (
        ended.receipts[0].fee,
        (
            SIMNET.fee_host_bps,
            SIMNET.fee_owner_bps,
            SIMNET.fee_treasury_bps,
        ),
    )  # no ancestor of the adapter is registered: the remainder is the contributors'
    assert [pot.amount for pot in second] == [fee - sum(fee * bps // BPS for bps in others)]


def test_everybody_claimed_what_the_last_root_gives_it(ended: Told) -> None:
    for name, owner in ended.owner.items():
        assert ended.claimed[name] == ended.bodies[-1].cumulative[owner]


def test_payout_balances_moved_by_the_claims_and_the_direct_fee_parts(ended: Told) -> None:
    fees = ended.board.fees
    for name, (before, after) in ended.payout.items():
        claims = sum(c.amount for c in ended.board.claims if c.index == ended.owner[name])
        host = sum(fee.host for fee in fees) if name == "bob" else 0
        builder = sum(fee.owner for fee in fees) if name == "ann" else 0
        assert after - before == claims + host + builder
        assert claims == ended.claimed[name]


def test_the_answer_pot_goes_to_those_who_moved_the_answer(ended: Told) -> None:
    paid = {name: ended.earned(name, "contributor", "answer") for name in HONEST_NAMES}
    assert any(paid.values())
    assert ended.earned("eve", "contributor", "answer") == 0
    receipt = ended.receipts[0]
    assert receipt.answer != receipt.base_answer
    assert receipt.fee == receipt.tokens * SIMNET.price_per_token
    assert max(record.score for record in receipt.records) == max(receipt.scores)


# -- learning ---


def test_the_held_out_loss_of_every_datanet_fell_in_every_round(ended: Told) -> None:
    found = ended.attributed
    assert found is not None
    rounds = [by_datanet(found.queries, line) for line in found.body.losses]
    assert len(rounds) == SIMNET.rounds + 1 and len(rounds[0]) == 2
    for before, after in pairwise(rounds):
        assert all(after[datanet] < before[datanet] for datanet in before)


def test_aggregators_agreed_on_one_adapter_that_its_builder_registered(ended: Told) -> None:
    last = finished(ended.nodes["bob"], ended.job, ended.job.last_round)
    assert last is not None
    model = model_id(ended.nodes["ann"].operator, last.value)
    assert ended.board.models == {model: ended.owner["ann"]}
    assert ended.receipts[0].model == model
    assert ended.receipts[0].lineage[-1] == last.value


# -- trust ---


def test_the_lazy_worker_lost_its_stake_and_its_pay(ended: Told) -> None:
    operator, (before, after) = ended.nodes["eve"].operator, ended.stake["eve"]
    units = [unit.unit for unit in ended.board.units.values() if unit.operator == operator]
    assert before - after == SIMNET.slash * len(units) > 0
    assert ended.earned("eve", "worker") == 0
    assert [(slash.operator, slash.unit) for slash in ended.board.slashes] == [
        (operator, unit) for unit in units
    ]
    assert all(slash.reporter != operator for slash in ended.board.slashes)


@pytest.mark.parametrize("name", HONEST_NAMES)
def test_nobody_honest_is_slashed(ended: Told, name: str) -> None:
    before, after = ended.stake[name]
    assert before == after


def test_all_honest_workers_are_paid(ended: Told) -> None:
    assert ended.earned("cyd", "worker") > 0
    assert ended.earned("dan", "worker") > 0


def test_all_nodes_end_with_the_same_board(ended: Told) -> None:
    boards = [ctx.board for ctx in ended.nodes.values()]
    assert len({tuple(board.owners) for board in boards}) == 1
    assert len({tuple(entry.root for entry in board.epochs) for board in boards}) == 1
    assert len({tuple(board.shards) for board in boards}) == 1


# -- rivals: garbage, a copycat, a private owner ---


def test_the_copycat_gets_at_most_a_fifth_of_whom_it_copied(rivals: Told) -> None:
    original = rivals.earned("ann", "contributor")
    assert original > 0
    assert 5 * rivals.earned("cat", "contributor") <= original


def test_garbage_gets_at_most_a_fifth_of_an_equal_share(rivals: Told) -> None:
    credits = rivals.bodies[0].pots[0].credits
    rows = sum(credit.owner == rivals.owner["gus"] for credit in credits)
    part = rivals.job.spec.escrow * SIMNET.contributors_bps // BPS
    assert rows > 0
    assert 5 * rivals.earned("gus", "contributor") * len(credits) <= part * rows


def test_the_private_owner_trains_at_home_and_is_paid_within_the_cap(rivals: Told) -> None:
    found = rivals.attributed
    assert found is not None
    final = total(found.queries, found.body.losses[-1])
    helped = total(found.queries, found.body.without_private) > final  # by its update
    paid = rivals.earned("pia", "contributor")
    assert 0 <= paid <= rivals.job.spec.escrow * SIMNET.private_cap_bps // BPS
    assert (paid > 0) is helped
    assert rivals.earned("pia", "worker") == 0
    operator = rivals.nodes["pia"].operator
    assert [u.operator for u in rivals.board.units.values()].count(operator) == SIMNET.rounds


def test_private_texts_never_leave_home(rivals: Told, tmp_path: Path) -> None:
    write_rows(next(part for part in RIVALS.parts if part.owner == "pia"), tmp_path / "rows.jsonl")
    records = read_records([tmp_path / "rows.jsonl"]).records
    blob = content_id(pack(RecordList(tuple(records))))
    holders = [name for name, ctx in rivals.nodes.items() if ctx.seams.blobs.has(blob)]
    assert holders == ["pia"]


# -- faults ---


def test_a_network_that_loses_one_message_in_ten_finishes(lossy: Told) -> None:
    assert lossy.bodies[0].pots[0].kind == "job"
    assert sum(lossy.claimed.values()) > 0


@pytest.mark.parametrize("name", HONEST_NAMES)
def test_nobody_is_slashed_for_lost_messages(lossy: Told, name: str) -> None:
    before, after = lossy.stake[name]
    assert before == after


def test_the_round_closes_without_a_worker_that_died(faulty: Told) -> None:
    assert outcome(faulty, "fay") is State.EXPIRED
    assert faulty.earned("fay", "worker") == 0
    assert faulty.stake["fay"][0] == faulty.stake["fay"][1]
    assert faulty.earned("cyd", "worker") > 0


def test_a_gradient_that_is_never_shown_is_slashed(faulty: Told) -> None:
    assert outcome(faulty, "wil") is State.FAILED
    assert faulty.stake["wil"][0] - faulty.stake["wil"][1] == SIMNET.slash
    assert faulty.earned("wil", "worker") == 0


def test_states_that_nobody_can_recompute_are_slashed(faulty: Told) -> None:
    assert outcome(faulty, "jon") is State.FAILED
    assert faulty.stake["jon"][0] - faulty.stake["jon"][1] == SIMNET.slash
    assert faulty.earned("jon", "worker") == 0


@pytest.mark.parametrize("name", HONEST_NAMES)
def test_faults_of_others_cost_nobody_honest(faulty: Told, name: str) -> None:
    before, after = faulty.stake[name]
    assert before == after
