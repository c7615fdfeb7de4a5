"""The work sections of a snapshot: Datanets, jobs with rounds and units, verdicts."""

from collections import Counter
from typing import Any

from datanet.manifest import DATA_CLASSES
from node import cases, data, jobs
from node.attribute import Attributed, attributed, finished_jobs
from node.context import Context
from node.facade import Json
from node.jobs import Assigned, Job
from node.losses import by_datanet
from protocol.errors import OpenLedgerError
from protocol.ids import checksum, short
from protocol.messages import UNIT, UnitBody, VerdictBody
from tasks.entries import Posted, ShardEntry, UnitEntry


async def datanets(ctx: Context) -> list[Json]:
    known, found = data.names(ctx), []
    for datanet, entry in ctx.board.datanets.items():
        record = known.get(datanet)
        shards = [s for s in ctx.board.shards.values() if s.datanet == datanet]
        found.append(
            {
                "id": datanet.hex(),
                "name": record.name if record else short(datanet),
                "founder": checksum(entry.founder),
                "data_class": DATA_CLASSES[entry.data_class],
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
        "revealed": data.held(ctx, shard),
        "block": shard.block,
        "yielded_ppm": 0,
        "reason": None if data.held(ctx, shard) else "not revealed, or not held by a quorum yet",
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


async def all_jobs(ctx: Context) -> list[Json]:
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
        "reason": _job_reason(ctx, job),
        "model": finished[0].model.hex() if finished else None,
        "adapter": finished[0].adapter.hex() if finished else None,
        "loss": _losses(ctx, found, (0, -1)) if found else {"before": {}, "after": {}},
        "rounds": [await _round(ctx, job, n, found) for n in range(job.spec.rounds)],
    }


def _job_state(ctx: Context, job: Job, number: int | None, found: Attributed | None) -> str:
    if job.pot.drawn or ctx.board.pots[job.id].drawn:
        return "settled"
    if jobs.failed(ctx, job) is not None:
        return "failed"
    if number is not None:
        return f"round {number + 1} of {job.spec.rounds}"
    return "being attributed" if found is None else "being settled"


def _job_reason(ctx: Context, job: Job) -> str | None:
    number = jobs.failed(ctx, job)
    return None if number is None else f"no verified unit was left in round {number + 1}"


def _losses(ctx: Context, found: Attributed, at: tuple[int, int]) -> Json:
    named = {datanet: record.name for datanet, record in data.names(ctx).items()}
    shared = {name for name, count in Counter(named.values()).items() if count > 1}

    def label(datanet: bytes) -> str:
        name = named.get(datanet, "")
        return name if name and name not in shared else f"{name} {short(datanet)}".strip()

    lines = zip(("before", "after"), at, strict=True)
    return {
        when: {
            label(datanet): mean
            for datanet, mean in by_datanet(found.queries, found.body.losses[place]).items()
        }
        for when, place in lines
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
        "reason": "; ".join(filter(None, (reason, cases.explain(ctx, item.unit)))),
        "losses_micro": list(body.losses_micro) if body else [],
        "tokens": body.tokens if body else 0,
        "bytes": size,
        "block": entry.anchor_block if entry else 0,
    }


async def _unit_body(ctx: Context, entry: UnitEntry) -> UnitBody | None:
    """A unit's body if it can be had now; its loss curve is nothing to wait for."""
    for post in ctx.board.posted(UNIT, entry.unit):
        if post.operator == entry.operator:
            body: UnitBody | None = await optional(ctx, UnitBody, post)
            return body
    return None


async def optional(ctx: Context, cls: Any, post: Posted) -> Any:
    try:
        return await ctx.fetch_value(cls, post.value, post.operator)
    except OpenLedgerError as error:
        ctx.fail("view", error)
        return None


async def verdicts(ctx: Context) -> list[Json]:
    found = []
    for unit in list(ctx.board.units.values()):
        for kind, posts in (("verdict", unit.verdicts), ("ruling", unit.rulings)):
            for post in list(posts):
                body: VerdictBody | None = await optional(ctx, VerdictBody, post)
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
