"""An aggregator's duty to data: fetch what was revealed, judge it by every rule, and say that it holds it.

What a quorum holds can be had by everyone, whatever its owner does later; a job uses nothing else.
"""

from datanet.record import Record
from datanet.reveal import check_opened
from datanet.sealed import open_sealed
from node import data
from node.context import Context
from node.data import Opened
from node.jobs import PRIVATE
from protocol.errors import PeerError, Reject
from protocol.ids import short
from protocol.messages import HELD
from tasks.entries import ShardEntry


async def hold_shards(ctx: Context) -> None:
    """Attest every open shard that is complete, valid, and sealed to us too."""
    for entry in list(ctx.board.shards.values()):
        if _due(ctx, entry):
            await ctx.attempt("hold", _hold, entry)


def _due(ctx: Context, entry: ShardEntry) -> bool:
    """Nobody is asked for ever: after ``reveal_seconds`` a shard that we could not fetch is given up."""
    reveal = entry.reveal
    if reveal is None or entry.commitment in _judged(ctx) or ctx.mine(HELD, entry.commitment):
        return False
    recent = ctx.head.time <= reveal.time + ctx.params.reveal_seconds
    return recent and ctx.board.datanets[entry.datanet].data_class != PRIVATE


def _judged(ctx: Context) -> set[bytes]:
    """Shards that need no further look; looked up each time, for a reorganisation empties it."""
    judged: set[bytes] = ctx.private.setdefault("judged-shards", set())
    return judged


async def _hold(ctx: Context, entry: ShardEntry) -> None:
    assert entry.reveal is not None, "only revealed shards are held"
    try:
        opened = await _judge(ctx, entry)
    except Reject as verdict:
        _judged(ctx).add(entry.commitment)
        ctx.note("hold", f"shard {short(entry.commitment)} does not count: {verdict.reason}")
        return
    whole = (entry.reveal.value, opened.reveal.training, opened.reveal.sealed)
    for blob in whole:
        ctx.seams.blobs.pin(blob)
    await ctx.post(HELD, entry.commitment, entry.reveal.value)
    _judged(ctx).add(entry.commitment)
    ctx.holders.provide(entry.commitment)
    ctx.note("hold", f"holds shard {short(entry.commitment)}")


async def _judge(ctx: Context, entry: ShardEntry) -> Opened:
    opened = await data.open_shard(ctx, entry)
    unseal(ctx, opened, await data.sealed_of(ctx, opened))
    return opened


def unseal(ctx: Context, shard: Opened, sealed: bytes) -> tuple[Record, ...]:
    """A shard's reserved records with this aggregator's key. Raises Reject."""
    try:
        records = open_sealed(sealed, ctx.keys.seal_key)
    except PeerError as error:  # the box is nonsense, or not for us
        raise Reject(error.text) from error
    check_opened(shard.reveal, shard.aside, records)
    return records
