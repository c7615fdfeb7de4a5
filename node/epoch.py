"""An aggregator's second duty: derive the epoch, sign every proposal that is equal, commit one.

A proposal names the pots; every aggregator derives their shares itself and signs only equal bytes. The
contract takes one body a number, so signing several proposals is safe, and no seat can hold up the others.
Then everybody claims what is its own, against the root, to its payout address.
"""

from collections import Counter
from itertools import islice

from node.committed import (
    active,
    active_bodies,
    active_epochs,
    last_head,
    root_of,
    tree,
)
from node.context import Context
from node.dues import derive, due_pots
from protocol.errors import PeerError
from protocol.ids import short
from protocol.messages import EpochBody, EpochVote, PotShares
from protocol.params import in_open
from protocol.typed_data import Draw, EpochCommit, recover
from settlement.claims import GENESIS_POOL, claim_args, commit_args
from tasks.court import CLOSED
from tasks.entries import UnitEntry

TURN_S = 20  # seats take turns to propose; their head start to commit over the next
MAX_POTS = 64  # of one epoch
MAX_AMOUNT = 2**128  # the contract's totals are uint128
DRAWN_EPOCH, ESCROW = 5, 1  # positions in what AttributionPool.potOf returns


async def settle_epochs(ctx: Context) -> None:
    """Propose, sign or submit the next epoch when something is due and the last one is active."""
    if not may_commit(ctx):
        return
    number = next_epoch(ctx)
    due = await firm_pots(ctx)
    for body_id in _proposals(ctx, number):
        await ctx.attempt("epoch", _consider, number, body_id, due)
    if due:
        await ctx.attempt("epoch", _propose, number, due)
    for body_id in _proposals(ctx, number):
        await ctx.attempt("epoch", _submit, number, body_id)


async def firm_pots(ctx: Context) -> dict[bytes, PotShares]:
    """Due pots that this node has derived alike for ``settle_blocks`` blocks.

    What they follow from lies that deep: a reorganisation that takes it back is deeper than any that signers
    answer for. Without this, honest signatures could outlive what they were given on, and cost their stake.
    """
    due, head = await due_pots(ctx), ctx.head.number
    before: dict[bytes, tuple[PotShares, int]] = ctx.private.get("firm", {})
    known = {s: before[s] if before.get(s, (None,))[0] == due[s] else (due[s], head) for s in due}
    ctx.private["firm"] = known  # forgotten when the chain is reorganised
    deep = head - ctx.params.settle_blocks
    return {subject: pot for subject, (pot, since) in known.items() if since <= deep}


def may_commit(ctx: Context) -> bool:
    """Whether nothing waits: no window, no verdict, no draws of a voided epoch."""
    last = ctx.board.epochs[-1] if ctx.board.epochs else None
    return ctx.board.voided is None and (last is None or active(ctx, last))


def next_epoch(ctx: Context) -> int:
    """The number of the next commit; a voided one is free again."""
    return len(ctx.board.epochs) + 1


def attempt(ctx: Context, number: int) -> str:
    """Names one try of an epoch: what was done for a voided one is done again."""
    return f"{number}.{ctx.board.voids}"


# -- proposing and signing ---


async def _propose(ctx: Context, number: int, due: dict[bytes, PotShares]) -> None:
    """Seats propose in turn until one body has a quorum; what is due may have changed since."""
    seats = ctx.board.seats
    since = ctx.private.setdefault(f"due/{attempt(ctx, number)}", ctx.head.time)
    turn = (ctx.head.time - since) // TURN_S
    if seats[(number - 1 + turn) % len(seats)] != ctx.operator:
        return
    if ctx.private.get(f"proposed/{attempt(ctx, number)}") == turn:
        return
    pots = await affordable(ctx, due, _quorum_limit(ctx))
    if not pots:
        return
    body = await derive(ctx, number, pots, len(ctx.board.owners))
    if number != next_epoch(ctx):
        return  # committed meanwhile
    ctx.private[f"proposed/{attempt(ctx, number)}"] = turn
    await _vote(ctx, body)
    ctx.note("epoch", f"proposed epoch {number}: {len(pots)} pots")


def _quorum_limit(ctx: Context) -> int:
    """What a commit of any quorum of seats may add."""
    stakes = sorted(ctx.board.stake(seat) for seat in ctx.board.seats)
    return sum(stakes[: ctx.network.quorum]) // 2


async def affordable(ctx: Context, due: dict[bytes, PotShares], left: int) -> tuple[PotShares, ...]:
    """Due pots that the contract takes in one commit: still open, and together at most ``left``."""
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
    own = await derive(ctx, number, pots, len(body.cumulative))
    if number != next_epoch(ctx):
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


def statement(ctx: Context, body: EpochBody, blob: bytes) -> EpochCommit:
    """What the aggregators sign and the pool checks."""
    grown = tree(ctx, body)
    return EpochCommit(
        pool=GENESIS_POOL,
        epoch=body.epoch,
        previous=last_head(ctx),
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
    if number != next_epoch(ctx):
        return
    body, signatures = await _proposed(ctx, number, body_id)
    if len(signatures) < ctx.network.quorum or ctx.operator not in signatures:
        return  # what others signed and we do not derive is not ours to commit
    since = ctx.private.setdefault(f"signed/{attempt(ctx, number)}", ctx.head.time)
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
    if index is None or not active_epochs(ctx):
        return (-1 if index is None else index), 0, None
    body = (await active_bodies(ctx))[-1]
    earned = body.cumulative[index] if index < len(body.cumulative) else 0
    return index, earned - ctx.board.claimed(index), body


async def claim_pay(ctx: Context) -> None:
    """Claim what is ours from the active root, and free the stake of settled units."""
    index, amount, body = await claimable(ctx)
    if amount > 0 and body is not None:
        await ctx.attempt("claim", _claim, index, amount, body)
    for unit in _own_units(ctx):
        if not unit.settled and _can_be_freed(ctx, unit):
            await ctx.attempt("claim", _free, unit)


def _own_units(ctx: Context) -> list[UnitEntry]:
    """This node's units, oldest first; the board only adds at the end."""
    seen: dict[bytes, UnitEntry] = ctx.private.setdefault("own-units", {})
    looked: int = ctx.private.get("own-units-looked", 0)
    for unit in islice(ctx.board.units.values(), looked, None):
        if unit.operator == ctx.operator:
            seen[unit.unit] = unit
    ctx.private["own-units-looked"] = len(ctx.board.units)
    return list(seen.values())


def _can_be_freed(ctx: Context, unit: UnitEntry) -> bool:
    """Anchored, never slashed, not on trial, and its pot was drawn by an epoch that is active."""
    drawn = ctx.board.pots[unit.pot].drawn
    settled = 0 < drawn <= active_epochs(ctx)
    slashed = any(slash.unit == unit.unit for slash in ctx.board.slashes)
    case = ctx.board.court.of_unit(unit.unit)
    tried = case is not None and case.stage != CLOSED
    return bool(unit.root) and settled and not slashed and not tried


async def _free(ctx: Context, unit: UnitEntry) -> None:
    receipt = await ctx.write("AttributionPool", "settleUnit", unit.unit)
    await ctx.reached(receipt.block)


async def _claim(ctx: Context, index: int, amount: int, body: EpochBody) -> None:
    root = root_of(ctx.board.epochs[body.epoch - 1])
    args = (GENESIS_POOL, *root[2:], *claim_args(tree(ctx, body), index))
    receipt = await ctx.write("AttributionPool", "claim", *args)
    await ctx.reached(receipt.block)
    ctx.note("claim", f"claimed {in_open(amount)} for owner {index}")
