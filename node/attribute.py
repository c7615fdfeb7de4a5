"""Attribution of a finished job: rows are committed, then queries open, then integer scores are checked.

One drawn worker computes; if it is silent for a step's time the next of the draw order takes over. Drawn
verifiers re-compute sampled rows, re-derive every score from the published evidence and measure the
held-out losses again. Queries are opened by the aggregators only after the rows are on chain.
"""

from dataclasses import dataclass

from attribution.agree import draw_rows, judge, score_ppm
from datanet.record import Record, RecordList, record_id
from datanet.reveal import check_opened
from datanet.sealed import open_sealed
from node import data, jobs
from node.context import Context
from node.data import Dataset, Opened
from node.jobs import Job
from node.merge import merged
from protocol.compute import (
    CheckRows,
    Losses,
    LossesDone,
    Rows,
    RowsChecked,
    RowsDone,
    Score,
    Scored,
)
from protocol.errors import PeerError, Reject
from protocol.ids import chain_id_of, short
from protocol.messages import (
    QUERIES,
    ROWS,
    SCORED,
    SCORES,
    DatanetLoss,
    OpenedRecord,
    QueriesBody,
    RowsBody,
    ScoreCheck,
    ScoresBody,
    judged,
)
from tasks import draw
from tasks.entries import Posted
from tasks.judge import counted

LOSS_TOLERANCE_PPM = (
    1_000  # a held-out loss re-measured on another machine; fp32 differs by about 1e-6
)


@dataclass(frozen=True, slots=True)
class Finished:
    """A job whose last round is agreed, and who may attribute it when (draw order)."""

    job: Job
    adapter: bytes
    block: int
    time: int
    order: tuple[bytes, ...]


async def finished_jobs(ctx: Context) -> list[Finished]:
    """Jobs ready for attribution, as far as their beacon is known."""
    found = []
    for job in jobs.jobs(ctx):
        last = jobs.finished(ctx, job, job.last_round)
        if last is None:
            continue
        beacon = await ctx.beacon(last.block + ctx.params.beacon_delay)
        if beacon is None:
            continue
        slashed = {entry.operator for entry in ctx.board.slashes if entry.block <= last.block}
        workers = ctx.board.roster("worker", job.pot.block, ctx.params.unit_stake)
        for worker in (*slashed, *jobs.home_owners(ctx, job)):
            workers.pop(worker, None)
        order = draw.weighted(beacon, "attribute", job.id, workers, len(workers))
        found.append(Finished(job, last.value, last.block, last.time, order))
    return found


def scheduled(ctx: Context, item: Finished, posts: list[Posted]) -> Posted | None:
    """The first post that was made by the worker whose turn it was."""
    turn_s = 4 * ctx.params.attribute_seconds  # rows, queries, scores, checks
    for post in posts:
        turn = max(0, post.time - item.time) // turn_s
        if turn < len(item.order) and item.order[turn] == post.operator:
            return post
    return None


def on_duty(ctx: Context, item: Finished) -> bool:
    """Whether this node is the one to compute now."""
    turn = max(0, ctx.head.time - item.time) // (4 * ctx.params.attribute_seconds)
    return turn < len(item.order) and item.order[turn] == ctx.operator


def rows_post(ctx: Context, item: Finished) -> Posted | None:
    return scheduled(ctx, item, ctx.board.posted(ROWS, item.job.id))


def scores_post(ctx: Context, item: Finished) -> Posted | None:
    return scheduled(ctx, item, ctx.board.posted(SCORES, item.job.id))


# -- rows ---


async def compute_rows(ctx: Context) -> None:
    """Compute and commit the gradient rows of every training record."""
    for item in await finished_jobs(ctx):
        if on_duty(ctx, item) and rows_post(ctx, item) is None:
            await ctx.attempt("rows", _rows, item)


async def _rows(ctx: Context, item: Finished) -> None:
    dataset = await data.dataset(ctx, item.job)
    records = await data.all_rows(ctx, item.job)
    await ctx.fetch(item.adapter)
    ctx.note("attribute", f"computing {len(dataset.rows)} gradient rows")
    spec = item.job.spec
    positions = tuple(range(len(dataset.rows)))
    request = Rows(spec.base, item.adapter, records, positions, spec.hyper.max_tokens)
    done = await ctx.seams.compute.run(request)
    assert isinstance(done, RowsDone)
    ids = tuple(row.record for row in dataset.rows)
    blob = ctx.put(RowsBody(item.job.id, item.adapter, ids, done.rows))
    await ctx.share(blob)
    await ctx.post(ROWS, item.job.id, blob)
    ctx.note("attribute", "committed the rows; the queries may open")


# -- queries ---


async def open_queries(ctx: Context) -> None:
    """An aggregator opens the reserved records of a job once its rows are committed."""
    for item in await finished_jobs(ctx):
        mine = ctx.mine(QUERIES, item.job.id)
        if not mine and rows_post(ctx, item) is not None and await queries(ctx, item) is None:
            await ctx.attempt("queries", _open, item)


async def _open(ctx: Context, item: Finished) -> None:
    dataset = await data.dataset(ctx, item.job)
    opened: list[OpenedRecord] = []
    for shard in dataset.shards:
        owner = ctx.board.index_of(shard.entry.owner)
        try:
            records = await _unseal(ctx, shard)
        except (Reject, PeerError) as error:  # an owner that sealed nonsense loses its own queries
            ctx.note("queries", f"shard {short(shard.entry.commitment)}: {error}")
            continue
        if owner is not None:
            opened += [_opened(record, owner, shard.entry.datanet) for record in records]
    blob = ctx.put(QueriesBody(item.job.id, tuple(opened)))
    await ctx.share(blob)
    await ctx.post(QUERIES, item.job.id, blob)
    ctx.note("queries", f"opened {len(opened)} reserved records")


async def _unseal(ctx: Context, shard: Opened) -> tuple[Record, ...]:
    sealed = await ctx.fetch(shard.reveal.sealed, shard.entry.owner)
    records = open_sealed(sealed, ctx.keys.seal_key)
    check_opened(shard.reveal, shard.aside, records)
    return records


def _opened(record: Record, owner: int, datanet: bytes) -> OpenedRecord:
    return OpenedRecord(record_id(record), owner, datanet, record)


async def queries(ctx: Context, item: Finished) -> tuple[bytes, QueriesBody] | None:
    """The first valid opening by an aggregator seat after the rows: (blob id, body)."""
    rows = rows_post(ctx, item)
    if rows is None:
        return None
    dataset = await data.dataset(ctx, item.job)
    for post in ctx.board.posted(QUERIES, item.job.id):
        if post.operator in ctx.board.seats and post.block > rows.block:
            body = await ctx.fetch_value(QueriesBody, post.value, post.operator)
            if _valid(ctx, dataset, body):
                return post.value, body
    return None


def _valid(ctx: Context, dataset: Dataset, body: QueriesBody) -> bool:
    """Every opened text must be a reserved record of the shard's owner; a shard is open as a whole."""
    known = {
        shard.reveal.ids[index]: (ctx.board.index_of(shard.entry.owner), shard.entry.datanet)
        for shard in dataset.shards
        for index in shard.aside
    }
    seen = {
        entry.record
        for entry in body.records
        if record_id(entry.text) == entry.record
        and known.get(entry.record) == (entry.owner, entry.datanet)
    }
    whole = all(
        {s.reveal.ids[i] for i in s.aside} <= seen or not {s.reveal.ids[i] for i in s.aside} & seen
        for s in dataset.shards
    )
    return bool(seen) and len(seen) == len(body.records) and whole


# -- scores ---


async def compute_scores(ctx: Context) -> None:
    """Score every row on every opened query and measure the held-out losses."""
    for item in await finished_jobs(ctx):
        rows = rows_post(ctx, item)
        if rows is None or rows.operator != ctx.operator or scores_post(ctx, item) is not None:
            continue
        if on_duty(ctx, item):
            await ctx.attempt("scores", _scores, item, rows)


async def _scores(ctx: Context, item: Finished, rows: Posted) -> None:
    opened = await queries(ctx, item)
    if opened is None:
        return
    blob, body = opened
    spec = item.job.spec
    committed = await ctx.fetch_value(RowsBody, rows.value, rows.operator)
    texts = ctx.put(RecordList(tuple(entry.text for entry in body.records)))
    ctx.note("attribute", f"scoring {len(committed.rows)} rows on {len(body.records)} queries")
    request = Score(spec.base, item.adapter, committed.rows, texts, spec.hyper.max_tokens)
    scored = await ctx.seams.compute.run(request)
    assert isinstance(scored, Scored)
    losses, without = await _measure(ctx, item, body)
    result = ScoresBody(
        job=item.job.id,
        rows=rows.value,
        queries=blob,
        evidence=scored.evidence,
        index=scored.index,
        scores=scored.scores,
        losses=losses,
        without_private_micro=without,
    )
    value = ctx.put(result)
    await ctx.share(value, scored.evidence, scored.index)
    await ctx.post(SCORES, item.job.id, value)
    ctx.note("attribute", "published integer scores and their evidence")


async def _measure(
    ctx: Context, item: Finished, body: QueriesBody
) -> tuple[tuple[DatanetLoss, ...], tuple[int, ...]]:
    """Held-out loss per Datanet at the start and after each round; and without the private updates."""
    job = item.job
    adapters = [job.spec.start] + [
        jobs.start_adapter(ctx, job, n + 1) for n in range(job.spec.rounds)
    ]
    by_adapter = [await held_out(ctx, job, adapter, body) for adapter in adapters]
    without = by_adapter[-1]
    if jobs.home_owners(ctx, job):
        alone = await merged(ctx, job, job.last_round, with_home=False)
        without = await held_out(ctx, job, alone.adapter, body)
    order = sorted(without)
    losses = tuple(DatanetLoss(d, tuple(found[d] for found in by_adapter)) for d in order)
    return losses, tuple(without[d] for d in order)


async def held_out(ctx: Context, job: Job, adapter: bytes, body: QueriesBody) -> dict[bytes, int]:
    """Mean loss of the opened queries per Datanet, nats a record x 1e6, under an adapter."""
    await ctx.fetch(adapter)
    texts = ctx.put(RecordList(tuple(entry.text for entry in body.records)))
    request = Losses(job.spec.base, adapter, texts, job.spec.hyper.max_tokens)
    done = await ctx.seams.compute.run(request)
    assert isinstance(done, LossesDone)
    groups: dict[bytes, list[int]] = {}
    for entry, loss in zip(body.records, done.nll_micro, strict=True):
        groups.setdefault(entry.datanet, []).append(loss)
    return {datanet: sum(group) // len(group) for datanet, group in groups.items()}


# -- checking ---


async def score_verifiers(ctx: Context, item: Finished, post: Posted) -> tuple[bytes, ...]:
    """Drawn verifiers of a job's scores; empty before the beacon."""
    beacon = await ctx.beacon(post.block + ctx.params.beacon_delay)
    if beacon is None:
        return ()
    pool = jobs.eligible_verifiers(ctx, item.job, post.operator)
    return draw.weighted(beacon, "scores", item.job.id, pool, ctx.params.verifiers)


async def check_scores(ctx: Context) -> None:
    """Re-compute drawn rows, scores and losses of a published attribution."""
    for item in await finished_jobs(ctx):
        post = scores_post(ctx, item)
        if post is None or ctx.mine(SCORED, post.value):
            continue
        if ctx.operator in await score_verifiers(ctx, item, post):
            await ctx.attempt("check-scores", _check, item, post)


async def _check(ctx: Context, item: Finished, post: Posted) -> None:
    body = await ctx.fetch_value(ScoresBody, post.value, post.operator)
    ctx.note("verify", f"re-computing sampled rows of job {short(item.job.id)}")
    finding = await _compare(ctx, item, post, body)
    blob = ctx.put(finding)
    await ctx.share(blob)
    code = finding.finding or "ok"
    await ctx.post(judged(SCORED, code).rstrip(b"\x00").decode(), post.value, blob)
    ctx.note("verify", f"scores of job {short(item.job.id)}: {code}")


async def _compare(ctx: Context, item: Finished, post: Posted, body: ScoresBody) -> ScoreCheck:
    opened, rows = await queries(ctx, item), rows_post(ctx, item)
    if opened is None or rows is None or (body.rows, body.queries) != (rows.value, opened[0]):
        return ScoreCheck(post.value, ctx.operator, (), (), 0, 0, 0, "D")
    committed = await ctx.fetch_value(RowsBody, rows.value, rows.operator)
    dataset = await data.dataset(ctx, item.job)
    if committed.records != tuple(row.record for row in dataset.rows):
        return ScoreCheck(post.value, ctx.operator, (), (), 0, 0, 0, "D")
    shape = {len(line) for line in body.scores}
    if len(body.scores) != len(opened[1].records) or shape != {len(committed.rows)}:
        return ScoreCheck(post.value, ctx.operator, (), (), 0, 0, 0, "D")
    positions = await _drawn_rows(ctx, item, post, body)
    checked = await _recompute(ctx, item, post, body, committed, opened[1], positions)
    difference = score_ppm(body.scores, checked.scores)
    loss_ppm = await _loss_difference(ctx, item, body, opened[1])
    p = ctx.params
    fault = judge(
        checked.row_ppb,
        checked.evidence_ppb,
        difference,
        p.row_tolerance_ppb,
        p.score_tolerance_ppm,
    )
    return ScoreCheck(
        scores=post.value,
        verifier=ctx.operator,
        rows=positions,
        row_ppb=checked.row_ppb,
        evidence_ppb=checked.evidence_ppb,
        score_ppm=difference,
        loss_ppm=loss_ppm,
        finding="B" if fault or loss_ppm > LOSS_TOLERANCE_PPM else "",
    )


async def _drawn_rows(
    ctx: Context, item: Finished, post: Posted, body: ScoresBody
) -> tuple[int, ...]:
    """Rows in proportion to what they would be paid for, and some uniform ones; each verifier its own."""
    beacon = await ctx.beacon(post.block + ctx.params.beacon_delay)
    assert beacon is not None, "drawn verifiers know the beacon"
    pay = [max(0, sum(column)) for column in zip(*body.scores, strict=True)]
    seed = chain_id_of("openledger/rows", beacon, item.job.id, ctx.operator)
    uniform = ctx.params.row_samples // 4
    return draw_rows(seed, pay, ctx.params.row_samples - uniform, uniform)


async def _recompute(
    ctx: Context,
    item: Finished,
    post: Posted,
    body: ScoresBody,
    committed: RowsBody,
    opened: QueriesBody,
    positions: tuple[int, ...],
) -> RowsChecked:
    chosen = tuple(committed.rows[i] for i in positions)
    for blob in (*chosen, body.evidence):
        await ctx.fetch(blob, post.operator)
    await ctx.fetch(item.adapter)
    spec = item.job.spec
    request = CheckRows(
        base=spec.base,
        adapter=item.adapter,
        records=await data.all_rows(ctx, item.job),
        indices=positions,
        rows=chosen,
        queries=ctx.put(RecordList(tuple(entry.text for entry in opened.records))),
        evidence=body.evidence,
        max_tokens=spec.hyper.max_tokens,
    )
    checked = await ctx.seams.compute.run(request)
    assert isinstance(checked, RowsChecked)
    return checked


async def _loss_difference(
    ctx: Context, item: Finished, body: ScoresBody, opened: QueriesBody
) -> int:
    """Largest relative difference of the final held-out loss of a Datanet, in millionths."""
    found = await held_out(ctx, item.job, item.adapter, opened)
    claimed = {entry.datanet: entry.by_round_micro[-1] for entry in body.losses}
    if set(found) != set(claimed):
        return 1_000_000
    return max(abs(found[d] - claimed[d]) * 1_000_000 // max(1, found[d]) for d in found)


@dataclass(frozen=True, slots=True)
class Attributed:
    """A job whose scores stand: drawn verifiers found nothing, or none answered against them in time."""

    item: Finished
    post: Posted
    queries: QueriesBody
    body: ScoresBody
    checkers: tuple[bytes, ...]


async def attributed(ctx: Context, item: Finished) -> Attributed | None:
    """The accepted attribution of a finished job, None while it is judged."""
    post = scores_post(ctx, item)
    if post is None:
        return None
    drawn = await score_verifiers(ctx, item, post)
    deadline = post.time + ctx.params.attribute_seconds
    seen = counted(ctx.board.posted(SCORED, post.value), drawn, deadline)
    good = [operator for operator, p in seen.items() if p.finding == "ok"]
    waiting = not drawn or (len(seen) < len(drawn) and ctx.head.time <= deadline)
    if waiting or not good or len(good) < len(seen):
        return None
    opened = await queries(ctx, item)
    if opened is None:
        return None
    body = await ctx.fetch_value(ScoresBody, post.value, post.operator)
    return Attributed(item, post, opened[1], body, tuple(good))
