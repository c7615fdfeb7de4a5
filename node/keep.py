"""What a node keeps beyond its duties: whole copies of the Datanets that it chose, within its disk quota."""

from datanet.blobs import FileBlobs
from node import data
from node.context import Context
from node.jobs import PRIVATE
from protocol.errors import OpenLedgerError, OperatorError, Reject
from protocol.ids import short
from tasks.entries import ShardEntry

LOOK_S = 10.0
COLLECT_S = 60.0
MIB = 1024 * 1024


async def keep_datanets(ctx: Context) -> None:
    """Copy, pin and announce every held shard of the chosen Datanets, for ever."""
    judged: set[bytes] = set()
    while True:
        for entry in chosen(ctx):
            if entry.commitment not in judged and await _keep(ctx, entry):
                judged.add(entry.commitment)
        await ctx.seams.clock.sleep(LOOK_S)


def chosen(ctx: Context) -> list[ShardEntry]:
    """Shards that a quorum holds, of Datanets that the configuration names by id or name."""
    wanted = {datanet for name in ctx.datanets for datanet in data.called(ctx, name)}
    return [
        entry
        for entry in ctx.board.shards.values()
        if entry.datanet in wanted
        and ctx.board.datanets[entry.datanet].data_class != PRIVATE
        and data.held(ctx, entry)
    ]


async def _keep(ctx: Context, entry: ShardEntry) -> bool:
    """Whether the shard needs no further look: it is kept, or no shard at all."""
    assert entry.reveal is not None, "only revealed shards are held"
    try:
        opened = await data.open_shard(ctx, entry)
        await data.sealed_of(ctx, opened)
    except Reject as verdict:
        ctx.note("keep", f"shard {short(entry.commitment)} does not count: {verdict.reason}")
        return True
    except OpenLedgerError as error:
        ctx.fail("keep", error)
        return False
    whole = (entry.reveal.value, opened.reveal.training, opened.reveal.sealed)
    for blob in whole:
        ctx.seams.blobs.pin(blob)
    await ctx.share(*whole)
    ctx.holders.provide(entry.commitment)
    ctx.note("keep", f"keeps a copy of shard {short(entry.commitment)}")
    return True


async def collect_blobs(ctx: Context, blobs: FileBlobs, quota: int) -> None:
    """Keep the blobs within ``quota`` bytes, for ever; say so when what may not go is more."""
    while True:
        found = blobs.collect(quota, ctx.seams.clock.now())
        if found.blobs:
            ctx.note("keep", f"{found.blobs} fetched blobs went: {found.freed // MIB} MiB")
        if found.used > quota:
            text = f"Blobs that may not go take {found.used // MIB} of {quota // MIB} MiB."
            ctx.fail(
                "keep", OperatorError("quota-full", text, "Raise disk.quota_mb in the config.")
            )
        await ctx.seams.clock.sleep(COLLECT_S)
