"""Attribution of a finished job: rows are committed, then queries open, then integer scores are checked.

The worker whose turn it is (``node/turns.py``) computes; drawn verifiers re-compute (``node/checkscores.py``).
Queries are opened by the aggregators only after the rows are on chain (``node/queries.py``).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain

from node import data, jobs, losses
from node.context import Context
from node.published import read_queries, read_rows, read_scores
from node.together import together
from node.turns import Finished, Turn, current, finished_jobs
from protocol.compute import Rows, RowsDone, Score, Scored
from protocol.messages import ROWS, SCORES, QueriesBody, RowsBody, ScoresBody
from tasks.entries import Posted

ROWS_AT_ONCE = 24  # at most, of one request: parts run at once, and their progress shows

__all__ = ["Attributed", "Finished", "attributed", "finished_jobs"]


@dataclass(frozen=True, slots=True)
class Attributed:
    """A job whose scores stand: most of the drawn verifiers that answered in time found nothing."""

    item: Finished
    post: Posted
    queries: QueriesBody
    body: ScoresBody
    checkers: tuple[bytes, ...]


async def attributed(ctx: Context, item: Finished) -> Attributed | None:
    """The accepted attribution of a finished job, None while it is judged or when every turn failed."""
    cache: dict[bytes, Attributed] = ctx.private.setdefault("attributed", {})
    turn = await current(ctx, item)
    if turn is None or not turn.accepted_by:
        return None
    if item.job.id not in cache:
        assert turn.rows and turn.opening and turn.scores, "accepted scores have rows and queries"
        asked = await read_queries(ctx, item.job, turn.opening)
        body = await read_scores(ctx, item.job, turn.scores, turn.rows, turn.opening)
        cache[item.job.id] = Attributed(item, turn.scores, asked, body, turn.accepted_by)
    return cache[item.job.id]


# -- rows ---


async def compute_rows(ctx: Context) -> None:
    """Compute and commit the gradient rows of every training record."""
    for item in await finished_jobs(ctx):
        await ctx.attempt("rows", _advance_rows, item)


async def _advance_rows(ctx: Context, item: Finished) -> None:
    turn = await current(ctx, item)
    if turn is None or turn.worker != ctx.operator or turn.rows is not None:
        return
    dataset = await data.dataset(ctx, item.job)
    records = await data.all_rows(ctx, item.job)
    await jobs.fetch_adapter(ctx, item.job, item.adapter)
    ids = tuple(row.record for row in dataset.rows)
    ctx.note("attribute", f"computing {len(ids)} gradient rows")
    found = await together([partial(_rows, ctx, item, records, part) for part in _parts(len(ids))])
    blob = ctx.put(RowsBody(item.job.id, item.adapter, ids, tuple(chain.from_iterable(found))))
    receipt = await ctx.post(ROWS, item.job.id, blob)
    await ctx.reached(receipt.block)
    ctx.note("attribute", "committed the rows; the queries may open")


def _parts(count: int) -> list[range]:
    """An even number of nearly equal parts: two children end together."""
    pairs = max(1, -(-count // (2 * ROWS_AT_ONCE)))
    size = max(1, -(-count // (2 * pairs)))
    return [range(i, min(i + size, count)) for i in range(0, count, size)]


async def _rows(ctx: Context, item: Finished, records: bytes, part: range) -> tuple[bytes, ...]:
    """Blob ids of the rows of one part of the records."""
    spec = item.job.spec
    request = Rows(spec.base, item.adapter, records, tuple(part), spec.hyper.max_tokens)
    done = await ctx.seams.compute.run(request)
    assert isinstance(done, RowsDone)
    ctx.note("attribute", f"computed the gradient rows {part.start + 1} to {part.stop}")
    return done.rows


# -- scores ---


async def compute_scores(ctx: Context) -> None:
    """Score every row on every opened query and measure the held-out losses."""
    for item in await finished_jobs(ctx):
        await ctx.attempt("scores", _advance_scores, item)


async def _advance_scores(ctx: Context, item: Finished) -> None:
    turn = await current(ctx, item)
    if turn is None or turn.worker != ctx.operator or turn.scores is not None:
        return
    if turn.rows is None or turn.opening is None:
        return
    result = await _scores(ctx, item, turn, turn.rows, turn.opening)
    value = ctx.put(result)
    receipt = await ctx.post(SCORES, item.job.id, value)
    await ctx.reached(receipt.block)
    ctx.note("attribute", "published integer scores and their evidence")


async def _scores(
    ctx: Context, item: Finished, turn: Turn, rows: Posted, opening: Posted
) -> ScoresBody:
    """Scores and all held-out losses, at once where the machine has room."""
    asked = await read_queries(ctx, item.job, opening)
    committed = await read_rows(ctx, item.job, rows)
    ctx.note("attribute", f"scoring {len(committed.rows)} rows on {len(asked.records)} queries")
    texts, job = losses.texts_of(ctx, [entry.text for entry in asked.records]), item.job
    acts: list[Callable[[], Awaitable[object]]] = [
        partial(_score, ctx, item, committed, texts),
        *(partial(losses.held_out, ctx, job, a, texts) for a in losses.earlier(ctx, job)),
    ]
    without = await losses.without_private(ctx, item)
    if without != item.adapter:
        acts.append(partial(losses.held_out, ctx, job, without, texts))
    scored, *_ = await together(acts)
    assert isinstance(scored, Scored)
    measured = (*losses.earlier(ctx, job), item.adapter)
    return ScoresBody(
        job=job.id,
        rows=rows.value,
        queries=opening.value,
        evidence=scored.evidence,
        index=scored.index,
        scores=scored.scores,
        losses=tuple([await losses.held_out(ctx, job, a, texts) for a in measured]),
        without_private=await losses.held_out(ctx, job, without, texts),
    )


async def _score(ctx: Context, item: Finished, rows: RowsBody, texts: bytes) -> Scored:
    spec = item.job.spec
    request = Score(spec.base, item.adapter, rows.rows, texts, spec.hyper.max_tokens)
    scored = await ctx.seams.compute.run(request)
    assert isinstance(scored, Scored)
    losses.keep(ctx, item.adapter, texts, scored.nll_micro)
    return scored
