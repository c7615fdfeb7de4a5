"""A committee's duty: when a drawn verifier accuses, re-compute in canonical mode, rule, and slash the guilty.

The accused step comes first and the other drawn steps after it, so that a false accusation of an honest
step cannot clear a unit. Members hold seats of the slasher: each guilty ruling carries a signature under
the slash, and a quorum of them executes it.
"""

from node import jobs, verify
from node.context import Context
from node.jobs import Job
from protocol.errors import PeerError, Reverted
from protocol.ids import checksum, short
from protocol.messages import RULING, SlashVote, VerdictBody
from protocol.params import in_open
from protocol.typed_data import Slash, recover
from settlement.claims import slash_args
from tasks.entries import Posted, UnitEntry
from tasks.lifecycle import State

TURN_S = 5  # head start of each earlier member, so that one transaction is sent, not three
OVER = ("AlreadySlashed", "NothingToSlash")  # reverts after which no order can take anything


async def rule_disputes(ctx: Context) -> None:
    """Rule on every dispute that this node was drawn for, and sign the slash of the guilty."""
    over: set[tuple[bytes, int]] = ctx.private.setdefault("ruled-rounds", set())
    for job in jobs.jobs(ctx):
        for number in range(job.spec.rounds):
            if (job.id, number) not in over and await _rule_round(ctx, job, number):
                over.add((job.id, number))


async def _rule_round(ctx: Context, job: Job, number: int) -> bool:
    """Rule where it is due; whether nothing of the round can ever concern this node again."""
    found = await jobs.outcomes(ctx, job, number)
    over = found is not None
    for item, result in (found or {}).items():
        entry = jobs.entry_of(ctx, job, item)
        over = over and result.final
        if entry is None or result.state not in (State.DISPUTED, State.FAILED):
            continue
        members = await jobs.committee(ctx, job, entry)
        if ctx.operator not in members:
            continue
        if result.state is State.FAILED:
            await ctx.attempt("slash", _slash, job, entry, members)
            over = over and any(slash.unit == entry.unit for slash in ctx.board.slashes)
        elif not verify.posted(entry.rulings, ctx.operator):
            await ctx.attempt("rule", _rule, job, number, entry)
    return over


async def _rule(ctx: Context, job: Job, number: int, entry: UnitEntry) -> None:
    drawn = await jobs.samples(ctx, job, entry) or {}
    accusation = jobs.first_accusation(ctx, entry, drawn)
    assert accusation is not None, "a disputed unit has an accusation"
    named = await _named(ctx, accusation, drawn)
    steps = list(dict.fromkeys((*named, *drawn)))
    ctx.note("rule", f"re-computing steps {steps} of unit {short(entry.unit)} canonically")
    found = await verify.check_unit(ctx, job, number, entry, steps, canonical=True)
    if await verify.post_verdict(ctx, RULING, entry, found) != "ok":
        await _vote(ctx, _order(ctx, entry, accusation))


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


def _order(ctx: Context, entry: UnitEntry, accusation: Posted) -> Slash:
    """The slash that follows from a dispute; every member derives the same."""
    return Slash(
        operator=entry.operator,
        unit=entry.unit,
        amount=ctx.params_at(ctx.board.pots[entry.pot].time).slash,
        evidence=accusation.value,
        reporter=accusation.operator,
    )


async def _vote(ctx: Context, order: Slash) -> None:
    signature = ctx.sign(order, ctx.contract_domain("CommitteeSlasher"))
    await ctx.announce(
        SlashVote(
            order.unit, order.operator, order.amount, order.evidence, order.reporter, signature
        )
    )


async def _slash(ctx: Context, job: Job, entry: UnitEntry, members: tuple[bytes, ...]) -> None:
    """Execute an upheld slash; members try in draw order."""
    key = f"slashed/{entry.unit.hex()}"
    slashed = any(slash.unit == entry.unit for slash in ctx.board.slashes)
    accusation = jobs.first_accusation(ctx, entry, await jobs.samples(ctx, job, entry))
    if slashed or accusation is None or await ctx.done(key) is not None:
        return
    order = _order(ctx, entry, accusation)
    signatures = await _signatures(ctx, entry, order)
    last = max((post.time for post in entry.rulings), default=0)
    turn = last + members.index(ctx.operator) * TURN_S
    if len(signatures) < ctx.params.committee_quorum or ctx.head.time < turn:
        return
    try:
        await _execute(ctx, order, signatures)
    except Reverted as error:
        if error.code not in OVER:
            raise
        ctx.fail("slash", error)
    await ctx.did(key)


async def _execute(ctx: Context, order: Slash, signatures: dict[bytes, bytes]) -> None:
    chosen = [signatures[s] for s in sorted(signatures)][: ctx.params.committee_quorum]
    arguments = slash_args(order, ctx.contract_domain("CommitteeSlasher"), chosen)
    await ctx.write("CommitteeSlasher", "execute", *arguments)
    ctx.note(
        "slash",
        f"{checksum(order.operator)} lost {in_open(order.amount)} for unit {short(order.unit)}",
    )


async def _signatures(ctx: Context, entry: UnitEntry, order: Slash) -> dict[bytes, bytes]:
    """Votes by signer. Our own is said again when it was lost between our ruling and its arrival."""
    found = _votes(ctx, order)
    guilty = any(
        p.operator == ctx.operator and p.finding not in ("ok", "no-data") for p in entry.rulings
    )
    if guilty and ctx.operator not in found:
        await _vote(ctx, order)
        return _votes(ctx, order)
    return found


def _votes(ctx: Context, order: Slash) -> dict[bytes, bytes]:
    """Valid signatures of slasher seats under exactly this order, by signer."""
    digest = order.digest(ctx.contract_domain("CommitteeSlasher"))
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
