"""Hosting: the owner of models pays a host for each period in which it answered the owner's probe.

A probe is a paid question like any user's, at a moment that only its owner knows; drawn verifiers re-run
it like any other answer. What stands is paid by a voucher on the hosting channel. A period without such an
answer is not paid, and nothing is owed for it.
"""

from dataclasses import replace

from node import pay, tabs
from node.answers import standing
from node.context import Context
from node.servable import attributed_job
from node.tabs import HostedTab, OwnerTab, Period
from protocol.codec import pack
from protocol.errors import OperatorError, PeerError
from protocol.ids import address_bytes, checksum, content_id, short
from protocol.messages import RECEIPT, VoucherNote
from protocol.params import in_open
from protocol.seams import TxReceipt
from settlement.vouchers import MAX_USAGE, SignedVoucher, channel_id, verify_voucher
from tasks.entries import ChannelEntry

LEAST_S, MOST_S = 60, 30 * 86_400  # of a period
RETRY_S = 60  # a probe that failed by our own fault is asked again
LEAST_TOKENS, MORE_TOKENS = 8, 16  # a probe asks for 8 to 23
# A probe must not be told from a user's question: 24 x 24 of them are few, but each is asked once a period.
THINGS = (
    "a beam", "a house", "bread", "the city", "a contract", "day", "the earth", "fire", "a garden",
    "gold", "the king", "the law", "light", "a neighbour", "night", "an oath", "the people", "rain",
    "a river", "a road", "salt", "a servant", "stone", "water",
)  # fmt: skip


async def open_hosting(
    ctx: Context, host: bytes, deposit: int, rate: int, every: int
) -> tuple[bytes, TxReceipt]:
    """Open a hosting channel: ``rate`` base units for each period of ``every`` seconds.

    Returns its id. Raises OperatorError ``bad-rate``, ``bad-period``.
    """
    if not 0 < rate <= deposit:
        text = f"{in_open(rate)} a period does not fit a deposit of {in_open(deposit)}."
        raise OperatorError("bad-rate", text, "Deposit enough for some periods.")
    if not LEAST_S <= every <= MOST_S:
        raise OperatorError("bad-period", f"A period of {every} s.", f"{LEAST_S} to {MOST_S} s.")
    number = sum(entry.payer == ctx.operator for entry in ctx.board.channels.values())
    salt = content_id(b"openledger/hosting" + number.to_bytes(4, "big"))
    channel = channel_id(checksum(ctx.operator), salt)
    await tabs.save(ctx, channel, OwnerTab(rate, every))  # first: the chain keeps no terms
    await ctx.write("OpenToken", "approve", ctx.seams.chain.address("InferenceChannels"), deposit)
    receipt = await ctx.write("InferenceChannels", "openHosting", salt, checksum(host), deposit)
    await ctx.reached(receipt.block)
    return channel, receipt


# -- the owner ---


async def tend_hosts(ctx: Context) -> None:
    """Probe the hosts that this node pays, and pay what stands."""
    for entry in list(ctx.board.channels.values()):
        if entry.hosting and entry.payer == ctx.operator and not entry.closing:
            await ctx.attempt("hosting", _tend, entry)


async def _tend(ctx: Context, entry: ChannelEntry) -> None:
    async with tabs.lock(ctx, entry.channel):
        tab = await tabs.load(ctx, OwnerTab, entry.channel)
        if tab is None:
            return  # opened by another program: its terms are not known here
        if tab.note is not None:
            tab = await _deliver(ctx, entry, tab)
        if tab.note is None and tab.now.state != "asked":
            tab = await _begin(ctx, entry, tab)
        if tab.now.state == "waiting" and ctx.seams.clock.now() >= tab.now.due:
            tab = await _probe(ctx, entry, tab)
        if tab.now.state == "asked":
            tab = await _judge(ctx, entry, tab)
        if tab.note is not None:
            await _deliver(ctx, entry, tab)


async def _keep(ctx: Context, entry: ChannelEntry, tab: OwnerTab) -> OwnerTab:
    await tabs.save(ctx, entry.channel, tab)
    return tab


async def _begin(ctx: Context, entry: ChannelEntry, tab: OwnerTab) -> OwnerTab:
    """A new period draws the moment of its probe, in its first three quarters."""
    now = int(ctx.seams.clock.now())
    number = now // tab.every
    if number == tab.now.number:
        return tab
    drawn = int.from_bytes(ctx.seams.randomness.token(4), "big") % (tab.every * 3 // 4)
    due = max(now, number * tab.every + drawn)
    return await _keep(ctx, entry, replace(tab, now=Period(number, due)))


async def _probe(ctx: Context, entry: ChannelEntry, tab: OwnerTab) -> OwnerTab:
    """Ask for one of our own models at the host, as any user would."""
    period = tab.now
    known = await _models(ctx, tab)
    if not known:
        return await _keep(ctx, entry, replace(tab, now=replace(period, state="nothing")))
    dice = ctx.seams.randomness.token(4)
    model = known[dice[0] % len(known)]
    prompt = f"What has {THINGS[dice[1] % len(THINGS)]} to do with {THINGS[dice[2] % len(THINGS)]}?"
    try:
        blob, _ = await pay.ask(
            ctx, model, prompt, LEAST_TOKENS + dice[3] % MORE_TOKENS, entry.host
        )
    except PeerError as error:
        return await _missed(ctx, entry, tab, f"{error.code}: {error.text}")
    except OperatorError:  # we could not pay: not the host's fault
        due = int(ctx.seams.clock.now()) + RETRY_S
        await _keep(ctx, entry, replace(tab, now=replace(period, due=due)))
        raise
    now = int(ctx.seams.clock.now())
    asked = Period(period.number, period.due, "asked", blob, model, now)
    return await _keep(ctx, entry, replace(tab, now=asked))


async def _models(ctx: Context, tab: OwnerTab) -> list[bytes]:
    """Our own models that can be asked for, as far as the voucher has room for them."""
    me, found = ctx.board.index_of(ctx.operator), []
    keys = {each.key for each in tab.sums}
    for model, owner in sorted(ctx.board.models.items()):
        room = (model, ctx.version) in keys or len(keys) < MAX_USAGE
        if owner == me and room:
            try:
                await attributed_job(ctx, model)
            except PeerError:
                continue
            found.append(model)
    return found


async def _missed(ctx: Context, entry: ChannelEntry, tab: OwnerTab, why: str) -> OwnerTab:
    ctx.note("hosting", f"{checksum(entry.host)} is not paid for this period: {why}")
    period = replace(tab.now, state="missed")
    return await _keep(ctx, entry, replace(tab, now=period, missed=tab.missed + 1))


async def _judge(ctx: Context, entry: ChannelEntry, tab: OwnerTab) -> OwnerTab:
    """Pay the period once the drawn verifiers agree with the probe's receipt."""
    period = tab.now
    posts = ctx.board.posted(RECEIPT, period.model)
    mine = (p for p in posts if (p.value, p.operator) == (period.receipt, entry.host))
    if (post := next(mine, None)) is None:
        late = ctx.seams.clock.now() > period.asked + ctx.params.attribute_seconds
        return await _missed(ctx, entry, tab, "its receipt was not published") if late else tab
    stands = await standing(ctx, await attributed_job(ctx, period.model), post)
    if stands is None:
        return tab
    if not stands:
        return await _missed(ctx, entry, tab, f"receipt {short(period.receipt)} was refuted")
    return await _pay(ctx, entry, tab)


async def _pay(ctx: Context, entry: ChannelEntry, tab: OwnerTab) -> OwnerTab:
    sums = tabs.grown(tab.sums, tab.now.model, ctx.version, tab.rate)
    cumulative = tabs.total(sums)
    if cumulative > entry.deposit:
        raise OperatorError(
            "deposit-short",
            f"Hosting channel {entry.channel.hex()} holds {in_open(entry.deposit)}, "
            f"{in_open(cumulative)} are promised with this period.",
            f"openledger channel top-up {entry.channel.hex()} AMOUNT",
        )
    signature = pay.sign(ctx, entry.channel, sums)
    note = VoucherNote(entry.channel, tab.now.model, ctx.version, cumulative, signature)
    ctx.note("hosting", f"{checksum(entry.host)} served: {in_open(tab.rate)} for this period")
    period = replace(tab.now, state="served")
    return await _keep(
        ctx, entry, replace(tab, sums=sums, now=period, note=note, served=tab.served + 1)
    )


async def _deliver(ctx: Context, entry: ChannelEntry, tab: OwnerTab) -> OwnerTab:
    """Hand the host its voucher; no other is signed before, so that it always knows all sums."""
    assert tab.note is not None, "there is a voucher to deliver"
    if tabs.settled(ctx, entry.channel) < tab.note.cumulative:
        await pay.call(ctx, entry.host, tabs.VOUCHER_PROTOCOL, pack(tab.note))
    return await _keep(ctx, entry, replace(tab, note=None))


# -- the host ---


async def take_voucher(ctx: Context, note: VoucherNote, payer: str) -> None:
    """Keep the voucher of a served period. Raises PeerError ``wrong-amount``, ``bad-signature``,
    ``not-owner``: such a voucher cannot be claimed.
    """
    async with tabs.lock(ctx, note.channel):
        tab = await tabs.load(ctx, HostedTab, note.channel)
        before = () if tab is None else tab.voucher.usage
        gain = note.cumulative - tabs.total(before)
        if gain < 0:
            raise PeerError("wrong-amount", f"{note.cumulative} is less than was promised before")
        if gain == 0:  # a repetition
            return
        usage = tabs.grown(before, note.asset, note.rule_version, gain)
        voucher = SignedVoucher(note.channel, note.cumulative, usage, note.signature)
        verify_voucher(voucher, ctx.contract_domain("InferenceChannels"), payer)
        if ctx.board.models.get(note.asset) != ctx.board.index_of(address_bytes(payer)):
            raise PeerError("not-owner", f"{payer} does not own model {short(note.asset)}")
        await tabs.save(ctx, note.channel, HostedTab(voucher))
    ctx.touch(VoucherNote)


async def collect_hosting(ctx: Context, entry: ChannelEntry) -> None:
    """Claim what the owner's vouchers promise above what is settled."""
    tab = await tabs.load(ctx, HostedTab, entry.channel)
    gain = 0 if tab is None else tab.voucher.ceiling - tabs.settled(ctx, entry.channel)
    if tab is None or gain <= 0:
        return
    receipt = await ctx.write("InferenceChannels", "claim", *tab.voucher.claim_args())
    await ctx.reached(receipt.block)
    ctx.note("collect", f"claimed {in_open(gain)} for hosting, channel {short(entry.channel)}")
