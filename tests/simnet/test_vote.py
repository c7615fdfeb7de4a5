"""A vote in a running network: between two jobs it changes the contributors' share and the sampling
rate, every node follows at the stated second, and the job under way keeps its own rules.

In virtual time on the simulated chain; and in real time on the real EVM, in a few minutes:
``pytest -m slow tests/simnet/test_vote.py``.
"""

from dataclasses import dataclass, replace

import pytest
import trio

from node import committed, govern, jobs
from node.context import Context
from protocol.ids import checksum
from protocol.messages import EpochBody
from protocol.params import OPEN, SIMNET
from protocol.rules import genesis
from simnet.seams import run_world
from simnet.world import World, running
from tests.settlement.box import Box, started, stopped
from tests.simnet import evm_world
from tests.simnet.evm_world import EvmWorld
from tests.simnet.story import DEMO, _paid_out, _publish, _submit

BPS = 10_000
CHANGES = {"contributors_bps": 3_000, "samples": 4}
CAST = replace(DEMO, params=replace(SIMNET, rounds=1), answers=0, seed=5)
VOTES = 20_000_000 * OPEN  # above the quorum of 1 % of all OPEN


@dataclass
class Vote:
    """What two jobs before and after a vote left behind."""

    nodes: dict[str, Context]
    jobs: tuple[jobs.Job, jobs.Job]
    bodies: tuple[EpochBody, ...]
    start: int
    drawn: tuple[dict[str, set[frozenset[int]]], dict[str, set[frozenset[int]]]]


async def _voted(world: World | EvmWorld, start: int) -> None:
    """Ann and bob hold votes; ann proposes, both vote, bob queues, cyd executes."""
    nodes, chain = world.nodes, world.chain
    for name in ("ann", "bob"):
        to = checksum(nodes[name].operator)
        await chain.write(world.treasury_key, "OpenToken", "transfer", to, VOTES + 1_000 * OPEN)
        await govern.wrap(nodes[name], VOTES)
        await govern.delegate(nodes[name], to)
    await world.clock.sleep(1.0)
    number, _ = await govern.propose_rules(nodes["ann"], CHANGES, start, "less to contributors")
    wanted, p = f"{number:064x}", CAST.params
    await world.clock.sleep(p.vote_delay_seconds + 1.0)
    for name in ("ann", "bob"):
        await govern.vote(nodes[name], wanted, "for")
    await world.clock.sleep(p.vote_seconds)
    await govern.queue(nodes["bob"], wanted)
    await world.clock.sleep(p.timelock_seconds)
    await govern.execute(nodes["cyd"], wanted)


def _known(world: World | EvmWorld, job: jobs.Job) -> bool:
    return all(job.id in {own.id for own in jobs.jobs(ctx)} for ctx in world.nodes.values())


async def _drawn(world: World | EvmWorld, job: jobs.Job) -> dict[str, set[frozenset[int]]]:
    """The sets of sampled steps of a job's units, as each node derives them."""
    found: dict[str, set[frozenset[int]]] = {}
    for name, ctx in world.nodes.items():
        mine = next(own for own in jobs.jobs(ctx) if own.id == job.id)
        units = [unit for unit in ctx.board.units.values() if unit.pot == job.id and unit.root]
        drawn = [await jobs.samples(ctx, mine, unit) for unit in units]
        found[name] = {frozenset(steps) for steps in drawn if steps is not None}
    return found


async def _story(world: World | EvmWorld, leave: int) -> Vote:
    """``leave``: seconds from the earliest start that a vote may have to the one that this has."""
    ann = world.nodes["ann"]
    await _publish(CAST, world)
    first = await _submit(CAST, world)
    start = govern.earliest_start(ann) + leave
    await _voted(world, start)  # while the first job runs
    await world.until(lambda: bool(ann.board.epochs), 1_500, "no first epoch")
    await world.until(lambda: ann.head.time >= start, 1_500, "the rules never start")
    second = await _submit(CAST, world)
    await world.until(lambda: _known(world, second), 60, "a node refuses the job of the new rules")
    await world.until(lambda: len(ann.board.epochs) > 1, 1_500, "no second epoch")
    await _paid_out(world, ann)
    drawn = await _drawn(world, first), await _drawn(world, second)
    return Vote(world.nodes, (first, second), tuple(await committed.bodies(ann)), start, drawn)


async def _simulated() -> Vote:
    async with running(CAST.members, CAST.params, b"vote %d" % CAST.seed) as world:
        return await _story(world, 60)


async def _real(box: Box) -> Vote:
    async with evm_world.running(CAST.members, CAST.params, b"vote on the evm", box) as world:
        return await _story(world, 30)


@pytest.fixture(scope="module", params=["simulated", pytest.param("evm", marks=pytest.mark.slow)])
def vote(request: pytest.FixtureRequest) -> Vote:
    """The story told on one of both chains."""
    if request.param == "simulated":
        return run_world(_simulated, seed=CAST.seed)
    box = started()
    try:
        return trio.run(_real, box)
    finally:
        box.process.terminate()
        stopped(box)


def test_a_job_is_bound_to_the_rules_at_its_funding(vote: Vote) -> None:
    first, second = vote.jobs
    assert (first.spec.rule_version, second.spec.rule_version) == (1, 2)
    assert first.pot.time < vote.start <= second.pot.time


def test_the_contributors_share_follows(vote: Vote) -> None:
    for number, (job, bps) in enumerate(
        zip(vote.jobs, (SIMNET.contributors_bps, 3_000), strict=True)
    ):
        (pot,) = vote.bodies[number].pots
        paid = sum(share.amount for share in pot.shares if share.role == "contributor")
        assert paid == job.spec.escrow * bps // BPS


def test_the_sampling_rate_follows_and_all_nodes_draw_the_same(vote: Vote) -> None:
    for drawn, samples in zip(vote.drawn, (SIMNET.samples, 4), strict=True):
        assert {len(steps) for steps in drawn["ann"]} == {samples}
        assert len({frozenset(steps) for steps in drawn.values()}) == 1


def test_all_nodes_hold_the_same_rules(vote: Vote) -> None:
    changed = replace(genesis(CAST.params), **CHANGES)
    for ctx in vote.nodes.values():
        assert [entry.rules for entry in ctx.board.rules] == [genesis(CAST.params), changed]
        assert ctx.board.rules[1].start == vote.start
        assert govern.rules_now(ctx) == changed
        assert ctx.failures.get("bad-job") is None


def test_an_epoch_cites_the_rules_that_were_in_force_when_it_began(vote: Vote) -> None:
    board = vote.nodes["ann"].board
    assert vote.bodies[0].rule_version == 1
    began = board.epochs[0].time
    assert vote.bodies[1].rule_version == (2 if began >= vote.start else 1)
