"""Joining: owner index, stake, peer key and roles on chain; who we are by gossip."""

from dataclasses import replace

from node.context import Context
from node.mail import Letter
from protocol import roles
from protocol.errors import PeerError
from protocol.ids import checksum, content_id, topic
from protocol.messages import NODE, NODE_PROOF, NodeRecord
from protocol.params import OPEN, Params
from protocol.possession import possession
from protocol.seams import PeerId
from protocol.signing import public_key, seal_key
from protocol.typed_data import RowRoot, recover
from protocol.wire import write_body

AGENT = "openledger-node/0.1.0"
REANNOUNCE_S = 600.0
AGAIN_S = 5.0  # after a registration: whose view of the chain lagged took our first letter for a stranger's
MAX_ADDRS = 8


def needed_stake(params: Params, names: tuple[str, ...]) -> int:
    """What a node must have deposited for its roles, smallest units."""
    total = params.min_stake
    if "worker" in names:
        total += 2 * params.unit_stake
    if "verifier" in names:
        total += 2 * params.accuser_stake
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
    missing = needed_stake(ctx.params_now, ctx.roles) - ctx.board.stake(ctx.operator)
    if missing > 0:
        who = checksum(ctx.operator)
        ctx.duty = f"waiting for stake: deposit {missing / OPEN:g} OPEN for operator {who}"
        return
    key, bits = ctx.peer_key, roles.mask(ctx.roles)
    entry = ctx.board.node(ctx.operator)
    if entry is None or (entry.peer_key, entry.roles) != (key, bits):
        proof = possession(ctx.keys.peer_seed, ctx.operator)
        said = (topic(NODE_PROOF), *proof), (topic(NODE), key, bits.to_bytes(32, "big"))
        receipt = await ctx.write("CommitLog", "commitMany", said)
        await ctx.reached(receipt.block)
        ctx.private["announce-again"] = ctx.seams.clock.now() + AGAIN_S
        ctx.note("join", f"registered roles: {', '.join(ctx.roles) or 'none'}")
    await _enlist(ctx)
    await _announce(ctx)


async def _enlist(ctx: Context) -> None:
    """A verifier sits on juries, any other node does not."""
    wanted = "verifier" in ctx.roles
    if ctx.board.court.enlisted.get(ctx.operator, False) != wanted:
        receipt = await ctx.write("WorkerStake", "enlist", wanted)
        await ctx.reached(receipt.block)


async def _announce(ctx: Context) -> None:
    now = ctx.seams.clock.now()
    again = ctx.private.get("announce-again", now + AGAIN_S) <= now
    if not again and now < ctx.private.get("announced", 0.0) + REANNOUNCE_S:
        return
    ctx.private["announced"] = now
    if again:
        del ctx.private["announce-again"]
    unsigned = record(ctx)
    said = _statement(unsigned, public_key(ctx.keys.peer_seed), ctx.mail.wire)
    signature = ctx.sign(said)
    await ctx.announce(replace(unsigned, operator_signature=signature))


def _statement(record: NodeRecord, peer_key: bytes, version: int) -> RowRoot:
    """What the operator signs: its peer key, and the root over everything that is announced."""
    unsigned = replace(record, operator_signature=bytes(65))
    return RowRoot(peer_key, content_id(write_body(version, unsigned)))


def node_records(ctx: Context) -> dict[bytes, NodeRecord]:
    """The newest record of each operator that its key signed and its registered peer sent."""
    newest: dict[bytes, Letter] = {}
    for letter in ctx.mail.letters(NodeRecord):
        known = newest.get(letter.body.operator)
        later = known is None or letter.envelope.issued >= known.envelope.issued
        if later and _genuine(ctx, letter):
            newest[letter.body.operator] = letter
    return {operator: letter.body for operator, letter in newest.items()}


def addresses_of(ctx: Context, peer: PeerId) -> tuple[str, ...]:
    """Where a registered peer says that it can be dialled, signed by itself and its operator."""
    operator = ctx.operator_of(peer)
    record = None if operator is None else node_records(ctx).get(operator)
    addrs = () if record is None else record.addrs
    return tuple(addr for addr in addrs if addr.endswith(f"/p2p/{peer}"))


def _genuine(ctx: Context, letter: Letter) -> bool:
    author: bytes = letter.envelope.author
    operator: bytes = letter.body.operator
    entry = ctx.board.node(operator)
    if entry is None or entry.peer_key != author:
        return False
    signers: dict[bytes, bytes] = ctx.private.setdefault("record-signers", {})
    if letter.id not in signers:
        signers[letter.id] = _signer(ctx, letter)
    return signers[letter.id] == operator


def _signer(ctx: Context, letter: Letter) -> bytes:
    envelope = letter.envelope
    digest = _statement(letter.body, envelope.author, envelope.version).digest(ctx.statements)
    try:
        return recover(digest, letter.body.operator_signature)
    except PeerError as error:
        ctx.fail("join", error)
        return b""


def record(ctx: Context) -> NodeRecord:
    """Our node record, unsigned."""
    return NodeRecord(
        operator=ctx.operator,
        roles=roles.mask(ctx.roles),
        addrs=addresses(ctx),
        seal_key=seal_key(ctx.keys.seal_key),
        agent=AGENT,
        payout=ctx.paid_to,
        reach=ctx.reach.verdict,
        operator_signature=bytes(65),
    )


def addresses(ctx: Context) -> tuple[str, ...]:
    """Where to dial us: what others proved first, then what our sockets say."""
    return tuple(dict.fromkeys((*ctx.reach.addrs, *ctx.seams.transport.addrs)))[:MAX_ADDRS]
