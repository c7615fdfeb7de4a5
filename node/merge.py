"""An aggregator's first duty: merge a round's verified updates. Anyone may re-run it and gets the same hash.

A round closes when every unit of it has a final state; deadlines make sure that each gets one, and all
nodes find the same states, because only posts in time count. Momentum is carried from round to round by
re-running the merges before, so nobody has to be trusted for it.
"""

from node import jobs
from node.context import Context
from node.jobs import Assigned, Job
from protocol.compute import Merge, Merged, Update
from protocol.errors import OperatorError
from protocol.ids import job_round, short
from protocol.messages import ROUND
from tasks.judge import Outcome
from tasks.lifecycle import State


async def merge_rounds(ctx: Context) -> None:
    """Post the merged adapter of every closed round that has no agreement yet."""
    for job in jobs.jobs(ctx):
        number = jobs.current_round(ctx, job)
        if number is None or ctx.mine(ROUND, job_round(job.id, number)):
            continue
        found = await jobs.outcomes(ctx, job, number)
        if found and all(result.final for result in found.values()):
            await ctx.attempt("merge", _merge, job, number, found)


def accepted(found: dict[Assigned, Outcome], *, with_home: bool = True) -> list[Assigned]:
    """Units whose updates are merged."""
    return [
        item
        for item, result in found.items()
        if result.state is State.ACCEPTED and (with_home or not item.home)
    ]


async def _merge(ctx: Context, job: Job, number: int, found: dict[Assigned, Outcome]) -> None:
    chosen = accepted(found)
    if not [item for item in chosen if not item.home]:
        raise OperatorError(
            "no-unit-left",
            f"Round {number + 1} of job {short(job.id)} has no verified unit.",
            "Its builder may reclaim the pot; look at the units' reasons.",
        )
    result = await merged(ctx, job, number)
    await ctx.share(result.adapter)
    await ctx.post(ROUND, job_round(job.id, number), result.adapter)
    ctx.note("merge", f"merged {len(chosen)} units of round {number + 1}")


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
    await ctx.fetch(start, job.spec.builder)
    request = Merge(start, tuple(updates), momentum, job.spec.hyper)
    result = await ctx.seams.compute.run(request)
    assert isinstance(result, Merged)
    return result
