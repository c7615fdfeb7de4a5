"""A worker's duty: take the unit it was drawn for, train, commit before the challenge, reveal to the drawn.

Before the commitment a unit may be handed back freely; after it there is no way back. After an unclean
stop the node either finds its journalled root and goes on, or hands the unit back.
"""

from node import cases, data, jobs
from node.context import Context
from node.jobs import Assigned, Job
from protocol.codec import pack, unpack
from protocol.compute import Train, Trained
from protocol.errors import ComputeError, LocalError, PeerError, Reverted
from protocol.ids import ZERO, content_id, job_round, short
from protocol.merkle import MerkleTree, keccak256
from protocol.messages import UNIT, RevealAnswer, RevealRequest, UnitBody
from protocol.typed_data import WorkCommitment
from tasks import draw
from tasks.entries import UnitEntry
from tasks.leaves import commit

REVEAL_PROTOCOL = "/openledger/reveal/1"


async def take_units(ctx: Context) -> None:
    """Do every unit of an open round that this worker was drawn for."""
    for job in jobs.jobs(ctx):
        number = jobs.current_round(ctx, job)
        if number is None:
            continue
        for item in await jobs.assigned(ctx, job, number) or []:
            if item.worker == ctx.operator:
                await ctx.attempt("train", _advance, job, number, item)


async def _advance(ctx: Context, job: Job, number: int, item: Assigned) -> None:
    entry = jobs.entry_of(ctx, job, item)
    key = f"unit/{item.unit.hex()}"
    handed_back = await ctx.done(f"{key}/handed-back") is not None
    if entry is None:
        if not handed_back:
            await _take(ctx, job, number, item)
    elif entry.root:
        await _republish(ctx, item)
    elif not entry.ended and not handed_back:
        await _resume(ctx, job, number, item)


async def _take(ctx: Context, job: Job, number: int, item: Assigned) -> None:
    at = jobs.opened(ctx, job, number)
    if at is None or ctx.head.time > at[1] + ctx.params.unit_seconds:
        return  # too late to count
    receipt = await ctx.write("AttributionPool", "reserve", job.id, job_round(job.id, number))
    ctx.note("train", f"reserved unit {short(item.unit)} of round {number + 1}")
    await ctx.did(f"unit/{item.unit.hex()}/session", ctx.private["session"])
    await ctx.reached(receipt.block)
    await _train(ctx, job, number, item)


async def _resume(ctx: Context, job: Job, number: int, item: Assigned) -> None:
    """Go on with a reserved unit; a body that could not be fetched is asked for until the deadline."""
    key = f"unit/{item.unit.hex()}"
    body = await ctx.done(f"{key}/body")
    if body is not None and not await _whole(ctx, key):
        await _hand_back(ctx, item, "what it committed to is not on disk any more")
    elif body is not None:
        await _anchor(ctx, unpack(UnitBody, body))
    elif await ctx.done(f"{key}/session") != ctx.private["session"]:
        await _hand_back(ctx, item, "this node was restarted in mid-unit")
    else:
        await _train(ctx, job, number, item)


async def _whole(ctx: Context, key: str) -> bool:
    """Whether everything that must be shown later can be read: a disk may have lost its last writes."""
    states, body = await ctx.done(f"{key}/states"), await ctx.done(f"{key}/body")
    if states is None or body is None:
        return False
    vectors = [b for s in unpack(data.States, states).states for b in (s.w, s.m, s.v, s.g)]
    try:
        for blob in (unpack(UnitBody, body).adapter, *(b for b in vectors if b != ZERO)):
            ctx.seams.blobs.get(blob)
    except LocalError as error:
        ctx.fail("train", error)
        return False
    return True


async def _republish(ctx: Context, item: Assigned) -> None:
    """Publish again what a disk has lost, or a reorganised chain."""
    body = await ctx.done(f"unit/{item.unit.hex()}/body")
    if body is not None and (ctx.kept(content_id(body)) is None or not ctx.mine(UNIT, item.unit)):
        await _publish(ctx, unpack(UnitBody, body))


async def _train(ctx: Context, job: Job, number: int, item: Assigned) -> None:
    try:
        trained, states = await _compute(ctx, job, number, item)
    except ComputeError as error:
        ctx.fail("train", error)
        await _hand_back(ctx, item, error.text)
        return
    hashes, leaves = commit(item.unit, ctx.operator, trained.states)
    root = MerkleTree(leaves, keccak256).root
    body = UnitBody(
        unit=item.unit,
        job=job.id,
        round=number,
        worker=ctx.operator,
        leaves=leaves,
        states=hashes,
        losses_micro=trained.losses_micro,
        tokens=trained.tokens,
        adapter=trained.adapter,
        signature=ctx.sign(WorkCommitment(item.unit, root, trained.adapter)),
    )
    await ctx.did(f"unit/{item.unit.hex()}/states", pack(states))
    await ctx.did(f"unit/{item.unit.hex()}/body", pack(body))  # fsynced before the anchor is sent
    # One more write behind it: a disk that loses its last one must not lose what we are held to.
    await ctx.did(f"unit/{item.unit.hex()}/anchoring")
    await _anchor(ctx, body)


async def _compute(
    ctx: Context, job: Job, number: int, item: Assigned
) -> tuple[Trained, "data.States"]:
    start = jobs.start_adapter(ctx, job, number)
    await jobs.fetch_adapter(ctx, job, start)
    records, size = await data.training_set(ctx, job, home=item.home)
    beacon = await jobs.round_beacon(ctx, job, number)
    assert beacon is not None, "a unit is assigned by its round's beacon"
    hyper = job.spec.hyper
    batches = draw.batches(beacon, item.unit, size, hyper.steps, hyper.batch)
    ctx.note("train", f"training unit {short(item.unit)}: {hyper.steps} steps on {size} records")
    result = await ctx.seams.compute.run(Train(job.spec.base, start, records, batches, hyper))
    assert isinstance(result, Trained)
    return result, data.States(result.states)


async def _anchor(ctx: Context, body: UnitBody) -> None:
    """Publish, then commit: our chain may fall silent in between, and an anchored unit must be readable."""
    await _publish(ctx, body)
    root = MerkleTree(body.leaves, keccak256).root
    receipt = await ctx.write("AttributionPool", "anchor", body.unit, root, body.adapter)
    await ctx.reached(receipt.block)
    loss = body.losses_micro[-1] / 1e6
    ctx.note(
        "train", f"anchored unit {short(body.unit)}: last loss {loss:.3f}, {body.tokens} tokens"
    )


async def _publish(ctx: Context, body: UnitBody) -> None:
    blob = ctx.put(body)
    if not ctx.mine(UNIT, body.unit):
        await ctx.post(UNIT, body.unit, blob)


async def _hand_back(ctx: Context, item: Assigned, reason: str) -> None:
    await ctx.did(f"unit/{item.unit.hex()}/handed-back")
    try:
        await ctx.write("AttributionPool", "handBack", item.unit)
    except Reverted as error:  # it expired first: the same end for the unit
        ctx.fail("train", error)
    ctx.note("train", f"handed unit {short(item.unit)} back: {reason}")


# -- revealing ---


async def serve_reveal(ctx: Context, peer: str, request: bytes) -> bytes:
    """Answer a drawn verifier or committee member. Raises PeerError with the reason of a refusal."""
    asked = unpack(RevealRequest, request)
    asker = ctx.operator_of(peer)
    job, entry = _own_unit(ctx, asked.unit)
    if asker is None or not await _may_see(ctx, job, entry, asked.step, asker):
        raise PeerError("not-drawn", f"step {asked.step} of unit {short(asked.unit)}")
    states = await ctx.done(f"unit/{asked.unit.hex()}/states")
    body = await ctx.done(f"unit/{asked.unit.hex()}/body")
    if states is None or body is None:
        raise PeerError("no-state", f"unit {short(asked.unit)}")
    state = unpack(data.States, states).states[asked.step]
    leaves = unpack(UnitBody, body).leaves
    if asked.commitment == ZERO:
        return pack(RevealAnswer(state.w, state.m, state.v, ZERO, ()))
    await _bind(ctx, asked, asker)
    proof = MerkleTree(leaves, keccak256).proof(asked.step)
    return pack(RevealAnswer(state.w, state.m, state.v, state.g, proof))


async def _bind(ctx: Context, asked: RevealRequest, asker: bytes) -> None:
    """An asker's first commitment to a step binds it: a second one could follow from our gradient."""
    key = f"unit/{asked.unit.hex()}/commitment/{asked.step}/{asker.hex()}"
    await ctx.did(key, asked.commitment)
    if await ctx.done(key) != asked.commitment:
        raise PeerError("second-commitment", f"step {asked.step} of unit {short(asked.unit)}")


def _own_unit(ctx: Context, unit: bytes) -> tuple[Job, UnitEntry]:
    entry = ctx.board.units.get(unit)
    if entry is not None and entry.operator == ctx.operator and entry.root:
        for job in jobs.jobs(ctx):
            if job.id == entry.pot:
                return job, entry
    raise PeerError("not-mine", f"unit {short(unit)} was not anchored by this node")


async def _may_see(ctx: Context, job: Job, entry: UnitEntry, step: int, asker: bytes) -> bool:
    """Step K's digests serve check C: every drawn verifier and committee member may see them."""
    if cases.may_look(ctx, entry, asker):
        return True
    drawn = await jobs.samples(ctx, job, entry) or {}
    last = step == job.spec.hyper.steps
    if not last and step not in drawn:
        return False
    members = jobs.all_verifiers(drawn) if last else drawn[step]
    return asker in members or asker in await jobs.committee(ctx, job, entry)
