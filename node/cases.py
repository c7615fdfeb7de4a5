"""Cases of the Arbiter as this node can read them: what they are about, who is accused, how they stand."""

from node import jobs
from node.context import Context
from node.jobs import Job
from protocol.ids import address_bytes, checksum, short, unit_id
from protocol.params import in_open
from settlement.claims import accusation_id
from tasks.court import APPEALABLE, JURY, Case
from tasks.entries import EpochEntry, UnitEntry


def label(case: Case) -> str:
    """What a case is about, for people."""
    return f"epoch {case.epoch}" if case.epoch else short(case.unit)


def commit(ctx: Context, case: Case) -> EpochEntry | None:
    """The commit that a challenge is about; None for an order, and for one of a pool that we do not follow."""
    found = [c for c in ctx.board.commits if c.epoch == case.epoch and c.block <= case.block]
    return None if case.foreign or not found else found[-1]


def on_trial(ctx: Context, entry: EpochEntry) -> bool:
    """Whether a pending epoch was challenged and no jury has decided yet."""
    case = ctx.board.court.of_epoch(entry.epoch, entry.block)
    return case is not None and case.stage == JURY


async def accused(ctx: Context, case: Case) -> tuple[bytes, ...]:
    """Operators who lose when a case stands: of a challenge, the signers of its epoch."""
    if case.accused:
        return case.accused
    known: dict[tuple[bytes, int], tuple[bytes, ...]] = ctx.private.setdefault("accused", {})
    key = case.case, case.block  # after a reorganisation one number may be of another commit
    if key not in known:
        *_, signers = await ctx.seams.chain.read("Arbiter", "caseOf", case.case)
        known[key] = tuple(map(address_bytes, signers))
    return known[key]


def about(ctx: Context, case: Case) -> tuple[Job, int, UnitEntry] | None:
    """The job, round and unit of an order: the unit itself, or the one that was accused."""
    unit = case.unit
    for accusation in ctx.board.court.accusations:
        if accusation_id(accusation.unit, checksum(accusation.accuser)) == case.unit:
            unit = accusation.unit
    entry = ctx.board.units.get(unit)
    if entry is None:
        return None
    for job in jobs.jobs(ctx):
        if job.id == entry.pot:
            for number in range(job.spec.rounds):
                if unit_id(job.id, number, entry.operator) == unit:
                    return job, number, entry
    return None


def may_look(ctx: Context, entry: UnitEntry, asker: bytes) -> bool:
    """Whether a juror of an open case about a unit (or its worker itself) asks for its states."""
    if asker == entry.operator:
        return True
    cases = [c for c in ctx.board.court.open() if c.panel and asker in c.panel.jurors]
    found = [about(ctx, case) for case in cases]
    return any(subject is not None and subject[2].unit == entry.unit for subject in found)


def explain(ctx: Context, unit: bytes) -> str:
    """What stands against a unit, for people; '' when nothing does."""
    case = ctx.board.court.of_unit(unit)
    if case is None:
        return ""
    loss = f"slash of {in_open(case.amount)}"
    if case.stage == APPEALABLE:
        return f"{loss} ordered, appealable until {case.until}"
    if case.stage == JURY:
        return f"{loss} ordered, appealed, before a jury"
    return f"{loss} executed" if case.slashed else f"{loss} dismissed by a jury"
