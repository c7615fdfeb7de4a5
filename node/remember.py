"""The credit map of this node: what every record was in, moved and earned, joined from epochs and receipts."""

from datanet import credit
from node import committed, data, jobs
from node.context import Context
from node.jobs import Job
from node.turns import finished_jobs
from protocol.messages import RECEIPT, EpochBody, Receipt
from tasks import draw
from tasks.lifecycle import State


async def remember(ctx: Context) -> None:
    """Write what newly active epochs say; each epoch once, also after a restart."""
    written: set[int] = ctx.private.setdefault("credit-epochs", set())
    for body in await committed.active_bodies(ctx):
        if body.epoch in written:
            continue
        if await ctx.done(f"credit/{body.epoch}") is None:
            await ctx.attempt("credit", _write, body)
        else:
            written.add(body.epoch)


async def _write(ctx: Context, body: EpochBody) -> None:
    statements: list[credit.Statement] = []
    known = {job.id: job for job in jobs.jobs(ctx)}
    hosts = await _hosts(ctx)
    for pot in body.pots:
        statements += credit.earned_rows(pot)
        if pot.kind == "answer":
            receipt = await ctx.fetch_value(Receipt, pot.subject, *hosts.get(pot.subject, ()))
            statements += credit.answer_rows(pot.subject, receipt.records)
        elif pot.subject in known:
            statements += await _rounds(ctx, known[pot.subject])
    await ctx.seams.store.transaction(statements)
    await ctx.did(f"credit/{body.epoch}")
    ctx.note("credit", f"wrote the credit map of epoch {body.epoch}")


async def _hosts(ctx: Context) -> dict[bytes, tuple[bytes, ...]]:
    """Who posted each receipt."""
    return {
        post.value: (post.operator,)
        for item in await finished_jobs(ctx)
        for post in ctx.board.posted(RECEIPT, item.model)
    }


async def _rounds(ctx: Context, job: Job) -> list[credit.Statement]:
    """Which records each accepted unit trained on; at home only its owner knows."""
    dataset = await data.dataset(ctx, job)
    trained = [dataset.rows[i].record for i in dataset.trained]
    hyper, found = job.spec.hyper, []
    for number in range(job.spec.rounds):
        beacon = await jobs.round_beacon(ctx, job, number)
        for item, result in (await jobs.outcomes(ctx, job, number) or {}).items():
            if result.state is State.ACCEPTED and not item.home and beacon is not None:
                batches = draw.batches(beacon, item.unit, len(trained), hyper.steps, hyper.batch)
                records = [trained[i] for batch in batches for i in batch]
                found += credit.round_rows(job.id, number + 1, item.unit, records)
    return found
