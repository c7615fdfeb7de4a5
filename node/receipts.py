"""Receipts: the signed lineage of an answer, and the drawn verifiers who run it again.

An answer moves records by the published index of its job's attribution: the query is the answer itself.
"""

from collections import Counter
from dataclasses import dataclass, replace

from attribution.spans import verbatim
from node import data, jobs
from node.attribute import Attributed, Finished, attributed, finished_jobs
from node.context import Context
from node.tabs import MAX_TOKENS
from protocol.codec import pack
from protocol.compute import AnswerScored, Generate, Generated, ScoreAnswer
from protocol.errors import PeerError
from protocol.ids import content_id, short
from protocol.messages import (
    RECEIPT,
    RECEIPT_CHECK,
    AnswerRecord,
    InferRequest,
    Receipt,
    Span,
    judged,
)
from protocol.typed_data import ReceiptRoot, recover
from tasks import draw
from tasks.entries import Posted

TOP = 5  # records named in a receipt
UNSIGNED = bytes(65)


def root_of(receipt: Receipt) -> ReceiptRoot:
    """What the host signs: everything in the receipt but the signature."""
    return ReceiptRoot(content_id(pack(replace(receipt, signature=UNSIGNED))))


def signed_by(ctx: Context, receipt: Receipt, host: bytes) -> bool:
    """Whether a host names itself in a receipt and signed it."""
    try:
        signer = recover(root_of(receipt).digest(ctx.statements), receipt.signature)
    except PeerError:
        return False
    return signer == receipt.host == host


# -- making one ---


async def make(ctx: Context, found: Attributed, asked: InferRequest) -> Receipt:
    """Answer, score, and sign. Raises ComputeError, PeerError."""
    await jobs.fetch_adapter(ctx, found.item.job, found.item.adapter)
    answer = await _generate(ctx, found, found.item.adapter, asked)
    base = await _generate(ctx, found, None, asked)
    scores = await _scores(ctx, found, asked.prompt, answer.text)
    unsigned = await _draft(ctx, found, asked, ctx.operator, answer, base.text, scores)
    return replace(unsigned, signature=ctx.sign(root_of(unsigned)))


async def _generate(
    ctx: Context, found: Attributed, adapter: bytes | None, asked: InferRequest
) -> Generated:
    base = found.item.job.spec.base
    request = Generate(base, adapter, asked.prompt, asked.max_tokens, asked.request, 0)
    done = await ctx.seams.compute.run(request)
    assert isinstance(done, Generated)
    return done


async def _scores(ctx: Context, found: Attributed, prompt: str, answer: str) -> tuple[int, ...]:
    """Influence of every training record on an answer; empty answers move nothing."""
    spec = found.item.job.spec
    await ctx.fetch(found.body.index, found.post.operator)
    if not answer.strip():
        return (0,) * len((await data.dataset(ctx, found.item.job)).rows)
    request = ScoreAnswer(
        spec.base, found.item.adapter, found.body.index, prompt, answer, spec.hyper.max_tokens
    )
    done = await ctx.seams.compute.run(request)
    assert isinstance(done, AnswerScored)
    return done.scores


async def _draft(
    ctx: Context,
    found: Attributed,
    asked: InferRequest,
    host: bytes,
    answer: Generated,
    base_answer: str,
    scores: tuple[int, ...],
) -> Receipt:
    """The unsigned receipt that follows from an answer and its scores."""
    item, spec = found.item, found.item.job.spec
    dataset = await data.dataset(ctx, item.job)
    rows = dataset.rows
    top = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:TOP]
    spans = verbatim(answer.text, tuple(text.completion for text in dataset.texts))
    return Receipt(
        request=asked.request,
        job=item.job.id,
        model=item.model,
        base_digest=spec.base_digest,
        lineage=(spec.base_digest, spec.start, item.adapter),
        host=host,
        channel=asked.channel,
        rule_version=asked.rule_version,
        fee=answer.answer_tokens * ctx.params_under(asked.rule_version).price_per_token,
        prompt=asked.prompt,
        answer=answer.text,
        base_answer=base_answer,
        max_tokens=asked.max_tokens,
        tokens=answer.answer_tokens,
        scores=scores,
        records=tuple(
            AnswerRecord(rows[i].record, rows[i].owner, rows[i].datanet, scores[i]) for i in top
        ),
        spans=tuple(
            Span(rows[s.row].record, s.start, answer.text[s.start : s.stop][:512]) for s in spans
        ),
        signature=UNSIGNED,
    )


# -- running one again ---


async def receipt_checkers(ctx: Context, found: Attributed, post: Posted) -> tuple[bytes, ...]:
    """Verifiers drawn to re-run a receipt; empty before the beacon."""
    beacon = await ctx.beacon(post.block + ctx.params.beacon_delay)
    if beacon is None:
        return ()
    pool = jobs.eligible_verifiers(ctx, found.item.job, post.operator)
    wanted = ctx.params_at(found.item.job.pot.time).verifiers
    return draw.weighted(beacon, "receipt", post.value, pool, wanted)


async def check_receipts(ctx: Context) -> None:
    """Re-run the drawn receipts of served adapters, as far as a deposit pays for them."""
    for item in await finished_jobs(ctx):
        said = ctx.board.posted(RECEIPT, item.model)
        if not said or ctx.head.time > said[-1].time + ctx.params.attribute_seconds:
            continue  # nothing that we find of them would count any more
        posts = list({p.value: p for p in reversed(said)}.values())
        found = await attributed(ctx, item) if any(_fresh(ctx, p) for p in posts) else None
        if found is not None:
            await _check_drawn(ctx, found, posts[::-1])


def _fresh(ctx: Context, post: Posted) -> bool:
    """Whether what we find of a receipt would still count."""
    in_time = ctx.head.time <= post.time + ctx.params.attribute_seconds
    return in_time and not ctx.mine(RECEIPT_CHECK, post.value)


async def _check_drawn(ctx: Context, found: Attributed, posts: list[Posted]) -> None:
    spent: Counter[bytes] = Counter()  # by channel, in chain order
    drawn = [
        post
        for post in posts
        if _fresh(ctx, post) and ctx.operator in await receipt_checkers(ctx, found, post)
    ]
    for post in posts if drawn else ():
        if await _paid_for(ctx, found.item, post, spent) and post in drawn:
            await ctx.attempt("receipt", _check_receipt, found, post)


@dataclass(frozen=True, slots=True)
class _Bill:
    """What a posted receipt says of money."""

    channel: bytes
    fee: int
    sound: bool


async def _paid_for(ctx: Context, item: Finished, post: Posted, spent: Counter[bytes]) -> bool:
    """Whether a channel to its host has the deposit for a receipt, after those before it."""
    bill = await _bill(ctx, item, post)
    entry = None if bill is None else ctx.board.channels.get(bill.channel)
    if bill is None or entry is None or not bill.sound or entry.host != post.operator:
        return False
    spent[bill.channel] += bill.fee
    return spent[bill.channel] <= entry.deposit


async def _bill(ctx: Context, item: Finished, post: Posted) -> _Bill | None:
    """A receipt's bill, read once; None while its body cannot be had."""
    bills: dict[bytes, _Bill] = ctx.private.setdefault("bills", {})
    if post.value not in bills:
        try:
            receipt = await ctx.fetch_value(Receipt, post.value, post.operator)
        except PeerError as error:
            ctx.fail("receipt", error)
            return None
        sound = (
            receipt.model == item.model
            and 1 <= receipt.tokens <= receipt.max_tokens <= MAX_TOKENS
            and receipt.fee == _price(ctx, receipt)
            and signed_by(ctx, receipt, post.operator)
        )
        bills[post.value] = _Bill(receipt.channel, receipt.fee, sound)
    return bills[post.value]


def _price(ctx: Context, receipt: Receipt) -> int | None:
    """What a receipt's tokens cost under its rules; None under rules that there are not."""
    try:
        return receipt.tokens * ctx.params_under(receipt.rule_version).price_per_token
    except PeerError:
        return None


async def _check_receipt(ctx: Context, found: Attributed, post: Posted) -> None:
    receipt = await ctx.fetch_value(Receipt, post.value, post.operator)
    code = "ok" if await _same(ctx, found, receipt) else "B"
    name = judged(RECEIPT_CHECK, code).rstrip(b"\x00").decode()
    sent = await ctx.post(name, post.value, post.value)
    await ctx.reached(sent.block)  # else the next look would run it again
    ctx.note("verify", f"re-ran receipt {short(post.value)}: {code}")


async def _same(ctx: Context, found: Attributed, receipt: Receipt) -> bool:
    """Whether the answer comes out again, its scores nearly, and all else follows from them."""
    asked = InferRequest(
        receipt.request,
        receipt.model,
        receipt.prompt,
        receipt.max_tokens,
        receipt.channel,
        0,
        receipt.rule_version,
        UNSIGNED,
    )
    await jobs.fetch_adapter(ctx, found.item.job, found.item.adapter)
    answer = await _generate(ctx, found, found.item.adapter, asked)
    if answer.text != receipt.answer:
        return False
    own = await _scores(ctx, found, receipt.prompt, receipt.answer)
    if len(own) != len(receipt.scores) or not _close(ctx, own, receipt.scores):
        return False
    said = (receipt.host, answer, receipt.base_answer, receipt.scores)
    return await _draft(ctx, found, asked, *said) == replace(receipt, signature=UNSIGNED)


def _close(ctx: Context, own: tuple[int, ...], said: tuple[int, ...]) -> bool:
    largest = max((abs(score) for score in own), default=0) or 1
    worst = max((abs(a - b) for a, b in zip(own, said, strict=True)), default=0)
    return worst * 1_000_000 <= largest * ctx.params.score_tolerance_ppm
