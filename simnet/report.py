"""The report of a run, from the chain and from each node's own answers, and the checks on its evidence.

``docs/report.md`` documents every field. A check compares what nodes say with what the chain says.
"""

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from protocol.params import differences
from simnet.demo import Demo, Member
from simnet.show import money

CPU_BUDGET_S = 900
PSS_BUDGET_BYTES = 8_000_000_000
WALL_BUDGET_S = 480
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Check:
    """One claim of the report held against its evidence."""

    name: str
    ok: bool
    detail: str


def build(demo: Demo) -> Json:
    """The whole report; raises OperatorError when a node that should answer does not."""
    own = demo.snapshots()
    view = own["builder"]
    names = {m.identity.operator: name for name, m in demo.members.items()}
    names[demo.treasury.address] = "treasury"
    report: Json = {
        "scenario": demo.scenario.name,
        "seed": demo.seed,
        "contributors": [_contributor(demo, view, m) for m in _owners(demo)],
        "work": _work(view, names),
        "rounds": _rounds(view, own, names),
        "losses": _losses(view),
        "verification": _verification(demo, view, names),
        "chain": _chain(demo, view, names),
        "answer": _answer(demo, view, names),
        "gone": demo.gone,
        "preset": demo.params.preset,
        "preset_differences": differences(demo.params),
        "budget": {},
    }
    report["checks"] = [asdict(check) for check in checks(demo, report, own)]
    return report


def _owners(demo: Demo) -> list[Member]:
    return [member for member in demo.members.values() if member.plan.shard]


def _contributor(demo: Demo, view: Json, member: Member) -> Json:
    operator, shard = member.identity.operator, member.plan.shard
    assert shard is not None
    paid = [s for s in view["attribution"] if s["role"] == "contributor"]
    job = [s for s in paid if s["owner"] == operator and s["kind"] == "job"]
    total = sum(int(s["share"]) for s in paid if s["kind"] == "job")
    earned = sum(int(s["share"]) for s in view["attribution"] if s["owner"] == operator)
    share = sum(int(s["share"]) for s in job)
    known = [s for d in view["datanets"] for s in d["shards"] if s["owner"] == operator]
    index = next((s["owner_index"] for s in known), None)
    return {
        "name": member.plan.name,
        "operator": operator,
        "owner_index": index,
        "payout": member.payout,
        "datanet": shard.datanet,
        "source": shard.source,
        "records": len(member.rows),
        "reserved": sum(s["reserved"] for s in known),
        "yielded_ppm": max((s["yielded_ppm"] for s in job or known), default=0),
        "influence": sum(s["influence"] for s in job),
        "share": share,
        "share_percent": 100 * share / total if total else 0.0,
        "share_from_answers": sum(
            int(s["share"]) for s in paid if s["owner"] == operator and s["kind"] == "answer"
        ),
        "earned": earned,
        "claimed": sum(int(c["amount"]) for c in view["claims"] if c["owner_index"] == index),
        "balance_before": member.balance_before,
        "balance_after": demo.balance(member.payout),
    }


def _work(view: Json, names: dict[str, str]) -> list[Json]:
    """What everyone earned other than as a contributor, and why."""
    return [
        {
            "name": names.get(s["owner"], s["owner"]),
            "kind": s["kind"],
            "role": s["role"],
            "earned": int(s["share"]),
            "reason": s["reason"],
        }
        for s in view["attribution"]
        if s["role"] != "contributor"
    ]


def _sizes(own: dict[str, Json]) -> dict[str, int]:
    """Bytes of each unit's update, as the node that holds it says."""
    units = [u for v in own.values() for j in v["jobs"] for r in j["rounds"] for u in r["units"]]
    return {unit["unit"]: unit["bytes"] for unit in units if unit["bytes"]}


def _rounds(view: Json, own: dict[str, Json], names: dict[str, str]) -> list[Json]:
    sizes = _sizes(own)
    return [
        {
            "round": r["round"],
            "adapter": r["adapter"],
            "bytes": sum(sizes.get(u["unit"], 0) for u in r["units"]),
            "units": [
                {
                    "unit": u["unit"],
                    "worker": names[u["worker"]],
                    "home": u["home"],
                    "state": u["state"],
                    "reason": u["reason"],
                    "steps": len(u["losses_micro"]),
                    "tokens": u["tokens"],
                    "bytes": sizes.get(u["unit"], 0),
                    "losses_micro": u["losses_micro"],
                }
                for u in r["units"]
            ],
        }
        for job in view["jobs"]
        for r in job["rounds"]
    ]


def _losses(view: Json) -> list[Json]:
    job = view["jobs"][0]
    found: dict[str, list[int]] = {name: [loss] for name, loss in job["loss"]["before"].items()}
    for r in job["rounds"]:
        for name, loss in r["loss"].items():
            found[name].append(loss)
    return [{"datanet": name, "by_round_micro": losses} for name, losses in sorted(found.items())]


def _verification(demo: Demo, view: Json, names: dict[str, str]) -> Json:
    slashes = []
    for s in view["slashes"]:
        after = int(demo.treasury.read("WorkerStake", "stakeOf", s["operator"]))
        slashes.append(
            {
                **s,
                "name": names[s["operator"]],
                "reporter_name": names[s["reporter"]],
                "stake_after": after,
                "stake_before": after + int(s["amount"]),
            }
        )
    findings = [
        {**v, "worker": names[v["worker"]], "verifier": names[v["verifier"]]}
        for v in view["verdicts"]
    ]
    return {"findings": findings, "slashes": slashes}


def _chain(demo: Demo, view: Json, names: dict[str, str]) -> Json:
    treasury = demo.treasury
    contracts = [c.name for c in demo.network.genesis.contracts]
    indices = {s["owner_index"]: names[s["owner"]] for s in view["attribution"]}
    return {
        "chain_id": view["status"]["chain_id"],
        "head": view["status"]["head"],
        "contracts": {name: treasury.address_of(name) for name in contracts},
        "job": demo.job,
        "escrow": view["jobs"][0]["escrow"],
        "epochs": [
            {**e, "signers": [names[s] for s in e["signers"]], "gas": treasury.gas_used(e["tx"])}
            for e in view["epochs"]
        ],
        "claims": [
            {**c, "name": indices.get(c["owner_index"], "?"), "gas": treasury.gas_used(c["tx"])}
            for c in view["claims"]
        ],
    }


def _answer(demo: Demo, view: Json, names: dict[str, str]) -> Json:
    answer = next(a for a in view["answers"] if a["receipt"] == demo.answer["receipt"])
    owners = {s["owner_index"]: names[s["owner"]] for s in view["attribution"]}
    for m in demo.members.values():
        for d in view["datanets"]:
            for s in d["shards"]:
                if s["owner"] == m.identity.operator:
                    owners[s["owner_index"]] = m.plan.name
    shares = [
        {
            "name": names.get(s["owner"], s["owner"]),
            "role": s["role"],
            "amount": int(s["share"]),
            "reason": s["reason"],
        }
        for s in view["attribution"]
        if s["kind"] == "answer"
    ]
    for part in (*answer["records"], *answer["spans"]):
        part["owner_name"] = owners.get(part["owner"], "?")
    return {**answer, "shares": shares}


# -- checks ---


def checks(demo: Demo, report: Json, own: dict[str, Json]) -> list[Check]:
    """Every stage's evidence. The run succeeds only if all hold."""
    return [
        *_check_losses(report),
        *_check_slash(demo, report),
        *_check_fair(demo, report),
        *_check_money(demo, report, own),
        *_check_answer(demo, report),
        _check_agreement(own),
    ]


def _check_losses(report: Json) -> list[Check]:
    found = []
    for entry in report["losses"]:
        first, last = entry["by_round_micro"][0], entry["by_round_micro"][-1]
        detail = f"{first / 1e6:.3f} -> {last / 1e6:.3f}"
        found.append(Check(f"held-out loss of {entry['datanet']} fell", last < first, detail))
    return found or [Check("held-out loss was measured", False, "no scores were accepted")]


def _check_slash(demo: Demo, report: Json) -> list[Check]:
    slashed = {s["name"]: s for s in report["verification"]["slashes"]}
    cheats = {plan.name for plan in demo.scenario.cheats}
    found = [
        Check(
            "nobody honest was slashed",
            set(slashed) <= cheats,
            ", ".join(sorted(slashed)) or "none slashed",
        )
    ]
    for name in sorted(cheats - set(demo.gone)):
        slash = slashed.get(name)
        lost = slash is not None and int(slash["amount"]) > 0
        unpaid = not any(
            w["name"] == name and w["role"] == "worker" and w["earned"] for w in report["work"]
        )
        detail = f"lost {money(slash['amount'])} OPEN" if slash else "was not slashed"
        found.append(
            Check(f"{name} skipped steps, was slashed and is unpaid", lost and unpaid, detail)
        )
    return found


def _check_fair(demo: Demo, report: Json) -> list[Check]:
    people = {c["name"]: c for c in report["contributors"]}
    closed = {plan.name for plan in demo.scenario.datanets if plan.data_class == "private"}
    open_owners = [c for c in people.values() if c["datanet"] not in closed]
    total = sum(c["share"] for c in open_owners)
    records = sum(c["records"] - c["reserved"] for c in open_owners)
    found = []
    for plan in demo.scenario.garbage:
        c = people[plan.name]
        alike = total * (c["records"] - c["reserved"]) // max(1, records)
        detail = f"{money(c['share'])} OPEN; counted alike it were {money(alike)}"
        ok = alike > 0 and 5 * c["share"] <= alike
        found.append(Check("garbage gets at most a fifth of an equal share", ok, detail))
    for plan in demo.scenario.copycats:
        assert plan.shard is not None
        c, source = people[plan.name], people[plan.shard.copies]
        detail = f"{money(c['share'])} against {money(source['share'])} OPEN"
        ok = source["share"] > 0 and 5 * c["share"] <= source["share"]
        found.append(Check("the copycat gets at most a fifth of whom it copied", ok, detail))
    return found


def _check_money(demo: Demo, report: Json, own: dict[str, Json]) -> list[Check]:
    view, treasury = own["builder"], demo.treasury
    pots: dict[str, int] = defaultdict(int)
    for s in view["attribution"]:
        pots[s["pot"]] += int(s["share"])
    drawn = _drawn(demo, view)
    exact = bool(pots) and dict(pots) == drawn
    found = [
        Check(
            "shares sum to each pot to the last unit",
            exact,
            ", ".join(f"{pot[:8]}: {amount}" for pot, amount in sorted(drawn.items())),
        )
    ]
    wrong = []
    for name, member in demo.members.items():
        earned = sum(
            int(s["share"]) for s in view["attribution"] if s["owner"] == member.identity.operator
        )
        moved = demo.balance(member.payout) - member.balance_before - _paid_directly(view, member)
        if name not in demo.gone and moved != earned:
            wrong.append(f"{name}: earned {earned}, balance moved by {moved}")
    found.append(
        Check(
            "every payout balance moved by what its owner earned",
            not wrong,
            "; ".join(wrong) or f"{len(demo.members)} balances read from the chain",
        )
    )
    last = view["epochs"][-1]["total"] if view["epochs"] else "0"
    claimed = int(treasury.read("AttributionPool", "poolOf", bytes(32))[4])
    detail = f"{money(claimed)} of {money(last)} OPEN"
    found.append(Check("no more was claimed than committed", 0 < claimed <= int(last), detail))
    return found


def _drawn(demo: Demo, view: Json) -> dict[str, int]:
    """What each pot paid out, from the chain's own events."""
    found: dict[str, int] = defaultdict(int)
    for event in demo.treasury.events(0):
        if event.name == "PotDrawn":
            found[event.args["pot"].hex()] += event.args["amount"]
    return dict(found)


def _paid_directly(view: Json, member: Member) -> int:
    """Parts of fees that ``InferenceChannels`` paid at once: to the host, and to the model's owner."""
    direct = 0
    for answer in view["answers"]:
        if answer["host"] == member.identity.operator:
            direct += int(answer["split"]["host"])
        if member.plan.name == "builder":
            direct += int(answer["split"]["owner"])
    return direct


def _check_answer(demo: Demo, report: Json) -> list[Check]:
    a = report["answer"]
    parts = sum(int(part) for part in a["split"].values())
    shared = sum(s["amount"] for s in a["shares"])
    contributors = int(a["split"]["contributors"])
    return [
        Check("the adapter answered", bool(a["text"].strip()), f"{a['tokens']} tokens"),
        Check("the fee was split to the last unit", parts == int(a["fee"]) > 0, f"{parts}"),
        Check(
            "the contributors' part was divided by the answer's scores",
            shared == contributors > 0,
            f"{shared} of {contributors}",
        ),
    ]


def _check_agreement(own: dict[str, Json]) -> Check:
    """All nodes derived the same shares from the same chain."""
    roots = {tuple(e["root"] for e in found["epochs"]) for found in own.values()}
    shares = {
        tuple((s["owner"], s["role"], s["share"]) for s in found["attribution"])
        for found in own.values()
    }
    same = len(roots) == 1 and len(shares) == 1
    return Check("all nodes agree on epochs and shares", same, f"{len(own)} nodes")
