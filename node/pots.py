"""What each pot pays to whom: a job's escrow and every answer's fee, from what the chain and the bodies say.

Pure reading: every aggregator derives the same shares. The rule itself is ``attribution/split.py``.
"""

from collections import Counter
from dataclasses import dataclass

from eth_utils.crypto import keccak

from attribution.split import (
    Part,
    Query,
    Work,
    answer_influence,
    answer_noise,
    divide,
    job_influence,
    job_parts,
    owner_weights,
    split_pot,
)
from datanet.precedence import Placed, Precedence
from node import data, jobs
from node.attribute import Attributed, Finished, attributed
from node.context import Context
from node.data import Dataset
from node.serve import receipt_checkers
from protocol.credit import Row
from protocol.errors import LocalError
from protocol.ids import job_round
from protocol.messages import (
    RECEIPT,
    RECEIPT_CHECK,
    ROUND,
    UNIT,
    PotShares,
    QueriesBody,
    Receipt,
    RowCredit,
    UnitBody,
)
from settlement.claims import pot_id
from tasks.entries import FeeEntry, Posted, UnitEntry
from tasks.judge import counted
from tasks.lifecycle import State

PPM = 1_000_000


def owner(ctx: Context, operator: bytes) -> int:
    """An operator's owner index. Raises LocalError: everyone who works registers first."""
    index = ctx.board.index_of(operator)
    if index is None:
        raise LocalError("not-an-owner", f"operator {operator.hex()} has no owner index")
    return index


# -- a job's pot ---


async def job_shares(ctx: Context, item: Finished, found: Attributed | None) -> PotShares:
    """A job's escrow divided; without an accepted attribution it is paid by verified tokens."""
    pot, treasury = item.job.spec.escrow, owner(ctx, ctx.network.treasury)
    weights: dict[int, int] = {}
    credits: tuple[RowCredit, ...] = ()
    private: frozenset[int] = frozenset()
    if found is not None:
        weights, credits = await _influence(ctx, found)
        private = _add_private(ctx, item, found, weights)
    work, extra = await _work(ctx, item, found)
    builder = {owner(ctx, item.job.spec.builder): 1}
    parts = job_parts(pot, ctx.params, item.job.spec.unit_pay, weights, private, work, builder)
    left = pot - sum(part.amount for part in parts)
    shares = split_pot(pot, [*parts, *(_capped(part, left) for part in extra)], treasury)
    return PotShares(item.job.id, "job", item.job.id, pot, shares, credits)


def _capped(part: Part, left: int) -> Part:
    return Part(part.role, min(part.amount, left), part.weights, part.reason)


async def _influence(
    ctx: Context, found: Attributed
) -> tuple[dict[int, int], tuple[RowCredit, ...]]:
    dataset = await data.dataset(ctx, found.item.job)
    asked = judged_queries(dataset, found.queries)
    worth = job_influence(dataset.rows, asked, found.body.scores, _operators(ctx))
    return owner_weights(dataset.rows, worth), _credits(dataset.rows, worth)


def _credits(rows: tuple[Row, ...], worth: tuple[int, ...]) -> tuple[RowCredit, ...]:
    return tuple(
        RowCredit(row.record, row.owner, value, row.kept_ppm)
        for row, value in zip(rows, worth, strict=True)
    )


def _operators(ctx: Context) -> dict[int, int]:
    """Owner index -> the first index with the same payout address: one party, several keys."""
    first: dict[bytes, int] = {}
    return {
        index: first.setdefault(ctx.board.payouts[operator], index)
        for index, operator in enumerate(ctx.board.owners)
    }


def judged_queries(dataset: Dataset, opened: QueriesBody) -> list[Query]:
    """Each opened query with what it keeps in commit order and the rows that its text overlaps."""
    asked = {entry.record: entry for entry in opened.records}
    placed: list[Placed] = []
    for shard in dataset.shards:
        texts = dict(shard.training)
        for index, record in enumerate(shard.reveal.ids):
            text = texts.get(index) or (asked[record].text if record in asked else None)
            if text is not None:
                order = (shard.entry.block, shard.entry.log_index, index)
                placed.append(Placed(order, shard.entry.owner, text))
    precedence = Precedence()
    kept = {k.record: k for k in (precedence.place(p) for p in placed)}
    positions = {row.record: i for i, row in enumerate(dataset.rows)}
    near: dict[bytes, set[int]] = {record: set() for record in asked}
    for found in kept.values():
        for earlier in found.yielded:
            for query, other in ((found.record, earlier.record), (earlier.record, found.record)):
                if query in near and other in positions:
                    near[query].add(positions[other])
    return [
        Query(e.owner, e.datanet, kept[e.record].kept_ppm, frozenset(near[e.record]))
        for e in opened.records
    ]


def _add_private(
    ctx: Context, item: Finished, found: Attributed, weights: dict[int, int]
) -> frozenset[int]:
    """Private owners weigh by the share of the held-out gain that vanishes without their updates."""
    home = jobs.home_owners(ctx, item.job)
    start = sum(loss.by_round_micro[0] for loss in found.body.losses)
    final = sum(loss.by_round_micro[-1] for loss in found.body.losses)
    without = sum(found.body.without_private_micro)
    gain, lost = max(0, start - final), max(0, without - final)
    open_weight = sum(weights.values())
    if not home or not gain or not lost or not open_weight:
        return frozenset()
    share_ppm = min(lost * PPM // gain, PPM // 2)
    together = open_weight * share_ppm // (PPM - share_ppm)
    indices = frozenset(owner(ctx, operator) for operator in home)
    for index in sorted(indices):
        weights[index] = weights.get(index, 0) + together // len(indices)
    return indices


async def _work(ctx: Context, item: Finished, found: Attributed | None) -> tuple[Work, list[Part]]:
    """Verified work of a job: units and tokens, checks that agree with the outcome, merges, rows."""
    tokens: Counter[int] = Counter()
    checks: Counter[int] = Counter()
    units = 0
    for number in range(item.job.spec.rounds):
        for unit, result in (await jobs.outcomes(ctx, item.job, number) or {}).items():
            entry = jobs.entry_of(ctx, item.job, unit)
            if entry is None or unit.home:
                continue
            checks.update(await _good_checks(ctx, item, entry, result.state))
            if result.state is State.ACCEPTED:
                units += 1
                tokens[owner(ctx, unit.worker)] += await _tokens(ctx, entry)
    extra = []
    if found is not None:
        checks.update(owner(ctx, operator) for operator in found.checkers)
        worker = {owner(ctx, found.post.operator): 1}
        extra.append(Part("worker", item.job.spec.unit_pay, worker, "influence rows and scores"))
    agreed = ctx.board.posted(ROUND, job_round(item.job.id, item.job.last_round))
    until = found.post.block if found is not None else item.block  # a later merge changes nothing
    signers = {p.operator for p in agreed if p.value == item.adapter and p.block <= until}
    signers &= set(ctx.board.seats)
    work = Work(units, tokens, checks, tuple(sorted(owner(ctx, s) for s in signers)))
    return work, extra


async def _good_checks(ctx: Context, item: Finished, entry: UnitEntry, state: State) -> list[int]:
    """Owner indices of verifiers and committee members whose finding the outcome bore out."""
    deadline = entry.anchor_time + ctx.params.judge_seconds
    drawn = jobs.all_verifiers(await jobs.samples(ctx, item.job, entry))
    members = await jobs.committee(ctx, item.job, entry)
    posts = [
        *counted(entry.verdicts, drawn, deadline).values(),
        *counted(entry.rulings, members, deadline + ctx.params.judge_seconds).values(),
    ]
    right = {State.ACCEPTED: (True,), State.FAILED: (False,)}.get(state, ())
    return [owner(ctx, p.operator) for p in posts if (p.finding == "ok") in right]


async def _tokens(ctx: Context, entry: UnitEntry) -> int:
    for post in ctx.board.posted(UNIT, entry.unit):
        if post.operator == entry.operator:
            return (await ctx.fetch_value(UnitBody, post.value, entry.operator)).tokens
    return 0


# -- an answer's pot ---


@dataclass(frozen=True, slots=True)
class PaidAnswer:
    """A receipt whose fee was claimed; ``amount`` is its contributors' part."""

    blob: bytes
    receipt: Receipt
    found: Attributed
    pot: bytes
    amount: int
    good: bool


async def paid_answers(ctx: Context, item: Finished) -> list[PaidAnswer]:
    """Receipts of an adapter whose fee has arrived and whose drawn verifiers have answered."""
    found = await attributed(ctx, item)
    if found is None:
        return []
    answers = []
    waiting = await _receipts(ctx, item)
    for fee in ctx.board.fees:
        if fee.asset != item.adapter:
            continue
        covered = _covered(waiting, fee)
        parts = divide(fee.contributors, {i: r.fee for i, (_, r) in enumerate(covered)})
        for i, (post, receipt) in enumerate(covered):
            waiting.remove((post, receipt))
            good = await _checked(ctx, found, post)
            if good is not None:
                pot = fee_pot(ctx, fee.channel, fee.asset)
                answers.append(PaidAnswer(post.value, receipt, found, pot, parts.get(i, 0), good))
    return answers


async def _receipts(ctx: Context, item: Finished) -> list[tuple[Posted, Receipt]]:
    found = []
    for post in ctx.board.posted(RECEIPT, item.adapter):
        receipt = await ctx.fetch_value(Receipt, post.value, post.operator)
        channel = ctx.board.channels.get(receipt.channel)
        if channel is not None and channel.host == post.operator == receipt.host:
            found.append((post, receipt))
    return found


def _covered(waiting: list[tuple[Posted, Receipt]], fee: FeeEntry) -> list[tuple[Posted, Receipt]]:
    """The oldest open receipts of the channel that one claimed fee pays for."""
    covered, left = [], fee.amount
    for post, receipt in waiting:
        if receipt.channel == fee.channel and 0 < receipt.fee <= left:
            covered.append((post, receipt))
            left -= receipt.fee
    return covered


async def _checked(ctx: Context, found: Attributed, post: Posted) -> bool | None:
    """Whether a receipt stands; None while its verifiers may still answer."""
    drawn = await receipt_checkers(ctx, found, post)
    deadline = post.time + ctx.params.attribute_seconds
    seen = counted(ctx.board.posted(RECEIPT_CHECK, post.value), drawn, deadline)
    if not drawn or (len(seen) < len(drawn) and ctx.head.time <= deadline):
        return None
    return bool(seen) and all(p.finding == "ok" for p in seen.values())


def fee_pot(ctx: Context, channel: bytes, asset: bytes) -> bytes:
    """The pot that ``InferenceChannels`` fills for an asset in a channel."""
    funder = ctx.seams.chain.address("InferenceChannels")
    return pot_id(funder, keccak(channel + asset))


async def answer_shares(ctx: Context, answer: PaidAnswer) -> PotShares:
    """One answer's contributors' part, by that answer's scores alone; what moved nothing is the treasury's."""
    found, receipt = answer.found, answer.receipt
    dataset = await data.dataset(ctx, found.item.job)
    asked = judged_queries(dataset, found.queries)
    floor = answer_noise(dataset.rows, asked, found.body.scores)
    worth = answer_influence(receipt.scores, floor) if answer.good else (0,) * len(dataset.rows)
    weights = owner_weights(dataset.rows, worth)
    part = Part("contributor", answer.amount, weights, "influence on the answer")
    shares = split_pot(answer.amount, [part], owner(ctx, ctx.network.treasury))
    credits = _credits(dataset.rows, worth)
    return PotShares(answer.pot, "answer", answer.blob, answer.amount, shares, credits)
