"""Playing a plan: the world runs, people ask things of their nodes, faults happen, checkers look on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from node import actions, data, jobs, serve
from node.context import Context, Pace
from protocol.errors import OpenLedgerError
from protocol.messages import Receipt
from protocol.params import SIMNET
from simnet import texts
from simnet.actors import actor
from simnet.checks import Checks, Violated
from simnet.faults import happen
from simnet.mutants import removed
from simnet.plan import Plan, Player, Posting, Shard
from simnet.posters import POSTERS
from simnet.seams import run_world
from simnet.world import WIRED, Member, World, running

BASE = "integer:tiny"
LEARNING_RATE = 0.05  # the learner's own scale
PROMPT = "What is the beginning of {}?"
SUBJECTS = ("heaven", "earth", "the law", "the people", "a house", "day and night")
ANSWER_TOKENS = 12
STANDS_S = 30.0  # a person looks after so long whether what was sent is still on chain
RETRY_S = 15.0  # a person whose node said no tries again after so long
SETTLE_S = 90.0  # after the last wish, for claims and for the ends of what is judged
TRIAL_S = 600.0  # for juries, their appeals, and the commit after them
CHECK_S = 15.0  # between two looks at the whole world


@dataclass(slots=True)
class Run:
    """A plan while it is played, and what people got."""

    plan: Plan
    world: World
    jobs: dict[Posting, bytes] = field(default_factory=dict)  # -> job id
    receipts: list[Receipt] = field(default_factory=list)
    waiting: set[str] = field(default_factory=set)  # what people still want

    def node(self, name: str) -> Context:
        return self.world.nodes[name]


@dataclass(frozen=True, slots=True)
class Ended:
    """What is left of a run."""

    virtual_seconds: float
    trace: bytes
    counts: dict[str, int]
    checked: dict[str, int]  # how often each checker looked
    earned: dict[str, int]  # player -> what its records earned, smallest units


def play(plan: Plan) -> Ended:
    """Play it. Raises TimeoutError when somebody waits in vain."""
    return run_world(_play, plan, seed=plan.seed)


def members(plan: Plan) -> list[Member]:
    return [_member(player) for player in plan.players]


def _member(player: Player) -> Member:
    """An actor is one of work (``simnet/actors.py``) or of posts (``simnet/posters.py``)."""
    posts = POSTERS.get(player.actor)
    wrap = actor(player.actor) if player.actor and posts is None else None
    return Member(
        player.name, player.roles, wrap, player.open_tokens, posts=posts, units=player.units
    )


async def _play(plan: Plan) -> Ended:
    params = replace(SIMNET, **plan.params)  # type: ignore[arg-type]
    conditions, pace = replace(WIRED, **plan.wires), Pace(**plan.pace)  # type: ignore[arg-type]
    seed = f"{plan.scenario} {plan.seed}".encode()
    with removed(plan):
        async with running(members(plan), params, seed, conditions, pace) as world:
            run = Run(plan, world)
            checks = Checks(plan, world)
            start = world.clock.monotonic()
            await _found(run)
            async with trio.open_nursery() as others:
                for fault in plan.faults:
                    others.start_soon(happen, world, fault)
                others.start_soon(_look, run, checks)
                with trio.move_on_at(start + plan.until):
                    async with trio.open_nursery() as people:
                        for shard in plan.shards:
                            people.start_soon(_want, run, f"shard of {shard.owner}", _commit, shard)
                        for posting in plan.postings:
                            people.start_soon(
                                _want, run, f"job of {posting.builder}", _post, posting
                            )
                await world.clock.sleep(SETTLE_S)
                await _judged(run)
                others.cancel_scope.cancel()
            if run.waiting:
                raise Violated(
                    "liveness", f"in vain: {', '.join(sorted(run.waiting))}\n{world.state()}"
                )
            await checks.at_end()
            return Ended(
                world.clock.monotonic() - start,
                world.trace(),
                counts(run),
                dict(checks.seen),
                dict(checks.earned),
            )


async def _judged(run: Run) -> None:
    """Until no epoch is before a jury: what is pending then is no result."""
    asked = run.plan.players[0].name
    with trio.move_on_after(TRIAL_S):
        while any(case.epoch for case in run.node(asked).board.court.open()):
            await run.world.clock.sleep(CHECK_S)
        await run.world.clock.sleep(CHECK_S)
        return
    raise Violated("liveness", f"an epoch is before a jury for ever\n{run.world.state()}")


async def _look(run: Run, checks: Checks) -> None:
    while True:
        await run.world.clock.sleep(CHECK_S)
        checks.now()


async def _found(run: Run) -> None:
    for name in run.plan.datanets:
        founder = next(s.owner for s in run.plan.shards if s.datanet == name)
        await data.found(run.node(founder), name, "open", "PD", "texts of a simulation")
    wanted = set(run.plan.datanets)
    await run.world.until(
        lambda: all(
            wanted == {record.name for record in data.names(ctx).values()}
            and len(ctx.board.datanets) == len(wanted)
            for ctx in run.world.nodes.values()
        ),
        300,
        "the Datanets are not known everywhere",
    )


async def _want(run: Run, what: str, act: Callable[..., Awaitable[None]], thing: object) -> None:
    run.waiting.add(what)
    await act(run, thing)
    run.waiting.discard(what)


async def _commit(run: Run, shard: Shard) -> None:
    """Commit a shard, and again if it is gone a while later: a reorganisation may lose the transaction."""
    await run.world.clock.sleep(shard.at)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        texts.write_jsonl(path, rows_of(run.plan, shard))
        stands = False
        while not stands:
            act = partial(data.commit_shard, name=shard.datanet, path=path)
            found = await _again(run, shard.owner, act)
            await run.world.clock.sleep(STANDS_S)
            assert isinstance(found, tuple)
            stands = found[0] in run.node(shard.owner).board.shards


def rows_of(plan: Plan, shard: Shard) -> list[texts.Row]:
    drawn = f"{plan.seed}/{shard.source.rpartition(':')[2]}/{shard.part}".encode()
    most = shard.skip + shard.records
    return texts.owner_rows(shard.source, shard.part, shard.parts, most, drawn)[shard.skip :]


async def _again(run: Run, name: str, act: Callable[[Context], Awaitable[object]]) -> object:
    """Ask a node for something until it does it; it may be down, or refuse for a reason that passes."""
    while True:
        if run.world.runs(name):
            try:
                return await act(run.node(name))
            except OpenLedgerError as error:
                run.node(name).fail("person", error)
        await run.world.clock.sleep(RETRY_S)


async def _post(run: Run, posting: Posting) -> None:
    world, builder = run.world, posting.builder
    await world.clock.sleep(posting.at)
    ready = [s for s in run.plan.shards if s.datanet in posting.datanets and s.at <= posting.at]

    def revealed() -> bool:
        board = run.node(builder).board
        return sum(data.held(run.node(builder), s) for s in board.shards.values()) >= len(ready)

    await world.until(revealed, 600, "not every shard was revealed and held")
    names = ", ".join(f'"{name}"' for name in posting.datanets)
    number = run.plan.postings.index(posting)
    recipe = (
        f'name = "job {number}"\nbase = "{BASE}"\ndatanets = [{names}]\n'
        f'escrow = "{posting.escrow}"\n[train]\nlr = {LEARNING_RATE}\n'
    )
    found = await _again(run, builder, lambda ctx: actions.submit_job(ctx, recipe))
    assert isinstance(found, tuple)
    run.jobs[posting] = found[0]
    await _ask(run, posting)


async def _ask(run: Run, posting: Posting) -> None:
    builder, clock = posting.builder, run.world.clock
    while True:
        ctx = run.node(builder)
        job = next((j for j in jobs.jobs(ctx) if j.id == run.jobs[posting]), None)
        model = None if job is None else jobs.model_of(ctx, job)
        if model is not None and model in ctx.board.models:
            break
        if job is not None and jobs.failed(ctx, job) is not None:
            return
        await clock.sleep(RETRY_S)
    for number in range(posting.questions):
        prompt = PROMPT.format(SUBJECTS[number % len(SUBJECTS)])
        found = await _again(
            run,
            builder,
            partial(serve.ask, model=model, prompt=prompt, max_tokens=ANSWER_TOKENS),
        )
        assert isinstance(found, tuple)
        run.receipts.append(found[1])


def counts(run: Run) -> dict[str, int]:
    """How busy it was."""
    board = run.node(run.plan.players[0].name).board
    wires = run.world.wires.traffic
    return {
        "nodes": len(run.plan.players),
        "jobs": len(run.jobs),
        "units": len(board.units),
        "anchored": sum(bool(unit.root) for unit in board.units.values()),
        "records": sum(shard.records for shard in run.plan.shards),
        "answers": len(run.receipts),
        "fees": len(board.fees),
        "epochs": len(board.epochs),
        "pots_drawn": sum(bool(pot.drawn) for pot in board.pots.values()),
        "claims": len(board.claims),
        "slashes": len(board.slashes),
        "messages": wires.messages,
        "bytes": wires.bytes,
        "transactions": run.world.chain.transactions,
        "verdicts": sum(len(unit.verdicts) + len(unit.rulings) for unit in board.units.values()),
        "letters": sum(
            len(ctx.mail.ids(ctx.seams.clock.now())) for ctx in run.world.nodes.values()
        ),
        "blob_bytes": sum(machine.blobs.size for machine in run.world.machines.values()),
    }
