"""A split network: who acts on the chain but is not heard by gossip lives on the other side of it.

A node that is merely off does neither, so it raises no alarm.
"""

from collections.abc import Mapping

from node.context import Context
from node.join import REANNOUNCE_S
from protocol.errors import PeerError

LOOK_S = 60.0
SILENT_S = 2.5 * REANNOUNCE_S  # two announcements were missed
ACTIVE_S = REANNOUNCE_S  # who posted within that time runs
SHARE = 4  # one in so many of the active: less may be a few nodes of bad links


async def watch_split(ctx: Context) -> None:
    """Report a split, for ever; what it says is shown with the node's other failures."""
    while True:
        await ctx.seams.clock.sleep(LOOK_S)
        look(ctx)


def look(ctx: Context) -> None:
    """Compare once what the chain and what gossip say of the others."""
    active = posted(ctx)
    lost = parted(active, heard(ctx), ctx.head.time)
    if lost and SHARE * len(lost) >= len(active):
        text = f"{len(lost)} of {len(active)} nodes that act on the chain are not heard by gossip"
        ctx.fail("peers", PeerError("network-split", text))


def parted(active: Mapping[bytes, float], letters: Mapping[bytes, float], now: float) -> set[bytes]:
    """Operators that posted at ``active`` (seconds), lately, and whose last letter is long ago."""
    return {
        operator
        for operator, at in active.items()
        if at > now - ACTIVE_S and letters.get(operator, 0.0) < at - SILENT_S
    }


def posted(ctx: Context) -> dict[bytes, float]:
    """When each other registered operator last posted on the chain, if within ``ACTIVE_S``."""
    last: dict[bytes, float] = {}
    for posts in ctx.board.posts.values():
        for post in reversed(posts):
            if post.time <= ctx.head.time - ACTIVE_S:
                break
            if post.operator != ctx.operator and ctx.board.node(post.operator) is not None:
                last[post.operator] = max(last.get(post.operator, 0.0), post.time)
    return last


def heard(ctx: Context) -> dict[bytes, float]:
    """When each operator's peer last wrote a letter that reached us; now, when it is connected."""
    last = dict.fromkeys(ctx.board.nodes, 0.0)
    issued = ctx.mail.last_issued()
    connected = set(ctx.seams.transport.peers())
    for operator in last:
        entry = ctx.board.node(operator)
        if entry is not None:
            last[operator] = float(issued.get(entry.peer_key, 0))
            if ctx.peer_of(operator) in connected:
                last[operator] = float(ctx.head.time)
    return last
