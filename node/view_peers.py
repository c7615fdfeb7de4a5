"""Peers in the snapshot: who is there, how we are linked, who left or refused us and why."""

from node.context import Context
from node.facade import Json
from node.join import node_records
from node.meet import Meeting
from protocol import roles
from protocol.ids import checksum
from protocol.messages import NodeRecord
from protocol.seams import Link, PeerId
from protocol.signing import WIRE_VERSION, peer_id_of


def reachability(ctx: Context) -> Json:
    """Whether others can dial this node, and what to do about it."""
    reach = ctx.reach
    return {
        "verdict": reach.verdict,
        "why": reach.why,
        "advice": reach.advice,
        "addrs": list(reach.addrs),
        "observed": reach.observed,
        "asked": reach.asked,
    }


def refusals(meeting: Meeting) -> list[Json]:
    """Connected peers that do not work with us, by reason."""
    found: dict[str, Json] = {}
    for refused in meeting.refused.values():
        entry = {"text": refused.text, "remedy": refused.remedy, "peers": 0}
        found.setdefault(refused.reason, {"reason": refused.reason, **entry})["peers"] += 1
    return [found[reason] for reason in sorted(found)]


def wire(ctx: Context, meeting: Meeting) -> Json:
    """Wire versions: the newest that we speak, the one in force, and how many of the peers that we
    know of speak a newer one than we: by their hello, or by what they wrote.
    """
    known = {peer: hello.version > WIRE_VERSION for peer, hello in meeting.hellos.items()}
    known |= {peer_id_of(key): True for key in ctx.mail.newer}
    newer = sum(known.values())
    return {
        "version": WIRE_VERSION,
        "in_force": ctx.mail.wire,
        "peers": len(known),
        "newer": newer,
    }


def shards(ctx: Context) -> Json:
    """What this node provides of shards, keeps of what others provide, and found when it asked."""
    figures = ctx.holders.figures()
    return {
        "provided": figures.provided,
        "records": figures.records,
        "lookups": figures.lookups,
    }


def peers(ctx: Context, meeting: Meeting) -> list[Json]:
    """Everyone registered on chain, linked or remembered, with what this node knows of them."""
    records, own = node_records(ctx), ctx.seams.transport.peer_id
    operators = {ctx.peer_of(operator): operator for operator in list(ctx.board.nodes)}
    links: dict[PeerId, list[Link]] = {}
    for link in ctx.seams.transport.links():
        links.setdefault(link.peer, []).append(link)
    known = {entry.peer for entry in meeting.book.all()}
    faults = {peer: (points, left) for peer, points, left in ctx.seams.transport.scores()}
    found = []
    for peer in sorted({p for p in (*operators, *links, *known) if p}):
        operator = operators.get(peer)
        record = records.get(operator) if operator else None
        entry = _registered(ctx, operator) | _met(meeting, peer, record)
        points, left = faults.get(peer, (0.0, 0.0))
        blame = {"faults": round(points, 1), "banned_seconds": round(left)}
        linked = _linked(links.get(peer, []), peer == own)
        found.append({"peer_id": peer, **entry, **blame, **linked})
    return found


def _registered(ctx: Context, operator: bytes | None) -> Json:
    entry = ctx.board.node(operator) if operator else None
    payout = ctx.board.payout(operator) if operator else None
    return {
        "operator": checksum(operator) if operator else None,
        "payout": checksum(payout) if payout else None,
        "roles": list(roles.names(entry.roles)) if entry else [],
        "stake": str(ctx.board.stake(operator)) if operator else "0",
    }


def _met(meeting: Meeting, peer: PeerId, record: NodeRecord | None) -> Json:
    """What the peer said of itself, now or the last time, and how it was lost."""
    hello, seen = meeting.hellos.get(peer), meeting.book.get(peer)
    refused = meeting.refused.get(peer)
    return {
        "announced": record is not None,
        "addrs": list(record.addrs if record else hello.addrs if hello else seen.addrs),
        "agent": hello.agent if hello else record.agent if record else seen.agent,
        "wire": hello.version if hello else None,
        "reach": (hello.reach if hello else "") or None,
        "last_seen": seen.last_seen or None,
        "refused": refused.reason if refused else None,
        "lost_reason": seen.loss or None,
    }


def _linked(links: list[Link], own: bool) -> Json:
    """The connection: who dialled, over what, how far away."""
    latency = next((link.latency for link in links if link.latency is not None), None)
    ways = {"in" if link.inbound else "out" for link in links}
    return {
        "connected": own or bool(links),
        "direction": None if not ways else "both" if len(ways) > 1 else ways.pop(),
        "relayed": bool(links) and all(link.relayed for link in links),
        "latency_ms": None if latency is None else round(latency * 1_000, 1),
    }
