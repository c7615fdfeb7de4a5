"""Cases of the Arbiter as this node can read them: what they are about, who may look, how they stand."""

from node import jobs
from node.context import Context
from node.jobs import Job
from protocol.ids import checksum, unit_id
from protocol.params import in_open
from settlement.claims import accusation_id
from tasks.court import APPEALABLE, JURY, Case
from tasks.entries import UnitEntry


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
