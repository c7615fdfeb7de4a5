"""Watching the chain and the mail: what feeds the board and wakes the stages."""

import trio

from node.context import Context
from protocol.codec import pack, unpack
from protocol.errors import Ignore, OpenLedgerError, Reject
from protocol.messages import SyncAnswer, SyncRequest

CHAIN_POLL_S = 1.5
SYNC_S = 5.0
SYNC_PROTOCOL = "/openledger/sync/1"
SYNC_BYTES = 4 * 1024 * 1024
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
    """Catch up with the head. The head moves only after its events are in the board."""
    chain, seen = ctx.seams.chain, ctx.head.number
    head = await chain.head()
    while seen < head.number:
        until = min(head.number, max(seen, ctx.network.genesis_block - 1) + MAX_RANGE)
        first = max(seen + 1, ctx.network.genesis_block)
        events = await chain.events(first, until) if first <= until else []
        times = {head.number: head.time}
        for event in events:
            if event.block not in times:
                times[event.block] = (await chain.block(event.block)).time
            ctx.board.apply(event, times[event.block])
        seen = until
        ctx.head = head if seen == head.number else await chain.block(seen)
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
        try:
            await _sync(ctx, peers[turn % len(peers)])
        except OpenLedgerError as error:
            ctx.fail("sync", error)


async def _sync(ctx: Context, peer: str) -> None:
    now = ctx.seams.clock.now()
    raw = await ctx.seams.transport.request(
        peer,
        SYNC_PROTOCOL,
        pack(SyncRequest(ctx.mail.ids(now))),
        timeout=10.0,
        max_response=SYNC_BYTES,
    )
    for envelope in unpack(SyncAnswer, raw, limit=SYNC_BYTES).envelopes:
        try:
            ctx.mail.accept(envelope, now)
        except (Ignore, Reject):  # counted by the mail under its reason
            continue
        ctx.touch()
        await trio.lowlevel.checkpoint()


async def serve_sync(ctx: Context, peer: str, request: bytes) -> bytes:
    """Messages that the asker lacks."""
    have = unpack(SyncRequest, request).have
    return pack(SyncAnswer(ctx.mail.missing(have, ctx.seams.clock.now())))


async def hear(ctx: Context, peer: str, body: bytes) -> None:
    """One gossip message; raises Ignore or Reject, which stops its forwarding."""
    ctx.mail.accept(body, ctx.seams.clock.now())
    ctx.touch()
