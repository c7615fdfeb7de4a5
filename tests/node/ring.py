"""Nodes that know three shards and each other's addresses, to find holders of shards among."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from node import join
from node.context import Context
from protocol.codec import pack
from protocol.ids import content_id
from protocol.seams import Clock, Transport
from tasks.entries import DatanetEntry, Posted, ShardEntry
from tests.node import bare

NAMES = ("fay", "kim", "lea", "hal")  # who fetches, two keepers, who holds
BODY = b"a training body"
BLOB = content_id(BODY)
SHARD, PRIVATE, HIDDEN = b"s" * 32, b"p" * 32, b"h" * 32


def node(name: str, transport: Transport, clock: Clock, members: Sequence[str] = NAMES) -> Context:
    """A node whose board knows the three shards."""
    ctx = bare.node(name, tuple(members), transport=transport, clock=clock)
    tell_shards(ctx)
    return ctx


def tell_shards(ctx: Context) -> None:
    """On the board: an open shard, a private one, one that is not revealed."""
    owner, reveal = bare.operator("hal"), Posted(bare.operator("hal"), BLOB, "", 1, 1, 0)
    for number, shard in enumerate((SHARD, PRIVATE)):
        datanet = bytes([number]) * 32
        ctx.board.datanets[datanet] = DatanetEntry(owner, bytes(32), 2 * number)
        ctx.board.shards[shard] = ShardEntry(datanet, owner, shard, 1, 1, 0, reveal)
    ctx.board.shards[HIDDEN] = ShardEntry(bytes(32), owner, HIDDEN, 1, 1, 0)


@asynccontextmanager
async def up(*nodes: Context, hub: Context | None = None) -> AsyncIterator[None]:
    """All run; ``hub`` (kim) is connected to everybody, nobody else is; each knows all addresses."""
    async with AsyncExitStack() as stack:
        for ctx in nodes:
            await stack.enter_async_context(ctx.seams.transport.running())
        for ctx in nodes:
            unsigned = join.record(ctx)
            said = join._statement(unsigned, ctx.peer_key, ctx.mail.wire)
            body = replace(unsigned, operator_signature=ctx.sign(said))
            raw = pack(ctx.mail.write(body, ctx.seams.clock.now()))
            for other in nodes:
                if other is not ctx and other.standing(ctx.peer_key):
                    other.mail.accept(raw, other.seams.clock.now())
        if hub is None:
            hub = next(ctx for ctx in nodes if ctx.seams.transport.peer_id == bare.peer("kim"))
        for ctx in nodes:
            if ctx is not hub:
                await ctx.seams.transport.dial(hub.seams.transport.addrs[0])
        yield


async def told(holder: Context) -> None:
    """The holder of the body tells its keepers."""
    holder.seams.blobs.put(BODY)
    holder.holders.provide(SHARD)
    await holder.holders._tell()  # type: ignore[attr-defined]


def linked(one: Context, other: Context) -> bool:
    """Whether two are connected."""
    return other.seams.transport.peer_id in one.seams.transport.peers()


async def ask(ctx: Context, of: Context, protocol: str, body: bytes) -> bytes:
    """One request of one node to another."""
    peer = of.seams.transport.peer_id
    return await ctx.seams.transport.request(peer, protocol, body, timeout=5, max_response=4096)
