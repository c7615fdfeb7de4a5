"""The snapshot: everything a node knows, as plain JSON for the API, the dashboard and reports.

Sections are listed in ``docs/report.md``. Ids and addresses are hex text, money is decimal text of the
smallest unit, times are Unix seconds.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from node import view_money, view_peers, view_work
from node.context import Context
from node.epoch import claimable
from node.facade import Json
from node.join import AGENT
from node.meet import Meeting
from protocol.errors import OpenLedgerError
from protocol.ids import checksum

LOG_LINES = 200


async def snapshot(ctx: Context, meeting: Meeting, backed_up: bool) -> Json:
    """All sections. A body that has not arrived yet is left out, and its absence is a counted failure."""
    sections: dict[str, Callable[[], Awaitable[Any]]] = {
        "datanets": lambda: view_work.datanets(ctx),
        "jobs": lambda: view_work.all_jobs(ctx),
        "verdicts": lambda: view_work.verdicts(ctx),
        "attribution": lambda: view_money.attribution(ctx),
        "epochs": lambda: view_money.epochs(ctx),
        "answers": lambda: view_money.answers(ctx),
    }
    found: Json = {
        "status": await _status(ctx, meeting, backed_up),
        "peers": view_peers.peers(ctx, meeting),
        "slashes": view_money.slashes(ctx),
        "claims": view_money.claims(ctx),
    }
    for name, read in sections.items():
        try:
            found[name] = await read()
        except OpenLedgerError as error:
            ctx.fail("view", error)
            found[name] = []
    found["failures"] = _failures(ctx, meeting)
    found["log"] = [
        {"time": note.at, "stage": note.stage, "text": note.text}
        for note in list(ctx.notes)[-LOG_LINES:]
    ]
    return found


async def _status(ctx: Context, meeting: Meeting, backed_up: bool) -> Json:
    chain, board = ctx.seams.chain, ctx.board
    index, waiting, _ = await claimable(ctx)
    zero = ctx.failures.get("published-to-0-peers")
    return {
        "agent": AGENT,
        "version": AGENT.rpartition("/")[2],
        "peer_id": ctx.seams.transport.peer_id,
        "operator": checksum(ctx.operator),
        "owner_index": None if index < 0 else index,
        "payout": checksum(ctx.paid_to),
        "payout_pending": _pending(ctx),
        "roles": list(ctx.roles),
        "network": ctx.network.name,
        "network_id": ctx.network.id.hex(),
        "chain_id": ctx.network.chain_id,
        "head": {"number": ctx.head.number, "time": ctx.head.time},
        "balance_open": str(await chain.read("OpenToken", "balanceOf", checksum(ctx.paid_to))),
        "claimed_open": str(board.claimed(index)),
        "claimable_open": str(max(0, waiting)),
        "stake": str(board.stake(ctx.operator)),
        "backed_up": backed_up,
        "duty": ctx.duty,
        "mesh": {ctx.network.topic: len(ctx.seams.transport.peers())},
        "published_to_zero": zero.count if zero else 0,
        "reachability": view_peers.reachability(ctx),
        "refused_by": view_peers.refusals(meeting),
        "wire": view_peers.wire(ctx, meeting),
        "shards": view_peers.shards(ctx),
    }


def _pending(ctx: Context) -> Json | None:
    """A payout address that was scheduled and is not in force."""
    entry = ctx.board.pending_payout(ctx.operator)
    return None if entry is None else {"payout": checksum(entry.address), "since": entry.since}


def _failures(ctx: Context, meeting: Meeting) -> list[Json]:
    now = ctx.seams.clock.now()
    found = [
        {"reason": code, "count": f.count, "text": f.text, "last": f.last}
        for code, f in sorted(ctx.failures.items())
    ]
    transport, exchange = ctx.seams.transport.counters(), ctx.exchange.counters()
    asked = exchange, ctx.holders.counters(), ctx.dialler.counters(), meeting.counters()
    for source in (transport, dict(ctx.mail.refused), *asked):
        found += [
            {"reason": code, "count": count, "text": "counted by the network", "last": now}
            for code, count in sorted(source.items())
            if count
        ]
    return found
