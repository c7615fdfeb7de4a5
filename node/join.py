"""Joining: owner index, stake, peer key and roles on chain; who we are by gossip."""

from node.context import Context
from protocol import roles
from protocol.codec import pack
from protocol.ids import checksum, content_id
from protocol.messages import NODE, NodeRecord
from protocol.params import OPEN, Params
from protocol.signing import public_key, seal_key
from protocol.typed_data import RowRoot

AGENT = "openledger-node/0.1.0"
REANNOUNCE_S = 600.0


def needed_stake(params: Params, names: tuple[str, ...]) -> int:
    """What a node must have deposited for its roles, smallest units."""
    total = params.min_stake
    if "worker" in names:
        total += 2 * params.unit_stake
    if "aggregator" in names:
        total += params.aggregator_stake
    return total


async def join(ctx: Context) -> None:
    """Register what is missing; tell the operator what only money can do."""
    if ctx.board.index_of(ctx.operator) is None:
        if ctx.head.number == 0:
            return
        receipt = await ctx.write("AssetRegistry", "registerOwner", checksum(ctx.payout))
        await ctx.reached(receipt.block)
        ctx.note("join", f"registered as owner {ctx.board.index_of(ctx.operator)}")
    missing = needed_stake(ctx.params, ctx.roles) - ctx.board.stake(ctx.operator)
    if missing > 0:
        who = checksum(ctx.operator)
        ctx.duty = f"waiting for stake: deposit {missing / OPEN:g} OPEN for operator {who}"
        return
    key, bits = public_key(ctx.keys.peer_seed), roles.mask(ctx.roles)
    entry = ctx.board.node(ctx.operator)
    if entry is None or (entry.peer_key, entry.roles) != (key, bits):
        receipt = await ctx.post(NODE, key, bits.to_bytes(32, "big"))
        await ctx.reached(receipt.block)
        ctx.note("join", f"registered roles: {', '.join(ctx.roles) or 'none'}")
    await _announce(ctx)


async def _announce(ctx: Context) -> None:
    now = ctx.seams.clock.now()
    if now < ctx.private.get("announced", 0.0) + REANNOUNCE_S:
        return
    ctx.private["announced"] = now
    unsigned = record(ctx)
    # the operator's signature binds the peer key's envelope: root over everything that is announced
    statement = RowRoot(public_key(ctx.keys.peer_seed), content_id(pack(unsigned)))
    await ctx.announce(
        NodeRecord(
            unsigned.operator,
            unsigned.roles,
            unsigned.addrs,
            unsigned.seal_key,
            unsigned.agent,
            ctx.sign(statement),
        )
    )


def record(ctx: Context) -> NodeRecord:
    """Our node record, unsigned."""
    return NodeRecord(
        operator=ctx.operator,
        roles=roles.mask(ctx.roles),
        addrs=tuple(ctx.seams.transport.addrs)[:8],
        seal_key=seal_key(ctx.keys.seal_key),
        agent=AGENT,
        operator_signature=bytes(65),
    )
