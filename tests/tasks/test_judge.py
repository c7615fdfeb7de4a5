"""From posts to outcomes: who counts, when, and that the last word stays the last."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from protocol.params import SIMNET
from tasks.entries import Posted, UnitEntry
from tasks.judge import counted, judge, judge_home
from tasks.lifecycle import State

P = SIMNET
START = 1_000
ANCHORED = START + 50
JUDGED_BY = ANCHORED + P.judge_seconds
VERIFIERS = tuple(bytes([n]) * 20 for n in (1, 2, 3, 4))
COMMITTEE = tuple(bytes([n]) * 20 for n in (5, 6, 7))
STRANGER = b"\xff" * 20
GUILTY = ("A", "B", "C", "D", "no-reveal")
FOREVER = JUDGED_BY + 10 * P.judge_seconds

findings = st.sampled_from(("ok", "no-data", *GUILTY))
moments = st.integers(ANCHORED, JUDGED_BY + 2 * P.judge_seconds)


def post(operator: bytes, finding: str = "ok", time: int = ANCHORED + 5) -> Posted:
    return Posted(operator, bytes(32), finding, block=time, time=time, log_index=0, staked=True)


def unit(verdicts: Sequence[Posted] = (), rulings: Sequence[Posted] = ()) -> UnitEntry:
    """An anchored unit; posts stand in chain order."""
    return UnitEntry(
        unit=b"u" * 32,
        pot=b"p" * 32,
        operator=b"w" * 20,
        block=1,
        time=START,
        root=b"r" * 32,
        adapter=b"a" * 32,
        anchor_block=2,
        anchor_time=ANCHORED,
        verdicts=sorted(verdicts, key=lambda p: p.block),
        rulings=sorted(rulings, key=lambda p: p.block),
    )


def state(entry: UnitEntry, now: int) -> State:
    return judge(entry, VERIFIERS, COMMITTEE, P, now).state


@st.composite
def posts(draw: st.DrawFn, members: Sequence[bytes]) -> list[Posted]:
    authors = draw(st.lists(st.sampled_from((*members, STRANGER)), max_size=8))
    return [post(author, draw(findings), draw(moments)) for author in authors]


units = st.builds(unit, posts(VERIFIERS), posts(COMMITTEE))


# -- before the commitment ---


def test_a_unit_waits_for_its_worker_until_its_deadline() -> None:
    waiting = replace(unit(), root=b"")
    assert state(waiting, START + P.unit_seconds) is State.RESERVED
    assert state(waiting, START + P.unit_seconds + 1) is State.EXPIRED


def test_a_released_unit_ends_as_the_chain_says() -> None:
    released = replace(unit(), root=b"")
    assert state(replace(released, ended="handed-back"), START + 1) is State.HANDED_BACK
    assert state(replace(released, ended="expired"), START + 1) is State.EXPIRED


def test_before_its_beacon_nothing_is_judged() -> None:
    early = judge(unit([post(VERIFIERS[0], "A")]), (), (), P, ANCHORED + 1)
    assert early.state is State.JUDGING


# -- verdicts ---


def test_all_ok_is_accepted_at_once() -> None:
    entry = unit([post(v) for v in VERIFIERS])
    assert state(entry, ANCHORED + 6) is State.ACCEPTED
    assert state(unit([post(v) for v in VERIFIERS[1:]]), ANCHORED + 6) is State.JUDGING


def test_when_time_is_up_one_honest_answer_is_enough() -> None:
    entry = unit([post(VERIFIERS[0])])
    assert state(entry, JUDGED_BY) is State.JUDGING
    assert state(entry, JUDGED_BY + 1) is State.ACCEPTED


def test_when_nobody_answers_nobody_is_to_blame() -> None:
    assert state(unit(), JUDGED_BY + 1) is State.VOID
    assert state(unit([post(VERIFIERS[0], "no-data")]), JUDGED_BY + 1) is State.VOID


@given(findings, st.integers(ANCHORED, JUDGED_BY))
def test_a_stranger_changes_nothing(finding: str, time: int) -> None:
    entry = unit([post(STRANGER, finding, time)], [post(STRANGER, finding, time)])
    assert state(entry, JUDGED_BY) is State.JUDGING
    assert state(entry, FOREVER) is State.VOID


@given(st.lists(st.tuples(st.sampled_from(VERIFIERS), findings, moments), max_size=12))
def test_only_the_first_post_of_a_member_in_time_counts(
    said: list[tuple[bytes, str, int]],
) -> None:
    order = sorted((post(*each) for each in said), key=lambda p: p.block)
    found = counted([*order, post(STRANGER)], VERIFIERS, JUDGED_BY)
    for member in VERIFIERS:
        own = [p for p in order if p.operator == member and p.time <= JUDGED_BY]
        assert found.get(member) == (own[0] if own else None)
    assert STRANGER not in found


def test_a_verifier_cannot_take_its_word_back() -> None:
    verdicts = [post(v) for v in VERIFIERS]
    entry = unit([*verdicts, post(VERIFIERS[0], "A", ANCHORED + 9)])
    assert state(entry, ANCHORED + 10) is State.ACCEPTED


# -- disputes ---


def accused(*rulings: Posted, finding: str = "A") -> UnitEntry:
    return unit([post(VERIFIERS[0], finding), *(post(v) for v in VERIFIERS[1:])], rulings)


@given(st.sampled_from(GUILTY))
def test_an_accusation_without_stake_is_as_if_nothing_was_said(finding: str) -> None:
    word = replace(post(VERIFIERS[0], finding), staked=False)
    said = unit([word, *(post(v) for v in VERIFIERS[1:])])
    assert state(said, JUDGED_BY) is State.JUDGING
    assert state(said, JUDGED_BY + 1) is State.ACCEPTED


@given(st.sampled_from(GUILTY))
def test_one_accusation_opens_a_dispute(finding: str) -> None:
    assert state(accused(finding=finding), ANCHORED + 6) is State.DISPUTED


def test_a_majority_of_the_committee_rules() -> None:
    guilty, ok = [post(c, "B") for c in COMMITTEE], [post(c) for c in COMMITTEE]
    assert state(accused(guilty[0]), ANCHORED + 6) is State.DISPUTED
    assert state(accused(guilty[0], ok[1]), ANCHORED + 6) is State.DISPUTED
    assert state(accused(*guilty[:2]), ANCHORED + 6) is State.FAILED
    assert state(accused(guilty[0], *ok[1:]), ANCHORED + 6) is State.ACCEPTED
    blind = [post(c, "no-data") for c in COMMITTEE]
    assert state(accused(*blind[:2]), ANCHORED + 6) is State.VOID


def test_one_member_saying_it_twice_is_no_majority() -> None:
    twice = [post(COMMITTEE[0], "A", ANCHORED + n) for n in (6, 7, 8)]
    assert state(accused(*twice), ANCHORED + 9) is State.DISPUTED


def test_verifiers_do_not_rule_and_the_committee_does_not_verify() -> None:
    entry = accused(*(post(v, "A", ANCHORED + 7) for v in VERIFIERS))
    assert state(entry, ANCHORED + 8) is State.DISPUTED
    assert state(unit([post(c, "A") for c in COMMITTEE]), ANCHORED + 8) is State.JUDGING


def test_without_a_ruling_in_time_the_unit_is_void() -> None:
    deadline = ANCHORED + 5 + P.judge_seconds
    late = [post(c, "A", deadline + 1) for c in COMMITTEE]
    assert state(accused(), deadline) is State.DISPUTED
    assert state(accused(*late), deadline + 1) is State.VOID


def test_an_accusation_after_the_deadline_accuses_nobody() -> None:
    entry = unit([post(VERIFIERS[0]), post(VERIFIERS[1], "A", JUDGED_BY + 1)])
    assert state(entry, JUDGED_BY + 2) is State.ACCEPTED


# -- for every history ---


@given(units)
def test_deadlines_lead_every_history_to_an_end(entry: UnitEntry) -> None:
    assert judge(entry, VERIFIERS, COMMITTEE, P, FOREVER).final


@given(units, moments)
def test_what_is_final_stays_whatever_is_posted_later(entry: UnitEntry, now: int) -> None:
    """Judged on what the chain held at ``now``, and again with everything that came after."""
    then = replace(
        entry,
        verdicts=[p for p in entry.verdicts if p.time <= now],
        rulings=[p for p in entry.rulings if p.time <= now],
    )
    before = judge(then, VERIFIERS, COMMITTEE, P, now)
    if before.final:
        assert judge(entry, VERIFIERS, COMMITTEE, P, FOREVER).state is before.state


@given(units)
def test_nobody_fails_without_an_accuser_and_a_committee_majority(entry: UnitEntry) -> None:
    if state(entry, FOREVER) is State.FAILED:
        accusers = counted(entry.verdicts, VERIFIERS, JUDGED_BY).values()
        assert any(p.finding in GUILTY for p in accusers)
        rulers = {p.operator for p in entry.rulings if p.finding in GUILTY}
        assert len(rulers & set(COMMITTEE)) >= P.committee_quorum


# -- trained at home ---

SEATS, QUORUM = COMMITTEE, 2


def home(*findings: str, now: int = ANCHORED + 10) -> State:
    """The state after the seats, in order, have said these."""
    verdicts = [post(seat, said) for seat, said in zip(SEATS, findings, strict=False)]
    return judge_home(unit(verdicts), SEATS, QUORUM, P, now).state


def test_a_home_unit_needs_a_quorum_of_seats() -> None:
    assert home() is State.JUDGING
    assert home("ok") is State.JUDGING
    assert home("ok", "ok") is State.ACCEPTED
    assert home("C", "ok", "ok") is State.ACCEPTED
    assert home("C", "D") is State.VOID
    assert home("ok", now=JUDGED_BY + 1) is State.VOID


@given(posts(SEATS), moments, moments)
def test_a_home_unit_is_never_blamed_and_its_end_stays(
    verdicts: list[Posted], one: int, other: int
) -> None:
    early, late = min(one, other), max(one, other)
    known = judge_home(unit([p for p in verdicts if p.time <= early]), SEATS, QUORUM, P, early)
    after = judge_home(unit([p for p in verdicts if p.time <= late]), SEATS, QUORUM, P, late)
    assert after.state in (State.JUDGING, State.ACCEPTED, State.VOID)
    assert not known.final or known.state == after.state


def test_strangers_do_not_judge_a_home_unit() -> None:
    said = unit([post(STRANGER), post(SEATS[0])])
    assert judge_home(said, SEATS, QUORUM, P, ANCHORED + 10).state is State.JUDGING


def test_a_home_unit_without_a_commitment_expires_like_any() -> None:
    waiting = replace(unit(), root=b"")
    late = START + P.unit_seconds + 1
    assert judge_home(waiting, SEATS, QUORUM, P, late).state is State.EXPIRED
