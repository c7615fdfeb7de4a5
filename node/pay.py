"""The payer's side of paid answers: open a channel, ask, check the receipt, acknowledge what it says.

A request is journalled before it is sent and repeated under its id when the answer was lost, so a
payer never pays twice for one answer and never risks more than one request.
"""

from dataclasses import dataclass, replace
from itertools import count

from node import receipts, tabs
from node.context import Context
from node.tabs import INFER_PROTOCOL, VOUCHER_PROTOCOL, PayerTab, Sums
from protocol.codec import pack, unpack
from protocol.errors import OperatorError, PeerError, Reverted
from protocol.ids import checksum, content_id
from protocol.messages import InferAnswer, InferRequest, Receipt, VoucherNote
from protocol.params import OPEN, in_open
from settlement.vouchers import MAX_USAGE, channel_id, sign_voucher

INFER_TIMEOUT_S = 240.0
TRIES = 3  # of one request, under one id
LOST = ("timeout", "unreachable")
MAX_HOSTS = 4  # dialled when none is connected
DEPOSIT_ANSWERS = 100  # a deposit covers so many answers of the asked length


@dataclass(frozen=True, slots=True)
class Question:
    """What a person asks."""

    model: bytes
    prompt: str
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Counter:
    """Where it is asked: a host, and this payer's channel to it."""

    host: bytes
    channel: bytes
    salt: bytes


async def ask(
    ctx: Context, model: bytes, prompt: str, max_tokens: int, host: bytes | None = None
) -> tuple[bytes, Receipt]:
    """One paid answer from a host, by default the one with most stake: (receipt's blob id, receipt).

    Raises OperatorError, PeerError.
    """
    question = _checked(Question(model, prompt, max_tokens))
    at = await _counter(ctx, host or await _host(ctx), model)
    async with tabs.lock(ctx, at.channel):
        asked = (await _tab(ctx, at)).asked
        if asked is not None:  # its answer was lost
            found = await _repeat(ctx, at, asked)
            if found and question == Question(asked.model, asked.prompt, asked.max_tokens):
                return found
        await _acknowledge(ctx, at)
        return await _finish(ctx, at, await _request(ctx, at, question))


def _checked(question: Question) -> Question:
    if not 1 <= question.max_tokens <= tabs.MAX_TOKENS:
        text = f"{question.max_tokens} tokens were asked for."
        raise OperatorError("bad-request", text, f"Ask for 1 to {tabs.MAX_TOKENS}.")
    if not question.prompt.strip() or len(question.prompt) > tabs.MAX_PROMPT:
        text = f"The prompt has {len(question.prompt)} characters."
        raise OperatorError("bad-request", text, f"Write 1 to {tabs.MAX_PROMPT}.")
    return question


async def _host(ctx: Context) -> bytes:
    hosts = ctx.board.roster("host", ctx.head.number, ctx.params.min_stake)
    best = sorted(hosts, key=lambda h: (-hosts[h], h))
    peers = {peer: host for host in best if (peer := ctx.peer_of(host)) is not None}
    connected = ctx.seams.transport.peers()
    able = [peer for peer in peers if peer in connected]
    for peer in able or await ctx.dialler.link(list(peers)[:MAX_HOSTS]):
        return peers[peer]
    raise OperatorError(
        "no-host", "No staked host can be reached.", "Wait, or run a node with the host role."
    )


async def _counter(ctx: Context, host: bytes, model: bytes) -> Counter:
    """The first of this payer's channels to a host, not being closed, with room for the model."""
    for number in count():
        salt = content_id(b"openledger/channel" + host + number.to_bytes(4, "big"))
        at = Counter(host, channel_id(checksum(ctx.operator), salt), salt)
        entry = ctx.board.channels.get(at.channel)
        if entry is not None and entry.closing:
            continue
        keys = {each.key for each in (await _tab(ctx, at)).sums}
        if (model, ctx.version) in keys or len(keys) < MAX_USAGE:
            return at
    raise AssertionError("count() has no end")


async def _tab(ctx: Context, at: Counter) -> PayerTab:
    """Our sums, never below what the chain has settled: the host may have claimed a ceiling."""
    tab = await tabs.load(ctx, PayerTab, at.channel) or PayerTab()
    if tab.asked is not None:  # its sums are signed
        return tab
    return replace(tab, sums=tabs.at_least_settled(ctx, at.channel, tab.sums))


# -- money ---


async def _request(ctx: Context, at: Counter, question: Question) -> InferRequest:
    """A signed request, journalled; its voucher covers everything before and this answer's most."""
    sums = (await _tab(ctx, at)).sums
    version = ctx.version
    most = question.max_tokens * ctx.params_under(version).price_per_token
    wanted = tabs.grown(sums, question.model, version, most)
    await _fund(ctx, at, tabs.total(wanted), DEPOSIT_ANSWERS * most)
    request = InferRequest(
        request=ctx.seams.randomness.token(32),
        model=question.model,
        prompt=question.prompt,
        max_tokens=question.max_tokens,
        channel=at.channel,
        ceiling=tabs.total(wanted),
        rule_version=version,
        signature=sign(ctx, at.channel, wanted),
    )
    await tabs.save(ctx, at.channel, PayerTab(sums, request))
    return request


def sign(ctx: Context, channel: bytes, sums: Sums) -> bytes:
    """Our signature below the voucher that promises these sums."""
    domain = ctx.contract_domain("InferenceChannels")
    ceiling = tabs.total(sums)
    return sign_voucher(ctx.keys.operator_key, domain, channel, ceiling, sums).signature


async def _fund(ctx: Context, at: Counter, needed: int, amount: int) -> None:
    """Open the channel, or top it up, when its deposit does not cover what is needed."""
    entry = ctx.board.channels.get(at.channel)
    if entry is not None and entry.deposit >= needed:
        return
    ctx.check_current("InferenceChannels")
    contract = ctx.seams.chain.address("InferenceChannels")
    try:
        await ctx.write("OpenToken", "approve", contract, amount)
        if entry is not None:
            receipt = await ctx.write("InferenceChannels", "topUp", at.channel, amount)
        else:
            host = checksum(at.host)
            receipt = await ctx.write("InferenceChannels", "open", at.salt, host, amount)
    except Reverted as error:
        text = f"The chain refused a deposit of {amount / OPEN:g} OPEN ({error.code})."
        remedy = f"Send OPEN to this node's operator {checksum(ctx.operator)}."
        raise OperatorError("no-deposit", text, remedy) from error
    await ctx.reached(receipt.block)


# -- asking ---


async def _repeat(ctx: Context, at: Counter, asked: InferRequest) -> tuple[bytes, Receipt] | None:
    """The answer of an earlier request; None when the host refuses it: then it is off."""
    try:
        return await _finish(ctx, at, asked)
    except PeerError as error:
        if error.code != "refused":
            raise
        ctx.fail("chat", error)
        return None


async def _finish(ctx: Context, at: Counter, asked: InferRequest) -> tuple[bytes, Receipt]:
    """Send a journalled request, check what comes back and acknowledge it."""
    ctx.note("chat", f"asking {checksum(at.host)}")
    sums = (await _tab(ctx, at)).sums
    try:
        answer = unpack(InferAnswer, await call(ctx, at.host, INFER_PROTOCOL, pack(asked)))
    except PeerError as error:
        if error.code == "refused":
            await tabs.save(ctx, at.channel, PayerTab(sums))
        raise
    receipt = await ctx.fetch_value(Receipt, answer.receipt, at.host)
    check(ctx, asked, answer, receipt, at.host, tabs.total(sums))
    sums = tabs.grown(sums, asked.model, asked.rule_version, receipt.fee)
    signature = sign(ctx, at.channel, sums)
    version = asked.rule_version
    note = VoucherNote(at.channel, asked.model, version, tabs.total(sums), signature)
    await tabs.save(ctx, at.channel, PayerTab(sums, None, note))
    await ctx.attempt("chat", _acknowledge, at)  # when it is lost, the next question repeats it
    ctx.note("chat", f"paid {in_open(receipt.fee)} for {receipt.tokens} tokens")
    return answer.receipt, receipt


def check(
    ctx: Context,
    asked: InferRequest,
    answer: InferAnswer,
    receipt: Receipt,
    host: bytes,
    before: int,
) -> None:
    """Raises PeerError unless the receipt is the host's, for this request, at the agreed price."""
    if not receipts.signed_by(ctx, receipt, host):
        raise PeerError("bad-receipt", "the receipt is not signed by the host")
    if _terms(receipt) != _terms(asked):
        raise PeerError("bad-receipt", "the receipt is for another request")
    price = receipt.tokens * ctx.params_under(asked.rule_version).price_per_token
    if receipt.fee != price or not 0 <= receipt.tokens <= asked.max_tokens:
        raise PeerError("overcharged", f"{receipt.tokens} tokens are billed with {receipt.fee}")
    if (answer.fee, answer.cumulative) != (receipt.fee, before + receipt.fee):
        raise PeerError("overcharged", f"the host asks for {answer.cumulative} in all")


def _terms(of: InferRequest | Receipt) -> tuple[object, ...]:
    """What a request and its receipt must have in common."""
    return of.request, of.model, of.prompt, of.max_tokens, of.channel, of.rule_version


async def _acknowledge(ctx: Context, at: Counter) -> None:
    """Deliver the voucher for the last answer, unless the host has claimed that much already."""
    tab = await _tab(ctx, at)
    if tab.note is None:
        return
    if tabs.settled(ctx, at.channel) < tab.note.cumulative:
        await call(ctx, at.host, VOUCHER_PROTOCOL, pack(tab.note))
    await tabs.save(ctx, at.channel, replace(tab, note=None))


async def call(ctx: Context, host: bytes, protocol: str, body: bytes) -> bytes:
    """One exchange with a host, repeated when it is lost. Raises PeerError; ``refused`` says why."""
    peer = ctx.peer_of(host)
    if peer is None:
        raise PeerError("no-peer", f"host {checksum(host)} has no peer id")
    for left in range(TRIES - 1, -1, -1):
        try:
            await ctx.dialler.reach(peer)
            return await ctx.seams.transport.request(
                peer, protocol, body, timeout=INFER_TIMEOUT_S, max_response=64 * 1024
            )
        except PeerError as error:
            if error.code == "refused":
                text = f"host {checksum(host)} refused: {error.text}"
                raise PeerError("refused", text) from error
            if error.code not in LOST or not left:
                raise
            ctx.fail("chat", error)
    raise AssertionError("the last try returns or raises")
