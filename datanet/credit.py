"""The credit map: what each record did. Its rounds, the answers it moved, every unit it earned.

Rows are written beside the events that cause them, in the caller's transaction; writing one twice
changes nothing. Amounts are decimal text, because SQLite's integers end at 9.2 OPEN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from protocol.ids import Hash
from protocol.messages import AnswerRecord, PotShares, RowCredit
from protocol.seams import Store

Statement = tuple[str, Sequence[Any]]

SCHEMA = (
    """CREATE TABLE credit_round (
        record BLOB NOT NULL, job BLOB NOT NULL, round INTEGER NOT NULL, unit BLOB NOT NULL,
        PRIMARY KEY (record, job, round, unit)) WITHOUT ROWID""",
    """CREATE TABLE credit_answer (
        record BLOB NOT NULL, receipt BLOB NOT NULL, score INTEGER NOT NULL,
        PRIMARY KEY (record, receipt)) WITHOUT ROWID""",
    """CREATE TABLE credit_earned (
        record BLOB NOT NULL, pot BLOB NOT NULL, kind TEXT NOT NULL, subject BLOB NOT NULL,
        influence INTEGER NOT NULL, kept_ppm INTEGER NOT NULL, amount TEXT NOT NULL,
        PRIMARY KEY (record, pot)) WITHOUT ROWID""",
)


@dataclass(frozen=True, slots=True)
class RoundCredit:
    """The record was trained on in this round, in this unit."""

    job: Hash
    round: int
    unit: Hash


@dataclass(frozen=True, slots=True)
class AnswerCredit:
    """The record was among those that moved this answer."""

    receipt: Hash
    score: int


@dataclass(frozen=True, slots=True)
class Earning:
    """The record's part of one pot. ``subject``: the job or the receipt."""

    pot: Hash
    kind: str
    subject: Hash
    influence: int
    kept_ppm: int
    amount: int


@dataclass(frozen=True, slots=True)
class History:
    """Everything one record did, each list in the order of its ids."""

    record: Hash
    rounds: tuple[RoundCredit, ...]
    answers: tuple[AnswerCredit, ...]
    earned: tuple[Earning, ...]

    @property
    def total(self) -> int:
        """Smallest units earned over all pots."""
        return sum(earning.amount for earning in self.earned)


def round_rows(job: bytes, round_no: int, unit: bytes, records: Sequence[bytes]) -> list[Statement]:
    """Statements for the records that one unit trained on."""
    sql = "INSERT OR IGNORE INTO credit_round VALUES (?, ?, ?, ?)"
    return [(sql, (record, job, round_no, unit)) for record in dict.fromkeys(records)]


def answer_rows(receipt: bytes, records: Sequence[AnswerRecord]) -> list[Statement]:
    """Statements for the records that moved one answer."""
    sql = "INSERT OR IGNORE INTO credit_answer VALUES (?, ?, ?)"
    return [(sql, (row.record, receipt, row.score)) for row in records]


def earned_rows(pot: PotShares) -> list[Statement]:
    """Statements for what each record of a divided pot earned; an answer that it did not move is none."""
    sql = "INSERT OR IGNORE INTO credit_earned VALUES (?, ?, ?, ?, ?, ?, ?)"
    amounts = record_amounts(pot)
    return [
        (
            sql,
            (row.record, pot.pot, pot.kind, pot.subject, row.influence, row.kept_ppm, str(amount)),
        )
        for row, amount in zip(pot.credits, amounts, strict=True)
        if amount or row.influence or pot.kind != "answer"
    ]


def record_amounts(pot: PotShares) -> tuple[int, ...]:
    """Each credited record's part of its owner's contributor share, by influence x kept part.

    The parts of an owner's records sum to its contributor shares; rounding goes to the first.
    """
    earned = {row.owner: 0 for row in pot.credits}
    for share in pot.shares:
        if share.role == "contributor" and share.owner in earned:
            earned[share.owner] += share.amount
    amounts = [0] * len(pot.credits)
    for owner, amount in earned.items():
        places = [place for place, row in enumerate(pot.credits) if row.owner == owner]
        parts = _parts(amount, [pot.credits[place] for place in places])
        for place, part in zip(places, parts, strict=True):
            amounts[place] = part
    return tuple(amounts)


def _parts(amount: int, credits: Sequence[RowCredit]) -> list[int]:
    """Of nothing but zero influence (a pot paid by tokens) each record has an equal part."""
    weights = [max(0, row.influence) * row.kept_ppm for row in credits]
    if not any(weights):
        weights = [1] * len(credits)
    parts = [amount * weight // sum(weights) for weight in weights]
    parts[0] += amount - sum(parts)
    return parts


async def history(store: Store, record: bytes) -> History:
    """What did this record do?"""
    rounds = await store.query(
        "SELECT job, round, unit FROM credit_round WHERE record = ? ORDER BY job, round, unit",
        (record,),
    )
    answers = await store.query(
        "SELECT receipt, score FROM credit_answer WHERE record = ? ORDER BY receipt", (record,)
    )
    earned = await store.query(
        "SELECT pot, kind, subject, influence, kept_ppm, amount FROM credit_earned"
        " WHERE record = ? ORDER BY pot",
        (record,),
    )
    return History(
        record,
        tuple(RoundCredit(*row) for row in rounds),
        tuple(AnswerCredit(*row) for row in answers),
        tuple(_earning(row) for row in earned),
    )


def _earning(row: tuple[Any, ...]) -> Earning:
    pot, kind, subject, influence, kept_ppm, amount = row
    return Earning(pot, kind, subject, influence, kept_ppm, int(amount))
