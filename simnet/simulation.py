"""A scenario in one process and virtual time: the node's own code over the six simulated seams.

The same file that drives real processes; the base is the integer learner. The same seed gives the same
trace, which is printed so that a failure can be repeated and compared.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import trio
from blake3 import blake3

from node import actions, committed, data, jobs, serve
from node.context import Context
from p2p.nursery import lone
from protocol.ids import checksum
from protocol.messages import EpochBody
from protocol.params import preset
from simnet import texts
from simnet.actors import actor
from simnet.outcome import Outcome, bounded, paid
from simnet.scenario import Fault, NodePlan, Scenario
from simnet.seams import run_world
from simnet.world import EPOCH, Member, World, running

BASE = "integer:tiny"
LEARNING_RATE = 0.05  # the learner's own scale
JOB_S, ANSWER_S = 6_000, 3_000  # virtual seconds


@dataclass(frozen=True, slots=True)
class Ended:
    """What is left of a simulated run. Amounts in smallest units by node name."""

    virtual_seconds: float
    trace: bytes
    earned: dict[str, int]
    slashed: tuple[str, ...]
    pots: int
    exact: bool  # every pot's shares sum to its draw, and every claim reached its payout address
    outcome: Outcome


def simulate(scenario: Scenario, seed: int) -> Ended:
    """Play the scenario. Raises TimeoutError with every node's state when it gets stuck."""
    try:
        return run_world(_play, scenario, seed, seed=seed)
    except BaseExceptionGroup as group:
        raise lone(group) from group


async def _play(scenario: Scenario, seed: int) -> Ended:
    members = [_member(plan, scenario) for plan in scenario.nodes]
    async with running(members, preset(scenario.preset), b"scenario %d" % seed) as world:
        builder = world.nodes["builder"]
        await _begin("data", scenario, world)
        await _publish(scenario, world, seed)
        job = await _job(scenario, builder)
        await _begin("job", scenario, world)
        await world.until(lambda: bool(builder.board.epochs), JOB_S, "the job was not settled")
        await _paid(world, builder)
        model = jobs.model_of(builder, job)
        if model is None:
            raise TimeoutError(f"the job was settled without an adapter\n{world.state()}")
        await _begin("answer", scenario, world)
        await serve.ask(builder, model, scenario.prompt, scenario.answer_tokens)
        await world.until(
            lambda: len(builder.board.epochs) > 1, ANSWER_S, "the fee was not settled"
        )
        await _paid(world, builder)
        return await _ended(scenario, world, job)


async def _begin(stage: str, scenario: Scenario, world: World) -> None:
    for fault in scenario.faults:
        if fault.stage == stage:
            world.nursery.start_soon(_strike, world, fault)
    await trio.lowlevel.checkpoint()


async def _strike(world: World, fault: Fault) -> None:
    """What a signal does to a process, done to a node of the world."""
    await world.clock.sleep(fault.after)
    if fault.node == "chain":
        for machine in world.machines.values():
            machine.endpoint.fault = "stall"
    elif fault.does == "freeze":
        await _freeze(world, fault)
    else:
        world.stop(fault.node)
        if fault.does == "restart":
            await world.clock.sleep(fault.lasts)
            await world.start(fault.node)


async def _freeze(world: World, fault: Fault) -> None:
    """Nothing reaches the node or leaves it, and its chain does not answer."""
    frozen = world.nodes[fault.node].seams.transport.peer_id
    others = {ctx.seams.transport.peer_id for ctx in world.nodes.values()} - {frozen}
    links = {(frozen, other) for other in others} | {(other, frozen) for other in others}
    endpoint = world.machines[fault.node].endpoint
    world.wires.silenced |= links
    endpoint.fault = "stall"
    await world.clock.sleep(fault.lasts)
    world.wires.silenced -= links
    endpoint.fault = ""


def _member(plan: NodePlan, scenario: Scenario) -> Member:
    wrap = actor(plan.actor) if plan.actor else None
    tokens = scenario.builder_open if plan.name == "builder" else 0
    return Member(plan.name, plan.roles, wrap, tokens)


async def _publish(scenario: Scenario, world: World, seed: int) -> None:
    for plan in scenario.datanets:
        founder = world.nodes[plan.founder]
        await data.found(founder, plan.name, plan.data_class, plan.licence, plan.description)
    count = len(scenario.datanets)
    await world.until(
        lambda: all(
            len(data.names(ctx)) == len(ctx.board.datanets) == count for ctx in world.nodes.values()
        ),
        300,
        "the Datanets are not known everywhere",
    )
    owners = [plan for plan in scenario.nodes if plan.shard]
    with TemporaryDirectory() as folder:
        for owner in owners:
            await _commit(owner, world.nodes[owner.name], Path(folder) / "rows.jsonl", seed)
    builder = world.nodes["builder"]
    shards = builder.board.shards
    await world.until(
        lambda: sum(data.held(builder, s) for s in shards.values()) == len(owners),
        600,
        "not every shard was revealed and held",
    )


async def _commit(plan: NodePlan, ctx: Context, path: Path, seed: int) -> None:
    shard = plan.shard
    assert shard is not None, "only owners commit"
    texts.write_jsonl(path, shard_rows(shard.source, shard.part, shard.parts, shard.records, seed))
    await data.commit_shard(ctx, shard.datanet, path)


def shard_rows(source: str, part: int, parts: int, count: int, seed: int) -> list[texts.Row]:
    """An owner's records; garbage and edits follow from the seed, and a copycat's from whom it copies."""
    drawn = blake3(f"demo/{seed}/{source.rpartition(':')[2]}/{part}".encode()).digest()
    return texts.owner_rows(source, part, parts, count, drawn)


async def _job(scenario: Scenario, builder: Context) -> jobs.Job:
    names = ", ".join(f'"{plan.name}"' for plan in scenario.datanets)
    job, _ = await actions.submit_job(
        builder,
        f'name = "{BASE}"\nbase = "{BASE}"\ndatanets = [{names}]\nescrow = "{scenario.escrow}"\n'
        f"include_private = true\n[train]\nlr = {LEARNING_RATE}\n",
    )
    return next(found for found in jobs.jobs(builder) if found.id == job)


async def _paid(world: World, builder: Context) -> None:
    """Until every node that runs has claimed what the last epoch gives it."""
    earned = (await committed.bodies(builder))[-1].cumulative

    def done() -> bool:
        claimed = dict.fromkeys(range(len(earned)), 0)
        for claim in builder.board.claims:
            claimed[claim.index] += claim.amount
        alive = [ctx for name, ctx in world.nodes.items() if world.runs(name)]
        owners = [builder.board.index_of(ctx.operator) for ctx in alive]
        return all(i is None or i >= len(earned) or claimed[i] == earned[i] for i in owners)

    await world.until(done, 600, "not everybody has claimed")


async def _ended(scenario: Scenario, world: World, job: jobs.Job) -> Ended:
    builder = world.nodes["builder"]
    bodies = await committed.bodies(builder)
    indices = {name: builder.board.index_of(c.operator) for name, c in world.nodes.items()}
    earned = {n: bodies[-1].cumulative[i] for n, i in indices.items() if i is not None}
    names = {ctx.operator: name for name, ctx in world.nodes.items()}
    exact = all(sum(s.amount for s in pot.shares) == pot.amount for b in bodies for pot in b.pots)
    for name, ctx in world.nodes.items():
        claimed = sum(c.amount for c in builder.board.claims if c.payout == ctx.payout)
        held = await world.chain.read("OpenToken", "balanceOf", checksum(ctx.payout))
        due = claimed == earned.get(name, 0) or not world.runs(name)
        exact = exact and due and held >= claimed
    slashed = tuple(names[slash.operator] for slash in builder.board.slashes)
    shares = {name: _share(bodies, index) for name, index in indices.items()}
    return Ended(
        virtual_seconds=world.clock.now() - EPOCH,
        trace=world.trace(),
        earned=earned,
        slashed=slashed,
        pots=sum(len(body.pots) for body in bodies),
        exact=exact,
        outcome=Outcome(
            rounds=sum(
                jobs.finished(builder, job, number) is not None for number in range(job.spec.rounds)
            ),
            epochs=len(builder.board.epochs),
            exact=exact,
            slashed=tuple(sorted(set(slashed))),
            paid=paid(scenario, shares),
            bounded=bounded(scenario, shares),
            dead=tuple(sorted(name for name in world.nodes if not world.runs(name))),
        ),
    )


def _share(bodies: list[EpochBody], owner: int | None) -> int:
    """What an owner's records earned of the job."""
    pots = (pot for body in bodies for pot in body.pots if pot.kind == "job")
    return sum(
        share.amount
        for pot in pots
        for share in pot.shares
        if share.owner == owner and share.role == "contributor"
    )
