"""What a unit should have been, computed by the simulator itself: all steps, exactly, from the task.

Verifiers see a few steps; the oracle sees all, so that a checker knows which work was faked.
"""

from math import comb

from node import data, jobs
from node.context import Context
from node.jobs import Assigned, Job
from protocol.codec import unpack
from protocol.compute import StepState, Train, Trained
from protocol.errors import ComputeError
from protocol.seams import Blobs, Store
from simnet.learner_bench import Bench, base_digest
from simnet.learner_fixed import PPB, Vector, norm
from simnet.learner_optimizer import State, step
from simnet.learner_train import train
from tasks import draw
from tasks.entries import UnitEntry

FAKE_PPB = 50_000_000  # 5 % of the way that honest training moves; an honest device is off by 1e-5


async def faked(ctx: Context, blobs: Blobs, entry: UnitEntry) -> bool:
    """Whether an anchored unit's adapter is not what the task asks for. ``blobs``: its worker's."""
    place = await _place(ctx, entry)
    if place is None:
        return False  # nobody asked for it, nobody pays it
    job, number, item = place
    exact = await _exact(ctx, job, number, item)
    base = base_digest(job.spec.base)
    start = Bench(ctx.seams.blobs, b"", 0).weights(base, jobs.start_adapter(ctx, job, number))
    try:
        claimed = Bench(blobs, b"", 0).weights(base, entry.adapter)
    except ComputeError:
        return True
    return _apart(claimed, exact) * PPB > FAKE_PPB * max(1, _apart(start, exact))


def _apart(one: Vector, other: Vector) -> int:
    return norm([a - b for a, b in zip(one, other, strict=True)])


async def _place(ctx: Context, entry: UnitEntry) -> tuple[Job, int, Assigned] | None:
    for job in jobs.jobs(ctx):
        for number in range(job.spec.rounds if job.id == entry.pot else 0):
            for item in await jobs.assigned(ctx, job, number) or []:
                if item.unit == entry.unit and not item.home:
                    return job, number, item
    return None


async def unseen(ctx: Context, store: Store, blobs: Blobs, entry: UnitEntry) -> int | None:
    """How many steps of a faked unit do not lead to the state after them, when no drawn step is among them.

    None: some drawn verifier had something to find. ``store``, ``blobs``: the worker's.
    """
    place = await _place(ctx, entry)
    kept = await store.query(
        "select value from journal where key = ?", (f"unit/{entry.unit.hex()}/states",)
    )
    if place is None or not kept:
        return None
    job, drawn = place[0], await jobs.samples(ctx, place[0], entry)
    states = unpack(data.States, bytes(kept[0][0])).states
    found = _broken(Bench(blobs, b"", 0), job, entry, states)
    return len(found) if found and drawn and not found & drawn.keys() else None


def _broken(
    bench: Bench, job: Job, entry: UnitEntry, states: tuple[StepState, ...]
) -> frozenset[int]:
    """Steps that check A refutes; none when the unit as a whole, or a vector of it, is no such thing."""
    hyper = job.spec.hyper
    try:
        end = bench.weights(base_digest(job.spec.base), entry.adapter)
        if len(states) != hyper.steps + 1 or end != bench.vector(states[-1].w):
            return frozenset()
        vectors = [State(bench.vector(s.w), bench.vector(s.m), bench.vector(s.v)) for s in states]
        return frozenset(
            at
            for at in range(hyper.steps)
            if step(vectors[at], bench.vector(states[at].g), at, hyper) != vectors[at + 1]
        )
    except ComputeError:
        return frozenset()


def chance(steps: int, samples: int, faked: int) -> tuple[int, int]:
    """How likely it is that ``samples`` drawn steps hold one of ``faked`` ones: (draws that do, all)."""
    every = comb(steps, samples)
    return every - comb(steps - faked, samples), every


async def _exact(ctx: Context, job: Job, number: int, item: Assigned) -> Vector:
    start, hyper = jobs.start_adapter(ctx, job, number), job.spec.hyper
    await jobs.fetch_adapter(ctx, job, start)
    records, size = await data.training_set(ctx, job)
    beacon = await jobs.round_beacon(ctx, job, number)
    assert beacon is not None, "a unit is assigned by its round's beacon"
    batches = draw.batches(beacon, item.unit, size, hyper.steps, hyper.batch)
    bench = Bench(ctx.seams.blobs, b"", 0)
    done: Trained = train(bench, Train(job.spec.base, start, records, batches, hyper))
    return bench.weights(base_digest(job.spec.base), done.adapter)


async def tokens(ctx: Context, job: Job, number: int, item: Assigned) -> int:
    """Tokens that a unit trains on: by them accepted units divide their pay."""
    dataset, beacon = await data.dataset(ctx, job), await jobs.round_beacon(ctx, job, number)
    assert beacon is not None, "a unit is assigned by its round's beacon"
    hyper, trained = job.spec.hyper, dataset.trained
    batches = draw.batches(beacon, item.unit, len(trained), hyper.steps, hyper.batch)
    rows = (dataset.rows[trained[i]] for batch in batches for i in batch)
    return sum(min(row.tokens, hyper.max_tokens) for row in rows)
