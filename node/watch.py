"""Watching the chain and the mail: what feeds the board and wakes the stages; mail's own upkeep."""

from node.context import Context
from node.mail import LIFETIME_S, MAX_MISSING, Letter
from protocol.codec import pack, unpack
from protocol.errors import Ignore, OpenLedgerError, Reject
from protocol.messages import BlobHint, EpochVote, NodeRecord, SlashVote, SyncAnswer, SyncRequest

CHAIN_POLL_S = 1.5
SYNC_S = 5.0
SYNC_PROTOCOL = "/openledger/sync/1"
SYNC_BYTES = 4 * 1024 * 1024
SYNC_PAGES = 8  # answers taken from one peer in its turn
KEEP_S = 5.0  # what is lost in a crash within that time, peers still have
RENEW_S = LIFETIME_S / 3  # before the end, a letter of ours that is still needed is sent again
MAX_RANGE = 2_000  # blocks asked at once


async def watch_chain(ctx: Context) -> None:
    """Fold new events into the board, for ever; a chain that fails is counted and asked again."""
    while True:
        try:
            await look(ctx)
        except OpenLedgerError as error:
            ctx.fail("chain", error)
        await ctx.seams.clock.sleep(CHAIN_POLL_S)


async def look(ctx: Context) -> None:
    """Catch up with the head. Events enter the board together with the head that they lead to."""
    chain = ctx.seams.chain
    head = await chain.head()
    while ctx.head.number < head.number:
        seen, first = ctx.head.number, max(ctx.head.number + 1, ctx.network.genesis_block)
        until = min(head.number, max(seen, ctx.network.genesis_block - 1) + MAX_RANGE)
        events = await chain.events(first, until) if first <= until else []
        blocks = {head.number: head}
        for number in sorted({until, *(event.block for event in events)} - {head.number}):
            blocks[number] = await chain.block(number)
        for event in events:  # no await from here on: a failure above folds nothing, or twice
            ctx.board.apply(event, blocks[event.block].time)
        ctx.head = blocks[until]
        ctx.touch()


async def sync_mail(ctx: Context) -> None:
    """Ask one connected peer after the other for messages that we lack, for ever."""
    turn = 0
    while True:
        await ctx.seams.clock.sleep(SYNC_S)
        peers = sorted(ctx.seams.transport.peers())
        if not peers:
            continue
        turn += 1
        await ctx.attempt("sync", _sync, peers[turn % len(peers)])


async def _sync(ctx: Context, peer: str) -> None:
    """Take page after page from one peer, as long as they are full and bring something new."""
    for _ in range(SYNC_PAGES):
        answer = await _page(ctx, peer)
        if not _take(ctx, answer) or len(answer.envelopes) < MAX_MISSING:
            return


async def _page(ctx: Context, peer: str) -> SyncAnswer:
    have = ctx.mail.ids(ctx.seams.clock.now(), ctx.seams.randomness.token(32))
    raw = await ctx.seams.transport.request(
        peer, SYNC_PROTOCOL, pack(SyncRequest(have)), timeout=10.0, max_response=SYNC_BYTES
    )
    return unpack(SyncAnswer, raw, limit=SYNC_BYTES)


def _take(ctx: Context, answer: SyncAnswer) -> int:
    """How many of the envelopes were accepted; the mail counts the others under their reason."""
    accepted = 0
    for envelope in answer.envelopes:
        try:
            ctx.mail.accept(envelope, ctx.seams.clock.now())
        except (Ignore, Reject):
            continue
        accepted += 1
    if accepted:
        ctx.touch()
    return accepted


async def serve_sync(ctx: Context, peer: str, request: bytes) -> bytes:
    """Messages that the asker lacks."""
    have, start = unpack(SyncRequest, request).have, ctx.seams.randomness.token(32)
    return pack(SyncAnswer(ctx.mail.missing(have, ctx.seams.clock.now(), start)))


async def keep_mail(ctx: Context) -> None:
    """Drop what expired, send again what is still needed of ours, save the rest, for ever."""
    while True:
        await ctx.attempt("mail", _keep_mail)
        await ctx.seams.clock.sleep(KEEP_S)


async def _keep_mail(ctx: Context) -> None:
    now = ctx.seams.clock.now()
    ctx.mail.drop(now)
    for letter in ctx.mail.ending(now, RENEW_S):
        if needed(ctx, letter):
            await ctx.announce(letter.body)
    await ctx.mail.save(ctx.seams.store)


def needed(ctx: Context, letter: Letter) -> bool:
    """Whether a letter of ours must outlive its term."""
    match letter.body:
        case NodeRecord():  # joining announces it by a clock of its own
            return False
        case BlobHint():  # it only orders sources; whoever asks later asks everybody connected
            return False
        case EpochVote(epoch=number):
            return number > len(ctx.board.epochs)
        case SlashVote(unit=unit):
            return all(entry.unit != unit for entry in ctx.board.slashes)
    return True


async def hear(ctx: Context, peer: str, body: bytes) -> None:
    """One gossip message; raises Ignore or Reject, which stops its forwarding."""
    ctx.mail.accept(body, ctx.seams.clock.now())
    ctx.touch()
