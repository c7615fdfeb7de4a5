"""Attribution of a finished job: rows are committed, then queries open, then integer scores are checked.

The worker whose turn it is (``node/turns.py``) computes; drawn verifiers re-compute (``node/checkscores.py``).
Queries are opened by the aggregators only after the rows are on chain (``node/queries.py``).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain

from datanet.record import RecordList
from node import data, jobs
from node.context import Context
from node.jobs import Job
from node.merge import merged
from node.published import read_queries, read_rows, read_scores
from node.together import together
from node.turns import Finished, Turn, current, finished_jobs
from protocol.compute import Losses, LossesDone, Rows, RowsDone, Score, Scored
from protocol.messages import ROWS, SCORES, DatanetLoss, QueriesBody, RowsBody, ScoresBody
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
    await ctx.fetch(item.adapter)
    ids = tuple(row.record for row in dataset.rows)
    ctx.note("attribute", f"computing {len(ids)} gradient rows")
    found = await together([partial(_rows, ctx, item, records, part) for part in _parts(len(ids))])
    blob = ctx.put(RowsBody(item.job.id, item.adapter, ids, tuple(chain.from_iterable(found))))
    await ctx.share(blob)
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
    await ctx.share(value, result.evidence, result.index)
    receipt = await ctx.post(SCORES, item.job.id, value)
    await ctx.reached(receipt.block)
    ctx.note("attribute", "published integer scores and their evidence")


async def _scores(
    ctx: Context, item: Finished, turn: Turn, rows: Posted, opening: Posted
) -> ScoresBody:
    asked = await read_queries(ctx, item.job, opening)
    committed = await read_rows(ctx, item.job, rows)
    ctx.note("attribute", f"scoring {len(committed.rows)} rows on {len(asked.records)} queries")
    acts: list[Callable[[], Awaitable[object]]] = [
        partial(_score, ctx, item, committed, asked),
        *(partial(held_out, ctx, item.job, a, asked) for a in _earlier(ctx, item.job)),
    ]
    if jobs.home_owners(ctx, item.job):
        acts.append(partial(held_out_without_private, ctx, item, asked))
    scored, *_ = await together(acts)
    assert isinstance(scored, Scored)
    losses, without = await _measured(ctx, item, asked)
    return ScoresBody(
        job=item.job.id,
        rows=rows.value,
        queries=opening.value,
        evidence=scored.evidence,
        index=scored.index,
        scores=scored.scores,
        losses=losses,
        without_private_micro=without,
    )


def texts_of(ctx: Context, asked: QueriesBody) -> bytes:
    """Blob id of the opened queries' texts."""
    return ctx.put(RecordList(tuple(entry.text for entry in asked.records)))


async def _score(ctx: Context, item: Finished, rows: RowsBody, asked: QueriesBody) -> Scored:
    spec, texts = item.job.spec, texts_of(ctx, asked)
    request = Score(spec.base, item.adapter, rows.rows, texts, spec.hyper.max_tokens)
    scored = await ctx.seams.compute.run(request)
    assert isinstance(scored, Scored)
    _kept(ctx)[(item.adapter, texts)] = _by_datanet(asked, scored.nll_micro)
    return scored


def _earlier(ctx: Context, job: Job) -> list[bytes]:
    """The adapters at the start and after each round but the last."""
    return [jobs.start_adapter(ctx, job, n) for n in range(job.spec.rounds)]


async def _measured(
    ctx: Context, item: Finished, asked: QueriesBody
) -> tuple[tuple[DatanetLoss, ...], tuple[int, ...]]:
    """Held-out loss per Datanet at the start and after each round; and without the private updates."""
    job, adapters = item.job, (*_earlier(ctx, item.job), item.adapter)
    by_adapter = [await held_out(ctx, job, adapter, asked) for adapter in adapters]
    without = await held_out_without_private(ctx, item, asked)
    order = sorted(without)
    losses = tuple(DatanetLoss(d, tuple(found[d] for found in by_adapter)) for d in order)
    return losses, tuple(without[d] for d in order)


async def held_out_without_private(
    ctx: Context, item: Finished, asked: QueriesBody
) -> dict[bytes, int]:
    """As ``held_out``, of the last merge without the updates that were trained at home."""
    adapter = item.adapter
    if jobs.home_owners(ctx, item.job):
        adapter = (await merged(ctx, item.job, item.job.last_round, with_home=False)).adapter
    return await held_out(ctx, item.job, adapter, asked)


async def held_out(ctx: Context, job: Job, adapter: bytes, asked: QueriesBody) -> dict[bytes, int]:
    """Mean loss of the opened queries per Datanet, mean nats a target token x 1e6, under an adapter."""
    cache, key = _kept(ctx), (adapter, texts_of(ctx, asked))
    if key not in cache:
        cache[key] = await _held_out(ctx, job, adapter, asked)
    return cache[key]


def _kept(ctx: Context) -> dict[tuple[bytes, bytes], dict[bytes, int]]:
    """What was measured, by adapter and query texts."""
    kept: dict[tuple[bytes, bytes], dict[bytes, int]] = ctx.private.setdefault("held-out", {})
    return kept


async def _held_out(ctx: Context, job: Job, adapter: bytes, asked: QueriesBody) -> dict[bytes, int]:
    await ctx.fetch(adapter, job.spec.builder, *ctx.board.seats)
    request = Losses(job.spec.base, adapter, texts_of(ctx, asked), job.spec.hyper.max_tokens)
    done = await ctx.seams.compute.run(request)
    assert isinstance(done, LossesDone)
    return _by_datanet(asked, done.nll_micro)


def _by_datanet(asked: QueriesBody, nll_micro: tuple[int, ...]) -> dict[bytes, int]:
    groups: dict[bytes, list[int]] = {}
    for entry, loss in zip(asked.records, nll_micro, strict=True):
        groups.setdefault(entry.datanet, []).append(loss)
    return {datanet: sum(group) // len(group) for datanet, group in groups.items()}
