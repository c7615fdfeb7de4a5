"""From findings to a unit's outcome. Pure: drawn sets, posts and time come in, a state goes out.

Only posts of drawn members count, the first of each, and only those in time: a late one is no fault.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from protocol.params import Params
from tasks.entries import Posted, UnitEntry
from tasks.lifecycle import FINAL, Fact, State, step


@dataclass(frozen=True, slots=True)
class Outcome:
    """A unit's state now, why, and since which chain time (seconds)."""

    state: State
    reason: str
    since: int

    @property
    def final(self) -> bool:
        return self.state in FINAL


def counted(
    posts: Iterable[Posted], members: Sequence[bytes], deadline: int
) -> dict[bytes, Posted]:
    """The first post of each drawn member that was in time."""
    first: dict[bytes, Posted] = {}
    for post in posts:
        if post.operator in members and post.time <= deadline:
            first.setdefault(post.operator, post)
    return first


def verdicts(unit: UnitEntry) -> list[Posted]:
    """What was said about a worker's unit and counts: an accusation only with stake behind it."""
    return [p for p in unit.verdicts if p.staked or p.finding in ("ok", "no-data")]


def judge(
    unit: UnitEntry,
    verifiers: Sequence[bytes],
    committee: Sequence[bytes],
    params: Params,
    now: int,
) -> Outcome:
    """Where a unit stands at chain time ``now``. ``verifiers`` is empty until its beacon is known."""
    if unit.ended:
        state = step(State.RESERVED, Fact(unit.ended))
        return Outcome(state, f"{unit.ended} before a commitment", unit.time)
    if not unit.root:
        if now > unit.time + params.unit_seconds:
            return Outcome(
                step(State.RESERVED, Fact.EXPIRED), "no commitment by its deadline", unit.time
            )
        return Outcome(State.RESERVED, "training", unit.time)
    judging = step(State.RESERVED, Fact.ANCHORED)
    if not verifiers:
        return Outcome(judging, "waiting for the beacon that draws its samples", unit.anchor_time)
    return _judging(unit, verifiers, committee, params, now)


def judge_home(
    unit: UnitEntry, seats: Sequence[bytes], quorum: int, params: Params, now: int
) -> Outcome:
    """Where a unit that was trained at home stands at chain time ``now``.

    Nobody else has its data, so nothing can be re-computed and nobody is slashed: a quorum of the
    aggregators' seats must have found its adapter readable and within the schedule's bound.
    """
    if unit.ended or not unit.root:
        return judge(unit, (), (), params, now)
    deadline = unit.anchor_time + params.judge_seconds
    seen = counted(unit.verdicts, seats, deadline)
    good = [p for p in seen.values() if p.finding == "ok"]
    if len(good) >= quorum:
        state, since = step(State.JUDGING, Fact.ALL_OK), good[quorum - 1].time
        return Outcome(state, "trained at home on private data; the seats can use it", since)
    if len(seen) - len(good) > len(seats) - quorum:
        last = max(p.time for p in seen.values())
        return Outcome(step(State.JUDGING, Fact.REFUSED), "the seats cannot use it", last)
    if now > deadline:
        state = step(State.JUDGING, Fact.TIME_UP_NONE_OK)
        return Outcome(state, f"only {len(good)} of {quorum} seats could inspect it", deadline)
    return Outcome(State.JUDGING, f"{len(good)} of {quorum} seats can use it", unit.anchor_time)


def _judging(
    unit: UnitEntry,
    verifiers: Sequence[bytes],
    committee: Sequence[bytes],
    params: Params,
    now: int,
) -> Outcome:
    deadline = unit.anchor_time + params.judge_seconds
    seen = counted(verdicts(unit), verifiers, deadline)
    guilty = sorted(
        (p for p in seen.values() if p.finding not in ("ok", "no-data")),
        key=lambda p: (p.block, p.log_index),
    )
    if guilty:
        step(State.JUDGING, Fact.GUILTY)
        return _disputed(unit, guilty[0], committee, params, now)
    ok = sum(p.finding == "ok" for p in seen.values())
    since = max((p.time for p in seen.values()), default=unit.anchor_time)
    if ok == len(set(verifiers)):
        return Outcome(step(State.JUDGING, Fact.ALL_OK), f"{ok} verifiers found nothing", since)
    if now <= deadline:
        return Outcome(State.JUDGING, f"{ok} of {len(set(verifiers))} verdicts are in", since)
    if ok:
        return Outcome(
            step(State.JUDGING, Fact.TIME_UP_SOME_OK),
            f"time is up: {ok} of {len(set(verifiers))} verifiers answered, none found fault",
            deadline,
        )
    return Outcome(step(State.JUDGING, Fact.TIME_UP_NONE_OK), "no verifier answered", deadline)


def _disputed(
    unit: UnitEntry, first: Posted, committee: Sequence[bytes], params: Params, now: int
) -> Outcome:
    deadline = first.time + params.judge_seconds
    rulings = counted(unit.rulings, committee, deadline)
    ok = sum(p.finding == "ok" for p in rulings.values())
    missing = sum(p.finding == "no-data" for p in rulings.values())
    guilty = len(rulings) - ok - missing
    last = max((p.time for p in rulings.values()), default=first.time)
    for count, fact, reason in (
        (guilty, Fact.RULED_GUILTY, f"check {first.finding} failed; upheld by the committee"),
        (ok, Fact.RULED_OK, f"check {first.finding} was refuted by the committee"),
        (missing, Fact.RULED_NO_DATA, "the committee could not fetch the data"),
    ):
        if count >= params.committee_quorum:
            return Outcome(step(State.DISPUTED, fact), reason, last)
    if now > deadline:
        return Outcome(step(State.DISPUTED, Fact.DISPUTE_TIME_UP), "no ruling in time", deadline)
    return Outcome(
        State.DISPUTED, f"check {first.finding} failed; {len(rulings)} rulings are in", first.time
    )
