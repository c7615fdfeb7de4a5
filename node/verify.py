"""A verifier's duty: re-compute the drawn steps of others' units, commit before seeing, say what was found.

Also the committee's: when a drawn verifier accuses, drawn members re-compute the named step in canonical
mode and rule; a guilty ruling carries a signature under the slash, and a quorum of them executes it.
"""

from node import data, jobs
from node.context import Context
from node.jobs import Assigned, Job
from node.train import REVEAL_PROTOCOL
from protocol.codec import pack, unpack
from protocol.compute import (
    AdapterFacts,
    Gradient,
    GradientDone,
    InspectAdapter,
    Judge,
    Judged,
    StepState,
)
from protocol.errors import PeerError, Reverted
from protocol.ids import ZERO, chain_id_of, checksum, short
from protocol.merkle import MerkleTree, keccak256
from protocol.messages import (
    FINDINGS,
    RULING,
    UNIT,
    VERDICT,
    RevealAnswer,
    RevealRequest,
    SlashVote,
    StepFinding,
    UnitBody,
    VerdictBody,
    judged,
)
from protocol.typed_data import Slash, VerdictStatement, WorkCommitment, recover
from settlement.claims import slash_args
from tasks import draw
from tasks.checks import Claim, check_a, check_b, check_c, check_d
from tasks.entries import Posted, UnitEntry
from tasks.lifecycle import State

REVEAL_TIMEOUT_S = 20.0


async def verify_units(ctx: Context) -> None:
    """Judge every anchored unit that this verifier was drawn for."""
    for job in jobs.jobs(ctx):
        for number in range(job.spec.rounds):
            for item in await jobs.assigned(ctx, job, number) or []:
                entry = jobs.entry_of(ctx, job, item)
                if entry is None or not entry.root or item.home:
                    continue
                drawn = await jobs.samples(ctx, job, entry) or {}
                steps = [s for s, members in drawn.items() if ctx.operator in members]
                if steps and not _posted(entry.verdicts, ctx.operator):
                    await ctx.attempt("verify", _verify, job, number, item, entry, steps)


def _posted(posts: list[Posted], operator: bytes) -> bool:
    return any(post.operator == operator for post in posts)


async def _verify(
    ctx: Context, job: Job, number: int, item: Assigned, entry: UnitEntry, steps: list[int]
) -> None:
    if ctx.head.time > entry.anchor_time + ctx.params.judge_seconds:
        return  # too late to count
    ctx.note("verify", f"re-computing steps {steps} of unit {short(item.unit)}")
    body = await _unit_body(ctx, entry)
    findings: list[StepFinding] = []
    whole = await _check_whole(ctx, job, number, entry, body) if body else "no-reveal"
    for step in steps:
        if whole or body is None:
            findings.append(_finding(step, whole))
            break
        findings.append(await _check_step(ctx, job, number, entry, body, step))
    await _post_verdict(ctx, VERDICT, entry, findings)


def _finding(step: int, code: str) -> StepFinding:
    return StepFinding(step, code, 0, 0, ZERO, ZERO, ZERO)


async def _post_verdict(
    ctx: Context, kind: str, entry: UnitEntry, findings: list[StepFinding]
) -> str:
    """Sign, share and post the findings; the first bad one names the verdict."""
    bad = next((f for f in findings if f.finding), None)
    code = bad.finding if bad else "ok"
    step = bad.step if bad else findings[0].step
    unsigned = VerdictBody(entry.unit, ctx.operator, tuple(findings), bytes(65))
    statement = VerdictStatement(
        entry.unit, step, FINDINGS.index(code), chain_id_of("openledger/verdict", pack(unsigned))
    )
    body = VerdictBody(entry.unit, ctx.operator, tuple(findings), ctx.sign(statement))
    blob = ctx.put(body)
    await ctx.share(blob)
    name = judged(kind, code).rstrip(b"\x00").decode()
    await ctx.post(name, entry.unit, blob)
    ctx.note("verify", f"{kind} on unit {short(entry.unit)}: {code}")
    return code


async def _unit_body(ctx: Context, entry: UnitEntry) -> UnitBody | None:
    """The worker's published leaves, None when it did not publish what it anchored."""
    for post in ctx.board.posted(UNIT, entry.unit):
        if post.operator != entry.operator:
            continue
        body = await ctx.fetch_value(UnitBody, post.value, entry.operator)
        if _matches(ctx, entry, body):
            return body
    if ctx.head.time <= entry.anchor_time + ctx.params.unit_seconds // 4:
        raise PeerError("no-unit-body", f"unit {short(entry.unit)}: its leaves are not there yet")
    return None


def _matches(ctx: Context, entry: UnitEntry, body: UnitBody) -> bool:
    if not body.leaves or len(body.leaves) != len(body.states):
        return False
    root = MerkleTree(body.leaves, keccak256).root
    statement = WorkCommitment(entry.unit, root, body.adapter)
    signer = recover(statement.digest(ctx.statements), body.signature)
    same = (body.unit, body.worker, body.adapter) == (entry.unit, entry.operator, entry.adapter)
    return same and root == entry.root and signer == entry.operator


def _claim(entry: UnitEntry, body: UnitBody) -> Claim:
    return Claim(entry.unit, entry.operator, entry.root, body.states, body.leaves)


async def _check_whole(
    ctx: Context, job: Job, number: int, entry: UnitEntry, body: UnitBody
) -> str:
    """Checks C and D on the unit as a whole; '' when both hold."""
    hyper, start = job.spec.hyper, jobs.start_adapter(ctx, job, number)
    if len(body.leaves) != hyper.steps + 1:
        return "D"
    await ctx.fetch(start, job.spec.builder)
    try:
        await ctx.fetch(body.adapter, entry.operator)
        last = await _ask(ctx, entry, hyper.steps, ZERO)
    except PeerError as error:
        return await _no_reveal(ctx, entry, hyper.steps, error)
    facts = await ctx.seams.compute.run(InspectAdapter(body.adapter, start, hyper))
    assert isinstance(facts, AdapterFacts)
    claim = _claim(entry, body)
    if not check_c(claim, StepState(last.w, last.m, last.v, ZERO), facts):
        return "C"
    return "" if check_d(claim, facts) else "D"


async def _ask(ctx: Context, entry: UnitEntry, step: int, commitment: bytes) -> RevealAnswer:
    peer = ctx.peer_of(entry.operator)
    if peer is None:
        raise PeerError("no-peer", f"worker {checksum(entry.operator)} has no peer id")
    answer = await ctx.seams.transport.request(
        peer,
        REVEAL_PROTOCOL,
        pack(RevealRequest(entry.unit, step, commitment)),
        timeout=REVEAL_TIMEOUT_S,
        max_response=64 * 1024,
    )
    return unpack(RevealAnswer, answer)


async def _no_reveal(ctx: Context, entry: UnitEntry, step: int, error: PeerError) -> str:
    """Silence is a finding only after a third of the judging time; until then it raises, to ask again."""
    first: dict[tuple[bytes, int], int] = ctx.private.setdefault("silent-since", {})
    since = first.setdefault((entry.unit, step), ctx.head.time)
    if ctx.head.time < since + ctx.params.judge_seconds // 3:
        raise error
    ctx.fail("verify", error)
    return "no-reveal"


async def _check_step(
    ctx: Context, job: Job, number: int, entry: UnitEntry, body: UnitBody, step: int
) -> StepFinding:
    """Checks A and B on one drawn step, our own gradient committed before the worker's is seen."""
    claim = _claim(entry, body)
    try:
        state = await _ask(ctx, entry, step, ZERO)
        for blob in (state.w, state.m, state.v):
            await ctx.fetch(blob, entry.operator)
    except PeerError as error:
        return _finding(step, await _no_reveal(ctx, entry, step, error))
    if not claim.state_matches(step, state.w, state.m, state.v):
        return _finding(step, "A")
    own = await _gradient(ctx, job, number, entry, state, step, canonical=False)
    salt = ctx.seams.randomness.token(32)
    commitment = chain_id_of("openledger/gradient", salt, own)
    try:
        revealed = await _ask(ctx, entry, step, commitment)
        await ctx.fetch(revealed.g, entry.operator)
    except PeerError as error:
        return _finding(step, await _no_reveal(ctx, entry, step, error))
    if not claim.gradient_matches(step, revealed.g, revealed.proof):
        return _finding(step, "A")
    result = await _judge(ctx, job, revealed, own, step)
    code = "" if check_a(claim, step, result) else "A"
    if not code and not check_b(result, ctx.params):
        code = "B"
    return StepFinding(step, code, result.distance_ppb, result.optimiser_ppb, commitment, salt, own)


async def _gradient(
    ctx: Context,
    job: Job,
    number: int,
    entry: UnitEntry,
    state: RevealAnswer,
    step: int,
    *,
    canonical: bool,
) -> bytes:
    records, size = await data.training_set(ctx, job)
    beacon = await jobs.round_beacon(ctx, job, number)
    assert beacon is not None, "an anchored unit was assigned by this beacon"
    hyper = job.spec.hyper
    batch = draw.batches(beacon, entry.unit, size, hyper.steps, hyper.batch)[step]
    start = jobs.start_adapter(ctx, job, number)
    await ctx.fetch(start, job.spec.builder)
    request = Gradient(job.spec.base, start, state.w, records, batch, hyper, canonical)
    done = await ctx.seams.compute.run(request)
    assert isinstance(done, GradientDone)
    return done.g


async def _judge(ctx: Context, job: Job, revealed: RevealAnswer, own: bytes, step: int) -> Judged:
    state = StepState(revealed.w, revealed.m, revealed.v, revealed.g)
    result = await ctx.seams.compute.run(Judge(state, own, step, job.spec.hyper))
    assert isinstance(result, Judged)
    return result


# -- disputes ---


async def rule_disputes(ctx: Context) -> None:
    """Rule on every dispute that this node was drawn for, and sign the slash of the guilty."""
    for job in jobs.jobs(ctx):
        for number in range(job.spec.rounds):
            for item, result in (await jobs.outcomes(ctx, job, number) or {}).items():
                entry = jobs.entry_of(ctx, job, item)
                if entry is None or result.state not in (State.DISPUTED, State.FAILED):
                    continue
                members = await jobs.committee(ctx, job, entry)
                if ctx.operator not in members:
                    continue
                if result.state is State.DISPUTED and not _posted(entry.rulings, ctx.operator):
                    await ctx.attempt("rule", _rule, job, number, entry)
                if result.state is State.FAILED:
                    await ctx.attempt("slash", _slash, entry, members)


async def _rule(ctx: Context, job: Job, number: int, entry: UnitEntry) -> None:
    accusation = jobs.first_accusation(ctx, entry, await jobs.samples(ctx, job, entry))
    assert accusation is not None, "a disputed unit has an accusation"
    verdict = await ctx.fetch_value(VerdictBody, accusation.value, accusation.operator)
    named = next((f for f in verdict.steps if f.finding == accusation.finding), None)
    if named is None:
        await _post_verdict(ctx, RULING, entry, [_finding(0, "")])  # it accuses of nothing
        return
    ctx.note("rule", f"re-computing step {named.step} of unit {short(entry.unit)} canonically")
    found = await _canonical(ctx, job, number, entry, named.step)
    code = await _post_verdict(ctx, RULING, entry, [found])
    if code not in ("ok", "no-data"):
        await _vote(ctx, entry, accusation)


async def _canonical(
    ctx: Context, job: Job, number: int, entry: UnitEntry, step: int
) -> StepFinding:
    """The named step against the canonical gradient; whole-unit faults are found again first."""
    body = await _unit_body(ctx, entry)
    if body is None:
        return _finding(step, "no-reveal")
    whole = await _check_whole(ctx, job, number, entry, body)
    if whole:
        return _finding(step, whole)
    claim = _claim(entry, body)
    try:
        state = await _ask(ctx, entry, step, ZERO)
        for blob in (state.w, state.m, state.v):
            await ctx.fetch(blob, entry.operator)
        own = await _gradient(ctx, job, number, entry, state, step, canonical=True)
        salt = ctx.seams.randomness.token(32)
        commitment = chain_id_of("openledger/gradient", salt, own)
        revealed = await _ask(ctx, entry, step, commitment)
        await ctx.fetch(revealed.g, entry.operator)
    except PeerError as error:
        return _finding(step, await _no_reveal(ctx, entry, step, error))
    proven = claim.gradient_matches(step, revealed.g, revealed.proof)
    result = await _judge(ctx, job, revealed, own, step)
    code = "" if proven and check_a(claim, step, result) else "A"
    if not code and not check_b(result, ctx.params):
        code = "B"
    return StepFinding(step, code, result.distance_ppb, result.optimiser_ppb, commitment, salt, own)


def _order(ctx: Context, entry: UnitEntry, accusation: Posted) -> Slash:
    """The slash that follows from a dispute; every member derives the same."""
    return Slash(
        operator=entry.operator,
        unit=entry.unit,
        amount=ctx.params.slash,
        evidence=accusation.value,
        reporter=accusation.operator,
    )


async def _vote(ctx: Context, entry: UnitEntry, accusation: Posted) -> None:
    order = _order(ctx, entry, accusation)
    signature = ctx.sign(order, ctx.contract_domain("CommitteeSlasher"))
    await ctx.announce(
        SlashVote(
            order.unit, order.operator, order.amount, order.evidence, order.reporter, signature
        )
    )


async def _slash(ctx: Context, entry: UnitEntry, members: tuple[bytes, ...]) -> None:
    """Execute an upheld slash; members try in draw order so that one transaction is sent, not three."""
    if any(slash.unit == entry.unit for slash in ctx.board.slashes):
        return
    accusation = jobs.first_accusation(ctx, entry, await _drawn(ctx, entry))
    if accusation is None:
        return
    order = _order(ctx, entry, accusation)
    signatures = _votes(ctx, order)
    turn = members.index(ctx.operator) * 5  # seconds of head start for each earlier member
    last = max((post.time for post in entry.rulings), default=0)
    if len(signatures) < ctx.params.committee_quorum or ctx.head.time < last + turn:
        return
    chosen = [signatures[s] for s in sorted(signatures)][: ctx.params.committee_quorum]
    arguments = slash_args(order, ctx.contract_domain("CommitteeSlasher"), chosen)
    try:
        await ctx.write("CommitteeSlasher", "execute", *arguments)
    except Reverted as error:  # another member was faster
        ctx.fail("slash", error)
        return
    ctx.note(
        "slash", f"{checksum(order.operator)} lost {order.amount} for unit {short(entry.unit)}"
    )


async def _drawn(ctx: Context, entry: UnitEntry) -> dict[int, tuple[bytes, ...]] | None:
    for job in jobs.jobs(ctx):
        if job.id == entry.pot:
            return await jobs.samples(ctx, job, entry)
    return None


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
