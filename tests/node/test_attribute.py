"""Whose turn it is, what an opening is, and which scores can count."""

from dataclasses import dataclass, replace

import pytest

from datanet.record import Record, record_id
from datanet.reveal import Reveal
from datanet.shard import Shard
from node.context import Context
from node.data import Dataset, Opened
from node.published import read_queries, read_scores, reserved_records
from node.turns import Finished, current
from protocol.codec import pack
from protocol.credit import Row
from protocol.errors import Reject
from protocol.ids import ZERO, Hash, content_id
from protocol.messages import (
    QUERIES,
    ROWS,
    SCORED,
    SCORES,
    OpenedRecord,
    QueriesBody,
    ScoresBody,
)
from protocol.params import SIMNET
from tasks.entries import Posted, ShardEntry
from tests.node import bare

NAMES = ("ann", "bob", "cyd", "dan", "eve", "fay")
SEATS = ("ann", "bob", "cyd")
DATANET = content_id(b"datanet")
STEP = SIMNET.attribute_seconds
START = 1_000
TEXTS = tuple(Record("", f"text number {n}") for n in range(4))
SAME = Record("", "the same words in two shards")


def shard(name: str, block: int, texts: tuple[Record, ...], aside: tuple[int, ...]) -> Opened:
    """A shard as it was opened; ``aside`` are its reserved records."""
    ids = tuple(record_id(text) for text in texts)
    who = bare.operator(name)
    entry = ShardEntry(DATANET, who, content_id(pack(texts[0]) + who), block, block, 0)
    reveal = Reveal(Shard(who, DATANET, ZERO, len(ids), 1), ZERO, ids, ZERO, ZERO)
    training = tuple((i, text) for i, text in enumerate(texts) if i not in aside)
    return Opened(entry, reveal, aside, training)


@dataclass
class Case:
    """A finished job at a node, with the blob ids of an honest attribution."""

    ctx: Context
    item: Finished
    queries: Hash = ZERO
    asked: QueriesBody | None = None

    def rows(self, turn: int, block: int) -> Posted:
        return self._post(ROWS, self.item.order[turn], content_id(b"rows"), block)

    def opening(self, block: int) -> None:
        for seat in SEATS[:2]:
            self._post(QUERIES, bare.operator(seat), self.queries, block)

    def scores(self, turn: int, block: int, body: ScoresBody | None = None) -> Posted:
        blob = self.ctx.put(body or self.body())
        return self._post(SCORES, self.item.order[turn], blob, block)

    def body(self) -> ScoresBody:
        losses = ((3, 4), (2, 1))
        table = ((5, -1),) * 2
        rows = content_id(b"rows")
        return ScoresBody(self.item.job.id, rows, self.queries, ZERO, ZERO, table, losses, (2, 2))

    def _post(self, kind: str, who: bytes, value: bytes, block: int) -> Posted:
        name = next(n for n in NAMES if bare.operator(n) == who)
        return bare.post(self.ctx, kind, self.item.job.id, name, value, block)

    async def drawn(self) -> list[str]:
        turn = await current(self.ctx, self.item)
        assert turn is not None
        return [n for n in NAMES if bare.operator(n) in turn.drawn]

    def check(self, scores: Posted, name: str, finding: str, block: int) -> None:
        bare.post(self.ctx, SCORED, scores.value, name, ZERO, block, finding)


@pytest.fixture
async def case() -> Case:
    """Two owners; each reserved one record, and both the same text; three workers may attribute."""
    ctx = bare.node("ann", NAMES, SEATS)
    job = bare.job(ctx, "ann", DATANET)
    shards = (
        shard("ann", 10, (TEXTS[0], SAME), (1,)),
        shard("bob", 20, (SAME, TEXTS[1]), (0,)),
    )
    rows = tuple(
        Row(record_id(text), owner, DATANET, 1_000_000, 3) for owner, text in enumerate(TEXTS[:2])
    )
    dataset = Dataset(shards, rows, TEXTS[:2], (), {})
    ctx.private["datasets"] = {job.id: dataset}
    order = tuple(bare.operator(name) for name in ("dan", "eve", "fay"))
    made = Case(ctx, Finished(job, content_id(b"adapter"), START, START, order))
    made.asked = QueriesBody(
        job.id,
        tuple(OpenedRecord(r, o, d, SAME) for r, o, d in reserved_records(ctx, dataset)),
    )
    made.queries = ctx.put(made.asked)
    return made


# -- turns ---


async def test_the_next_worker_takes_over_when_the_first_is_silent(case: Case) -> None:
    bare.at(case.ctx, START + STEP)
    turn = await current(case.ctx, case.item)
    assert turn is not None and turn.worker == case.item.order[0]
    bare.at(case.ctx, START + STEP + 1)
    turn = await current(case.ctx, case.item)
    assert turn is not None and turn.worker == case.item.order[1]


async def test_rows_without_scores_end_with_their_turn(case: Case) -> None:
    case.rows(0, START + 1)
    case.opening(START + 2)
    bare.at(case.ctx, START + 2 + STEP)
    turn = await current(case.ctx, case.item)
    assert turn is not None and turn.worker == case.item.order[0] and turn.scores is None
    bare.at(case.ctx, START + 3 + STEP)
    turn = await current(case.ctx, case.item)
    assert turn is not None and turn.worker == case.item.order[1] and turn.rows is None


async def judged(case: Case, turn: int, start: int, findings: tuple[str, ...]) -> None:
    """A turn in which everything is published and the drawn verifiers say this."""
    case.rows(turn, start + 1)
    if turn == 0:
        case.opening(start + 2)
    scores = case.scores(turn, start + 3, replace(case.body(), evidence=content_id(b"%d" % turn)))
    bare.at(case.ctx, start + 10)
    for name, finding in zip(await case.drawn(), findings, strict=False):
        case.check(scores, name, finding, start + 5)


async def test_scores_that_all_drawn_verifiers_accept_stand(case: Case) -> None:
    await judged(case, 0, START, ("ok", "ok"))
    turn = await current(case.ctx, case.item)
    assert turn is not None and len(turn.accepted_by) == SIMNET.verifiers


async def test_one_accusing_verifier_only_calls_the_next_worker(case: Case) -> None:
    await judged(case, 0, START, ("ok", "B"))
    turn = await current(case.ctx, case.item)
    assert turn is not None and turn.worker == case.item.order[1]
    await judged(case, 1, START + 5, ("ok", "ok"))
    turn = await current(case.ctx, case.item)
    assert turn is not None and turn.worker == case.item.order[1] and turn.accepted_by


async def test_an_attribution_fails_only_when_every_worker_had_its_turn(case: Case) -> None:
    bare.at(case.ctx, START + 3 * STEP)
    assert await current(case.ctx, case.item) is not None
    bare.at(case.ctx, START + 3 * STEP + 1)
    assert await current(case.ctx, case.item) is None


async def test_scores_still_being_checked_are_waited_for(case: Case) -> None:
    case.rows(0, START + 1)
    case.opening(START + 2)
    case.scores(0, START + 2 + STEP)
    bare.at(case.ctx, START + 2 + 2 * STEP)
    turn = await current(case.ctx, case.item)
    assert turn is not None and turn.scores is not None and turn.failed_at is None


async def test_accepted_scores_of_the_wrong_form_do_not_count(case: Case) -> None:
    case.rows(0, START + 1)
    case.opening(START + 2)
    scores = case.scores(0, START + 3, replace(case.body(), losses=((3, 4),)))
    bare.at(case.ctx, START + 10)
    for name in await case.drawn():
        case.check(scores, name, "ok", START + 5)
    turn = await current(case.ctx, case.item)
    assert turn is not None and turn.worker == case.item.order[1]


# -- openings ---


async def test_one_seat_alone_opens_nothing(case: Case) -> None:
    case.rows(0, START + 1)
    bare.post(case.ctx, QUERIES, case.item.job.id, "cyd", content_id(b"nowhere"), START + 2)
    bare.at(case.ctx, START + 3)
    turn = await current(case.ctx, case.item)
    assert turn is not None and turn.opening is None
    case.opening(START + 4)
    turn = await current(case.ctx, case.item)
    assert turn is not None and turn.opening is not None and turn.opening.value == case.queries


async def test_a_text_reserved_in_two_shards_is_opened_twice(case: Case) -> None:
    post = Posted(bare.operator("ann"), case.queries, "", 1, 1, 0)
    body = await read_queries(case.ctx, case.item.job, post)
    assert [entry.owner for entry in body.records] == [0, 1]
    assert len({entry.record for entry in body.records}) == 1


@pytest.mark.parametrize("fault", ["one left out", "one twice", "another owner", "another text"])
async def test_an_opening_with_a_fault_is_none(case: Case, fault: str) -> None:
    assert case.asked is not None
    first, second = case.asked.records
    records = {
        "one left out": (first,),
        "one twice": (first, first),
        "another owner": (first, replace(second, owner=2)),
        "another text": (first, replace(second, text=TEXTS[3])),
    }[fault]
    blob = case.ctx.put(replace(case.asked, records=records))
    with pytest.raises(Reject):
        await read_queries(case.ctx, case.item.job, Posted(bare.operator("ann"), blob, "", 1, 1, 0))


# -- scores ---


@pytest.mark.parametrize(
    "change",
    [
        {"losses": ()},
        {"losses": ((3, 4),)},
        {"losses": ((3, 4), (2, 1), (2, 1))},
        {"losses": ((3, 4), (2,))},
        {"losses": ((3, 4), (2, -1))},
        {"without_private": ()},
        {"without_private": (2, 2, 2)},
        {"without_private": (2, -2)},
        {"scores": ((1, 2),)},
        {"scores": ((1, 2), (1,))},
        {"rows": ZERO},
    ],
)
async def test_scores_of_the_wrong_form_are_refused(case: Case, change: dict[str, object]) -> None:
    rows, opening = case.rows(0, START + 1), Posted(b"", case.queries, "", 1, 1, 0)
    good = case.scores(0, START + 3)
    assert await read_scores(case.ctx, case.item.job, good, rows, opening) == case.body()
    bad = case.scores(0, START + 3, replace(case.body(), **change))  # type: ignore[arg-type]
    with pytest.raises(Reject):
        await read_scores(case.ctx, case.item.job, bad, rows, opening)
