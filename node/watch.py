"""Watching the chain and the mail: what feeds the board and wakes the stages; mail's own upkeep."""

from collections.abc import Iterable
from itertools import chain

from node import sync
from node.context import START, Context
from node.mail import LIFETIME_S, MAX_MISSING, Letter
from protocol.codec import pack, unpack
from protocol.errors import ChainError, Ignore, OpenLedgerError, PeerError, Reject
from protocol.messages import BlobHint, EpochVote, NodeRecord, SlashVote, SyncAnswer, SyncRequest
from protocol.seams import Block

SYNC_PROTOCOL = "/openledger/sync/1"
SYNC_BYTES = 4 * 1024 * 1024
SYNC_PAGES = 8  # answers taken from one peer in its turn
RENEW_S = LIFETIME_S / 3  # before the end, a letter of ours that is still needed is sent again
MAX_RANGE = 2_000  # blocks asked at once
STALLED_S = 120  # a head of that age is told: the endpoint, or the chain, has stopped


async def watch_chain(ctx: Context) -> None:
    """Fold new events into the board, for ever; a chain that fails is counted and asked again."""
    while True:
        try:
            await look(ctx)
        except OpenLedgerError as error:
            ctx.fail("chain", error)
        await ctx.seams.clock.sleep(ctx.pace.chain)


async def look(ctx: Context) -> None:
    """Catch up with the head. Events enter the board together with the head that they lead to."""
    head = await ctx.seams.chain.head()
    late = round(ctx.seams.clock.now() - head.time)
    if late > STALLED_S:
        ctx.fail("chain", ChainError("chain-stalled", f"its head is {late} s old"))
    await _follow_back(ctx, head)
    while ctx.head.number < head.number:
        await _fold(ctx, head)


async def _follow_back(ctx: Context, head: Block) -> None:
    """Unfold what the chain does not hold any more.

    An endpoint whose head is older, on the chain that we know, is behind: that unfolds nothing.
    """
    seen = (block for block in reversed(ctx.trail) if block.number <= head.number)
    newest = next(seen, START)
    known = newest != START
    last = await _last_held(ctx, chain([newest], seen), head) if known else START
    if known and last == newest:
        if head.number < ctx.head.number:
            raise ChainError("chain-behind", f"head {head.number}, seen up to {ctx.head.number}")
    elif ctx.trail:
        gone = ctx.head.number - last.number
        ctx.unwind(last)
        ctx.note("chain", f"the chain was reorganised: {gone} blocks unfolded")
        ctx.fail("chain", ChainError("reorganised", f"{gone} blocks are no longer there"))


async def _last_held(ctx: Context, seen: Iterable[Block], head: Block) -> Block:
    """The first of these points that the chain still holds; ``START`` when it holds none."""
    for block in seen:
        now = head if block.number == head.number else await ctx.seams.chain.block(block.number)
        if now.hash == block.hash:
            return block
    return START


async def _fold(ctx: Context, head: Block) -> None:
    """Fold the next range of blocks up to ``head``, if the chain was one and the same meanwhile."""
    chain, before = ctx.seams.chain, ctx.head
    seen, first = before.number, max(before.number + 1, ctx.network.genesis_block)
    until = min(head.number, max(seen, ctx.network.genesis_block - 1) + MAX_RANGE)
    blocks = {head.number: head}
    if until != head.number:
        blocks[until] = await chain.block(until)
    events = await chain.events(first, until) if first <= until else []
    for number in sorted({event.block for event in events} - blocks.keys()):
        blocks[number] = await chain.block(number)
    # up to the head: the point before was compared after the head was read, by ``_follow_back``
    ends = [blocks[until]] if until == head.number or not ctx.trail else [before, blocks[until]]
    for block in ends:
        if (await chain.block(block.number)).hash != block.hash:
            raise ChainError("reorganising", f"block {block.number} was replaced as we looked")
    # no await from here on: a failure above folds nothing, one below leaves nothing folded
    try:
        for event in events:
            ctx.board.apply(event, blocks[event.block].time)
    except ChainError:
        ctx.unwind(START)
        raise
    ctx.folded(blocks[until])


async def sync_mail(ctx: Context) -> None:
    """Ask one connected peer after the other for messages that we lack, for ever."""
    turn = 0
    while True:
        await ctx.seams.clock.sleep(ctx.pace.sync)
        peers = sorted(ctx.seams.transport.peers())
        if not peers:
            continue
        turn += 1
        await ctx.attempt("sync", _sync, peers[turn % len(peers)])


async def _sync(ctx: Context, peer: str) -> None:
    """Reconcile with one peer; one that is too old for that is asked for pages."""
    try:
        await sync.pull(ctx, peer, _accept)
    except PeerError as error:
        if (error.code, error.text) != ("refused", "unknown-protocol"):
            raise
        await _pages(ctx, peer)


async def _pages(ctx: Context, peer: str) -> None:
    """Take page after page, as long as they are full and bring something new."""
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
            _accept(ctx, envelope)
        except (Ignore, Reject):
            continue
        accepted += 1
    return accepted


def _accept(ctx: Context, raw: bytes) -> None:
    """Keep one envelope; wake the stages that wait for such a message."""
    letter = ctx.mail.accept(raw, ctx.seams.clock.now())
    if not isinstance(letter.body, BlobHint):  # it only orders sources
        ctx.touch(type(letter.body))


async def serve_sync(ctx: Context, peer: str, request: bytes) -> bytes:
    """Messages that the asker lacks."""
    have, start = unpack(SyncRequest, request).have, ctx.seams.randomness.token(32)
    return pack(SyncAnswer(ctx.mail.missing(have, ctx.seams.clock.now(), start)))


async def keep_mail(ctx: Context) -> None:
    """Drop what expired, send again what is still needed of ours, save the rest, for ever."""
    while True:
        await ctx.attempt("mail", _keep_mail)
        await ctx.seams.clock.sleep(ctx.pace.keep)


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
            return ctx.board.court.of_unit(unit) is None
    return True


async def hear(ctx: Context, peer: str, body: bytes) -> None:
    """One gossip message; raises Ignore or Reject, which stops its forwarding."""
    _accept(ctx, body)
