"""Every node's watch over pending epochs: what anybody can prove against a commit, and what it asks back.

Proofs need the published leaves. When they are missing, or do not lead to the committed root, the node
demands its own leaf with a bond; when others demand one that it can show, it shows it. Where nothing is
proved wrong, verifiers derive every pot again and bring a commit that differs before a jury. Nodes act in
turn, so that not all of them pay for one transaction.
"""

from dataclasses import dataclass

from node import committed
from node.context import Context
from node.review import review
from protocol.errors import LocalError, OperatorError, PeerError, Reverted
from protocol.ids import checksum
from protocol.messages import EpochBody
from protocol.seams import TxReceipt
from settlement.claims import GENESIS_POOL, RootTuple, claim_args
from settlement.sumtree import SumTree
from tasks import draw
from tasks.entries import EpochEntry

TURN_S = 2  # head start of each node over the next
PROOFS = "FraudProofs"


@dataclass(frozen=True, slots=True)
class Pending:
    """The commit that waits, with its published leaves; ``tree`` is None when they do not give its root."""

    entry: EpochEntry
    root: RootTuple
    body: EpochBody | None
    tree: SumTree | None


async def guard_epochs(ctx: Context) -> None:
    """Restore what a voided epoch drew, prove what is wrong with a pending one, open what is demanded."""
    voided = ctx.board.voided
    if voided is not None and _turn(ctx, voided.time):
        await ctx.attempt("guard", _restore, voided)
    await ctx.attempt("guard", _close_overdue)
    entry = ctx.board.epochs[-1] if ctx.board.epochs else None
    if entry is None or committed.active(ctx, entry):
        return
    pending = await _pending(ctx, entry)
    if pending.tree is None:
        await ctx.attempt("guard", _demand, pending)
        return
    await ctx.attempt("guard", _answer, pending)
    if _turn(ctx, entry.time):
        await ctx.attempt("guard", _prove, pending)
    if "verifier" in ctx.roles or ctx.operator in ctx.board.seats:
        await ctx.attempt("guard", _challenge, pending)


def _turn(ctx: Context, since: int) -> bool:
    """Whether it is this node's turn, or that of one before it is over."""
    rank = ctx.board.index_of(ctx.operator)
    return rank is not None and ctx.head.time >= since + rank * TURN_S


async def _pending(ctx: Context, entry: EpochEntry) -> Pending:
    root = committed.root_of(entry)
    try:
        body = await ctx.fetch_value(EpochBody, entry.evidence, *ctx.board.seats)
        grown = committed.tree(ctx, body)
    except (PeerError, LocalError) as error:  # nobody serves it, or it is no list of leaves
        ctx.fail("guard", error)
        return Pending(entry, root, None, None)
    return Pending(entry, root, body, grown if grown.root == entry.root else None)


# -- proofs ---


async def _prove(ctx: Context, pending: Pending) -> None:
    """The first thing that is wrong with a commit whose leaves are known; it is voided, its signers pay."""
    fault = await find_fault(ctx, pending)
    if fault is None or ctx.private.get("proved") == pending.entry.tx:
        return
    ctx.private["proved"] = pending.entry.tx
    function, args = fault
    receipt = await ctx.write(PROOFS, function, GENESIS_POOL, *args)
    await ctx.reached(receipt.block)
    ctx.note("guard", f"{function} voided epoch {pending.entry.epoch}")


async def find_fault(ctx: Context, pending: Pending) -> tuple[str, tuple[object, ...]] | None:
    """The proof to send and its arguments, None for a commit in which nothing objective is wrong."""
    entry, root, grown = pending.entry, pending.root, pending.tree
    assert grown is not None, "leaves are looked at only when they give the root"
    if entry.total != grown.total:
        return "proveSum", (root, grown.top(), ())
    if entry.leaves > len(ctx.board.owners):
        return "proveStranger", (root,)
    last = ctx.board.epochs[-2] if len(ctx.board.epochs) > 1 else None
    if last is not None:
        before = (await committed.active_bodies(ctx))[-1].cumulative
        now = pending.body.cumulative if pending.body is not None else ()
        for index, (was, is_) in enumerate(zip(before, now, strict=False)):
            if is_ < was:
                good = await _leaf(ctx, last, index)
                return "proveDecrease", (
                    committed.root_of(last),
                    root,
                    index,
                    good,
                    claim_args(grown, index)[1:],
                )
    return await _omitted(ctx, entry, root)


async def _leaf(ctx: Context, last: EpochEntry, index: int) -> tuple[bytes, int, bytes]:
    bodies = await committed.active_bodies(ctx)
    return claim_args(committed.tree(ctx, bodies[-1]), index)[1:]


async def _omitted(
    ctx: Context, entry: EpochEntry, root: RootTuple
) -> tuple[str, tuple[object, ...]] | None:
    """An owner without a leaf who was registered before the epoch began."""
    if entry.leaves >= len(ctx.board.owners):
        return None
    facts = await ctx.seams.chain.read("AttributionPool", "runningEpoch", GENESIS_POOL)
    since = await ctx.seams.chain.read("AssetRegistry", "registeredAt", entry.leaves)
    return ("proveOmission", (root, entry.leaves)) if since < facts[2] else None


# -- what only a jury can judge ---


async def _challenge(ctx: Context, pending: Pending) -> None:
    """Derive the epoch once; bring it before a jury when another one comes out, unless somebody has."""
    entry = pending.entry
    if ctx.private.get("reviewed") == entry.tx or not await _own_turn(ctx, entry):
        return
    if ctx.board.court.of_epoch(entry.epoch, entry.block) is not None:
        return
    found = await review(ctx, entry)
    if found.fault:  # a challenge that did not get through is tried again at the next look
        blob = ctx.put(found.own)
        await ctx.share(blob)
        receipt = await challenge(ctx, entry.epoch, blob)
        await ctx.reached(receipt.block)
        ctx.note("guard", f"challenged epoch {entry.epoch}, a jury decides: {found.fault}")
    ctx.private["reviewed"] = entry.tx


async def challenge(ctx: Context, epoch: int, evidence: bytes) -> TxReceipt:
    """Freeze a pending epoch and bring it before a jury, with a bond of our free stake.

    Raises OperatorError ``no-bond``.
    """
    try:
        return await ctx.write("Arbiter", "challenge", GENESIS_POOL, epoch, evidence)
    except Reverted as error:
        if error.code != "InsufficientStake":
            raise
        remedy = (
            f"Deposit stake for {checksum(ctx.operator)}, or let another operator challenge it."
        )
        raise OperatorError("no-bond", "the bond exceeds our free stake.", remedy) from error


async def _own_turn(ctx: Context, entry: EpochEntry) -> bool:
    """Verifiers and seats look one after the other, in another order each time, within half of the window."""
    staked = ctx.board.roster("verifier", entry.block, ctx.params.min_stake)
    able = sorted({*staked, *ctx.board.seats})
    if ctx.operator not in able:
        return False
    order = draw.permutation(entry.tx, "review", entry.root, len(able))
    place = order.index(able.index(ctx.operator))
    window: int = await ctx.seams.chain.read("AttributionPool", "windowOf", GENESIS_POOL)
    return ctx.head.time >= entry.time + place * window // (2 * len(able))


# -- forced openings ---


async def _demand(ctx: Context, pending: Pending) -> None:
    """Ask for this node's own leaf, once, when it has the coins of the bond."""
    index, entry = ctx.board.index_of(ctx.operator), pending.entry
    if index is None or index >= entry.leaves or ctx.private.get("demanded") == entry.tx:
        return
    chain, own = ctx.seams.chain, checksum(ctx.operator)
    bond = await chain.read(PROOFS, "openingBond")
    if await chain.read("OpenToken", "balanceOf", own) < bond:
        raise LocalError("no-bond", f"a forced opening takes {bond}, this operator holds less")
    ctx.private["demanded"] = entry.tx
    await ctx.write("OpenToken", "approve", chain.address(PROOFS), bond)
    receipt = await ctx.write(PROOFS, "demand", GENESIS_POOL, pending.root, index)
    await ctx.reached(receipt.block)
    ctx.note("guard", f"demanded leaf {index} of epoch {entry.epoch}: its file is not its root's")


async def _answer(ctx: Context, pending: Pending) -> None:
    """Show what is demanded; the bond pays for it."""
    assert pending.tree is not None, "only known leaves are shown"
    for demand in list(ctx.board.demands.values()):
        asked = demand.deadline - await _quarter(ctx)
        if demand.epoch != pending.entry.epoch or not _turn(ctx, asked):
            continue
        _, _, cumulative, proof = claim_args(pending.tree, demand.index)
        receipt = await ctx.write(
            PROOFS, "answer", GENESIS_POOL, pending.root, demand.index, cumulative, proof
        )
        await ctx.reached(receipt.block)
        ctx.note("guard", f"showed leaf {demand.index} of epoch {demand.epoch}")


async def _quarter(ctx: Context) -> int:
    """Seconds for an answer."""
    window: int = await ctx.seams.chain.read("AttributionPool", "windowOf", GENESIS_POOL)
    return window // 4


async def _close_overdue(ctx: Context) -> None:
    """A demand that nobody answered voids its commit."""
    for demand in list(ctx.board.demands.values()):
        if ctx.head.time > demand.deadline and _turn(ctx, demand.deadline):
            receipt = await ctx.write(PROOFS, "close", demand.id)
            await ctx.reached(receipt.block)
            ctx.note("guard", f"closed the demand of leaf {demand.index}: nobody showed it")


# -- after a void ---


async def _restore(ctx: Context, voided: EpochEntry) -> None:
    """Put the draws of a voided epoch back, so that the next commit may come."""
    args = (GENESIS_POOL, committed.root_of(voided), voided.drawn)
    receipt = await ctx.write("AttributionPool", "restore", *args)
    await ctx.reached(receipt.block)
    ctx.note("guard", f"restored the draws of voided epoch {voided.epoch}")
