"""When the quorum stalls: any staker derives the epoch and proposes it alone, under half its own stake.

The contract waits ``stallSeconds`` after the last epoch and twice the window before such a commit pays.
Here a node waits as long again from when it first saw the pots due, and stakers take turns.
"""

from node import dues, epoch
from node.context import Context
from protocol.ids import checksum
from protocol.messages import PotShares
from protocol.params import in_open
from settlement.claims import GENESIS_POOL, fallback_args

LOOK_S = 20  # deriving what is due costs work: look so often
TURN_S = 20  # head start of a staker over the next
UNIT_SECONDS, TOUCHED = 4, 6  # positions in what AttributionPool.potOf returns


async def propose_alone(ctx: Context) -> None:
    """Commit what is due when no quorum has for too long."""
    last = ctx.board.epochs[-1].activates_at if ctx.board.epochs else 0
    stake, looked = ctx.board.stake(ctx.operator), ctx.private.get("fallback-looked", 0)
    if not stake or not epoch.may_commit(ctx) or ctx.head.time < looked + LOOK_S:
        return
    ctx.private["fallback-looked"] = ctx.head.time
    stall: int = await ctx.seams.chain.read("AttributionPool", "stallSeconds")
    if ctx.head.time < last + stall:
        return
    number = epoch.next_epoch(ctx)
    due = await epoch.firm_pots(ctx)
    if not due:
        return
    key = f"fallback/{epoch.attempt(ctx, number)}"
    since = ctx.private.setdefault(key, ctx.head.time)
    if ctx.head.time < since + stall + _rank(ctx) * TURN_S:
        return
    await ctx.attempt("fallback", _commit, number, await _stalled(ctx, due, stall), stake // 2)


def _rank(ctx: Context) -> int:
    """Stakers by stake, the richest first: it may settle the most."""
    board = ctx.board
    stakers = sorted(board.owners, key=lambda operator: (-board.stake(operator), operator))
    return stakers.index(ctx.operator)


async def _stalled(ctx: Context, due: dict[bytes, PotShares], stall: int) -> dict[bytes, PotShares]:
    """The pots that the contract lets a fallback draw on: jobs left alone, and all fee pots."""
    clock = await ctx.seams.chain.read("AttributionPool", "clockOf", GENESIS_POOL)
    left = {}
    for subject, pot in due.items():
        facts = await ctx.seams.chain.read("AttributionPool", "potOf", pot.pot)
        if not facts[UNIT_SECONDS] or facts[TOUCHED] + stall <= clock:
            left[subject] = pot
    return left


async def _commit(ctx: Context, number: int, due: dict[bytes, PotShares], limit: int) -> None:
    pots = await epoch.affordable(ctx, due, limit)
    if not pots:
        return
    body = await dues.derive(ctx, number, pots, len(ctx.board.owners))
    if number != epoch.next_epoch(ctx):
        return  # committed meanwhile
    blob = ctx.put(body)
    await ctx.share(blob)
    commit = epoch.statement(ctx, body, blob)
    receipt = await ctx.write("AttributionPool", "commitFallback", *fallback_args(commit))
    await ctx.reached(receipt.block)
    name = checksum(ctx.operator)
    ctx.note("fallback", f"{name} committed epoch {number} alone: {in_open(commit.total)}")
