"""What attribution publishes, read and judged by its form: rows, opened queries, scores.

All raise PeerError while nobody serves a body, and Reject when it can never count; both are the same for
every node, because a body's id is the hash of its bytes.
"""

from datanet.record import record_id
from node import data
from node.context import Context
from node.data import Dataset
from node.jobs import Job
from protocol.errors import Reject
from protocol.messages import QueriesBody, RowsBody, ScoresBody
from tasks.entries import Posted


async def read_rows(ctx: Context, job: Job, post: Posted) -> RowsBody:
    """A job's committed rows."""
    body = await data.read(ctx, RowsBody, post.value, post.operator)
    dataset = await data.dataset(ctx, job)
    # [REJECT] rows of other records than the job's
    if body.job != job.id or body.records != tuple(row.record for row in dataset.rows):
        raise Reject("the rows are not of the job's records")
    # [REJECT] not one row a record
    if len(body.rows) != len(body.records):
        raise Reject("not one row a record")
    return body


async def read_queries(ctx: Context, job: Job, post: Posted) -> QueriesBody:
    """A job's opened queries: every reserved record of every shard, in commit order. There is only one such body."""
    body = await data.read(ctx, QueriesBody, post.value, post.operator, *ctx.board.seats)
    dataset = await data.dataset(ctx, job)
    # [REJECT] a record left out, twice, of another owner, or out of order
    if body.job != job.id or reserved_records(ctx, dataset) != tuple(
        (entry.record, entry.owner, entry.datanet) for entry in body.records
    ):
        raise Reject("the opened records are not the reserved ones")
    # [REJECT] another text under the id
    if any(record_id(entry.text) != entry.record for entry in body.records):
        raise Reject("an opened text is not what its id names")
    return body


def reserved_records(ctx: Context, dataset: Dataset) -> tuple[tuple[bytes, int, bytes], ...]:
    """(record id, owner, Datanet) of every reserved record, by shard and index."""
    return tuple(
        (
            shard.reveal.ids[index],
            ctx.board.owners.index(shard.entry.owner),
            shard.entry.datanet,
        )
        for shard in dataset.shards
        for index in shard.aside
    )


async def read_scores(
    ctx: Context, job: Job, post: Posted, rows: Posted, opening: Posted
) -> ScoresBody:
    """A job's scores over these rows and queries."""
    body = await data.read(ctx, ScoresBody, post.value, post.operator, *ctx.board.seats)
    # [REJECT] scores of something else
    if (body.job, body.rows, body.queries) != (job.id, rows.value, opening.value):
        raise Reject("the scores are not of the committed rows and the opened queries")
    asked = await read_queries(ctx, job, opening)
    width = len((await data.dataset(ctx, job)).rows)
    # [REJECT] not one score a query and row
    if [len(line) for line in body.scores] != [width] * len(asked.records):
        raise Reject("not one score a query and row")
    _check_losses(job, asked, body)
    return body


def _check_losses(job: Job, asked: QueriesBody, body: ScoresBody) -> None:
    measured = (*body.losses, body.without_private)
    # [REJECT] not one list before the first and after each round, and one without private updates
    if len(body.losses) != job.spec.rounds + 1:
        raise Reject("not one list of losses a round")
    # [REJECT] not one loss a query in each
    if {len(line) for line in measured} != {len(asked.records)}:
        raise Reject("not one loss a query")
    # [REJECT] a mean of negative log-likelihoods below 0
    if any(loss < 0 for line in measured for loss in line):
        raise Reject("a loss is negative")
