"""What enters a pot's shares: only what the chain and the data say, up to a block that is past."""

from dataclasses import replace

import pytest

from attribution.split import Work, job_parts
from datanet.record import Record, record_id
from datanet.reveal import Reveal
from datanet.shard import Shard
from node import answers, jobs, pots
from node.attribute import Attributed
from node.context import Context
from node.data import Dataset, Opened
from node.jobs import Assigned
from node.receipts import receipt_checkers
from node.turns import Finished
from protocol.credit import Row
from protocol.ids import ZERO, Hash, content_id, model_id, unit_id
from protocol.messages import (
    RECEIPT,
    RECEIPT_CHECK,
    OpenedRecord,
    QueriesBody,
    Receipt,
    ScoresBody,
    UnitBody,
)
from protocol.params import OPEN, SIMNET
from tasks import draw
from tasks.entries import ChannelEntry, FeeEntry, Posted, ShardEntry, UnitEntry
from tasks.judge import Outcome
from tasks.lifecycle import State
from tests.node import bare

NAMES = ("ann", "bob", "cyd", "dan")
DATANET, CHANNEL = content_id(b"datanet"), content_id(b"channel")
ADAPTER = content_id(b"adapter")
MODEL = model_id(bare.operator("ann"), ADAPTER)
SAME = Record("", "one text of six words here")
TEXTS = (SAME, *(Record("", f"{word} stands alone among all") for word in ("red", "sun", "ox")))


def opened(name: str, block: int, texts: tuple[Record, ...], aside: tuple[int, ...]) -> Opened:
    ids = tuple(record_id(text) for text in texts)
    who = bare.operator(name)
    entry = ShardEntry(DATANET, who, content_id(who), block, block, 0)
    training = tuple((i, text) for i, text in enumerate(texts) if i not in aside)
    shard = Shard(who, DATANET, ZERO, len(ids), 1)
    return Opened(entry, Reveal(shard, ZERO, ids, ZERO, ZERO), aside, training)


DATASET = Dataset(
    (opened("ann", 10, (SAME, TEXTS[1]), (1,)), opened("bob", 20, (SAME, TEXTS[2]), (0,))),
    (
        Row(record_id(SAME), 0, DATANET, 1_000_000, 6),
        Row(record_id(TEXTS[2]), 1, DATANET, 1_000_000, 5),
    ),
    (SAME, TEXTS[2]),
    (),
    {},
)


@pytest.fixture
async def ctx() -> Context:
    ctx = bare.node("ann", NAMES, NAMES[:3])
    bare.at(ctx, 5_000)
    return ctx


@pytest.fixture
async def found(ctx: Context) -> Attributed:
    job = bare.job(ctx, "ann", DATANET)
    ctx.private["datasets"] = {job.id: DATASET}
    asked = QueriesBody(
        job.id,
        (
            OpenedRecord(record_id(TEXTS[1]), 0, DATANET, TEXTS[1]),
            OpenedRecord(record_id(SAME), 1, DATANET, SAME),
        ),
    )
    losses = ((3, 3), (2, 2))
    body = ScoresBody(job.id, ZERO, ZERO, ZERO, ZERO, ((5, 5), (5, 5)), losses, (2, 2))
    item = Finished(job, ADAPTER, 1_000, 1_000, (bare.operator("dan"),))
    post = Posted(bare.operator("dan"), ZERO, "", 1_500, 1_500, 0)
    return Attributed(item, post, asked, body, (bare.operator("cyd"),))


# -- queries ---


async def test_a_copy_among_the_queries_is_judged_at_its_own_place(found: Attributed) -> None:
    """One text is a training row of one shard and, later, a reserved record of another."""
    first, copy = pots.judged(DATASET, found.queries).queries
    assert first.kept_ppm == 1_000_000
    assert copy.kept_ppm == 0
    assert copy.near == {0}


async def test_a_row_that_copies_a_reserved_record_keeps_nothing(found: Attributed) -> None:
    """Sealed when the copy was committed and trained on; once it is opened the copy is known."""
    theft = Dataset(
        (opened("ann", 10, (SAME, TEXTS[1]), (1,)), opened("bob", 20, (TEXTS[1], TEXTS[2]), (1,))),
        (
            Row(record_id(SAME), 0, DATANET, 1_000_000, 6),
            Row(record_id(TEXTS[1]), 1, DATANET, 1_000_000, 5),
        ),
        (SAME, TEXTS[1]),
        (),
        {},
    )
    asked = QueriesBody(
        found.item.job.id,
        (
            OpenedRecord(record_id(TEXTS[1]), 0, DATANET, TEXTS[1]),
            OpenedRecord(record_id(TEXTS[2]), 1, DATANET, TEXTS[2]),
        ),
    )
    own, copy = pots.judged(theft, asked).rows
    assert own.kept_ppm == 1_000_000
    assert copy.kept_ppm == 0


# -- a job's work ---


def outcome_of(monkeypatch: pytest.MonkeyPatch, worker: str, state: State) -> None:
    """One unit in the only round, with this end."""

    async def outcomes(ctx: Context, job: jobs.Job, number: int) -> dict[Assigned, Outcome]:
        unit = unit_id(job.id, number, bare.operator(worker))
        return {Assigned(unit, bare.operator(worker), False): Outcome(state, "", 0)}

    monkeypatch.setattr(jobs, "outcomes", outcomes)


def unit_of(ctx: Context, job: jobs.Job, worker: str) -> UnitEntry:
    who = bare.operator(worker)
    entry = UnitEntry(unit_id(job.id, 0, who), job.id, who, 200, 200)
    entry.root, entry.anchor_block, entry.anchor_time = b"r", 300, 300
    ctx.board.units[entry.unit] = entry
    return entry


async def test_tokens_follow_from_the_data_and_not_from_the_worker(
    ctx: Context, found: Attributed, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = found.item.job
    outcome_of(monkeypatch, "dan", State.ACCEPTED)
    entry = unit_of(ctx, job, "dan")
    boast = UnitBody(entry.unit, job.id, 0, entry.operator, (), (), (), 10**18, ADAPTER, bytes(65))
    bare.post(ctx, "unit", entry.unit, "dan", ctx.put(boast), 301)
    shares = await pots.job_shares(ctx, found.item, found)
    hyper = job.spec.hyper
    beacon = await jobs.round_beacon(ctx, job, 0)
    assert beacon is not None
    batches = draw.batches(beacon, entry.unit, 2, hyper.steps, hyper.batch)
    tokens = sum(DATASET.rows[i].tokens for batch in batches for i in batch)
    reasons = [share.reason for share in shares.shares]
    assert f"verified tokens: {tokens} of {tokens}" in reasons


async def test_without_attribution_only_the_work_is_drawn(
    ctx: Context, found: Attributed, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome_of(monkeypatch, "dan", State.ACCEPTED)
    unit_of(ctx, found.item.job, "dan")
    shares = await pots.job_shares(ctx, found.item, None)
    assert shares.amount == sum(share.amount for share in shares.shares)
    assert shares.amount == found.item.job.spec.unit_pay
    assert {share.role for share in shares.shares} == {"worker"}


async def test_a_check_after_the_scores_changes_nothing(
    ctx: Context, found: Attributed, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome_of(monkeypatch, "dan", State.ACCEPTED)
    entry = unit_of(ctx, found.item.job, "dan")
    drawn = jobs.all_verifiers(await jobs.samples(ctx, found.item.job, entry))
    before = await pots.job_shares(ctx, found.item, found)
    late = Posted(drawn[0], ZERO, "ok", found.post.block + 1, 301, 0)
    entry.verdicts.append(late)
    assert await pots.job_shares(ctx, found.item, found) == before
    entry.verdicts[:] = [replace(late, block=400)]
    assert await pots.job_shares(ctx, found.item, found) != before


def test_work_parts_are_the_last_that_the_rule_lists() -> None:
    work = Work(1, {1: 1}, {2: 1}, (3,))
    parts = job_parts(100 * OPEN, SIMNET, OPEN, {}, frozenset(), work, {0: 1})
    roles = [part.role for part in parts[-pots.WORK_PARTS :]]
    assert roles == ["worker", "verifier", "aggregator"]


# -- answers ---


def receipt(ctx: Context, found: Attributed, number: int, **change: object) -> Receipt:
    made = Receipt(
        request=content_id(b"%d" % number),
        job=found.item.job.id,
        model=found.item.model,
        base_digest=ZERO,
        lineage=(),
        host=bare.operator("bob"),
        channel=CHANNEL,
        rule_version=1,
        fee=100,
        prompt="",
        answer="",
        base_answer="",
        max_tokens=1,
        tokens=1,
        scores=(9, 0),
        records=(),
        spans=(),
        signature=bytes(65),
    )
    return replace(made, **change)  # type: ignore[arg-type]


@pytest.fixture
def channel(ctx: Context) -> None:
    who = bare.operator("ann")
    ctx.board.channels[CHANNEL] = ChannelEntry(CHANNEL, who, bare.operator("bob"), 1_000, 1)


async def serve(
    ctx: Context, found: Attributed, blob: Hash, block: int, finding: str = "ok"
) -> None:
    """A receipt on chain, checked by everybody who was drawn; '' leaves it unchecked."""
    post = bare.post(ctx, RECEIPT, found.item.model, "bob", blob, block)
    for who in await receipt_checkers(ctx, found, post) if finding else ():
        name = next(n for n in NAMES if bare.operator(n) == who)
        bare.post(ctx, RECEIPT_CHECK, blob, name, blob, block + 5, finding)


def claim(ctx: Context, amount: int, block: int) -> None:
    part = amount * 6 // 10
    ctx.board.fees.append(FeeEntry(CHANNEL, MODEL, amount, 0, 0, part, 0, block, b""))


async def paid(ctx: Context, found: Attributed) -> list[tuple[bytes, int]]:
    return [
        (answer.answer.blob, answer.amount)
        for answer in await answers.paid_answers(ctx, found, CHANNEL)
    ]


async def test_a_receipt_after_the_claim_does_not_share_in_its_fee(
    ctx: Context, found: Attributed, channel: None
) -> None:
    first, second = (ctx.put(receipt(ctx, found, n, fee=50)) for n in (1, 2))
    await serve(ctx, found, first, 2_000)
    claim(ctx, 100, 2_010)
    alone = await paid(ctx, found)
    await serve(ctx, found, second, 2_020)
    assert alone == await paid(ctx, found) == [(first, 60)]


async def test_a_receipt_that_nobody_could_read_stops_nothing(
    ctx: Context, found: Attributed, channel: None
) -> None:
    blob = ctx.put(receipt(ctx, found, 1))
    await serve(ctx, found, content_id(b"withheld"), 1_900, finding="")
    await serve(ctx, found, ctx.seams.blobs.put(b"no receipt"), 1_950)
    await serve(ctx, found, blob, 2_000)
    claim(ctx, 100, 2_010)
    assert await paid(ctx, found) == [(blob, 60)]


async def test_a_fee_waits_for_the_receipts_before_it_that_are_still_judged(
    ctx: Context, found: Attributed, channel: None
) -> None:
    blob = ctx.put(receipt(ctx, found, 1))
    await serve(ctx, found, blob, 4_900, finding="")
    claim(ctx, 100, 4_950)
    assert await paid(ctx, found) == []


@pytest.mark.parametrize(
    "change",
    [{"host": bytes(20)}, {"channel": ZERO}, {"model": ADAPTER}, {"job": ZERO}, {"fee": -5}],
)
async def test_a_receipt_of_something_else_is_not_paid(
    ctx: Context, found: Attributed, channel: None, change: dict[str, object]
) -> None:
    await serve(ctx, found, ctx.put(receipt(ctx, found, 1, **change)), 2_000)
    claim(ctx, 100, 2_010)
    assert await paid(ctx, found) == []


async def test_scores_of_another_length_move_nothing(
    ctx: Context, found: Attributed, channel: None
) -> None:
    await serve(ctx, found, ctx.put(receipt(ctx, found, 1, scores=(9,))), 2_000)
    claim(ctx, 100, 2_010)
    (answer,) = await answers.paid_answers(ctx, found, CHANNEL)
    shares = await answers.answer_shares(ctx, answer)
    assert [share.role for share in shares.shares] == ["treasury"]
