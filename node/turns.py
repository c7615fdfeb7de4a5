"""Whose turn it is to attribute a finished job, and how far it has come. Pure reading: all nodes find the same.

Workers take turns in draw order. A turn has four steps (rows, queries, scores, checks), each with
``attribute_seconds``; when a step is not done in time, or the drawn verifiers do not accept the scores, the
turn has failed and the next worker starts anew. So no worker and no verifier alone can end an attribution.
"""

from dataclasses import dataclass, replace

from node import jobs
from node.context import Context
from node.jobs import Job
from node.published import read_scores
from protocol.errors import Reject
from protocol.ids import job_round, model_id
from protocol.messages import QUERIES, ROUND, ROWS, SCORED, SCORES
from tasks import draw
from tasks.entries import Posted
from tasks.judge import counted


@dataclass(frozen=True, slots=True)
class Finished:
    """A job whose last round is agreed, and who may attribute it when (draw order)."""

    job: Job
    adapter: bytes
    block: int
    time: int
    order: tuple[bytes, ...]

    @property
    def model(self) -> bytes:
        """The asset that is asked for and paid: the builder's, whoever else registers the adapter."""
        return model_id(self.job.spec.builder, self.adapter)


@dataclass(frozen=True, slots=True)
class Turn:
    """One worker's attempt; what is None has not happened in time, or not yet."""

    worker: bytes
    rows: Posted | None = None
    opening: Posted | None = None  # the post with which a quorum had opened the queries
    scores: Posted | None = None
    drawn: tuple[bytes, ...] = ()  # verifiers of the scores
    accepted_by: tuple[bytes, ...] = ()  # those who found nothing, once the scores are accepted
    failed_at: int | None = None  # chain time


async def finished_jobs(ctx: Context) -> list[Finished]:
    """Jobs ready for attribution, as far as their beacon is known."""
    known: dict[bytes, Finished] = ctx.private.setdefault("finished", {})
    found = []
    for job in jobs.jobs(ctx):
        item = known.get(job.id) or await _finished(ctx, job)
        if item is not None:
            known[job.id] = item
            found.append(item)
    return found


async def _finished(ctx: Context, job: Job) -> Finished | None:
    last = jobs.finished(ctx, job, job.last_round)
    beacon = None if last is None else await ctx.beacon(last.block + ctx.params.beacon_delay)
    if last is None or beacon is None:
        return None
    suspended = ctx.board.suspended(last.block)
    workers = ctx.board.roster("worker", job.pot.block, ctx.params_at(job.pot.time).unit_stake)
    for worker in (*suspended, *jobs.home_owners(ctx, job)):
        workers.pop(worker, None)
    order = draw.weighted(beacon, "attribute", job.id, workers, len(workers))
    return Finished(job, last.value, last.block, last.time, order)


def failed_jobs(ctx: Context) -> list[Finished]:
    """Jobs of which a round left no verified unit: nobody's turn comes, only work is settled."""
    found = []
    for job in jobs.jobs(ctx):
        number = jobs.failed(ctx, job)
        if number is not None:
            last = ctx.board.agreed(ROUND, job_round(job.id, number))
            assert last is not None, "a round fails by agreement"
            found.append(Finished(job, last.value, last.block, last.time, ()))
    return found


async def current(ctx: Context, item: Finished) -> Turn | None:
    """The turn that is on or whose scores were accepted; None when every worker's has failed."""
    accepted: dict[bytes, Turn] = ctx.private.setdefault("accepted-turns", {})
    if item.job.id in accepted:
        return accepted[item.job.id]
    start, first = item.time, None
    for worker in item.order:
        turn = await _turn(ctx, item, worker, start, first)
        if turn.accepted_by:
            accepted[item.job.id] = turn
        if turn.failed_at is None:
            return turn
        start, first = turn.failed_at, first or turn.rows
    return None


async def _turn(
    ctx: Context, item: Finished, worker: bytes, start: int, first: Posted | None
) -> Turn:
    """A worker's turn that began at ``start``; queries open after the ``first`` rows of any turn."""
    seconds = ctx.params.attribute_seconds
    rows = _posted(ctx, ROWS, item, worker, start)
    if rows is None:
        return _until(ctx, Turn(worker), start + seconds)
    turn = Turn(worker, rows)
    opening = _opening(ctx, item, first or rows)
    if opening is None or opening.time > rows.time + seconds:
        return _until(ctx, turn, rows.time + seconds)
    begin = max(rows.time, opening.time)
    scores = _posted(ctx, SCORES, item, worker, begin)
    turn = replace(turn, opening=opening, scores=scores)
    if scores is None:
        return _until(ctx, turn, begin + seconds)
    return await _checked(ctx, item, turn, scores)


def _posted(ctx: Context, kind: str, item: Finished, worker: bytes, start: int) -> Posted | None:
    """A worker's first post within a step that began at ``start``."""
    for post in ctx.board.posted(kind, item.job.id):
        if post.operator == worker and 0 <= post.time - start <= ctx.params.attribute_seconds:
            return post
    return None


def _until(ctx: Context, turn: Turn, deadline: int) -> Turn:
    return replace(turn, failed_at=deadline) if ctx.head.time > deadline else turn


def _opening(ctx: Context, item: Finished, rows: Posted) -> Posted | None:
    """The post with which a quorum of seats had opened the same queries after rows were committed."""
    seats: dict[bytes, set[bytes]] = {}
    for post in ctx.board.posted(QUERIES, item.job.id):
        if post.operator in ctx.board.seats and post.block > rows.block:
            seats.setdefault(post.value, set()).add(post.operator)
            if len(seats[post.value]) >= ctx.network.quorum:
                return post
    return None


async def _checked(ctx: Context, item: Finished, turn: Turn, scores: Posted) -> Turn:
    """Accepted by more than half of the drawn verifiers that answered in time, failed otherwise."""
    beacon = await ctx.beacon(scores.block + ctx.params.beacon_delay)
    if beacon is None:
        return turn
    pool = jobs.eligible_verifiers(ctx, item.job, turn.worker)
    wanted = ctx.params_at(item.job.pot.time).verifiers
    drawn = draw.weighted(beacon, "scores", item.job.id, pool, wanted)
    deadline = scores.time + ctx.params.attribute_seconds
    seen = counted(ctx.board.posted(SCORED, scores.value), drawn, deadline)
    turn = replace(turn, drawn=drawn)
    if len(seen) < len(drawn) and ctx.head.time <= deadline:
        return turn
    good = tuple(operator for operator, post in seen.items() if post.finding == "ok")
    if 2 * len(good) > len(seen) and await _readable(ctx, item, turn):
        return replace(turn, accepted_by=good)
    all_in = len(seen) == len(drawn)
    last = max((post.time for post in seen.values()), default=scores.time)
    return replace(turn, failed_at=max(scores.time, last) if all_in else deadline)


async def _readable(ctx: Context, item: Finished, turn: Turn) -> bool:
    """Verifiers may err together; a body of the wrong form never counts."""
    assert turn.rows and turn.opening and turn.scores, "scores are checked last"
    try:
        await read_scores(ctx, item.job, turn.scores, turn.rows, turn.opening)
    except Reject as verdict:
        ctx.note("attribute", f"accepted scores do not count: {verdict.reason}")
        return False
    return True
