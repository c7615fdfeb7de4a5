"""What each paid answer's pot pays to whom. Pure reading: every aggregator derives the same shares.

A claimed fee covers the host's oldest receipts of its channel that were posted before the claim and that a
drawn verifier could read. So a host that withholds a receipt stops its own channel and nothing else.
"""

from dataclasses import dataclass

from eth_utils.crypto import keccak

from attribution.split import (
    Part,
    answer_influence,
    answer_noise,
    divide,
    owner_weights,
    split_pot,
)
from node import data
from node.attribute import Attributed
from node.context import Context
from node.data import read
from node.pots import Judged, judged, owner, row_credits
from node.receipts import receipt_checkers
from protocol.errors import Reject
from protocol.messages import RECEIPT, RECEIPT_CHECK, PotShares, Receipt
from settlement.claims import pot_id
from tasks.entries import FeeEntry, Posted
from tasks.judge import counted


@dataclass(frozen=True, slots=True)
class Answer:
    """A readable receipt with the block of its post; ``good``: all verifiers who answered agree."""

    blob: bytes
    block: int
    receipt: Receipt
    good: bool


@dataclass(frozen=True, slots=True)
class PaidAnswer:
    """An answer whose fee was claimed; ``amount`` is its contributors' part."""

    answer: Answer
    found: Attributed
    pot: bytes
    amount: int


def paying_channels(ctx: Context, model: bytes) -> list[bytes]:
    """Channels from which fees of a model were claimed."""
    return list(dict.fromkeys(fee.channel for fee in ctx.board.fees if fee.asset == model))


async def paid_answers(ctx: Context, found: Attributed, channel: bytes) -> list[PaidAnswer]:
    """A channel's receipts whose fee has arrived, as far as their verifiers have answered."""
    model = found.item.model
    fees = [fee for fee in ctx.board.fees if (fee.channel, fee.asset) == (channel, model)]
    waiting, open_from = await _answers(ctx, found, channel)
    paid: list[PaidAnswer] = []
    for fee in fees:
        if open_from is not None and fee.block >= open_from:
            break  # what it covers depends on a receipt that is still judged
        covered = _covered(waiting, fee)
        parts = divide(fee.contributors, {i: a.receipt.fee for i, a in enumerate(covered)})
        pot = fee_pot(ctx, fee.channel, fee.asset)
        paid += [PaidAnswer(a, found, pot, parts.get(i, 0)) for i, a in enumerate(covered)]
        waiting = [answer for answer in waiting if answer not in covered]
    return paid


async def _answers(
    ctx: Context, found: Attributed, channel: bytes
) -> tuple[list[Answer], int | None]:
    """Judged receipts of a channel in chain order, and the block of the first that is still judged."""
    entry = ctx.board.channels.get(channel)
    posts = {post.value: post for post in reversed(ctx.board.posted(RECEIPT, found.item.model))}
    answers: list[Answer] = []
    for post in sorted(posts.values(), key=lambda p: (p.block, p.log_index)):
        if entry is None or post.operator != entry.host:
            continue
        findings = await _findings(ctx, found, post)
        if findings is None:
            return answers, post.block
        answer = await _answer(ctx, found, post, findings) if findings else None
        if answer is not None and answer.receipt.channel == channel:
            answers.append(answer)
    return answers, None


async def standing(ctx: Context, found: Attributed, post: Posted) -> bool | None:
    """Whether no drawn verifier found a receipt wrong; None while they may still answer."""
    findings = await _findings(ctx, found, post)
    return None if findings is None else all(finding == "ok" for finding in findings)


async def _findings(ctx: Context, found: Attributed, post: Posted) -> list[str] | None:
    """What drawn verifiers said of a receipt in time; None while they may still answer."""
    drawn = await receipt_checkers(ctx, found, post)
    deadline = post.time + ctx.params.attribute_seconds
    seen = counted(ctx.board.posted(RECEIPT_CHECK, post.value), drawn, deadline)
    if len(seen) < max(1, len(drawn)) and ctx.head.time <= deadline:
        return None
    return [check.finding for check in seen.values()]


async def _answer(
    ctx: Context, found: Attributed, post: Posted, findings: list[str]
) -> Answer | None:
    """A checked receipt, None when it is not one of this job's answers by this host."""
    try:
        receipt = await read(ctx, Receipt, post.value, post.operator)
    except Reject as verdict:
        ctx.note("settle", f"receipt does not count: {verdict.reason}")
        return None
    named = (receipt.host, receipt.model, receipt.job)
    if named != (post.operator, found.item.model, found.item.job.id):
        return None
    rows = (await data.dataset(ctx, found.item.job)).rows
    good = all(finding == "ok" for finding in findings) and len(receipt.scores) == len(rows)
    return Answer(post.value, post.block, receipt, good)


def _covered(waiting: list[Answer], fee: FeeEntry) -> list[Answer]:
    """The oldest open receipts that one claimed fee pays for."""
    covered, left = [], fee.amount
    for answer in waiting:
        if answer.block <= fee.block and 0 < answer.receipt.fee <= left:
            covered.append(answer)
            left -= answer.receipt.fee
    return covered


def fee_pot(ctx: Context, channel: bytes, asset: bytes) -> bytes:
    """The pot that ``InferenceChannels`` fills for an asset in a channel."""
    funder = ctx.seams.chain.address("InferenceChannels")
    return pot_id(funder, keccak(channel + asset))


async def answer_shares(ctx: Context, paid: PaidAnswer) -> PotShares:
    """One answer's contributors' part, by that answer's scores alone; what moved nothing is the treasury's."""
    found, answer = paid.found, paid.answer
    at, floor = await _judged(ctx, found)
    rows = at.rows
    worth = answer_influence(answer.receipt.scores, floor) if answer.good else (0,) * len(rows)
    weights = owner_weights(rows, worth)
    part = Part("contributor", paid.amount, weights, "influence on the answer")
    shares = split_pot(paid.amount, [part], owner(ctx, ctx.network.treasury))
    credits = row_credits(rows, worth)
    return PotShares(paid.pot, "answer", answer.blob, paid.amount, shares, credits)


async def _judged(ctx: Context, found: Attributed) -> tuple[Judged, int]:
    """A job's records, and what a row scores by chance; once a job, since precedence takes its time."""
    cache: dict[bytes, tuple[Judged, int]] = ctx.private.setdefault("judged", {})
    job = found.item.job
    if job.id not in cache:
        at = judged(await data.dataset(ctx, job), found.queries)
        cache[job.id] = at, answer_noise(at.rows, at.queries, found.body.scores)
    return cache[job.id]
