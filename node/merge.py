"""An aggregator's first duty: merge a round's verified updates. Anyone may re-run it and gets the same hash.

A round closes when every unit of it has a final state; deadlines make sure that each gets one, and all
nodes find the same states, because only posts in time count. A round without a verified unit ends its job:
the aggregators post zero for its adapter. Momentum is carried from round to round by re-running the merges
before, so nobody has to be trusted for it. Units trained at home cannot be re-computed: the aggregators
say whether their adapters can be merged at all.
"""

from node import jobs, verify
from node.context import Context
from node.jobs import Assigned, Job
from protocol.compute import Merge, Merged, Update
from protocol.errors import Reverted
from protocol.ids import job_round, short
from protocol.messages import ROUND, VERDICT
from tasks.entries import UnitEntry
from tasks.judge import Outcome
from tasks.lifecycle import State

TURN_S = 5  # head start of each earlier seat, so that one transaction is sent, not three


async def merge_rounds(ctx: Context) -> None:
    """Post the merged adapter of every closed round that has no agreement yet."""
    for job in jobs.jobs(ctx):
        number = jobs.current_round(ctx, job)
        if number is None or ctx.mine(ROUND, job_round(job.id, number)):
            continue
        await _inspect_homes(ctx, job, number)
        found = await jobs.outcomes(ctx, job, number)
        if found is not None and all(result.final for result in found.values()):
            await ctx.attempt("merge", _merge, job, number, found)


async def release_units(ctx: Context) -> None:
    """Free pay and stake of units that expired or were slashed; anyone may, the seats take turns."""
    turn = ctx.board.seats.index(ctx.operator) * TURN_S if ctx.operator in ctx.board.seats else 0
    for unit in ctx.board.releasable(ctx.head.time - turn):
        if await ctx.done(_release_key(unit)) is None:
            await ctx.attempt("release", _release, unit)


def _release_key(unit: UnitEntry) -> str:
    return f"released/{unit.unit.hex()}/{unit.expires}"


async def _release(ctx: Context, unit: UnitEntry) -> None:
    key = _release_key(unit)
    try:
        receipt = await ctx.write("AttributionPool", "expire", unit.unit)
    except Reverted as error:  # somebody was faster
        ctx.fail("release", error)
    else:
        ctx.note("release", f"freed pay and stake of unit {short(unit.unit)}")
        await ctx.reached(receipt.block)
    await ctx.did(key)


async def _inspect_homes(ctx: Context, job: Job, number: int) -> None:
    for item in await jobs.assigned(ctx, job, number) or []:
        entry = jobs.entry_of(ctx, job, item)
        if not item.home or entry is None or not entry.root:
            continue
        in_time = ctx.head.time <= entry.anchor_time + ctx.params.judge_seconds
        if in_time and not verify.posted(entry.verdicts, ctx.operator):
            await ctx.attempt("merge", _inspect_home, job, number, entry)


async def _inspect_home(ctx: Context, job: Job, number: int, entry: UnitEntry) -> None:
    """Say whether a home unit's adapter is one of this job and within the schedule's bound."""
    await ctx.fetch(entry.adapter, entry.operator)
    facts = await verify.inspect(ctx, job, number, entry)
    code = "C" if facts is None else ("" if facts.moved_ppb <= facts.bound_ppb else "D")
    await verify.post_verdict(ctx, VERDICT, entry, [verify.finding(job.spec.hyper.steps, code)])


def accepted(found: dict[Assigned, Outcome], *, with_home: bool = True) -> list[Assigned]:
    """Units whose updates are merged."""
    return [
        item
        for item, result in found.items()
        if result.state is State.ACCEPTED and (with_home or not item.home)
    ]


async def _merge(ctx: Context, job: Job, number: int, found: dict[Assigned, Outcome]) -> None:
    chosen = accepted(found)
    if not accepted(found, with_home=False):
        ctx.note("merge", f"round {number + 1} of job {short(job.id)} has no verified unit left")
        await _close(ctx, job, number, jobs.NO_ADAPTER)
        return
    result = await merged(ctx, job, number)
    ctx.note("merge", f"merged {len(chosen)} units of round {number + 1}")
    await _close(ctx, job, number, result.adapter)


async def _close(ctx: Context, job: Job, number: int, adapter: bytes) -> None:
    receipt = await ctx.post(ROUND, job_round(job.id, number), adapter)
    await ctx.reached(receipt.block)


async def merged(ctx: Context, job: Job, number: int, *, with_home: bool = True) -> Merged:
    """The deterministic merge of a closed round, and of the rounds before it for their momentum."""
    cache: dict[tuple[bytes, int, bool], Merged] = ctx.private.setdefault("merges", {})
    key = (job.id, number, with_home)
    if key not in cache:
        cache[key] = await _rerun(ctx, job, number, with_home)
    return cache[key]


async def _rerun(ctx: Context, job: Job, number: int, with_home: bool) -> Merged:
    momentum = (await merged(ctx, job, number - 1)).momentum if number else None
    found = await jobs.outcomes(ctx, job, number)
    assert found is not None, "a closed round was opened by a known beacon"
    updates = []
    for item in accepted(found, with_home=with_home):
        entry = jobs.entry_of(ctx, job, item)
        assert entry is not None, "an accepted unit was reserved"
        await ctx.fetch(entry.adapter, entry.operator)
        updates.append(Update(item.unit, entry.adapter))
    start = jobs.start_adapter(ctx, job, number)
    await jobs.fetch_adapter(ctx, job, start)
    request = Merge(start, tuple(updates), momentum, job.spec.hyper)
    result = await ctx.seams.compute.run(request)
    assert isinstance(result, Merged)
    return result
