"""The snapshot: everything a node knows, as plain JSON for the API, the dashboard and reports.

Sections are listed in ``docs/report.md``. Ids and addresses are hex text, money is decimal text of the
smallest unit, times are Unix seconds.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from node import data, jobs
from node.attribute import Attributed, Finished, attributed, finished_jobs
from node.context import Context
from node.epoch import active, bodies, claimable
from node.facade import Json
from node.jobs import Assigned, Job
from node.join import AGENT
from p2p.peers import PeerBook
from protocol import roles
from protocol.errors import OpenLedgerError
from protocol.ids import checksum, short
from protocol.messages import (
    RECEIPT,
    UNIT,
    EpochVote,
    NodeRecord,
    PotShares,
    Receipt,
    UnitBody,
    VerdictBody,
)
from tasks.entries import Posted, ShardEntry, UnitEntry

CLASSES = ("open", "consented", "private")
LOG_LINES = 200
TEXT = 160  # characters of a record shown


async def snapshot(ctx: Context, book: PeerBook | None, backed_up: bool) -> Json:
    """All sections. A body that has not arrived yet is left out, and its absence is a counted failure."""
    sections: dict[str, Callable[[], Awaitable[Any]]] = {
        "datanets": lambda: _datanets(ctx),
        "jobs": lambda: _jobs(ctx),
        "verdicts": lambda: _verdicts(ctx),
        "attribution": lambda: _attribution(ctx),
        "epochs": lambda: _epochs(ctx),
        "answers": lambda: _answers(ctx),
    }
    found: Json = {
        "status": await _status(ctx, backed_up),
        "peers": _peers(ctx, book),
        "slashes": _slashes(ctx),
        "claims": _claims(ctx),
    }
    for name, read in sections.items():
        try:
            found[name] = await read()
        except OpenLedgerError as error:
            ctx.fail("view", error)
            found[name] = []
    found["failures"] = _failures(ctx)
    found["log"] = [
        {"time": note.at, "stage": note.stage, "text": note.text}
        for note in list(ctx.notes)[-LOG_LINES:]
    ]
    return found


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


async def _status(ctx: Context, backed_up: bool) -> Json:
    chain, board = ctx.seams.chain, ctx.board
    index, waiting, _ = await claimable(ctx)
    zero = ctx.failures.get("published-to-0-peers")
    return {
        "agent": AGENT,
        "version": AGENT.rpartition("/")[2],
        "peer_id": ctx.seams.transport.peer_id,
        "operator": checksum(ctx.operator),
        "owner_index": None if index < 0 else index,
        "payout": checksum(ctx.payout),
        "roles": list(ctx.roles),
        "network": ctx.network.name,
        "network_id": ctx.network.id.hex(),
        "chain_id": ctx.network.chain_id,
        "head": {"number": ctx.head.number, "time": ctx.head.time},
        "balance_open": str(await chain.read("OpenToken", "balanceOf", checksum(ctx.payout))),
        "claimed_open": str(sum(c.amount for c in board.claims if c.index == index)),
        "claimable_open": str(max(0, waiting)),
        "stake": str(board.stake(ctx.operator)),
        "backed_up": backed_up,
        "duty": ctx.duty,
        "mesh": {ctx.network.topic: len(ctx.seams.transport.peers())},
        "published_to_zero": zero.count if zero else 0,
    }


def _peers(ctx: Context, book: PeerBook | None) -> list[Json]:
    """Everyone registered on chain or connected, with what this node knows of them."""
    connected = set(ctx.seams.transport.peers())
    records = {record.operator: record for record in ctx.mail.bodies(NodeRecord)}
    known = {entry.peer: entry for entry in (book.all() if book else ())}
    operators = {ctx.peer_of(operator): operator for operator in list(ctx.board.nodes)}
    found = []
    for peer in sorted({p for p in (*operators, *connected) if p}):
        operator = operators.get(peer)
        entry = ctx.board.node(operator) if operator else None
        record = records.get(operator) if operator else None
        seen = known.get(peer)
        latency = seen.latency if seen else None
        found.append(
            {
                "peer_id": peer,
                "operator": checksum(operator) if operator else None,
                "roles": list(roles.names(entry.roles)) if entry else [],
                "addrs": list(record.addrs) if record else [],
                "connected": peer in connected or peer == ctx.seams.transport.peer_id,
                "latency_ms": None if latency is None else round(latency * 1_000, 1),
                "agent": record.agent if record else "",
                "last_seen": seen.last_seen if seen else None,
                "lost_reason": (seen.loss or None) if seen else None,
            }
        )
    return found


# -- data ---


async def _datanets(ctx: Context) -> list[Json]:
    known, found = data.names(ctx), []
    for datanet, number in ctx.board.datanets.items():
        record = known.get(datanet)
        shards = [s for s in ctx.board.shards.values() if s.datanet == datanet]
        found.append(
            {
                "id": datanet.hex(),
                "name": record.name if record else short(datanet),
                "data_class": CLASSES[number],
                "licence": record.licence if record else "",
                "shards": [await _shard(ctx, shard) for shard in shards],
            }
        )
    return found


async def _shard(ctx: Context, shard: ShardEntry) -> Json:
    found: Json = {
        "commitment": shard.commitment.hex(),
        "owner": checksum(shard.owner),
        "owner_index": ctx.board.index_of(shard.owner),
        "records": 0,
        "reserved": 0,
        "revealed": shard.reveal is not None,
        "block": shard.block,
        "yielded_ppm": 0,
        "reason": None if shard.reveal else "not revealed yet",
    }
    datasets: dict[bytes, data.Dataset] = ctx.private.get("datasets", {})
    for dataset in datasets.values():
        opened = [s for s in dataset.shards if s.entry.commitment == shard.commitment]
        if opened:
            ids = set(opened[0].reveal.ids)
            kept = [k.kept_ppm for k in dataset.kept if k.record in ids and k.owner == shard.owner]
            found["records"] = len(ids)
            found["reserved"] = len(opened[0].aside)
            found["yielded_ppm"] = 1_000_000 - sum(kept) // len(kept) if kept else 0
        found["reason"] = dataset.void.get(shard.commitment, found["reason"])
    return found


# -- jobs ---


async def _jobs(ctx: Context) -> list[Json]:
    return [await _job(ctx, job) for job in jobs.jobs(ctx)]


async def _job(ctx: Context, job: Job) -> Json:
    number = jobs.current_round(ctx, job)
    finished = [item for item in await finished_jobs(ctx) if item.job.id == job.id]
    found = await attributed(ctx, finished[0]) if finished else None
    return {
        "id": job.id.hex(),
        "name": job.spec.name,
        "state": _job_state(ctx, job, number, found),
        "base": job.spec.base,
        "escrow": str(job.pot.amount),
        "unit_pay": str(job.spec.unit_pay),
        "block": job.pot.block,
        "reason": None,
        "adapter": finished[0].adapter.hex() if finished else None,
        "loss": _losses(ctx, found, (0, -1)) if found else {"before": {}, "after": {}},
        "rounds": [await _round(ctx, job, n, found) for n in range(job.spec.rounds)],
    }


def _job_state(ctx: Context, job: Job, number: int | None, found: Attributed | None) -> str:
    if job.pot.drawn or ctx.board.pots[job.id].drawn:
        return "settled"
    if number is not None:
        return f"round {number + 1} of {job.spec.rounds}"
    return "being attributed" if found is None else "being settled"


def _losses(ctx: Context, found: Attributed, at: tuple[int, int]) -> Json:
    names = data.names(ctx)

    def label(datanet: bytes) -> str:
        return names[datanet].name if datanet in names else short(datanet)

    before, after = at
    return {
        "before": {label(x.datanet): x.by_round_micro[before] for x in found.body.losses},
        "after": {label(x.datanet): x.by_round_micro[after] for x in found.body.losses},
    }


async def _round(ctx: Context, job: Job, number: int, found: Attributed | None) -> Json:
    done = jobs.finished(ctx, job, number)
    outcomes = await jobs.outcomes(ctx, job, number) or {}
    units = [await _unit(ctx, job, item, str(r.state), r.reason) for item, r in outcomes.items()]
    return {
        "round": number + 1,
        "state": "merged" if done else ("open" if outcomes else "waiting"),
        "adapter": done.value.hex() if done else None,
        "bytes": sum(unit["bytes"] for unit in units),
        "units": units,
        "loss": _losses(ctx, found, (number, number + 1))["after"] if found else {},
    }


async def _unit(ctx: Context, job: Job, item: Assigned, state: str, reason: str) -> Json:
    entry = jobs.entry_of(ctx, job, item)
    body = await _unit_body(ctx, entry) if entry else None
    held = entry is not None and entry.root and ctx.seams.blobs.has(entry.adapter)
    size = len(ctx.seams.blobs.get(entry.adapter)) if entry and held else 0
    return {
        "unit": item.unit.hex(),
        "worker": checksum(item.worker),
        "home": item.home,
        "state": state,
        "reason": reason,
        "losses_micro": list(body.losses_micro) if body else [],
        "tokens": body.tokens if body else 0,
        "bytes": size,
        "block": entry.anchor_block if entry else 0,
    }


async def _unit_body(ctx: Context, entry: UnitEntry) -> UnitBody | None:
    """A unit's body if it can be had now; its loss curve is nothing to wait for."""
    for post in ctx.board.posted(UNIT, entry.unit):
        if post.operator == entry.operator:
            body: UnitBody | None = await _optional(ctx, UnitBody, post)
            return body
    return None


async def _optional(ctx: Context, cls: Any, post: Posted) -> Any:
    try:
        return await ctx.fetch_value(cls, post.value, post.operator)
    except OpenLedgerError as error:
        ctx.fail("view", error)
        return None


async def _verdicts(ctx: Context) -> list[Json]:
    found = []
    for unit in list(ctx.board.units.values()):
        for kind, posts in (("verdict", unit.verdicts), ("ruling", unit.rulings)):
            for post in list(posts):
                body: VerdictBody | None = await _optional(ctx, VerdictBody, post)
                for step in body.steps if body else ():
                    found.append(
                        {
                            "kind": kind,
                            "unit": unit.unit.hex(),
                            "job": unit.pot.hex(),
                            "worker": checksum(unit.operator),
                            "step": step.step,
                            "verifier": checksum(post.operator),
                            "finding": step.finding or "ok",
                            "distance_ppb": step.distance_ppb,
                            "optimiser_ppb": step.optimiser_ppb,
                            "tolerance_ppb": ctx.params.tolerance_ppb,
                            "optimiser_tolerance_ppb": ctx.params.optimiser_tolerance_ppb,
                            "block": post.block,
                        }
                    )
    return found


# -- money ---


def _slashes(ctx: Context) -> list[Json]:
    return [
        {
            "unit": s.unit.hex(),
            "operator": checksum(s.operator),
            "amount": str(s.amount),
            "reporter": checksum(s.reporter),
            "tx": _hex(s.tx),
            "evidence": s.evidence.hex(),
            "block": s.block,
        }
        for s in ctx.board.slashes
    ]


def _claims(ctx: Context) -> list[Json]:
    return [
        {
            "owner_index": c.index,
            "amount": str(c.amount),
            "payout": checksum(c.payout),
            "tx": _hex(c.tx),
            "block": c.block,
        }
        for c in ctx.board.claims
    ]


async def _attribution(ctx: Context) -> list[Json]:
    found = []
    for body in await bodies(ctx):
        for pot in body.pots:
            found += [_share(ctx, body.epoch, pot, i) for i in range(len(pot.shares))]
    return found


def _share(ctx: Context, epoch: int, pot: PotShares, position: int) -> Json:
    share = pot.shares[position]
    credits = [c for c in pot.credits if c.owner == share.owner and share.role == "contributor"]
    kept = [c.kept_ppm for c in credits]
    return {
        "epoch": epoch,
        "kind": pot.kind,
        "job": pot.subject.hex(),
        "pot": pot.pot.hex(),
        "owner": checksum(ctx.board.owners[share.owner]),
        "owner_index": share.owner,
        "role": share.role,
        "records": len(credits),
        "yielded_ppm": 1_000_000 - sum(kept) // len(kept) if kept else 0,
        "influence": sum(c.influence * c.kept_ppm // 1_000_000 for c in credits),
        "share": str(share.amount),
        "reason": share.reason,
    }


async def _epochs(ctx: Context) -> list[Json]:
    return [
        {
            "epoch": e.epoch,
            "root": e.root.hex(),
            "total": str(e.total),
            "leaves": e.leaves,
            "signers": [checksum(seat) for seat in _signers(ctx, e.epoch, e.evidence)],
            "evidence": e.evidence.hex(),
            "tx": _hex(e.tx),
            "block": e.block,
            "active": active(ctx, e),
        }
        for e in ctx.board.epochs
    ]


def _signers(ctx: Context, number: int, evidence: bytes) -> list[bytes]:
    """Seats whose vote for this epoch's body has arrived here."""
    authors = {
        ctx.operator_of(letter.author)
        for letter in ctx.mail.letters(EpochVote)
        if letter.body.epoch == number and letter.body.body == evidence
    }
    return [seat for seat in ctx.board.seats if seat in authors]


# -- answers ---


async def _answers(ctx: Context) -> list[Json]:
    found = []
    for item in await finished_jobs(ctx):
        for post in ctx.board.posted(RECEIPT, item.adapter):
            receipt: Receipt | None = await _optional(ctx, Receipt, post)
            if receipt is not None:
                found.append(await answer(ctx, item, post.value, receipt))
    return found


async def answer(ctx: Context, item: Finished, blob: bytes, receipt: Receipt) -> Json:
    """One answer with its lineage, in the form of the ``answers`` section."""
    dataset = await data.dataset(ctx, item.job)
    texts = {row.record: text for row, text in zip(dataset.rows, dataset.texts, strict=True)}
    owners = {row.record: row.owner for row in dataset.rows}
    names = data.names(ctx)
    split = [f for f in ctx.board.fees if f.channel == receipt.channel]
    return {
        "receipt": blob.hex(),
        "job": receipt.job.hex(),
        "adapter": receipt.adapter.hex(),
        "lineage": [part.hex() for part in receipt.lineage],
        "host": checksum(receipt.host),
        "prompt": receipt.prompt,
        "text": receipt.answer,
        "base_text": receipt.base_answer,
        "tokens": receipt.tokens,
        "fee": str(receipt.fee),
        "channel": receipt.channel.hex(),
        "records": [
            {
                "record": r.record.hex(),
                "owner": r.owner,
                "datanet": names[r.datanet].name if r.datanet in names else short(r.datanet),
                "score": r.score,
                "text": texts[r.record].completion[:TEXT] if r.record in texts else "",
            }
            for r in receipt.records
        ],
        "spans": [
            {"text": s.text, "record": s.record.hex(), "owner": owners.get(s.record)}
            for s in receipt.spans
        ],
        "split": {
            "host": str(sum(f.host for f in split)),
            "owner": str(sum(f.owner for f in split)),
            "contributors": str(sum(f.contributors for f in split)),
            "treasury": str(sum(f.treasury for f in split)),
        },
    }


def _failures(ctx: Context) -> list[Json]:
    now = ctx.seams.clock.now()
    found = [
        {"reason": code, "count": f.count, "text": f.text, "last": f.last}
        for code, f in sorted(ctx.failures.items())
    ]
    for source in (ctx.seams.transport.counters(), dict(ctx.mail.refused), ctx.exchange.counters()):
        found += [
            {"reason": code, "count": count, "text": "counted by the network", "last": now}
            for code, count in sorted(source.items())
            if count
        ]
    return found
