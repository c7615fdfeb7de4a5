"""Where is my money: each task of this node from work to coins, and what stopped where.

A function of the snapshot and of the proof under the newest root: task, verdict, score, share, root,
proof, window, claimable or why not yet; work that failed or was rejected is listed, never left out.
"""

from typing import Any

from node.cases import on_trial
from node.committed import active, bodies, tree
from node.context import Context
from node.facade import Json
from protocol.params import OPEN
from settlement.sumtree import verify

LOST = ("failed", "void", "expired", "handed-back")  # final states of work that is not paid


async def proof(ctx: Context) -> Json | None:
    """This owner's leaf under the newest committed root, with its window; None without either."""
    index = ctx.board.index_of(ctx.operator)
    if index is None or not ctx.board.epochs:
        return None
    entry, body = ctx.board.epochs[-1], (await bodies(ctx))[-1]
    if index >= len(body.cumulative):
        return None
    grown = tree(ctx, body)
    leaf, siblings = grown.leaves[index], grown.proof(index)
    opens = None if on_trial(ctx, entry) else entry.activates_at
    return {
        "epoch": entry.epoch,
        "root": entry.root.hex(),
        "index": index,
        "leaves": entry.leaves,
        "siblings": len(siblings),
        "cumulative": str(leaf.cumulative),
        "valid": verify(entry.root, entry.total, entry.leaves, leaf, siblings),
        "claimable_at": opens,
        "seconds_left": opens and (0 if active(ctx, entry) else max(1, opens - ctx.head.time)),
    }


def told(found: Json, leaf: Json | None) -> Json:
    """The whole answer, from a snapshot and what ``proof`` gave."""
    own = found["status"]["operator"]
    shares = [share for share in found["attribution"] if share["owner"] == own]
    units = [u for j in found["jobs"] for r in j["rounds"] for u in r["units"]]
    return {
        "owner_index": found["status"]["owner_index"],
        "shares": shares,
        "units": [unit for unit in units if unit["worker"] == own],
        "verdicts": [v for v in found["verdicts"] if own in (v["worker"], v["verifier"])],
        "epochs": found["epochs"],
        "claimed": found["status"]["claimed_open"],
        "claimable": found["status"]["claimable_open"],
        "tasks": [task for job in found["jobs"] if (task := _task(found, job, own, shares))],
        "rejected": _rejected(found, own),
        "proof": leaf,
        "reason": _reason(found, leaf),
    }


def _task(found: Json, job: Json, own: str, shares: list[Json]) -> Json | None:
    """One job as far as it concerns this owner; None when it does not."""
    work = [
        {**unit, "round": r["round"], "findings": _findings(found, unit["unit"])}
        for r in job["rounds"]
        for unit in r["units"]
        if unit["worker"] == own
    ]
    checks = [v for v in found["verdicts"] if v["job"] == job["id"] and v["verifier"] == own]
    paid = [share for share in shares if share["job"] == job["id"]]
    if not (work or checks or paid):
        return None
    score = next((share for share in paid if share["role"] == "contributor"), None)
    stage, why = _stage(found, job, paid)
    return {
        "job": job["id"],
        "name": job["name"],
        "state": job["state"],
        "units": [
            {k: unit[k] for k in ("unit", "round", "state", "reason", "findings")} for unit in work
        ],
        "checks": len(checks),
        "score": score and {k: score[k] for k in ("records", "influence", "yielded_ppm")},
        "shares": [{k: share[k] for k in ("epoch", "role", "share", "reason")} for share in paid],
        "root": next(
            (e["root"] for e in found["epochs"] if paid and e["epoch"] == paid[0]["epoch"]), None
        ),
        "stage": stage,
        "why": why,
    }


def _findings(found: Json, unit: str) -> list[str]:
    """What each verifier and ruler said of a unit's steps."""
    return [
        f"{v['kind']} {v['finding']} on step {v['step']} by {v['verifier']}"
        for v in found["verdicts"]
        if v["unit"] == unit
    ]


def _stage(found: Json, job: Json, paid: list[Json]) -> tuple[str, str]:
    """How far a job's money is, and what it waits for."""
    if not paid:
        if job["state"] == "failed":
            return "failed", job["reason"] or "the job failed"
        if job["state"] == "settled":
            return "settled", "its pot was divided and nothing of it is this owner's"
        return "not committed", f"the job is {job['state']}: no epoch has divided its pot yet"
    number = paid[0]["epoch"]
    entry = next((e for e in found["epochs"] if e["epoch"] == number), None)
    if entry is not None and entry["on_trial"]:
        return "on trial", f"a verifier derives epoch {number} otherwise: a jury decides"
    if entry is None or not entry["active"]:
        return "in its window", f"epoch {number} may still be challenged"
    if int(found["status"]["claimable_open"]):
        return "claimable", "the root is active; what is not claimed yet can be claimed now"
    return "claimed", f"all that epoch {number} gives was claimed"


def _rejected(found: Json, own: str) -> list[Json]:
    """Work that is not paid, with its reason, and stake that was lost."""
    lost: list[dict[str, Any]] = [
        {"what": "unit", "id": unit["unit"], "state": unit["state"], "why": unit["reason"] or ""}
        for job in found["jobs"]
        for r in job["rounds"]
        for unit in r["units"]
        if unit["worker"] == own and unit["state"] in LOST
    ]
    lost += [
        {"what": "job", "id": job["id"], "state": "failed", "why": job["reason"] or ""}
        for job in found["jobs"]
        if job["state"] == "failed"
    ]
    lost += [
        {
            "what": "slash",
            "id": slash["unit"],
            "state": f"-{int(slash['amount']) / OPEN:g} OPEN",
            "why": f"evidence {slash['evidence']}",
        }
        for slash in found["slashes"]
        if slash["operator"] == own
    ]
    return lost


def _reason(found: Json, leaf: Json | None) -> str:
    """In one sentence why there is, or is not yet, something to claim."""
    if found["status"]["owner_index"] is None:
        return f"this node is not registered as an owner yet: {found['status']['duty']}"
    waiting = int(found["status"]["claimable_open"])
    if waiting:
        return f"{waiting / OPEN:g} OPEN can be claimed now; the daemon does so by itself"
    if not found["epochs"]:
        return "no epoch is committed yet"
    if found["epochs"][-1]["on_trial"]:
        return "the last epoch was challenged: a jury decides whether its window goes on"
    if not found["epochs"][-1]["active"]:
        left = f", {leaf['seconds_left']} s from now" if leaf else ""
        return f"the last epoch waits for its challenge window to end{left}"
    if leaf is not None and not leaf["valid"]:
        return "the last epoch's body does not fit its root on the chain: nothing is proven by it"
    return "everything earned in committed epochs has been claimed"
