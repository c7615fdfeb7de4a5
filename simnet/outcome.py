"""What a scenario came to, in terms that hold in both kinds of run: real processes and virtual time.

Amounts differ, because the models differ; who is paid, who is slashed and what is settled may not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from simnet.scenario import Scenario

FIFTH = 5  # the bound of the demo: at most one in so many
EXACT = (
    "shares sum to each pot to the last unit",
    "every payout balance moved by what its owner earned",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """``paid`` names the honest owners of open Datanets whose records earned; ``bounded`` the garbage
    owners and copycats that got at most a fifth of an equal share, or of whom they copied; ``dead`` who
    did not run at the end. All names in order.
    """

    rounds: int  # merged
    epochs: int
    exact: bool  # shares sum to each pot and reached the payout addresses, to the last unit
    slashed: tuple[str, ...]
    paid: tuple[str, ...]
    bounded: tuple[str, ...]
    dead: tuple[str, ...]

    def differences(self, other: "Outcome") -> tuple[str, ...]:
        """Names of the entries in which two runs disagree."""
        names = (entry.name for entry in fields(self))
        return tuple(n for n in names if getattr(self, n) != getattr(other, n))


def of_report(scenario: Scenario, report: Mapping[str, Any]) -> Outcome:
    """The outcome that a report of real processes tells (``docs/report.md``)."""
    shares = {c["name"]: c["share"] for c in report["contributors"]}
    exact = [c["ok"] for c in report["checks"] if c["name"] in EXACT]
    return Outcome(
        rounds=sum(bool(r["adapter"]) for r in report["rounds"]),
        epochs=len(report["chain"]["epochs"]),
        exact=len(exact) == len(EXACT) and all(exact),
        slashed=tuple(sorted({s["name"] for s in report["verification"]["slashes"]})),
        paid=paid(scenario, shares),
        bounded=bounded(scenario, shares),
        dead=tuple(sorted(report["gone"])),
    )


def paid(scenario: Scenario, shares: Mapping[str, int]) -> tuple[str, ...]:
    """Honest owners that earned; a private owner's measured gain may be nothing."""
    return tuple(sorted(name for name in _honest(scenario) if shares.get(name, 0) > 0))


def bounded(scenario: Scenario, shares: Mapping[str, int]) -> tuple[str, ...]:
    """Who of garbage owners and copycats stays below a fifth, by the records as planned."""
    odd = {p.name for p in (*scenario.garbage, *scenario.copycats)}
    counts = {
        p.name: p.shard.records
        for p in scenario.nodes
        if p.shard and p.name in odd | _honest(scenario)
    }
    total = sum(shares.get(name, 0) for name in counts)
    found = [
        p.name
        for p in scenario.garbage
        if FIFTH * shares.get(p.name, 0) <= total * counts[p.name] // sum(counts.values())
    ]
    for plan in scenario.copycats:
        assert plan.shard is not None
        if FIFTH * shares.get(plan.name, 0) <= shares.get(plan.shard.copies, 0):
            found.append(plan.name)
    return tuple(sorted(found))


def _honest(scenario: Scenario) -> set[str]:
    """Owners of open Datanets who publish what is their own."""
    closed = {plan.name for plan in scenario.datanets if plan.data_class == "private"}
    odd = {plan.name for plan in (*scenario.garbage, *scenario.copycats)}
    shards = {plan.name: plan.shard for plan in scenario.nodes if plan.shard}
    return {n for n, shard in shards.items() if shard.datanet not in closed and n not in odd}
