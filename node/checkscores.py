"""A drawn verifier's check of a job's scores: sampled rows and losses again, every score from the evidence.

Whatever a worker publishes ends in a finding: D for what has the wrong form, B for wrong numbers. Only what
cannot be fetched leaves the verifier silent, and silence lets the next worker take over.
"""

from attribution.agree import draw_rows, judge, score_ppm
from node import data, jobs, losses
from node.context import Context
from node.published import read_queries, read_rows, read_scores
from node.turns import Finished, Turn, current, finished_jobs
from protocol.compute import CheckRows, RowsChecked
from protocol.errors import ComputeError, Reject
from protocol.ids import chain_id_of, short
from protocol.messages import SCORED, QueriesBody, RowsBody, ScoreCheck, ScoresBody, judged
from tasks.entries import Posted

LOSS_TOLERANCE_PPM = (
    1_000  # a held-out loss re-measured on another machine; fp32 differs by about 1e-6
)


async def check_scores(ctx: Context) -> None:
    """Judge every attribution that this verifier was drawn for."""
    for item in await finished_jobs(ctx):
        await ctx.attempt("check-scores", _advance, item)


async def _advance(ctx: Context, item: Finished) -> None:
    turn = await current(ctx, item)
    if turn is None or turn.scores is None or ctx.operator not in turn.drawn:
        return
    if turn.accepted_by or ctx.mine(SCORED, turn.scores.value):
        return
    ctx.note("verify", f"re-computing sampled rows of job {short(item.job.id)}")
    finding = await _find(ctx, item, turn, turn.scores)
    blob = ctx.put(finding)
    code = finding.finding or "ok"
    name = judged(SCORED, code).rstrip(b"\x00").decode()
    receipt = await ctx.post(name, turn.scores.value, blob)
    await ctx.reached(receipt.block)
    ctx.note("verify", f"scores of job {short(item.job.id)}: {code}")


async def _find(ctx: Context, item: Finished, turn: Turn, post: Posted) -> ScoreCheck:
    assert turn.rows and turn.opening, "scores follow rows and queries"
    try:
        rows = await read_rows(ctx, item.job, turn.rows)
        body = await read_scores(ctx, item.job, post, turn.rows, turn.opening)
        asked = await read_queries(ctx, item.job, turn.opening)
        return await _compare(ctx, item, post, rows, asked, body)
    except Reject as verdict:
        ctx.note("verify", f"scores of job {short(item.job.id)}: {verdict.reason}")
    except ComputeError as error:
        if error.code != "bad-input":
            raise  # our device failed, not the worker
        ctx.fail("check-scores", error)
    return ScoreCheck(post.value, ctx.operator, (), (), (), 0, 0, 0, "D")


async def _compare(
    ctx: Context,
    item: Finished,
    post: Posted,
    rows: RowsBody,
    asked: QueriesBody,
    body: ScoresBody,
) -> ScoreCheck:
    positions = await _drawn_rows(ctx, item, post, body)
    checked = await _recompute(ctx, item, post, body, rows, asked, positions)
    difference = score_ppm(body.scores, checked.scores)
    queries = await _drawn_queries(ctx, item, post, body)
    loss_ppm = await _loss_difference(ctx, item, body, asked, queries)
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
        queries=queries,
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
    rows: RowsBody,
    asked: QueriesBody,
    positions: tuple[int, ...],
) -> RowsChecked:
    chosen = tuple(rows.rows[i] for i in positions)
    for blob in (*chosen, body.evidence):
        await ctx.fetch(blob, post.operator)
    await jobs.fetch_adapter(ctx, item.job, item.adapter)
    spec = item.job.spec
    request = CheckRows(
        base=spec.base,
        adapter=item.adapter,
        records=await data.all_rows(ctx, item.job),
        indices=positions,
        rows=chosen,
        queries=losses.texts_of(ctx, [entry.text for entry in asked.records]),
        evidence=body.evidence,
        max_tokens=spec.hyper.max_tokens,
    )
    checked = await ctx.seams.compute.run(request)
    assert isinstance(checked, RowsChecked)
    return checked


async def _drawn_queries(
    ctx: Context, item: Finished, post: Posted, body: ScoresBody
) -> tuple[int, ...]:
    """Up to half of them where the private updates are said to have moved the loss, the rest uniform."""
    beacon = await ctx.beacon(post.block + ctx.params.beacon_delay)
    assert beacon is not None, "drawn verifiers know the beacon"
    moved = [abs(a - b) for a, b in zip(body.without_private, body.losses[-1], strict=True)]
    seed = chain_id_of("openledger/losses", beacon, item.job.id, ctx.operator)
    by_move = min(ctx.params.row_samples // 2, sum(map(bool, moved)))
    return draw_rows(seed, moved, by_move, ctx.params.row_samples - by_move)


async def _loss_difference(
    ctx: Context, item: Finished, body: ScoresBody, asked: QueriesBody, drawn: tuple[int, ...]
) -> int:
    """Largest relative difference of a drawn query's loss that pay depends on, in millionths."""
    texts = losses.texts_of(ctx, [asked.records[i].text for i in drawn])
    claims = (
        (item.job.spec.start, body.losses[0]),
        (item.adapter, body.losses[-1]),
        (await losses.without_private(ctx, item), body.without_private),
    )
    worst = 0
    for adapter, said in claims:
        own = await losses.held_out(ctx, item.job, adapter, texts)
        for place, loss in zip(drawn, own, strict=True):
            worst = max(worst, abs(said[place] - loss) * 1_000_000 // max(1, loss))
    return worst
