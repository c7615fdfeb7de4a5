"""Before the Arbiter: appeal when this node was accused wrongly, sit on juries, carry cases to their end.

A juror re-computes canonically what the case is about, from the worker's own data, as the committee did, or
derives a challenged epoch again, as its signers did; it commits to its vote before anybody shows one. The
accused asks itself the same question first: who finds itself guilty does not appeal. Seeds, verdicts and the
execution of what nobody appealed are for anybody to send; nodes wait for their turn, so that one does.
"""

from collections.abc import Awaitable, Callable

from node import cases, jobs, verify
from node.context import Context
from node.dispute import TURN_S
from node.review import review
from protocol.errors import OperatorError, PeerError, Reverted
from protocol.ids import checksum
from protocol.messages import VerdictBody
from settlement.claims import accusation_id, vote_commitment
from tasks import draw
from tasks.court import APPEALABLE, CLOSED, NO_DATA, REJECT, UPHOLD, Case, Panel

# Reverts that mean that another node was faster.
FASTER = ("WrongStage", "AlreadyDrawn", "NoPanel", "NotLocked", "UnitHeld")
LATE = 4  # the last part in so many of the time of voting: who still knows nothing says so


async def follow_cases(ctx: Context) -> None:
    """Do what is this node's in every open case, and free its own old accusations."""
    for case in ctx.board.court.open():
        await ctx.attempt("court", _follow, case)
    for accusation in ctx.board.court.accusations:
        if accusation.accuser == ctx.operator and ctx.head.time >= accusation.until:
            await ctx.attempt("court", _release, accusation.unit)


async def _follow(ctx: Context, case: Case) -> None:
    if case.stage == APPEALABLE:
        if ctx.head.time >= case.until:
            await _in_turn(ctx, case, case.until, lambda: _send(ctx, "execute", case.case))
        elif ctx.operator in await cases.accused(ctx, case):
            await _consider(ctx, case)
    elif case.panel is not None:
        await _sit(ctx, case, case.panel)


async def _in_turn(
    ctx: Context, case: Case, since: int, act: Callable[[], Awaitable[None]]
) -> None:
    """Act when our turn has come: an order of nodes that differs from case to case."""
    board = ctx.board
    nodes = sorted(node for node in board.nodes if board.node(node) is not None)
    order = draw.permutation(case.case, "court", case.case, len(nodes))
    place = order.index(nodes.index(ctx.operator)) if ctx.operator in nodes else len(nodes)
    if ctx.head.time >= since + place * TURN_S:
        await act()


async def _send(ctx: Context, function: str, subject: bytes) -> None:
    """One of the Arbiter's calls for anybody; whoever was faster is no failure."""
    try:
        receipt = await ctx.write("Arbiter", function, subject)
    except Reverted as error:
        if error.code not in FASTER:
            raise
        return
    await ctx.reached(receipt.block)


async def _release(ctx: Context, unit: bytes) -> None:
    key = f"released/{unit.hex()}"
    lock = accusation_id(unit, checksum(ctx.operator))
    case = ctx.board.court.of_unit(lock)
    if (case is not None and case.stage != CLOSED) or await ctx.done(key) is not None:
        return
    try:
        await ctx.write("Arbiter", "release", unit, checksum(ctx.operator))
    except Reverted as error:
        if error.code not in FASTER:
            raise
    await ctx.did(key)


# -- the accused ---


async def _consider(ctx: Context, case: Case) -> None:
    """Appeal at once if our own canonical re-computation says that the committee is wrong."""
    key = f"appealed/{case.case.hex()}"
    known = await ctx.done(key)
    if known is None:
        known = bytes([await opinion(ctx, case)])
        await ctx.did(key, known)
        if known[0] != REJECT:
            ctx.note("court", f"no appeal: we do not find that {cases.label(case)} is right")
    if known[0] == REJECT:
        await appeal(ctx, case)


async def appeal(ctx: Context, case: Case) -> None:
    """Bring a case before a jury, with a bond of our own free stake.

    Raises OperatorError ``not-appealable``, ``no-bond``.
    """
    if case.stage != APPEALABLE or ctx.head.time >= case.until:
        raise OperatorError(
            "not-appealable", f"the case is {case.stage}.", "It takes no appeal now."
        )
    try:
        receipt = await ctx.write("Arbiter", "appeal", case.case)
    except Reverted as error:
        if error.code != "InsufficientStake":
            raise
        remedy = f"Deposit stake for {checksum(ctx.operator)}, or let another operator appeal."
        raise OperatorError("no-bond", "the bond exceeds our free stake.", remedy) from error
    ctx.note("court", f"appealed against the order under {cases.label(case)}")
    await ctx.reached(receipt.block)


# -- the jury ---


async def _sit(ctx: Context, case: Case, panel: Panel) -> None:
    now = ctx.head.time
    if not panel.drawn:
        if ctx.head.number > panel.seed_height:
            known = (await ctx.seams.chain.block(panel.seed_height)).time
            await _in_turn(ctx, case, known, lambda: _send(ctx, "recordSeed", panel.panel))
        return
    mine = ctx.operator in panel.jurors and ctx.operator not in panel.votes
    if mine and ctx.operator not in panel.sealed and now < panel.commit_until:
        await _commit(ctx, case, panel)
    elif mine and ctx.operator in panel.sealed and panel.may_reveal(now):
        await _reveal(ctx, panel)
    elif panel.over(now):
        last = panel.reveal_until if now >= panel.reveal_until else now
        await _in_turn(ctx, case, last, lambda: _send(ctx, "decide", case.case))


async def _commit(ctx: Context, case: Case, panel: Panel) -> None:
    key = f"vote/{panel.panel.hex()}"
    if await ctx.done(key) is None:
        ctx.note("court", f"on the jury about {cases.label(case)}: re-computing it")
        vote = await _vote(ctx, case, panel)
        await ctx.did(key, bytes([vote]) + ctx.seams.randomness.token(32))
    vote, salt = await _own_vote(ctx, panel)
    sealed = vote_commitment(panel.panel, checksum(ctx.operator), vote, salt)
    await _cast(ctx, "commitVote", panel, sealed)


async def _vote(ctx: Context, case: Case, panel: Panel) -> int:
    """Our opinion; without one we look again until the time of voting is nearly over."""
    try:
        return await opinion(ctx, case)
    except PeerError as error:
        if ctx.head.time < panel.commit_until - ctx.params.jury_seconds // LATE:
            raise
        ctx.fail("court", error)
        return NO_DATA


async def _reveal(ctx: Context, panel: Panel) -> None:
    vote, salt = await _own_vote(ctx, panel)
    await _cast(ctx, "revealVote", panel, vote, salt)
    ctx.note("court", f"voted {('', 'guilty', 'not guilty', 'no data')[vote]}")


async def _cast(ctx: Context, function: str, panel: Panel, *what: object) -> None:
    seat = panel.jurors.index(ctx.operator)
    receipt = await ctx.write("Arbiter", function, panel.panel, seat, *what)
    await ctx.reached(receipt.block)


async def _own_vote(ctx: Context, panel: Panel) -> tuple[int, bytes]:
    kept = await ctx.done(f"vote/{panel.panel.hex()}")
    assert kept is not None, "a vote is journalled before it is committed to"
    return kept[0], kept[1:]


# -- what is true ---


async def opinion(ctx: Context, case: Case) -> int:
    """Whether who accuses is right: UPHOLD, REJECT, or NO_DATA for what cannot be judged here.

    Raises PeerError while those who must do not show what it hangs on, and not long enough yet.
    """
    return await (_of_epoch if case.epoch else _of_unit)(ctx, case)


async def _of_epoch(ctx: Context, case: Case) -> int:
    entry = cases.commit(ctx, case)
    if entry is None:
        return NO_DATA
    found = await review(ctx, entry)
    ctx.note("court", f"epoch {entry.epoch}: {found.fault or 'it is what we derive'}")
    return UPHOLD if found.fault else REJECT


async def _of_unit(ctx: Context, case: Case) -> int:
    found = cases.about(ctx, case)
    if found is None:
        return NO_DATA
    job, number, entry = found
    accusation = next((p for p in entry.verdicts if p.value == case.evidence and p.staked), None)
    drawn = await jobs.samples(ctx, job, entry) or {}
    named = await _named(ctx, case.evidence, accusation.operator) if accusation else []
    steps = list(dict.fromkeys((*(s for s in named if s in drawn), *drawn)))
    findings = await verify.check_unit(ctx, job, number, entry, steps, canonical=True)
    bad = next((f.finding for f in findings if f.finding), "")
    if bad == "no-data":
        return NO_DATA
    against_worker = case.unit == entry.unit
    return UPHOLD if bool(bad) == against_worker else REJECT


async def _named(ctx: Context, evidence: bytes, accuser: bytes) -> list[int]:
    try:
        verdict = await ctx.fetch_value(VerdictBody, evidence, accuser)
    except PeerError as error:
        ctx.fail("court", error)
        return []
    return [f.step for f in verdict.steps if f.finding]
