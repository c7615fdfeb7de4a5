"""Epochs that were committed, as this node reads them: which are active, their bodies, their trees."""

from node.context import Context
from protocol.ids import checksum
from protocol.messages import EpochBody
from protocol.typed_data import Draw, draws_hash
from settlement.claims import EMPTY_HEAD, RootTuple, head_of, tree_of
from settlement.sumtree import SumTree
from tasks.entries import EpochEntry


def active(ctx: Context, entry: EpochEntry) -> bool:
    """Whether claims may be made against an epoch."""
    return ctx.head.time >= entry.activates_at


def active_epochs(ctx: Context) -> int:
    """How many epochs claims may be made against: a commit needs that the one before it is active."""
    epochs = ctx.board.epochs
    return len(epochs) - bool(epochs and not active(ctx, epochs[-1]))


async def bodies(ctx: Context) -> list[EpochBody]:
    """The bodies of all epochs that stand, in order."""
    return await bodies_of(ctx, list(ctx.board.epochs))


async def active_bodies(ctx: Context) -> list[EpochBody]:
    """The bodies of the epochs that claims may be made against: no pending one is asked for."""
    return await bodies_of(ctx, ctx.board.epochs[: active_epochs(ctx)])


async def bodies_of(ctx: Context, entries: list[EpochEntry]) -> list[EpochBody]:
    """What these commits name. Raises PeerError, DecodeError for what nobody serves or is no body."""
    cache: dict[bytes, EpochBody] = ctx.private.setdefault("epochs", {})
    for entry in entries:
        if entry.evidence not in cache:
            cache[entry.evidence] = await ctx.fetch_value(
                EpochBody, entry.evidence, *ctx.board.seats
            )
    return [cache[entry.evidence] for entry in entries]


def tree(ctx: Context, body: EpochBody) -> SumTree:
    """The merkle-sum tree over an epoch's cumulative amounts."""
    operators = [checksum(operator) for operator in ctx.board.owners[: len(body.cumulative)]]
    return tree_of(operators, dict(enumerate(body.cumulative)))


def root_of(entry: EpochEntry) -> RootTuple:
    """A committed root with its facts, as the contracts know it by its head."""
    draws = draws_hash([Draw(pot, amount) for pot, amount in entry.drawn])
    return entry.root, entry.total, entry.leaves, draws


def last_head(ctx: Context) -> bytes:
    """Head of the last epoch that stands."""
    return head_of(*root_of(ctx.board.epochs[-1])) if ctx.board.epochs else EMPTY_HEAD
