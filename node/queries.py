"""An aggregator opens a job's reserved records once its rows are on chain.

All seats that can open them publish the same bytes, and a quorum of equal posts is the opening: nobody can
leave a record out, and what is opened is held by a quorum.
"""

from datanet.record import record_id
from node import data
from node.context import Context
from node.data import Dataset, Opened
from node.hold import unseal
from node.published import read_queries
from node.turns import Finished, current, finished_jobs
from protocol.errors import PeerError, Reject
from protocol.ids import short
from protocol.messages import QUERIES, OpenedRecord, QueriesBody


async def open_queries(ctx: Context) -> None:
    """Publish the reserved records of every job whose worker on duty has committed its rows."""
    for item in await finished_jobs(ctx):
        if not ctx.mine(QUERIES, item.job.id):
            await ctx.attempt("queries", _open, item)


async def _open(ctx: Context, item: Finished) -> None:
    turn = await current(ctx, item)
    if turn is None or turn.rows is None:
        return
    dataset = await data.dataset(ctx, item.job)
    body = await _unsealed(ctx, item, dataset) or await _endorsed(ctx, item)
    if body is None:
        return
    blob = ctx.put(body)
    receipt = await ctx.post(QUERIES, item.job.id, blob)
    await ctx.reached(receipt.block)
    ctx.note("queries", f"opened {len(body.records)} reserved records")


async def _unsealed(ctx: Context, item: Finished, dataset: Dataset) -> QueriesBody | None:
    """All reserved records, None when a shard was not sealed to us."""
    opened: list[OpenedRecord] = []
    for shard in dataset.shards:
        sealed = await data.sealed_of(ctx, shard)
        try:
            opened += _opened(ctx, shard, sealed)
        except Reject as verdict:
            ctx.note("queries", f"shard {short(shard.entry.commitment)}: {verdict.reason}")
            return None
    return QueriesBody(item.job.id, tuple(opened))


def _opened(ctx: Context, shard: Opened, sealed: bytes) -> list[OpenedRecord]:
    owner = ctx.board.owners.index(shard.entry.owner)
    return [
        OpenedRecord(record_id(record), owner, shard.entry.datanet, record)
        for record in unseal(ctx, shard, sealed)
    ]


async def _endorsed(ctx: Context, item: Finished) -> QueriesBody | None:
    """Another seat's opening, judged record by record against the reveals."""
    for post in list(ctx.board.posted(QUERIES, item.job.id)):
        if post.operator not in ctx.board.seats:
            continue
        try:
            return await read_queries(ctx, item.job, post)
        except (Reject, PeerError) as error:
            ctx.note("queries", f"opening {short(post.value)}: {error}")
    return None
