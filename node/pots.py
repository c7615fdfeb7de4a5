"""What a job's pot pays to whom, from what the chain and the bodies say. Answers: ``node/answers.py``.

Pure reading: every aggregator derives the same shares. The rule itself is ``attribution/split.py``.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from attribution.split import (
    Part,
    Query,
    Work,
    job_influence,
    job_parts,
    owner_weights,
    split_pot,
)
from datanet import precedence
from datanet.precedence import Kept, Placed
from datanet.record import Record
from node import data, jobs
from node.attribute import Attributed, Finished
from node.context import Context
from node.data import Dataset
from node.jobs import Job
from node.losses import total
from protocol.credit import Row
from protocol.errors import LocalError
from protocol.ids import job_round
from protocol.messages import ROUND, PotShares, QueriesBody, RowCredit
from tasks import draw
from tasks.entries import UnitEntry
from tasks.judge import counted, verdicts
from tasks.lifecycle import State

PPM = 1_000_000
WORK_PARTS = 3  # workers, verifiers, aggregators: the last parts of ``job_parts``


def owner(ctx: Context, operator: bytes) -> int:
    """An operator's owner index. Raises LocalError: everyone who works registers first."""
    index = ctx.board.index_of(operator)
    if index is None:
        raise LocalError("not-an-owner", f"operator {operator.hex()} has no owner index")
    return index


# -- a job's pot ---


async def job_shares(ctx: Context, item: Finished, found: Attributed | None) -> PotShares:
    """A job's escrow divided. When every turn of its attribution failed only the work is drawn; the rest
    goes back to the funder, so that nobody who can make an attribution fail gains by it.
    """
    pot, treasury = item.job.spec.escrow, owner(ctx, ctx.network.treasury)
    work = await _work(ctx, item, found)
    if found is None:
        return _work_shares(ctx, item, work, treasury)
    weights, credits = await _influence(ctx, found)
    private = _add_private(ctx, item, found, weights)
    parts = _parts(ctx, item, weights, private, work)
    left = pot - sum(part.amount for part in parts)
    pay = min(left, item.job.spec.unit_pay)
    worker = {owner(ctx, found.post.operator): 1}
    rows = Part("worker", pay, worker, "influence rows and scores")
    shares = split_pot(pot, [*parts, rows], treasury)
    return PotShares(item.job.id, "job", item.job.id, pot, shares, credits)


def _work_shares(ctx: Context, item: Finished, work: Work, treasury: int) -> PotShares:
    parts = _parts(ctx, item, {}, frozenset(), work)[-WORK_PARTS:]
    amount = sum(part.amount for part in parts)
    shares = split_pot(amount, parts, treasury)
    return PotShares(item.job.id, "job", item.job.id, amount, shares, ())


def _parts(
    ctx: Context, item: Finished, weights: dict[int, int], private: frozenset[int], work: Work
) -> tuple[Part, ...]:
    spec = item.job.spec
    builder = {owner(ctx, spec.builder): 1}
    return job_parts(
        spec.escrow,
        ctx.params_at(item.job.pot.time),
        spec.unit_pay,
        weights,
        private,
        work,
        builder,
    )


async def _influence(
    ctx: Context, found: Attributed
) -> tuple[dict[int, int], tuple[RowCredit, ...]]:
    at = judged(await data.dataset(ctx, found.item.job), found.queries)
    parties = _operators(ctx, found.item.job.pot.block)
    worth = job_influence(at.rows, at.queries, found.body.scores, parties)
    return owner_weights(at.rows, worth), row_credits(at.rows, worth)


def row_credits(rows: tuple[Row, ...], worth: tuple[int, ...]) -> tuple[RowCredit, ...]:
    return tuple(
        RowCredit(row.record, row.owner, value, row.kept_ppm)
        for row, value in zip(rows, worth, strict=True)
    )


def _operators(ctx: Context, block: int) -> dict[int, int]:
    """Owner index -> the first index with the same payout address at a block: one party, several keys."""
    first: dict[bytes | None, int] = {}
    return {
        index: first.setdefault(ctx.board.payout(operator, block), index)
        for index, operator in enumerate(ctx.board.owners)
        if ctx.board.payout(operator, block) is not None
    }


@dataclass(frozen=True, slots=True)
class Judged:
    """A job's rows and queries with what each keeps once every committed text is known.

    Rows keep less than in the training set when they copy what was reserved: that text was sealed then.
    """

    rows: tuple[Row, ...]
    queries: tuple[Query, ...]


def judged(dataset: Dataset, opened: QueriesBody) -> Judged:
    """All records placed in commit order; each query with the rows that its text overlaps.

    A place is (shard, index): one text may be reserved in one shard and stand in another.
    """
    reserved = [(s, i) for s, shard in enumerate(dataset.shards) for i in shard.aside]
    asked = dict(zip(reserved, opened.records, strict=True))
    kept = _placed(dataset, {place: entry.text for place, entry in asked.items()})
    near = _near(dataset, kept.values())
    places = [(s, i) for s, shard in enumerate(dataset.shards) for i, _ in shard.training]
    rows = tuple(
        replace(row, kept_ppm=kept[place].kept_ppm)
        for row, place in zip(dataset.rows, places, strict=True)
    )
    queries = tuple(
        Query(e.owner, e.datanet, kept[place].kept_ppm, frozenset(near[e.record]))
        for place, e in asked.items()
    )
    return Judged(rows, queries)


def _placed(
    dataset: Dataset, queries: dict[tuple[int, int], Record]
) -> dict[tuple[int, int], Kept]:
    """What every training record and query keeps, by place, decided in commit order."""
    placed: dict[tuple[int, int], Placed] = {}
    for s, shard in enumerate(dataset.shards):
        texts = dict(shard.training)
        for index in range(len(shard.reveal.ids)):
            text = texts[index] if index in texts else queries[s, index]
            order = (shard.entry.block, shard.entry.log_index, index)
            placed[s, index] = Placed(order, shard.entry.owner, text)
    kept = precedence.place_all(tuple(placed.values()), dataset.most_words)
    return dict(zip(placed, kept, strict=True))


def _near(dataset: Dataset, kept: Iterable[Kept]) -> dict[bytes, set[int]]:
    """Positions of the training rows that a text yielded to, or that yielded to it, by record id."""
    positions: defaultdict[bytes, set[int]] = defaultdict(set)
    for position, row in enumerate(dataset.rows):
        positions[row.record].add(position)
    near: defaultdict[bytes, set[int]] = defaultdict(set)
    for one in kept:
        for other in one.yielded:
            near[one.record] |= positions[other.record]
            near[other.record] |= positions[one.record]
    return near


def _add_private(
    ctx: Context, item: Finished, found: Attributed, weights: dict[int, int]
) -> frozenset[int]:
    """Private owners weigh by the share of the held-out gain that vanishes without their updates."""
    home = jobs.home_owners(ctx, item.job)
    lines = (found.body.losses[0], found.body.losses[-1], found.body.without_private)
    start, final, without = (total(found.queries, line) for line in lines)
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


async def _work(ctx: Context, item: Finished, found: Attributed | None) -> Work:
    """Verified work of a job: units and tokens, checks that agree with the outcome, merges.

    Only posts up to the accepted scores count (without any: up to the last round), so that a late
    one changes nothing.
    """
    until = found.post.block if found is not None else item.block
    tokens: Counter[int] = Counter()
    checks: Counter[int] = Counter()
    units = 0
    for number in range(item.job.spec.rounds):
        for unit, result in (await jobs.outcomes(ctx, item.job, number) or {}).items():
            entry = jobs.entry_of(ctx, item.job, unit)
            if entry is None or unit.home:
                continue
            checks.update(await _good_checks(ctx, item.job, entry, result.state, until))
            if result.state is State.ACCEPTED:
                units += 1
                tokens[owner(ctx, unit.worker)] += await _tokens(ctx, item.job, number, unit.unit)
    if found is not None:
        checks.update(owner(ctx, operator) for operator in found.checkers)
    return Work(units, tokens, checks, _signers(ctx, item, until))


def _signers(ctx: Context, item: Finished, until: int) -> tuple[int, ...]:
    """Owner indices of the seats that merged the last round to the agreed adapter."""
    agreed = ctx.board.posted(ROUND, job_round(item.job.id, item.job.last_round))
    signers = {p.operator for p in agreed if p.value == item.adapter and p.block <= until}
    return tuple(sorted(owner(ctx, seat) for seat in signers & set(ctx.board.seats)))


async def _good_checks(
    ctx: Context, job: Job, entry: UnitEntry, state: State, until: int
) -> list[int]:
    """Owner indices of verifiers and committee members whose finding the outcome bore out."""
    deadline = entry.anchor_time + ctx.params.judge_seconds
    drawn = jobs.all_verifiers(await jobs.samples(ctx, job, entry))
    members = await jobs.committee(ctx, job, entry)
    posts = [
        *counted(verdicts(entry), drawn, deadline).values(),
        *counted(entry.rulings, members, deadline + ctx.params.judge_seconds).values(),
    ]
    right = {State.ACCEPTED: (True,), State.FAILED: (False,)}.get(state, ())
    return [
        owner(ctx, p.operator) for p in posts if p.block <= until and (p.finding == "ok") in right
    ]


async def _tokens(ctx: Context, job: Job, number: int, unit: bytes) -> int:
    """Tokens in the batches that beacon and data assign to a unit; its worker's own count is not asked."""
    dataset, beacon = await data.dataset(ctx, job), await jobs.round_beacon(ctx, job, number)
    assert beacon is not None, "an accepted unit was assigned by its round's beacon"
    hyper = job.spec.hyper
    sizes = [min(dataset.rows[i].tokens, hyper.max_tokens) for i in dataset.trained]
    batches = draw.batches(beacon, unit, len(sizes), hyper.steps, hyper.batch)
    return sum(sizes[i] for batch in batches for i in batch)
