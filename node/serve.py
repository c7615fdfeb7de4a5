"""Paid answers. The host serves an adapter, signs the lineage as a receipt and claims its fee by voucher;
drawn verifiers re-run receipts; the user pays from a channel and never risks more than one answer.

An answer moves records by the published index of its job's attribution: the query is the answer itself.
"""

from dataclasses import replace

from attribution.spans import verbatim
from node import data, jobs
from node.attribute import Attributed, attributed, finished_jobs
from node.context import Context
from protocol.codec import pack, unpack
from protocol.compute import AnswerScored, Generate, Generated, ScoreAnswer
from protocol.errors import LocalError, OperatorError, PeerError
from protocol.ids import checksum, content_id, short
from protocol.messages import (
    RECEIPT,
    RECEIPT_CHECK,
    AnswerRecord,
    InferAnswer,
    InferRequest,
    Receipt,
    Span,
    VoucherNote,
    judged,
)
from protocol.typed_data import ReceiptRoot, recover
from settlement.vouchers import SignedVoucher, Usage, channel_id, sign_voucher, verify_voucher
from tasks import draw
from tasks.entries import ChannelEntry, Posted

INFER_PROTOCOL = "/openledger/infer/1"
VOUCHER_PROTOCOL = "/openledger/voucher/1"
RULE_VERSION = 1
INFER_TIMEOUT_S = 240.0
CHANNEL_WAIT_S = 10.0
TOP = 5  # records named in a receipt
CHANNEL_DEPOSIT_ANSWERS = 100  # a new channel covers so many answers of the asked length


async def attributed_job(ctx: Context, adapter: bytes) -> Attributed:
    """The job behind a servable adapter. Raises PeerError ``unknown-adapter``: never the base's answer."""
    for item in await finished_jobs(ctx):
        if item.adapter == adapter:
            found = await attributed(ctx, item)
            if found is not None:
                return found
    raise PeerError("unknown-adapter", f"no attributed adapter {short(adapter)}")


# -- host ---


async def serve_infer(ctx: Context, peer: str, request: bytes) -> bytes:
    """Answer one paid request. Raises PeerError with the reason of a refusal."""
    asked = unpack(InferRequest, request)
    channel = await _paying(ctx, asked.channel)
    paid = await _paid(ctx, asked.channel)
    ceiling = paid + asked.max_tokens * ctx.params.price_per_token
    if asked.ceiling < ceiling or ceiling > channel.deposit:
        raise PeerError("underpaid", f"the voucher's ceiling is {asked.ceiling}, needed {ceiling}")
    voucher = SignedVoucher(
        asked.channel,
        asked.ceiling,
        (Usage(asked.adapter, RULE_VERSION, asked.ceiling),),
        asked.signature,
    )
    verify_voucher(voucher, ctx.contract_domain("InferenceChannels"), checksum(channel.payer))
    await ctx.did(f"voucher/{asked.channel.hex()}/{asked.ceiling}", pack(asked))
    receipt = await _answer(ctx, asked)
    blob = ctx.put(receipt)
    paid += receipt.fee
    await _set_paid(ctx, asked.channel, paid)
    await ctx.share(blob)
    await ctx.post(RECEIPT, asked.adapter, blob)
    ctx.note(
        "serve", f"answered {short(asked.request)}: {receipt.tokens} tokens, fee {receipt.fee}"
    )
    return pack(InferAnswer(blob, receipt.fee, paid))


async def _paying(ctx: Context, channel: bytes) -> ChannelEntry:
    """The channel that pays this host; a new one may be a few blocks ahead of our board."""
    deadline = ctx.seams.clock.monotonic() + CHANNEL_WAIT_S
    while channel not in ctx.board.channels and ctx.seams.clock.monotonic() < deadline:
        await ctx.changed(1.0)
    entry = ctx.board.channels.get(channel)
    if entry is None or entry.host != ctx.operator:
        raise PeerError("unknown-channel", f"{short(channel)} does not pay this host")
    return entry


async def _paid(ctx: Context, channel: bytes) -> int:
    rows = await ctx.seams.store.query("select paid from channels where id = ?", (channel,))
    return int(rows[0][0]) if rows else 0


async def _set_paid(ctx: Context, channel: bytes, paid: int) -> None:
    await ctx.seams.store.execute(
        "insert into channels (id, paid) values (?, ?) on conflict (id) do update set paid = ?",
        (channel, str(paid), str(paid)),
    )


async def _answer(ctx: Context, asked: InferRequest) -> Receipt:
    found = await attributed_job(ctx, asked.adapter)
    spec, item = found.item.job.spec, found.item
    await ctx.fetch(item.adapter)
    answer = await _generate(ctx, spec.base, item.adapter, asked)
    base = await _generate(ctx, spec.base, None, asked)
    scores = await score_answer(ctx, found, asked.prompt, answer.text)
    dataset = await data.dataset(ctx, item.job)
    spans = verbatim(answer.text, [text.completion for text in dataset.texts])
    top = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:TOP]
    rows = dataset.rows
    unsigned = Receipt(
        request=asked.request,
        job=item.job.id,
        adapter=item.adapter,
        base_digest=spec.base_digest,
        lineage=(spec.base_digest, spec.start, item.adapter),
        host=ctx.operator,
        channel=asked.channel,
        fee=answer.answer_tokens * ctx.params.price_per_token,
        prompt=asked.prompt,
        answer=answer.text,
        base_answer=base.text,
        max_tokens=asked.max_tokens,
        tokens=answer.answer_tokens,
        scores=scores,
        records=tuple(
            AnswerRecord(rows[i].record, rows[i].owner, rows[i].datanet, scores[i]) for i in top
        ),
        spans=tuple(
            Span(rows[s.row].record, s.start, answer.text[s.start : s.stop][:512]) for s in spans
        ),
        signature=bytes(65),
    )
    return replace(unsigned, signature=ctx.sign(ReceiptRoot(content_id(pack(unsigned)))))


async def _generate(
    ctx: Context, base: str, adapter: bytes | None, asked: InferRequest
) -> Generated:
    request = Generate(base, adapter, asked.prompt, asked.max_tokens, asked.request, 0)
    done = await ctx.seams.compute.run(request)
    assert isinstance(done, Generated)
    return done


async def score_answer(
    ctx: Context, found: Attributed, prompt: str, answer: str
) -> tuple[int, ...]:
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


async def serve_voucher(ctx: Context, peer: str, request: bytes) -> bytes:
    """Take the payer's voucher for what was delivered and settle it on chain."""
    note = unpack(VoucherNote, request)
    channel = await _paying(ctx, note.channel)
    if note.cumulative != await _paid(ctx, note.channel):
        raise PeerError("wrong-amount", f"{note.cumulative} is not what was delivered")
    voucher = _voucher(note)
    verify_voucher(voucher, ctx.contract_domain("InferenceChannels"), checksum(channel.payer))
    await ctx.did(f"voucher/{note.channel.hex()}/final/{note.cumulative}", pack(note))
    ctx.touch()
    return b""


def _voucher(note: VoucherNote) -> SignedVoucher:
    usage = (Usage(note.asset, note.rule_version, note.cumulative),)
    return SignedVoucher(note.channel, note.cumulative, usage, note.signature)


async def collect_fees(ctx: Context) -> None:
    """Claim the last acknowledged voucher of every channel that pays this host."""
    for channel in list(ctx.board.channels.values()):
        if channel.host == ctx.operator:
            await ctx.attempt("collect", _collect, channel)


async def _collect(ctx: Context, channel: ChannelEntry) -> None:
    settled = sum(fee.amount for fee in ctx.board.fees if fee.channel == channel.channel)
    paid = await _paid(ctx, channel.channel)
    body = await ctx.done(f"voucher/{channel.channel.hex()}/final/{paid}")
    if body is None or paid <= settled:
        return
    await ctx.write("InferenceChannels", "claim", *_voucher(unpack(VoucherNote, body)).claim_args())
    ctx.note("collect", f"claimed {paid - settled} from channel {short(channel.channel)}")


# -- verifiers ---


async def receipt_checkers(ctx: Context, found: Attributed, post: Posted) -> tuple[bytes, ...]:
    """Verifiers drawn to re-run a receipt; empty before the beacon."""
    beacon = await ctx.beacon(post.block + ctx.params.beacon_delay)
    if beacon is None:
        return ()
    pool = jobs.eligible_verifiers(ctx, found.item.job, post.operator)
    return draw.weighted(beacon, "receipt", post.value, pool, ctx.params.verifiers)


async def check_receipts(ctx: Context) -> None:
    """Re-run the drawn receipts of served adapters."""
    for item in await finished_jobs(ctx):
        for post in list(ctx.board.posted(RECEIPT, item.adapter)):
            if ctx.mine(RECEIPT_CHECK, post.value):
                continue
            found = await attributed(ctx, item)
            if found and ctx.operator in await receipt_checkers(ctx, found, post):
                await ctx.attempt("receipt", _check_receipt, found, post)


async def _check_receipt(ctx: Context, found: Attributed, post: Posted) -> None:
    receipt = await ctx.fetch_value(Receipt, post.value, post.operator)
    code = "ok" if await _same(ctx, found, post, receipt) else "B"
    await ctx.post(judged(RECEIPT_CHECK, code).rstrip(b"\x00").decode(), post.value, post.value)
    ctx.note("verify", f"re-ran receipt {short(post.value)}: {code}")


async def _same(ctx: Context, found: Attributed, post: Posted, receipt: Receipt) -> bool:
    digest = ReceiptRoot(content_id(pack(replace(receipt, signature=bytes(65))))).digest(
        ctx.statements
    )
    if recover(digest, receipt.signature) != post.operator or receipt.host != post.operator:
        return False
    asked = InferRequest(
        receipt.request,
        receipt.adapter,
        receipt.prompt,
        receipt.max_tokens,
        receipt.channel,
        0,
        bytes(65),
    )
    await ctx.fetch(receipt.adapter)
    answer = await _generate(ctx, found.item.job.spec.base, receipt.adapter, asked)
    fee = answer.answer_tokens * ctx.params.price_per_token
    if (answer.text, fee) != (receipt.answer, receipt.fee):
        return False
    scores = await score_answer(ctx, found, receipt.prompt, receipt.answer)
    largest = max((abs(s) for s in scores), default=0) or 1
    worst = max((abs(a - b) for a, b in zip(scores, receipt.scores, strict=False)), default=0)
    close = worst * 1_000_000 <= largest * ctx.params.score_tolerance_ppm
    return len(scores) == len(receipt.scores) and close


# -- user ---


async def ask(ctx: Context, adapter: bytes, prompt: str, max_tokens: int) -> tuple[bytes, Receipt]:
    """One paid answer from a host: open a channel if there is none, ask, pay for what was delivered."""
    host = _host(ctx)
    channel = await _channel(ctx, host, max_tokens)
    paid = await _paid(ctx, channel)
    ceiling = paid + max_tokens * ctx.params.price_per_token
    domain = ctx.contract_domain("InferenceChannels")
    key = ctx.keys.operator_key
    voucher = sign_voucher(key, domain, channel, ceiling, [Usage(adapter, RULE_VERSION, ceiling)])
    request = InferRequest(
        request=ctx.seams.randomness.token(32),
        adapter=adapter,
        prompt=prompt,
        max_tokens=max_tokens,
        channel=channel,
        ceiling=ceiling,
        signature=voucher.signature,
    )
    ctx.note("chat", f"asking {checksum(host)}")
    answer = unpack(InferAnswer, await _call(ctx, host, INFER_PROTOCOL, pack(request)))
    receipt = await ctx.fetch_value(Receipt, answer.receipt, host)
    if answer.cumulative != paid + receipt.fee or answer.cumulative > ceiling:
        raise PeerError("overcharged", f"the host asks for {answer.cumulative}, agreed {ceiling}")
    await _set_paid(ctx, channel, answer.cumulative)
    final = sign_voucher(
        key, domain, channel, answer.cumulative, [Usage(adapter, RULE_VERSION, answer.cumulative)]
    )
    note = VoucherNote(channel, adapter, RULE_VERSION, answer.cumulative, final.signature)
    await _call(ctx, host, VOUCHER_PROTOCOL, pack(note))
    ctx.note("chat", f"paid {receipt.fee} for {receipt.tokens} tokens")
    return answer.receipt, receipt


async def _call(ctx: Context, host: bytes, protocol: str, body: bytes) -> bytes:
    peer = ctx.peer_of(host)
    if peer is None:
        raise PeerError("no-peer", f"host {checksum(host)} has no peer id")
    return await ctx.seams.transport.request(
        peer, protocol, body, timeout=INFER_TIMEOUT_S, max_response=64 * 1024
    )


def _host(ctx: Context) -> bytes:
    hosts = ctx.board.roster("host", ctx.head.number, ctx.params.min_stake)
    connected = ctx.seams.transport.peers()
    for host in sorted(hosts, key=lambda h: (-hosts[h], h)):
        if ctx.peer_of(host) in connected:
            return host
    raise OperatorError(
        "no-host", "No staked host is connected.", "Wait, or run a node with the host role."
    )


async def _channel(ctx: Context, host: bytes, max_tokens: int) -> bytes:
    """This payer's channel to a host; a new one holds the price of a hundred answers."""
    salt = content_id(b"openledger/channel" + host)
    channel = channel_id(checksum(ctx.operator), salt)
    if channel not in ctx.board.channels:
        amount = CHANNEL_DEPOSIT_ANSWERS * max_tokens * ctx.params.price_per_token
        at = ctx.seams.chain.address("InferenceChannels")
        await ctx.write("OpenToken", "approve", at, amount)
        receipt = await ctx.write("InferenceChannels", "open", salt, checksum(host), amount)
        await ctx.reached(receipt.block)
    if channel not in ctx.board.channels:
        raise LocalError("no-channel", "the channel was opened but its event has not arrived")
    return channel
