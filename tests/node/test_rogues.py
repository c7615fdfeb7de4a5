"""Worlds with peers who break a rule: each costs its author what it should, and nobody else anything."""

import pytest

from node import jobs
from protocol.ids import job_round
from protocol.messages import ROUND
from protocol.params import SIMNET
from tasks.lifecycle import State
from tests.simnet.story import DOOMED, ROGUES, Told, told


@pytest.fixture(scope="module")
def rogues() -> Told:
    return told(ROGUES)


@pytest.fixture(scope="module")
def doomed() -> Told:
    return told(DOOMED)


def state(story: Told, name: str) -> State:
    """The end of a member's only unit, as the first aggregator sees it."""
    operator, ctx = story.nodes[name].operator, story.nodes["ann"]
    unit = next(u for u in ctx.board.units.values() if u.operator == operator)
    found: State = ctx.outcomes[unit.unit].state
    return found


def lost(story: Told, name: str) -> int:
    before, after = story.stake[name]
    return before - after


def test_only_the_states_that_were_committed_are_judged(rogues: Told) -> None:
    assert state(rogues, "mix") is State.ACCEPTED
    assert lost(rogues, "mix") == 0


@pytest.mark.parametrize(("name", "bonds"), [("pod", 0), ("hid", 0), ("gab", 1)])
def test_scrap_hidden_leaves_and_unreadable_answers_are_slashed(
    rogues: Told, name: str, bonds: int
) -> None:
    """Gab, to whom its own work looks right, appeals: its jury hears nothing either, and it loses more."""
    assert state(rogues, name) is State.FAILED
    assert lost(rogues, name) == SIMNET.slash + bonds * SIMNET.min_stake
    assert rogues.locked[name] == 0


def test_an_accusation_without_a_body_is_ruled_on_and_refuted(rogues: Told) -> None:
    """And whoever made it loses 2 C for each."""
    bob = rogues.nodes["bob"].operator
    accused = [a.unit for a in rogues.board.court.accusations if a.accuser == bob]
    assert accused
    outcomes = {rogues.nodes["ann"].outcomes[unit].state for unit in accused}
    assert outcomes <= {State.ACCEPTED, State.FAILED}
    refuted = [s for s in rogues.board.slashes if s.operator == bob]
    assert lost(rogues, "bob") == SIMNET.accuser_stake * len(refuted) > 0


def test_a_worker_that_stopped_before_publishing_publishes_later(rogues: Told) -> None:
    assert state(rogues, "dan") is State.ACCEPTED
    assert rogues.earned("dan", "worker") > 0


def test_a_home_unit_that_is_no_adapter_is_left_out_and_blocks_nothing(rogues: Told) -> None:
    assert state(rogues, "pia") is State.VOID
    assert lost(rogues, "pia") == 0
    assert rogues.bodies[0].pots[0].kind == "job"


def test_a_second_commitment_to_one_step_is_refused(rogues: Told) -> None:
    assert "second-commitment" in str(rogues.seen)


@pytest.mark.parametrize("name", ["ann", "cyd", "dan"])
def test_rogues_cost_nobody_honest(rogues: Told, name: str) -> None:
    assert lost(rogues, name) == 0


# -- a job of which no unit is left ---


def test_a_job_without_a_verified_unit_fails_for_every_node(doomed: Told) -> None:
    running = [doomed.nodes[name] for name in ("ann", "bob", "cyd", "dan", "jon")]
    assert [jobs.failed(ctx, doomed.job) for ctx in running] == [0] * len(running)
    assert [jobs.current_round(ctx, doomed.job) for ctx in running] == [None] * len(running)
    assert jobs.finished(running[0], doomed.job, 0) is None


def test_the_seats_say_once_that_it_failed(doomed: Told) -> None:
    posts = doomed.board.posted(ROUND, job_round(doomed.job.id, 0))
    assert {post.value for post in posts} == {jobs.NO_ADAPTER}
    assert len(posts) == len({post.operator for post in posts}) >= doomed.board.quorum


def test_pay_and_stake_of_the_expired_and_the_slashed_are_free_again(doomed: Told) -> None:
    assert state(doomed, "fay") is State.EXPIRED
    assert state(doomed, "jon") is State.FAILED
    assert (doomed.locked["fay"], doomed.locked["jon"], doomed.reserved) == (0, 0, 0)
    assert lost(doomed, "fay") == 0
