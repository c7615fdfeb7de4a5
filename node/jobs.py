"""Jobs, rounds and units as every node derives them from the board, the mail and the beacons.

Nothing here acts. ``None`` always means "not known yet": the block is ahead or a body has not arrived.
"""

from dataclasses import dataclass

from node import terms
from node.context import Context
from protocol.errors import PeerError
from protocol.ids import ZERO, job_round, model_id, short, unit_id
from protocol.messages import ROUND, JobSpec
from protocol.params import Params
from protocol.seams import Block
from tasks import draw
from tasks.entries import Posted, PotEntry, UnitEntry
from tasks.judge import Outcome, counted, judge, judge_home, verdicts
from tasks.lifecycle import State

Samples = dict[int, tuple[bytes, ...]]  # drawn step -> its verifiers
NO_ADAPTER = ZERO  # what aggregators post for a round that no verified unit is left of
PRIVATE = 2  # AssetRegistry's data class: open 0, consented 1, private 2


@dataclass(frozen=True, slots=True)
class Job:
    """A funded job whose spec is known."""

    spec: JobSpec
    pot: PotEntry

    @property
    def id(self) -> bytes:
        return self.pot.pot

    @property
    def last_round(self) -> int:
        return self.spec.rounds - 1


@dataclass(frozen=True, slots=True)
class Assigned:
    """One worker's unit in a round; ``home``: on its own private data."""

    unit: bytes
    worker: bytes
    home: bool


def jobs(ctx: Context) -> list[Job]:
    """All funded jobs whose spec has arrived and that keep the network's terms, oldest first.

    Every stage asks, so they are looked for again only when the chain or the mail brought something.
    """
    seen = ctx.board.changes, ctx.mail.arrived(JobSpec)
    known: tuple[tuple[int, int], list[Job]] | None = ctx.private.get("jobs")
    if known is None or known[0] != seen:
        known = ctx.private["jobs"] = seen, _jobs(ctx)
    return known[1]


def _jobs(ctx: Context) -> list[Job]:
    found = []
    for pot in ctx.board.pots.values():
        spec = spec_of(ctx, pot) if pot.unit_pay else None
        if spec is not None and _keeps_terms(ctx, spec, pot):
            found.append(Job(spec, pot))
    return found


def spec_of(ctx: Context, pot: PotEntry) -> JobSpec | None:
    """The spec that a pot names; kept once it is known, its digest is not computed again."""
    known: dict[bytes, JobSpec] = ctx.private.setdefault("specs", {})
    if pot.spec not in known:
        for spec in ctx.mail.bodies(JobSpec):
            known.setdefault(spec.digest, spec)
    return known.get(pot.spec)


def _keeps_terms(ctx: Context, spec: JobSpec, pot: PotEntry) -> bool:
    kept: set[bytes] = ctx.private.setdefault("terms-kept", set())
    if pot.pot in kept:  # a spec never changes, and a pot is only topped up
        return True
    if _finds_terms_kept(ctx, spec, pot):
        kept.add(pot.pot)
    return pot.pot in kept


def _finds_terms_kept(ctx: Context, spec: JobSpec, pot: PotEntry) -> bool:
    faults: dict[tuple[bytes, int], str] = ctx.private.setdefault("spec-faults", {})
    key = pot.spec, ctx.board.version_at(pot.time)
    if key not in faults:
        faults[key] = terms.spec_fault(spec, ctx.params_at(pot.time), key[1])
    fault = faults[key] or terms.pot_fault(spec, pot, ctx.params)
    if not fault and ctx.board.index_of(spec.builder) is None:
        fault = "its builder is no registered owner"
    told: set[tuple[bytes, str]] = ctx.private.setdefault("jobs-refused", set())
    if fault and (pot.pot, fault) not in told:
        told.add((pot.pot, fault))
        ctx.fail("jobs", PeerError("bad-job", f"job {short(pot.pot)} is ignored: {fault}"))
    return not fault


def home_owners(ctx: Context, job: Job) -> list[bytes]:
    """Workers with a private shard in the job that was revealed by its block; they train at home."""
    if not job.spec.include_private:
        return []
    known: dict[bytes, list[bytes]] = ctx.private.setdefault("home-owners", {})
    if job.id not in known:
        known[job.id] = _home_owners(ctx, job)
    return known[job.id]


def _home_owners(ctx: Context, job: Job) -> list[bytes]:
    workers = ctx.board.roster("worker", job.pot.block, ctx.params_at(job.pot.time).unit_stake)
    owners = [
        shard.owner
        for shard in ctx.board.shards.values()
        if shard.datanet in job.spec.datanets
        and ctx.board.datanets[shard.datanet].data_class == PRIVATE
        and shard.reveal is not None
        and shard.reveal.block <= job.pot.block
    ]
    return [owner for owner in dict.fromkeys(owners) if owner in workers]


def finished(ctx: Context, job: Job, number: int) -> Posted | None:
    """The aggregators' agreement on a round's merged adapter."""
    agreed = _agreed(ctx, job, number)
    return None if agreed is None or agreed.value == NO_ADAPTER else agreed


def failed(ctx: Context, job: Job) -> int | None:
    """The round that ended the job: the aggregators agreed that no verified unit is left of it."""
    for number in range(job.spec.rounds):
        agreed = _agreed(ctx, job, number)
        if agreed is not None and agreed.value == NO_ADAPTER:
            return number
    return None


def current_round(ctx: Context, job: Job) -> int | None:
    """The first round without an agreement; None when all have one or the job has failed."""
    over: set[bytes] = ctx.private.setdefault("rounds-over", set())
    if job.id in over:
        return None
    number = next((n for n in range(job.spec.rounds) if _agreed(ctx, job, n) is None), None)
    if number is None or failed(ctx, job) is not None:
        over.add(job.id)
        return None
    return number


def _agreed(ctx: Context, job: Job, number: int) -> Posted | None:
    known: dict[tuple[bytes, int], Posted] = ctx.private.setdefault("agreed", {})
    if (job.id, number) not in known:
        agreed = ctx.board.agreed(ROUND, job_round(job.id, number))
        if agreed is None:
            return None
        known[job.id, number] = agreed
    return known[job.id, number]


def opened(ctx: Context, job: Job, number: int) -> tuple[int, int] | None:
    """(block, chain time) at which a round opened."""
    if number == 0:
        return job.pot.block, job.pot.time
    before = finished(ctx, job, number - 1)
    return None if before is None else (before.block, before.time)


def model_of(ctx: Context, job: Job) -> bytes | None:
    """The asset that a finished job ends in: its builder's model of the agreed adapter."""
    last = finished(ctx, job, job.last_round)
    return None if last is None else model_id(job.spec.builder, last.value)


def start_adapter(ctx: Context, job: Job, number: int) -> bytes:
    """Blob id of the adapter that a round starts from."""
    before = finished(ctx, job, number - 1) if number else None
    return before.value if before is not None else job.spec.start


async def fetch_adapter(ctx: Context, job: Job, adapter: bytes) -> None:
    """Have an adapter of a job here: its builder made the first one, the seats merged all others."""
    seats = ctx.board.seats
    holders = (job.spec.builder, *seats) if adapter == job.spec.start else seats
    await ctx.fetch(adapter, *holders)


def judging_over(ctx: Context, job: Job, number: int) -> bool:
    """Whether no verdict about a unit of a round can be in time any more."""
    at = opened(ctx, job, number)
    p = ctx.params
    longest = 2 * p.unit_seconds + p.judge_seconds  # taken at the last moment, anchored at the last
    return at is not None and ctx.head.time > at[1] + longest


async def round_beacon(ctx: Context, job: Job, number: int) -> bytes | None:
    """The beacon that assigns a round's units and orders their data."""
    at = opened(ctx, job, number)
    return None if at is None else await ctx.beacon(at[0] + ctx.params.beacon_delay)


async def assigned(ctx: Context, job: Job, number: int) -> list[Assigned] | None:
    """Who does which unit of a round: a stake-weighted draw, and the private owners at home."""
    known: dict[tuple[bytes, int], list[Assigned]] = ctx.private.setdefault("assigned", {})
    if (job.id, number) not in known:
        found = await _assigned(ctx, job, number)
        if found is None:
            return None
        known[job.id, number] = found
    return known[job.id, number]


async def _assigned(ctx: Context, job: Job, number: int) -> list[Assigned] | None:
    beacon, at = await round_beacon(ctx, job, number), opened(ctx, job, number)
    if beacon is None or at is None:
        return None
    home = home_owners(ctx, job)
    suspended = ctx.board.suspended(at[0])
    pool = {
        worker: stake
        for worker, stake in ctx.board.roster(
            "worker", job.pot.block, ctx.params_at(job.pot.time).unit_stake
        ).items()
        if worker not in home and worker not in suspended
    }
    subject = job_round(job.id, number)
    chosen = draw.weighted(beacon, "workers", subject, pool, job.spec.workers)
    return [Assigned(unit_id(job.id, number, w), w, False) for w in chosen] + [
        Assigned(unit_id(job.id, number, w), w, True) for w in home if w not in suspended
    ]


def entry_of(ctx: Context, job: Job, item: Assigned) -> UnitEntry | None:
    """The board's entry of an assigned unit; a squatter's reservation does not count."""
    entry = ctx.board.units.get(item.unit)
    if entry is None or entry.operator != item.worker or entry.pot != job.id:
        return None
    return entry


def _least(params: Params) -> int:
    return params.min_stake + params.accuser_stake


def eligible_verifiers(ctx: Context, job: Job, worker: bytes) -> dict[bytes, int]:
    """Verifiers at the job's block that could stake an accusation and are not the worker's party."""
    known: dict[tuple[bytes, bytes], dict[bytes, int]] = ctx.private.setdefault("eligible", {})
    if (job.id, worker) not in known:
        roster = ctx.board.roster("verifier", job.pot.block, _least(ctx.params))
        known[job.id, worker] = {
            v: stake
            for v, stake in roster.items()
            if not ctx.board.same_party(v, worker, job.pot.block)
        }
    return known[job.id, worker]


async def samples(ctx: Context, job: Job, unit: UnitEntry) -> Samples | None:
    """Drawn steps of an anchored unit with their verifiers; None before the beacon."""
    known: dict[bytes, Samples] = ctx.private.setdefault("samples", {})
    if not unit.root:
        return None
    if unit.unit in known:
        return known[unit.unit]
    beacon = await ctx.beacon(unit.anchor_block + ctx.params.beacon_delay)
    if beacon is None:
        return None
    pool, p = eligible_verifiers(ctx, job, unit.operator), ctx.params_at(job.pot.time)
    drawn = draw.steps(beacon, unit.unit, job.spec.hyper.steps, p.samples)
    known[unit.unit] = {
        step: draw.verifiers(beacon, unit.unit, step, pool, p.verifiers) for step in drawn
    }
    return known[unit.unit]


def all_verifiers(drawn: dict[int, tuple[bytes, ...]] | None) -> tuple[bytes, ...]:
    """The distinct verifiers of all drawn steps."""
    return tuple(dict.fromkeys(v for members in (drawn or {}).values() for v in members))


def first_accusation(
    ctx: Context, unit: UnitEntry, drawn: dict[int, tuple[bytes, ...]] | None
) -> Posted | None:
    """The first guilty verdict of a drawn verifier in time: the one that a dispute is about."""
    if not any(post.staked for post in unit.verdicts):  # who accuses has stake behind it
        return None
    deadline = unit.anchor_time + ctx.params.judge_seconds
    seen = counted(verdicts(unit), all_verifiers(drawn), deadline).values()
    guilty = [post for post in seen if post.finding not in ("ok", "no-data")]
    return min(guilty, key=lambda p: (p.block, p.log_index), default=None)


async def committee(ctx: Context, job: Job, unit: UnitEntry) -> tuple[bytes, ...]:
    """A disputed unit's committee; empty before its beacon.

    Drawn among the slasher's seats, so that whoever rules can also slash; neither the worker's party
    nor the accuser.
    """
    if not any(post.staked for post in unit.verdicts):
        return ()
    accusation = first_accusation(ctx, unit, await samples(ctx, job, unit))
    if accusation is None:
        return ()
    beacon = await ctx.beacon(accusation.block + ctx.params.beacon_delay)
    if beacon is None:
        return ()
    eligible = eligible_verifiers(ctx, job, unit.operator)
    seats = set(ctx.network.committee) - {accusation.operator}
    pool = {member: stake for member, stake in eligible.items() if member in seats}
    return draw.committee(beacon, unit.unit, pool, ctx.params.committee)


async def outcome(ctx: Context, job: Job, number: int, item: Assigned) -> Outcome:
    """Where an assigned unit stands now."""
    over: dict[bytes, Outcome] = ctx.private.setdefault("over", {})
    if item.unit in over:
        return over[item.unit]
    known = _known_now(ctx)
    if item.unit not in known:
        found = await _outcome(ctx, job, number, item)
        (over if found.final else known)[item.unit] = found
        return found
    return known[item.unit]


def _known_now(ctx: Context) -> dict[bytes, Outcome]:
    """Outcomes that were derived at this head: until the next one they stay, whichever stage asks."""
    at: tuple[Block, dict[bytes, Outcome]] | None = ctx.private.get("outcomes")
    if at is None or at[0] != ctx.head:
        at = ctx.private["outcomes"] = ctx.head, {}
    return at[1]


async def _outcome(ctx: Context, job: Job, number: int, item: Assigned) -> Outcome:
    entry = entry_of(ctx, job, item)
    at = opened(ctx, job, number)
    since = at[1] if at else job.pot.time
    if (
        entry is None or entry.time > since + ctx.params.unit_seconds
    ):  # a late taker changes nothing
        if ctx.head.time > since + ctx.params.unit_seconds:
            return Outcome(State.EXPIRED, "never taken up", since)
        return Outcome(State.RESERVED, "not taken up yet", since)
    if item.home:
        seats, quorum = ctx.board.seats, ctx.board.quorum
        result = judge_home(entry, seats, quorum, ctx.params, ctx.head.time)
    else:
        drawn = all_verifiers(await samples(ctx, job, entry))
        members = await committee(ctx, job, entry)
        result = judge(entry, drawn, members, ctx.params, ctx.head.time)
    ctx.outcomes[item.unit] = result
    return result


async def outcomes(ctx: Context, job: Job, number: int) -> dict[Assigned, Outcome] | None:
    """All units of a round with where they stand."""
    items = await assigned(ctx, job, number)
    if items is None:
        return None
    return {item: await outcome(ctx, job, number, item) for item in items}
