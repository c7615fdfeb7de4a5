"""An aggregator's second duty: derive the epoch, sign every proposal that is equal, commit one.

A proposal names the pots; every aggregator derives their shares itself and signs only equal bytes. The
contract takes one body a number, so signing several proposals is safe, and no seat can hold up the others.
Then everybody claims what is its own, against the root, to its payout address.
"""

from collections import Counter

from node.answers import answer_shares, paid_answers, paying_channels
from node.attribute import Attributed, attributed
from node.context import Context
from node.pots import job_shares
from node.turns import Finished, current, failed_jobs, finished_jobs
from protocol.errors import PeerError
from protocol.ids import ZERO, checksum, short
from protocol.messages import RECEIPT, DrawEntry, EpochBody, EpochVote, PotShares
from protocol.params import in_open
from protocol.typed_data import Draw, EpochCommit, recover
from settlement.claims import claim_args, commit_args, tree_of
from settlement.sumtree import SumTree
from tasks.court import CLOSED
from tasks.entries import EpochEntry, UnitEntry

TURN_S = 20  # seats take turns to propose; their head start to commit over the next
MAX_POTS = 64  # of one epoch
MAX_AMOUNT = 2**128  # the contract's totals are uint128
DRAWN_EPOCH, ESCROW = 5, 1  # positions in what AttributionPool.potOf returns


async def settle_epochs(ctx: Context) -> None:
    """Propose, sign or submit the next epoch when something is due and the last one is active."""
    last = ctx.board.epochs[-1] if ctx.board.epochs else None
    if last is not None and not active(ctx, last):
        return
    number = _next(ctx)
    due = await _due(ctx)
    for body_id in _proposals(ctx, number):
        await ctx.attempt("epoch", _consider, number, body_id, due)
    if due:
        await ctx.attempt("epoch", _propose, number, due)
    for body_id in _proposals(ctx, number):
        await ctx.attempt("epoch", _submit, number, body_id)


def _next(ctx: Context) -> int:
    return len(ctx.board.epochs) + 1


def active(ctx: Context, entry: EpochEntry) -> bool:
    """Whether claims may be made against an epoch."""
    return ctx.head.time >= entry.time + ctx.params.window_seconds


def active_epochs(ctx: Context) -> int:
    """How many epochs claims may be made against; they follow each other."""
    return sum(active(ctx, entry) for entry in ctx.board.epochs)


async def bodies(ctx: Context) -> list[EpochBody]:
    """The bodies of all committed epochs, in order."""
    cache: dict[bytes, EpochBody] = ctx.private.setdefault("epochs", {})
    entries = list(ctx.board.epochs)
    for entry in entries:
        if entry.evidence not in cache:
            cache[entry.evidence] = await ctx.fetch_value(
                EpochBody, entry.evidence, *ctx.board.seats
            )
    return [cache[entry.evidence] for entry in entries]


# -- what is due ---


async def _due(ctx: Context) -> dict[bytes, PotShares]:
    """All pots that may be settled now, by subject; one that cannot be derived stops no other."""
    settled = {pot.subject for body in await bodies(ctx) for pot in body.pots}
    due: dict[bytes, PotShares] = {}
    for item in await finished_jobs(ctx):
        await ctx.attempt("settle", _add_job, item, settled, due)
        await ctx.attempt("settle", _add_answers, item, settled, due)
    for item in failed_jobs(ctx):
        await ctx.attempt("settle", _add_job, item, settled, due)
    return due


async def _add_job(
    ctx: Context, item: Finished, settled: set[bytes], due: dict[bytes, PotShares]
) -> None:
    if item.job.id in settled:
        return
    every_turn_failed = await current(ctx, item) is None
    found = await attributed(ctx, item)
    if found is not None or every_turn_failed:
        due[item.job.id] = await job_shares(ctx, item, found)


async def _add_answers(
    ctx: Context, item: Finished, settled: set[bytes], due: dict[bytes, PotShares]
) -> None:
    posts = ctx.board.posted(RECEIPT, item.adapter)
    open_ones = any(post.value not in settled for post in posts)
    found = await attributed(ctx, item) if open_ones else None
    if found is not None:
        for channel in paying_channels(ctx, item.adapter):
            await ctx.attempt("settle", _add_channel, found, channel, settled, due)


async def _add_channel(
    ctx: Context,
    found: Attributed,
    channel: bytes,
    settled: set[bytes],
    due: dict[bytes, PotShares],
) -> None:
    for paid in await paid_answers(ctx, found, channel):
        if paid.answer.blob not in settled:
            due[paid.answer.blob] = await answer_shares(ctx, paid)


# -- proposing and signing ---


async def _derive(ctx: Context, number: int, pots: tuple[PotShares, ...], leaves: int) -> EpochBody:
    """The body of an epoch that settles exactly these pots. Raises PeerError for too few leaves."""
    known = await bodies(ctx)
    cumulative = list(known[-1].cumulative) if known else []
    cumulative += [0] * (leaves - len(cumulative))
    draws: Counter[bytes] = Counter()
    for pot in pots:
        draws[pot.pot] += pot.amount
        for share in pot.shares:
            if share.owner >= len(cumulative):
                raise PeerError("too-few-leaves", f"{leaves}: owner {share.owner} has none")
            cumulative[share.owner] += share.amount
    return EpochBody(
        epoch=number,
        previous_root=ctx.board.epochs[-1].root if ctx.board.epochs else ZERO,
        rule_version=epoch_version(ctx),
        draws=tuple(DrawEntry(pot, draws[pot]) for pot in sorted(draws)),
        pots=pots,
        cumulative=tuple(cumulative),
    )


def epoch_version(ctx: Context) -> int:
    """The rule version in force when the next epoch began: when the one before it was committed."""
    epochs = ctx.board.epochs
    return ctx.board.version_at(epochs[-1].time) if epochs else 1


async def _propose(ctx: Context, number: int, due: dict[bytes, PotShares]) -> None:
    """Seats propose in turn until one body has a quorum; what is due may have changed since."""
    seats = ctx.board.seats
    since = ctx.private.setdefault(f"due/{number}", ctx.head.time)
    turn = (ctx.head.time - since) // TURN_S
    if seats[(number - 1 + turn) % len(seats)] != ctx.operator:
        return
    if ctx.private.get(f"proposed/{number}") == turn:
        return
    pots = await _affordable(ctx, due)
    if not pots:
        return
    body = await _derive(ctx, number, pots, len(ctx.board.owners))
    if number != _next(ctx):
        return  # committed meanwhile
    ctx.private[f"proposed/{number}"] = turn
    await _vote(ctx, body)
    ctx.note("epoch", f"proposed epoch {number}: {len(pots)} pots")


async def _affordable(ctx: Context, due: dict[bytes, PotShares]) -> tuple[PotShares, ...]:
    """Due pots that the contract takes in one commit: still open, and within half the signers' stake."""
    stakes = sorted(ctx.board.stake(seat) for seat in ctx.board.seats)
    left = sum(stakes[: ctx.network.quorum]) // 2
    taken: Counter[bytes] = Counter()
    chosen: list[PotShares] = []
    for subject in sorted(due):
        pot = due[subject]
        facts = await ctx.seams.chain.read("AttributionPool", "potOf", pot.pot)
        enough = taken[pot.pot] + pot.amount <= facts[ESCROW] and pot.amount <= left
        if enough and not facts[DRAWN_EPOCH] and len(chosen) < MAX_POTS:
            chosen.append(pot)
            taken[pot.pot] += pot.amount
            left -= pot.amount
    return tuple(chosen)


async def _vote(ctx: Context, body: EpochBody) -> None:
    blob = ctx.put(body)
    signature = ctx.sign(statement(ctx, body, blob), ctx.contract_domain("AttributionPool"))
    await ctx.share(blob)
    await ctx.announce(EpochVote(body.epoch, blob, signature))


def _proposals(ctx: Context, number: int) -> list[bytes]:
    """Bodies that a seat's peer has voted for; nobody else's votes cost us any work."""
    votes = [
        letter.body.body
        for letter in ctx.mail.letters(EpochVote)
        if letter.body.epoch == number and ctx.operator_of(letter.author) in ctx.board.seats
    ]
    return list(dict.fromkeys(votes))


async def _consider(ctx: Context, number: int, body_id: bytes, due: dict[bytes, PotShares]) -> None:
    """Sign another's proposal when its pots are due and our own derivation gives the same bytes."""
    body, signatures = await _proposed(ctx, number, body_id)
    subjects = [pot.subject for pot in body.pots]
    if ctx.operator in signatures or not subjects or not set(subjects) <= set(due):
        return  # not due here yet; looked at again when more is known
    pots = tuple(due[subject] for subject in subjects)
    own = await _derive(ctx, number, pots, len(body.cumulative))
    if number != _next(ctx):
        return  # committed meanwhile
    if own != body:
        raise PeerError("epoch-differs", f"proposal {short(body_id)} is not what we derive")
    await _vote(ctx, body)
    ctx.note("epoch", f"signed epoch {number}")


async def _proposed(
    ctx: Context, number: int, body_id: bytes
) -> tuple[EpochBody, dict[bytes, bytes]]:
    """A proposal with its seats' signatures. Raises PeerError when it can never be an epoch."""
    body = await ctx.fetch_value(EpochBody, body_id, *ctx.board.seats)
    _check_form(ctx, number, body)
    signatures = _signatures(ctx, statement(ctx, body, body_id), body_id)
    if not signatures:
        raise PeerError("unsigned-epoch", f"no seat has signed proposal {short(body_id)}")
    return body, signatures


def _check_form(ctx: Context, number: int, body: EpochBody) -> None:
    least = ctx.board.epochs[-1].leaves if ctx.board.epochs else 1
    subjects = [pot.subject for pot in body.pots]
    leaves = len(body.cumulative)
    faults = {
        "it has another number": body.epoch != number,
        f"{leaves} leaves, last were {least}": leaves < least,
        f"{leaves} leaves for {len(ctx.board.owners)} owners": leaves > len(ctx.board.owners),
        "an amount is out of range": not all(0 <= a < MAX_AMOUNT for a in body.cumulative),
        "a pot occurs twice": len(set(subjects)) != len(subjects),
        f"more than {MAX_POTS} pots": len(subjects) > MAX_POTS,
    }
    for fault, found in faults.items():
        if found:
            raise PeerError("bad-epoch", f"epoch {number}: {fault}")


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


# -- committing ---


async def _submit(ctx: Context, number: int, body_id: bytes) -> None:
    """Commit a proposal that a quorum has signed; a later seat only when the earlier ones are silent."""
    if number != _next(ctx):
        return
    body, signatures = await _proposed(ctx, number, body_id)
    if len(signatures) < ctx.network.quorum:
        return
    since = ctx.private.setdefault(f"signed/{number}", ctx.head.time)
    turn = (ctx.board.seats.index(ctx.operator) - (number - 1)) % len(ctx.board.seats)
    if ctx.head.time < since + turn * TURN_S:
        return
    chosen = [signatures[s] for s in sorted(signatures)][: ctx.network.quorum]
    commit, domain = statement(ctx, body, body_id), ctx.contract_domain("AttributionPool")
    receipt = await ctx.write("AttributionPool", "commit", *commit_args(commit, domain, chosen))
    await ctx.reached(receipt.block)
    ctx.note(
        "epoch", f"committed epoch {number}: {in_open(commit.total)} in {commit.leaf_count} leaves"
    )


def _signatures(ctx: Context, commit: EpochCommit, body_id: bytes) -> dict[bytes, bytes]:
    """Valid signatures of seats under a body, by signer."""
    digest, found = commit.digest(ctx.contract_domain("AttributionPool")), {}
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
        if unit.operator == ctx.operator and _can_be_freed(ctx, unit):
            await ctx.attempt("claim", _free, unit)


def _can_be_freed(ctx: Context, unit: UnitEntry) -> bool:
    """Anchored, never slashed, not on trial, and its pot was drawn by an epoch that is active."""
    drawn = ctx.board.pots[unit.pot].drawn
    settled = 0 < drawn <= active_epochs(ctx)
    slashed = any(slash.unit == unit.unit for slash in ctx.board.slashes)
    case = ctx.board.court.of_unit(unit.unit)
    tried = case is not None and case.stage != CLOSED
    return bool(unit.root) and settled and not unit.settled and not slashed and not tried


async def _free(ctx: Context, unit: UnitEntry) -> None:
    receipt = await ctx.write("AttributionPool", "settleUnit", unit.unit)
    await ctx.reached(receipt.block)


async def _claim(ctx: Context, index: int, amount: int, body: EpochBody) -> None:
    receipt = await ctx.write("AttributionPool", "claim", *claim_args(tree(ctx, body), index))
    await ctx.reached(receipt.block)
    ctx.note("claim", f"claimed {in_open(amount)} for owner {index}")
