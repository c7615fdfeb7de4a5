"""An aggregator's second duty: derive the epoch, sign it when another's proposal is equal, commit it.

A proposal names the pots; every aggregator derives their shares itself and signs only equal bytes, one
body an epoch. Then everybody claims what is its own, against the root, to its payout address.
"""

from node.attribute import attributed, finished_jobs
from node.context import Context
from node.pots import answer_shares, job_shares, paid_answers
from protocol.errors import PeerError, Reverted
from protocol.ids import ZERO, checksum, short
from protocol.messages import DrawEntry, EpochBody, EpochVote, PotShares
from protocol.typed_data import Draw, EpochCommit, recover
from settlement.claims import claim_args, commit_args, tree_of
from settlement.sumtree import SumTree
from tasks.entries import EpochEntry

RULE_VERSION = 1
TURN_S = 20  # head start of the seat whose turn it is over the next
MAX_POTS = 64  # of one epoch


async def settle_epochs(ctx: Context) -> None:
    """Propose, sign or submit the next epoch when something is due and the last one is active."""
    last = ctx.board.epochs[-1] if ctx.board.epochs else None
    if last is not None and not active(ctx, last):
        return
    number = len(ctx.board.epochs) + 1
    due = await _due(ctx)
    if not due:
        return
    for body_id in _proposals(ctx, number):
        await ctx.attempt("epoch", _consider, number, body_id, due)
    signed = await ctx.done(f"epoch/{number}")
    if signed is None:
        await _propose(ctx, number, due)
    else:
        await ctx.attempt("epoch", _submit, number, signed)


def active(ctx: Context, entry: EpochEntry) -> bool:
    """Whether claims may be made against an epoch."""
    return ctx.head.time >= entry.time + ctx.params.window_seconds


async def bodies(ctx: Context) -> list[EpochBody]:
    """The bodies of all committed epochs, in order."""
    cache: dict[bytes, EpochBody] = ctx.private.setdefault("epochs", {})
    for entry in ctx.board.epochs:
        if entry.evidence not in cache:
            cache[entry.evidence] = await ctx.fetch_value(
                EpochBody, entry.evidence, *ctx.board.seats
            )
    return [cache[entry.evidence] for entry in ctx.board.epochs]


async def _due(ctx: Context) -> dict[bytes, PotShares]:
    """All pots that may be settled now, by subject (job id or receipt id)."""
    settled = {pot.subject for body in await bodies(ctx) for pot in body.pots}
    due: dict[bytes, PotShares] = {}
    for item in await finished_jobs(ctx):
        found = await attributed(ctx, item)
        late = item.time + 4 * ctx.params.attribute_seconds * max(1, len(item.order))
        if item.job.id not in settled and (found is not None or ctx.head.time > late):
            due[item.job.id] = await job_shares(ctx, item, found)
        for answer in await paid_answers(ctx, item):
            if answer.blob not in settled:
                due[answer.blob] = await answer_shares(ctx, answer)
    return due


async def _derive(ctx: Context, number: int, pots: tuple[PotShares, ...], leaves: int) -> EpochBody:
    """The body of an epoch that settles exactly these pots."""
    known = await bodies(ctx)
    cumulative = list(known[-1].cumulative) if known else []
    cumulative += [0] * (leaves - len(cumulative))
    draws: dict[bytes, int] = {}
    for pot in pots:
        draws[pot.pot] = draws.get(pot.pot, 0) + pot.amount
        for share in pot.shares:
            cumulative[share.owner] += share.amount
    return EpochBody(
        epoch=number,
        previous_root=ctx.board.epochs[-1].root if ctx.board.epochs else ZERO,
        rule_version=RULE_VERSION,
        draws=tuple(DrawEntry(pot, draws[pot]) for pot in sorted(draws)),
        pots=pots,
        cumulative=tuple(cumulative),
    )


async def _propose(ctx: Context, number: int, due: dict[bytes, PotShares]) -> None:
    seats = ctx.board.seats
    since = ctx.private.setdefault(f"due/{number}", ctx.head.time)
    turn = (seats.index(ctx.operator) - (number - 1)) % len(seats)
    if ctx.head.time < since + turn * TURN_S:
        return
    pots = tuple(due[subject] for subject in sorted(due)[:MAX_POTS])
    body = await _derive(ctx, number, pots, len(ctx.board.owners))
    await _sign(ctx, body)
    ctx.note("epoch", f"proposed epoch {number}: {len(pots)} pots")


async def _sign(ctx: Context, body: EpochBody) -> None:
    blob = ctx.put(body)
    commit = statement(ctx, body, blob)
    await ctx.did(f"epoch/{body.epoch}", blob)  # one body an epoch, also after a restart
    await ctx.share(blob)
    signature = ctx.sign(commit, ctx.contract_domain("AttributionPool"))
    await ctx.announce(EpochVote(body.epoch, blob, signature))


def _proposals(ctx: Context, number: int) -> list[bytes]:
    votes = [vote.body for vote in ctx.mail.bodies(EpochVote) if vote.epoch == number]
    return list(dict.fromkeys(votes))


async def _consider(ctx: Context, number: int, body_id: bytes, due: dict[bytes, PotShares]) -> None:
    """Sign another's proposal when its pots are due and our own derivation gives the same bytes."""
    if await ctx.done(f"epoch/{number}") is not None:
        return
    body = await ctx.fetch_value(EpochBody, body_id, *ctx.board.seats)
    subjects = [pot.subject for pot in body.pots]
    if not subjects or len(set(subjects)) != len(subjects) or not set(subjects) <= set(due):
        return  # not due here yet; looked at again when more is known
    leaves = len(body.cumulative)
    if leaves > len(ctx.board.owners):
        return
    own = await _derive(ctx, number, tuple(due[subject] for subject in subjects), leaves)
    if own != body:
        raise PeerError("epoch-differs", f"proposal {short(body_id)} is not what we derive")
    await _sign(ctx, body)
    ctx.note("epoch", f"signed epoch {number}")


def tree(ctx: Context, body: EpochBody) -> SumTree:
    """The merkle-sum tree over an epoch's cumulative amounts."""
    operators = [checksum(operator) for operator in ctx.board.owners[: len(body.cumulative)]]
    return tree_of(operators, dict(enumerate(body.cumulative)))


def statement(ctx: Context, body: EpochBody, blob: bytes) -> EpochCommit:
    """What the aggregators sign and the pool checks."""
    grown = tree(ctx, body)
    return EpochCommit(
        epoch=body.epoch,
        previous_root=body.previous_root,
        root=grown.root,
        total=grown.total,
        leaf_count=len(body.cumulative),
        evidence=blob,
        rule_version=body.rule_version,
        draws=tuple(Draw(draw.pot, draw.amount) for draw in body.draws),
    )


async def _submit(ctx: Context, number: int, body_id: bytes) -> None:
    body = await ctx.fetch_value(EpochBody, body_id, *ctx.board.seats)
    commit = statement(ctx, body, body_id)
    domain = ctx.contract_domain("AttributionPool")
    signatures = _signatures(ctx, commit.digest(domain), body_id)
    if len(signatures) < ctx.network.quorum:
        return
    since = ctx.private.setdefault(f"signed/{number}", ctx.head.time)
    turn = (ctx.board.seats.index(ctx.operator) - (number - 1)) % len(ctx.board.seats)
    if ctx.head.time < since + turn * TURN_S:
        return
    chosen = [signatures[s] for s in sorted(signatures)][: ctx.network.quorum]
    try:
        receipt = await ctx.write("AttributionPool", "commit", *commit_args(commit, domain, chosen))
    except (
        Reverted
    ) as error:  # another seat was faster, or the chain knows better: counted and shown
        ctx.fail("epoch", error)
        return
    await ctx.reached(receipt.block)
    ctx.note("epoch", f"committed epoch {number}: {commit.total} in {commit.leaf_count} leaves")


def _signatures(ctx: Context, digest: bytes, body_id: bytes) -> dict[bytes, bytes]:
    """Valid signatures of seats under a body, by signer."""
    found = {}
    for vote in ctx.mail.bodies(EpochVote):
        if vote.body != body_id:
            continue
        try:
            signer = recover(digest, vote.signature)
        except PeerError as error:
            ctx.fail("epoch", error)
            continue
        if signer in ctx.board.seats:
            found[signer] = vote.signature
    return found


# -- claiming ---


async def claimable(ctx: Context) -> tuple[int, int, EpochBody | None]:
    """(owner index, smallest units claimable now, body of the active epoch); index -1: not an owner."""
    index = ctx.board.index_of(ctx.operator)
    ready = [i for i, entry in enumerate(ctx.board.epochs) if active(ctx, entry)]
    if index is None or not ready:
        return (-1 if index is None else index), 0, None
    body = (await bodies(ctx))[ready[-1]]
    earned = body.cumulative[index] if index < len(body.cumulative) else 0
    paid = sum(claim.amount for claim in ctx.board.claims if claim.index == index)
    return index, earned - paid, body


async def claim_pay(ctx: Context) -> None:
    """Claim what is ours from the active root, and free the stake of settled units."""
    index, amount, body = await claimable(ctx)
    if amount > 0 and body is not None:
        await ctx.attempt("claim", _claim, index, amount, body)
    for unit in list(ctx.board.units.values()):
        drawn = ctx.board.pots[unit.pot].drawn
        settled = 0 < drawn <= sum(active(ctx, entry) for entry in ctx.board.epochs)
        slashed = any(slash.unit == unit.unit for slash in ctx.board.slashes)
        if (
            unit.operator == ctx.operator
            and unit.root
            and settled
            and not unit.settled
            and not slashed
        ):
            receipt = await ctx.write("AttributionPool", "settleUnit", unit.unit)
            await ctx.reached(receipt.block)


async def _claim(ctx: Context, index: int, amount: int, body: EpochBody) -> None:
    receipt = await ctx.write("AttributionPool", "claim", *claim_args(tree(ctx, body), index))
    await ctx.reached(receipt.block)
    ctx.note("claim", f"claimed {amount} for owner {index}")
