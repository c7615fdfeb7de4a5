"""A verifier's duty: re-compute the drawn steps of others' units, commit before seeing, say what was found."""

from node import data, jobs, reveals
from node.context import Context
from node.jobs import Assigned, Job
from node.reveals import Withheld
from protocol.codec import pack
from protocol.compute import (
    AdapterFacts,
    Gradient,
    GradientDone,
    InspectAdapter,
    Judge,
    Judged,
    StepState,
)
from protocol.errors import ComputeError
from protocol.ids import ZERO, chain_id_of, short, topic
from protocol.messages import (
    FINDINGS,
    VERDICT,
    RevealAnswer,
    StepFinding,
    UnitBody,
    VerdictBody,
    judged,
)
from protocol.seams import TxReceipt
from protocol.typed_data import VerdictStatement
from tasks import draw
from tasks.checks import Claim, check_a, check_b, check_c, check_d
from tasks.entries import Posted, UnitEntry

# Codes of a compute error that only what a worker published can cause: with an unreadable start or
# untrainable records no honest worker gets as far as a commitment.
WORKER_FAULTS = ("bad-input", "wrong-base", "diverged")


async def verify_units(ctx: Context) -> None:
    """Judge every anchored unit that this verifier was drawn for."""
    done: set[bytes] = ctx.private.setdefault("verified", set())  # or never ours to verify
    for job in jobs.jobs(ctx):
        for number in range(job.spec.rounds):
            if jobs.judging_over(ctx, job, number):
                continue
            for item in await jobs.assigned(ctx, job, number) or []:
                if item.unit not in done:
                    await _verify_drawn(ctx, job, number, item, done)


async def _verify_drawn(
    ctx: Context, job: Job, number: int, item: Assigned, done: set[bytes]
) -> None:
    entry = jobs.entry_of(ctx, job, item)
    drawn = await jobs.samples(ctx, job, entry) if entry is not None else None
    if entry is None or drawn is None:
        return  # not anchored, or its beacon is not known yet
    steps = [s for s, members in drawn.items() if ctx.operator in members]
    if item.home or not steps or posted(entry.verdicts, ctx.operator):
        done.add(item.unit)
    else:
        await ctx.attempt("verify", _verify, job, number, item, entry, steps)


def posted(posts: list[Posted], operator: bytes) -> bool:
    """Whether an operator is among the authors."""
    return any(post.operator == operator for post in posts)


async def _verify(
    ctx: Context, job: Job, number: int, item: Assigned, entry: UnitEntry, steps: list[int]
) -> None:
    if ctx.head.time > entry.anchor_time + ctx.params.judge_seconds:
        return  # too late to count
    ctx.note("verify", f"re-computing steps {steps} of unit {short(item.unit)}")
    findings = await check_unit(ctx, job, number, entry, steps, canonical=False)
    await post_verdict(ctx, VERDICT, entry, findings, staked=True)


async def post_verdict(
    ctx: Context,
    kind: str,
    entry: UnitEntry,
    findings: list[StepFinding],
    *,
    staked: bool = False,
) -> str:
    """Sign and post the findings; the first bad one names the verdict.

    ``staked``: an accusation is made before the Arbiter, which locks our stake under it.
    """
    bad = next((f for f in findings if f.finding), None)
    code = bad.finding if bad else "ok"
    step = bad.step if bad else findings[0].step
    unsigned = VerdictBody(entry.unit, ctx.operator, tuple(findings), bytes(65))
    statement = VerdictStatement(
        entry.unit, step, FINDINGS.index(code), chain_id_of("openledger/verdict", pack(unsigned))
    )
    body = VerdictBody(entry.unit, ctx.operator, tuple(findings), ctx.sign(statement))
    blob = ctx.put(body)
    receipt = await _post(ctx, kind, entry, code, blob, staked=staked)
    ctx.note("verify", f"{kind} on unit {short(entry.unit)}: {code}")
    await ctx.reached(receipt.block)
    return code


async def _post(
    ctx: Context, kind: str, entry: UnitEntry, code: str, blob: bytes, *, staked: bool
) -> TxReceipt:
    if staked and code not in ("ok", "no-data"):
        return await ctx.write("Arbiter", "accuse", entry.unit, topic(code), blob)
    return await ctx.post(judged(kind, code).rstrip(b"\x00").decode(), entry.unit, blob)


def finding(step: int, code: str) -> StepFinding:
    """A finding for which no gradient was compared."""
    return StepFinding(step, code, 0, 0, ZERO, ZERO, ZERO)


async def check_unit(
    ctx: Context, job: Job, number: int, entry: UnitEntry, steps: list[int], *, canonical: bool
) -> list[StepFinding]:
    """The unit as a whole, then each step; the whole's fault stands under the first step alone."""
    body = await reveals.unit_body(ctx, entry)
    if body is None:
        return [finding(steps[0], "no-reveal")]
    whole = await _check_whole(ctx, job, number, entry, body)
    if whole:
        return [finding(steps[0], whole)]
    claim, found = _claim(entry, body), []
    for step in steps:
        found.append(await _check_step(ctx, job, number, entry, claim, step, canonical=canonical))
        if canonical and found[-1].finding:
            break  # a committee needs one fault
    return found


def _claim(entry: UnitEntry, body: UnitBody) -> Claim:
    return Claim(entry.unit, entry.operator, entry.root, body.states, body.leaves)


# -- the whole ---


async def _check_whole(
    ctx: Context, job: Job, number: int, entry: UnitEntry, body: UnitBody
) -> str:
    """Checks C and D on the unit as a whole; '' when both hold."""
    if len(body.leaves) != job.spec.hyper.steps + 1:
        return "D"
    claim = _claim(entry, body)
    try:
        await reveals.fetch(ctx, entry, body.adapter)
        last = await reveals.ask(ctx, entry, job.spec.hyper.steps, ZERO)
    except Withheld as error:
        ctx.fail("verify", error)
        return "no-reveal"
    facts = await inspect(ctx, job, number, entry)
    if facts is None or not check_c(claim, StepState(last.w, last.m, last.v, ZERO), facts):
        return "C"
    return "" if check_d(claim, facts) else "D"


async def inspect(ctx: Context, job: Job, number: int, entry: UnitEntry) -> AdapterFacts | None:
    """Facts of a unit's adapter, which must be here; None when it is none of this job."""
    start = jobs.start_adapter(ctx, job, number)
    await jobs.fetch_adapter(ctx, job, start)
    try:
        facts = await ctx.seams.compute.run(InspectAdapter(entry.adapter, start, job.spec.hyper))
    except ComputeError as error:
        if error.code not in WORKER_FAULTS:
            raise
        ctx.fail("verify", error)
        return None
    assert isinstance(facts, AdapterFacts)
    return facts


# -- one step ---


async def _check_step(
    ctx: Context,
    job: Job,
    number: int,
    entry: UnitEntry,
    claim: Claim,
    step: int,
    *,
    canonical: bool,
) -> StepFinding:
    """Checks A and B on one drawn step."""
    try:
        return await _recompute(ctx, job, number, entry, claim, step, canonical=canonical)
    except Withheld as error:
        ctx.fail("verify", error)
        return finding(step, "no-reveal")
    except ComputeError as error:
        if error.code not in WORKER_FAULTS:
            raise
        ctx.fail("verify", error)
        return finding(step, "A")  # what it committed to is no state


async def _recompute(
    ctx: Context,
    job: Job,
    number: int,
    entry: UnitEntry,
    claim: Claim,
    step: int,
    *,
    canonical: bool,
) -> StepFinding:
    """Our own gradient is committed before the worker's is seen; only proven digests are judged."""
    state = await reveals.ask(ctx, entry, step, ZERO)
    if not claim.state_matches(step, state.w, state.m, state.v):
        return finding(step, "A")
    await reveals.fetch(ctx, entry, state.w, state.m, state.v)
    own = await _gradient(ctx, job, number, entry, state, step, canonical=canonical)
    salt, committed = await _committed(ctx, entry, step, own)
    commitment = chain_id_of("openledger/gradient", salt, committed)
    revealed = await reveals.ask(ctx, entry, step, commitment)
    if not claim.gradient_matches(step, revealed.g, revealed.proof):
        return finding(step, "A")
    await reveals.fetch(ctx, entry, revealed.g)
    result = await _judge(ctx, job, StepState(state.w, state.m, state.v, revealed.g), own, step)
    code = "" if check_a(claim, step, result) else "A"
    if not code and not check_b(result, ctx.params):
        code = "B"
    distances = result.distance_ppb, result.optimiser_ppb
    return StepFinding(step, code, *distances, commitment, salt, committed)


async def _committed(ctx: Context, entry: UnitEntry, step: int, own: bytes) -> tuple[bytes, bytes]:
    """(salt, gradient) that our commitment opens to. The first stays, also for a ruling and over a
    restart: a worker answers one commitment of an asker to a step."""
    key = f"committed/{entry.unit.hex()}/{step}"
    await ctx.did(key, ctx.seams.randomness.token(32) + own)
    kept = await ctx.done(key)
    assert kept is not None, "it was journalled"
    return kept[:32], kept[32:]


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
    await jobs.fetch_adapter(ctx, job, start)
    request = Gradient(job.spec.base, start, state.w, records, batch, hyper, canonical)
    done = await ctx.seams.compute.run(request)
    assert isinstance(done, GradientDone)
    return done.g


async def _judge(ctx: Context, job: Job, state: StepState, own: bytes, step: int) -> Judged:
    result = await ctx.seams.compute.run(Judge(state, own, step, job.spec.hyper))
    assert isinstance(result, Judged)
    return result
