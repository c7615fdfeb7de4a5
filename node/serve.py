"""The host's side of paid answers: serve an adapter, sign the lineage as a receipt, claim by voucher.

Neither side can lose more than one request: the host answers the next only when the last is
acknowledged, and without an acknowledgement it claims the ceiling that the request itself signed.
"""

from dataclasses import dataclass, replace

from node import hosting, receipts, tabs
from node.context import Context
from node.pay import ask
from node.receipts import check_receipts, receipt_checkers
from node.servable import attributed_job
from node.tabs import HostTab, Sums
from protocol.codec import pack, unpack
from protocol.errors import PeerError
from protocol.ids import checksum, short
from protocol.messages import RECEIPT, InferAnswer, InferRequest, VoucherNote
from protocol.params import Params, in_open
from settlement.vouchers import SignedVoucher, verify_voucher
from tasks.entries import ChannelEntry

__all__ = ["ask", "check_receipts", "collect_fees", "receipt_checkers"]

CHANNEL_WAIT_S = 10.0  # a channel's block may still be on its way to our endpoint
CLOCKS_S = 30  # heads of payer and host may differ by so much
SWEEP_S = 5  # what is claimed within it is paid out together
ACKNOWLEDGE_S = 60  # from an answer to the claim of its ceiling


@dataclass(frozen=True, slots=True)
class Paying:
    """A channel to this host, as the chain has it now."""

    payer: str
    deposit: int
    closing: bool


async def _paying(ctx: Context, channel: bytes, ceiling: int, for_hosting: bool = False) -> Paying:
    """The channel, once its deposit covers ``ceiling``. Raises PeerError.

    No answer is served on a channel for hosting, and no hosting is paid from one for answers.
    """
    deadline = ctx.seams.clock.monotonic() + CHANNEL_WAIT_S
    while True:
        payer, host, deposit, _, closes_at, closed, kind = await ctx.seams.chain.read(
            "InferenceChannels", "channelOf", channel
        )
        ours = host == checksum(ctx.operator) and not closed and kind is for_hosting
        if ours and deposit >= ceiling:
            return Paying(payer, deposit, closes_at != 0)
        if ctx.seams.clock.monotonic() >= deadline:
            break
        await ctx.changed(1.0)
    if not ours:
        raise PeerError("unknown-channel", f"{short(channel)} does not pay this host")
    raise PeerError("underpaid", f"the deposit is {deposit}, the voucher's ceiling {ceiling}")


# -- an answer ---


async def serve_infer(ctx: Context, peer: str, request: bytes) -> bytes:
    """Answer one paid request; the same request again gets the same answer. Raises PeerError with
    the reason of a refusal: ``bad-request``, ``unknown-channel``, ``underpaid``, ``unacknowledged``..
    """
    asked = unpack(InferRequest, request)
    if not 1 <= asked.max_tokens <= tabs.MAX_TOKENS or not asked.prompt.strip():
        raise PeerError("bad-request", f"1 to {tabs.MAX_TOKENS} tokens and a prompt are needed")
    channel = await _paying(ctx, asked.channel, asked.ceiling)
    async with tabs.lock(ctx, asked.channel):
        tab = await tabs.load(ctx, HostTab, asked.channel)
        if tab is None or tab.request != asked.request:
            tab = await _serve(ctx, asked, channel, tab)
        return pack(tab.answer)


async def _serve(
    ctx: Context, asked: InferRequest, channel: Paying, last: HostTab | None
) -> HostTab:
    if channel.closing:
        raise PeerError("channel-closing", f"{short(asked.channel)} is being closed")
    if last is not None and not last.acknowledged:
        raise PeerError("unacknowledged", f"answer {short(last.answer.receipt)} is open")
    if last is not None:
        await _publish(ctx, last)  # the tab holds one receipt; none may be lost
    before = tabs.at_least_settled(ctx, asked.channel, last.sums if last else ())
    voucher = _ceiling(ctx, asked, channel, before)
    receipt = await receipts.make(ctx, await attributed_job(ctx, asked.model), asked)
    sums = tabs.grown(before, asked.model, asked.rule_version, receipt.fee)
    answer = InferAnswer(ctx.put(receipt), receipt.fee, tabs.total(sums))
    now = int(ctx.seams.clock.now())
    tab = HostTab(sums, voucher, asked.request, asked.model, answer, False, now)
    await tabs.save(ctx, asked.channel, tab)
    await ctx.attempt("serve", _publish, tab)
    ctx.note(
        "serve",
        f"answered {short(asked.request)}: {receipt.tokens} tokens for {in_open(receipt.fee)}",
    )
    return tab


def _ceiling(ctx: Context, asked: InferRequest, channel: Paying, before: Sums) -> SignedVoucher:
    """The request's own voucher. Raises PeerError unless it covers all before and this answer's most."""
    most = asked.max_tokens * _timely(ctx, asked.rule_version).price_per_token
    sums = tabs.grown(before, asked.model, asked.rule_version, most)
    if asked.ceiling != tabs.total(sums):
        needed = tabs.total(sums)
        raise PeerError("underpaid", f"the voucher's ceiling is {asked.ceiling}, needed {needed}")
    voucher = SignedVoucher(asked.channel, asked.ceiling, sums, asked.signature)
    verify_voucher(voucher, ctx.contract_domain("InferenceChannels"), channel.payer)
    return voucher


def _timely(ctx: Context, version: int) -> Params:
    """The parameters under a version that is in force, or was when the request left its payer.

    Raises PeerError ``wrong-rules`` for another: at its price nothing is served.
    """
    now = ctx.head.time
    if version not in {ctx.board.version_at(at) for at in (now - CLOCKS_S, now, now + CLOCKS_S)}:
        raise PeerError("wrong-rules", f"rule version {version} is not in force, {ctx.version} is")
    return ctx.params_under(version)


async def _publish(ctx: Context, tab: HostTab) -> None:
    """Put a receipt on chain, once."""
    sent: set[bytes] = ctx.private.setdefault("receipts", set())  # the board lags behind
    if tab.answer.receipt not in sent and not _published(ctx, tab):
        await ctx.post(RECEIPT, tab.model, tab.answer.receipt)
        sent.add(tab.answer.receipt)


def _published(ctx: Context, tab: HostTab) -> bool:
    posts = ctx.board.posted(RECEIPT, tab.model)
    return any(p.value == tab.answer.receipt and p.operator == ctx.operator for p in posts)


async def serve_voucher(ctx: Context, peer: str, request: bytes) -> bytes:
    """Take the payer's acknowledgement of what was delivered; a repeated one changes nothing."""
    note = unpack(VoucherNote, request)
    entry = ctx.board.channels.get(note.channel)
    if entry is not None and entry.hosting:
        channel = await _paying(ctx, note.channel, note.cumulative, for_hosting=True)
        await hosting.take_voucher(ctx, note, channel.payer)
        return b""
    channel = await _paying(ctx, note.channel, note.cumulative)
    async with tabs.lock(ctx, note.channel):
        tab = await tabs.load(ctx, HostTab, note.channel)
        if tab is None or note.cumulative != tabs.total(tab.sums):
            raise PeerError("wrong-amount", f"{note.cumulative} is not what was delivered")
        if not tab.acknowledged:
            voucher = SignedVoucher(note.channel, note.cumulative, tab.sums, note.signature)
            verify_voucher(voucher, ctx.contract_domain("InferenceChannels"), channel.payer)
            await tabs.save(ctx, note.channel, replace(tab, voucher=voucher, acknowledged=True))
    ctx.touch(VoucherNote)
    return b""


# -- the fee ---


async def collect_fees(ctx: Context) -> None:
    """Claim what is acknowledged, or overdue, of every channel that pays this host."""
    for channel in list(ctx.board.channels.values()):
        lock = tabs.lock(ctx, channel.channel)
        if channel.host == ctx.operator and not lock.locked():  # else it is being answered on
            async with lock:
                act = hosting.collect_hosting if channel.hosting else _collect
                await ctx.attempt("collect", act, channel)
        if channel.host == ctx.operator:
            await ctx.attempt("collect", _sweep, channel.channel)


async def _collect(ctx: Context, channel: ChannelEntry) -> None:
    tab = await tabs.load(ctx, HostTab, channel.channel)
    if tab is None:
        return
    await _publish(ctx, tab)
    if not _published(ctx, tab) or not await _claimable(ctx, channel.channel, tab):
        return  # a fee pays the receipts that stood before it
    gain = tabs.total(tab.voucher.usage) - tabs.settled(ctx, channel.channel)
    if gain > 0:
        receipt = await ctx.write("InferenceChannels", "claim", *tab.voucher.claim_args())
        await ctx.reached(receipt.block)
        ctx.note("collect", f"claimed {in_open(gain)} from channel {short(channel.channel)}")
    if not tab.acknowledged:
        closed = replace(tab, sums=tab.voucher.usage, acknowledged=True)
        await tabs.save(ctx, channel.channel, closed)


async def _sweep(ctx: Context, channel: bytes) -> None:
    """Pay out what was claimed of a channel, all parties' shares, some seconds after the first claim."""
    parts = tabs.due(ctx, channel)
    if not parts:
        return
    paid = max((fee.block for fee in ctx.board.fees if fee.channel == channel), default=0)
    since = min(u.time for u in ctx.board.used if u.channel == channel and u.block >= paid)
    if ctx.head.time < since + SWEEP_S:
        return
    receipt = await ctx.write("InferenceChannels", "sweep", channel, tuple(parts))
    await ctx.reached(receipt.block)
    amount = in_open(sum(parts.values()))
    ctx.note("collect", f"paid out {amount} of channel {short(channel)}")


async def _claimable(ctx: Context, channel: bytes, tab: HostTab) -> bool:
    """Whether the payer acknowledged, or had its time, or is about to take its deposit back."""
    if tab.acknowledged or ctx.seams.clock.now() >= tab.since + ACKNOWLEDGE_S:
        return True
    return (await _paying(ctx, channel, 0)).closing
