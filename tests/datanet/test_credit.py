"""The credit map answers: what did this record do?"""

from hypothesis import given
from hypothesis import strategies as st

from datanet.credit import (
    SCHEMA,
    AnswerCredit,
    RoundCredit,
    answer_rows,
    earned_rows,
    history,
    record_amounts,
    round_rows,
)
from protocol.credit import Share
from protocol.messages import AnswerRecord, PotShares, RowCredit
from simnet.seams import MemoryStore

A, B, C = (bytes([n]) * 32 for n in (1, 2, 3))
JOB, UNIT, RECEIPT, DATANET = (bytes([n]) * 32 for n in (10, 11, 12, 13))


def _pot(amounts: dict[int, int], credits: tuple[RowCredit, ...], pot: bytes = JOB) -> PotShares:
    shares = tuple(Share(owner, "contributor", amount, "") for owner, amount in amounts.items())
    return PotShares(pot, "job", JOB, sum(amounts.values()), shares, credits)


async def test_all_that_a_record_did_over_rounds_answers_and_pots() -> None:
    store = MemoryStore([SCHEMA])
    big = 10**30 + 1
    pot = _pot({0: big, 1: 5}, (RowCredit(A, 0, 3, 900_000), RowCredit(B, 1, 7, 1_000_000)))
    fee = _pot({0: 4}, (RowCredit(A, 0, 1, 900_000),), RECEIPT)
    statements = [
        *round_rows(JOB, 0, UNIT, [A, B, A]),
        *round_rows(JOB, 1, UNIT, [A]),
        *answer_rows(RECEIPT, [AnswerRecord(A, 0, DATANET, 55)]),
        *earned_rows(pot),
        *earned_rows(fee),
    ]
    await store.transaction(statements)
    await store.transaction(statements)  # twice is once
    did = await history(store, A)
    assert did.rounds == (RoundCredit(JOB, 0, UNIT), RoundCredit(JOB, 1, UNIT))
    assert did.answers == (AnswerCredit(RECEIPT, 55),)
    assert [(e.pot, e.influence, e.kept_ppm, e.amount) for e in did.earned] == [
        (JOB, 3, 900_000, big),
        (RECEIPT, 1, 900_000, 4),
    ]
    assert did.total == big + 4
    unmoved = PotShares(
        C, "answer", C, 5, (Share(0, "contributor", 5, ""),), (*fee.credits, RowCredit(B, 1, 0, 1))
    )
    assert [args[0] for _, args in earned_rows(unmoved)] == [A]  # B did not move that answer
    assert (await history(store, C)).rounds == ()


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 10**12)), min_size=1, max_size=12),
    st.lists(st.integers(0, 10**24), min_size=4, max_size=4),
)
def test_records_share_all_that_their_owner_got(
    rows: list[tuple[int, int]], amounts: list[int]
) -> None:
    credits = tuple(RowCredit(bytes([n]) * 32, o, i, 10) for n, (o, i) in enumerate(rows))
    parts = record_amounts(_pot(dict(enumerate(amounts)), credits))
    assert min(parts) >= 0
    for owner in {owner for owner, _ in rows}:
        mine = [part for part, row in zip(parts, credits, strict=True) if row.owner == owner]
        assert sum(mine) == amounts[owner]


def test_parts_follow_influence_and_what_was_kept_and_leave_other_roles_out() -> None:
    credits = (RowCredit(A, 0, 3, 500), RowCredit(B, 0, 1, 500), RowCredit(C, 0, -9, 500))
    half = (RowCredit(A, 0, 3, 250), RowCredit(B, 0, 1, 750), RowCredit(C, 0, 9, 0))
    pot = _pot({0: 41}, credits)
    wages = PotShares(
        pot.pot, pot.kind, JOB, 141, (*pot.shares, Share(0, "worker", 100, "")), credits
    )
    assert record_amounts(wages) == (31, 10, 0)
    assert record_amounts(_pot({0: 40}, half)) == (20, 20, 0)


def test_without_influence_an_owners_records_are_equal() -> None:
    credits = (RowCredit(A, 0, 0, 0), RowCredit(B, 0, -1, 0))
    assert record_amounts(_pot({0: 9}, credits)) == (5, 4)
