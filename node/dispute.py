"""A committee's duty: when a drawn verifier accuses, re-compute in canonical mode, rule, and order the slash.

The accused step comes first and the other drawn steps after it, so that a false accusation of an honest
step cannot clear a unit. Members hold seats of the Arbiter: each ruling carries a signature under the order
that follows from it, and a quorum of them files it there. The order of a guilty ruling is against the
worker. That of a clean one is against the accuser, where no honest verifier can have been wrong: an exact
check that holds, or distances of at most half the tolerance. What follows is node/court.py's.
"""

from node import jobs, verify
from node.context import Context
from node.jobs import Job
from protocol.codec import pack, unpack
from protocol.errors import PeerError, Reverted
from protocol.ids import checksum, short
from protocol.messages import RULING, SlashVote, StepFinding, VerdictBody
from protocol.params import Params, in_open
from protocol.typed_data import Slash, recover
from settlement.claims import accusation_id, slash_args
from tasks.entries import Posted, UnitEntry
from tasks.lifecycle import State

TURN_S = 5  # head start of each earlier member, so that one transaction is sent, not three
# Reverts after which no order about this can be filed: it was, or the stake is no longer under its lock.
OVER = ("AlreadyOrdered", "UnitNotAnchored", "AboveLock")
EXACT = ("A", "C", "D")  # checks without a tolerance


async def rule_disputes(ctx: Context) -> None:
    """Rule on every dispute that this node was drawn for, and sign the order that follows."""
    over: set[tuple[bytes, int]] = ctx.private.setdefault("ruled-rounds", set())
    for job in jobs.jobs(ctx):
        for number in range(job.spec.rounds):
            if (job.id, number) not in over and await _rule_round(ctx, job, number):
                over.add((job.id, number))


async def _rule_round(ctx: Context, job: Job, number: int) -> bool:
    """Rule where it is due; whether nothing of the round can ever concern this node again."""
    over = jobs.judging_over(ctx, job, number)  # then nobody new is accused
    for item in await jobs.assigned(ctx, job, number) or []:
        entry = jobs.entry_of(ctx, job, item)
        if entry is None or item.home or not any(post.staked for post in entry.verdicts):
            continue
        result = await jobs.outcome(ctx, job, number, item)
        over = over and result.final
        members = await jobs.committee(ctx, job, entry)
        if ctx.operator not in members:
            continue
        if result.state is State.DISPUTED:
            if not verify.posted(entry.rulings, ctx.operator):
                await ctx.attempt("rule", _rule, job, number, entry)
        elif result.state in (State.FAILED, State.ACCEPTED):
            await ctx.attempt("slash", _file, entry, members)
            over = over and await _filed(ctx, entry)
    return over


async def _rule(ctx: Context, job: Job, number: int, entry: UnitEntry) -> None:
    drawn = await jobs.samples(ctx, job, entry) or {}
    accusation = jobs.first_accusation(ctx, entry, drawn)
    assert accusation is not None, "a disputed unit has an accusation"
    named = await _named(ctx, accusation, drawn)
    steps = list(dict.fromkeys((*named, *drawn)))
    ctx.note("rule", f"re-computing steps {steps} of unit {short(entry.unit)} canonically")
    found = await verify.check_unit(ctx, job, number, entry, steps, canonical=True)
    order = _order(ctx, entry, accusation, found)
    if order is not None:  # journalled first: after a restart the ruling is not computed again
        await ctx.did(f"order/{entry.unit.hex()}", pack(order))
    await verify.post_verdict(ctx, RULING, entry, found)
    if order is not None:
        await _vote(ctx, order)


async def _named(
    ctx: Context, accusation: Posted, drawn: dict[int, tuple[bytes, ...]]
) -> list[int]:
    """The steps that an accusation names, of those its author was drawn for; none without a body."""
    try:
        verdict = await ctx.fetch_value(VerdictBody, accusation.value, accusation.operator)
    except PeerError as error:
        ctx.fail("rule", error)
        return []
    accused = (f.step for f in verdict.steps if f.finding == accusation.finding)
    return [step for step in accused if accusation.operator in drawn.get(step, ())]


def _order(
    ctx: Context, entry: UnitEntry, accusation: Posted, found: list[StepFinding]
) -> SlashVote | None:
    """The order that follows from a ruling, unsigned; every member with this ruling derives the same."""
    bad = next((f.finding for f in found if f.finding), "")
    if bad == "no-data":
        return None
    if bad:
        amount, accuser = _slash(ctx, entry), accusation.operator
        return SlashVote(entry.unit, entry.operator, amount, accusation.value, accuser, bytes(65))
    if not refutes(accusation.finding, found, ctx.params):
        return None
    lock = accusation_id(entry.unit, checksum(accusation.operator))
    amount = ctx.params.accuser_stake
    return SlashVote(lock, accusation.operator, amount, accusation.value, bytes(20), bytes(65))


def _slash(ctx: Context, entry: UnitEntry) -> int:
    return ctx.params_at(ctx.board.pots[entry.pot].time).slash


def refutes(finding: str, found: list[StepFinding], params: Params) -> bool:
    """Whether a clean canonical ruling shows that no honest verifier could have found this.

    Silence towards one verifier cannot be disproved, and a distance near the tolerance may fall on either
    side of it on honest machines: neither costs its verifier anything.
    """
    if finding in EXACT:
        return True
    near = (
        2 * f.distance_ppb > params.tolerance_ppb
        or 2 * f.optimiser_ppb > params.optimiser_tolerance_ppb
        for f in found
    )
    return finding == "B" and not any(near)


def slash_of(vote: SlashVote) -> Slash:
    """The order that a vote is under."""
    return Slash(vote.operator, vote.unit, vote.amount, vote.evidence, vote.reporter)


async def _vote(ctx: Context, order: SlashVote) -> None:
    signature = ctx.sign(slash_of(order), ctx.contract_domain("Arbiter"))
    await ctx.announce(
        SlashVote(
            order.unit, order.operator, order.amount, order.evidence, order.reporter, signature
        )
    )


async def _filed(ctx: Context, entry: UnitEntry) -> bool:
    """Whether nothing is left to file about a unit that was ruled on."""
    kept = await ctx.done(f"order/{entry.unit.hex()}")
    if kept is None:
        return True
    unit = unpack(SlashVote, kept).unit
    filed = ctx.board.court.of_unit(unit) is not None
    return filed or await ctx.done(f"slashed/{unit.hex()}") is not None


async def _file(ctx: Context, entry: UnitEntry, members: tuple[bytes, ...]) -> None:
    """File the order of our ruling once a quorum has signed it; members try in draw order."""
    kept = await ctx.done(f"order/{entry.unit.hex()}")
    if kept is None:
        return
    order = unpack(SlashVote, kept)
    key = f"slashed/{order.unit.hex()}"
    if ctx.board.court.of_unit(order.unit) is not None or await ctx.done(key) is not None:
        return
    signatures = await _signatures(ctx, order)
    last = max((post.time for post in entry.rulings), default=0)
    turn = last + members.index(ctx.operator) * TURN_S
    if len(signatures) < ctx.params.committee_quorum or ctx.head.time < turn:
        return
    try:
        await _send(ctx, slash_of(order), signatures)
    except Reverted as error:
        if error.code not in OVER:
            raise
        ctx.fail("slash", error)
    await ctx.did(key)


async def _send(ctx: Context, order: Slash, signatures: dict[bytes, bytes]) -> None:
    chosen = [signatures[s] for s in sorted(signatures)][: ctx.params.committee_quorum]
    arguments = slash_args(order, ctx.contract_domain("Arbiter"), chosen)
    receipt = await ctx.write("Arbiter", "order", *arguments)
    ctx.note(
        "slash",
        f"{checksum(order.operator)} shall lose {in_open(order.amount)} under {short(order.unit)};"
        f" it may appeal for {ctx.params.appeal_seconds} s",
    )
    await ctx.reached(receipt.block)


async def _signatures(ctx: Context, order: SlashVote) -> dict[bytes, bytes]:
    """Votes by signer. Our own is said again when it was lost between our ruling and its arrival."""
    found = _votes(ctx, order)
    if ctx.operator not in found:
        await _vote(ctx, order)
        return _votes(ctx, order)
    return found


def _votes(ctx: Context, order: SlashVote) -> dict[bytes, bytes]:
    """Valid signatures of the Arbiter's seats under exactly this order, by signer."""
    digest = slash_of(order).digest(ctx.contract_domain("Arbiter"))
    found = {}
    for vote in ctx.mail.bodies(SlashVote):
        if vote.unit != order.unit:
            continue
        try:
            signer = recover(digest, vote.signature)
        except PeerError as error:
            ctx.fail("slash", error)
            continue
        if signer in ctx.network.committee:
            found[signer] = vote.signature
    return found
