"""What ``openledger simnet`` does with drawn plans: play one, try many seeds, take protections away."""

import json
import os
import resource
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from protocol.errors import OperatorError
from simnet.draw_plan import SCENARIOS, draw_plan
from simnet.hunt import Failure, attempt, commit, found, repeat, shrink, swarm
from simnet.mutants import MUTANTS
from simnet.plan import Plan, read_plan, to_json
from simnet.play import Ended

__all__ = ["SCENARIOS", "run_drawn", "run_mutants", "run_swarm"]

SHRINK_TRIES, LEAST_TRIES = 24, 8  # worlds played to make failing ones small: of all rules, of one


def run_drawn(
    scenario: str,
    seed: int,
    nodes: int | None,
    hours: float | None,
    file: Path | None,
    as_json: bool,
) -> int:
    """Play a drawn plan, or one from a file; 0 when no checker found anything."""
    console = Console()
    plan = read_plan(file) if file else draw_plan(scenario, seed, nodes, hours)
    before = time.process_time()
    ended = attempt(plan)
    spent = time.process_time() - before
    if isinstance(ended, Failure):
        _tell(console, plan, ended, file)
        return 1
    _show(console, plan, ended, spent, as_json)
    return 0


def _show(console: Console, plan: Plan, ended: Ended, spent: float, as_json: bool) -> None:
    facts: dict[str, Any] = asdict(ended) | {"trace": ended.trace.hex(), "seed": plan.seed}
    if as_json:
        console.print_json(json.dumps(facts | {"cpu_seconds": round(spent, 1), "ok": True}))
        return
    for title, numbers in (("what happened", ended.counts), ("checks made", ended.checked)):
        shown = ", ".join(f"{name} {number:,}" for name, number in numbers.items())
        console.print(f"{title}: {shown}", soft_wrap=True)
    console.print(
        f"{ended.virtual_seconds:.0f} virtual seconds in {spent:.0f} CPU seconds, "
        f"trace {ended.trace.hex()}",
        soft_wrap=True,
    )


def _tell(console: Console, plan: Plan, failure: Failure, file: Path | None) -> None:
    """What was broken, and how to see it again."""
    console.print(f"broken: {failure.text}", soft_wrap=True, markup=False)
    again = f"openledger simnet sim --plan {file}" if file else _command(plan)
    console.print(f"repeat it: {again}", soft_wrap=True, markup=False)
    console.print(f"commit: {commit() or 'unknown'}")


def _command(plan: Plan) -> str:
    return repeat(plan, len(plan.players), plan.until / 3_600)


def run_swarm(seeds: str, scenario: str, processes: int, seconds: float = 0.0) -> int:
    """Try all seeds, or as many as ``seconds`` allow (0: all); the first failure of each rule is shrunk
    and written to the working folder.
    """
    console = Console()
    first, _, last = seeds.partition("-")
    if not (first.isdigit() and (last or first).isdigit()):
        raise OperatorError("bad-seeds", f"{seeds!r} are no seeds.", "Give them as 1-300.")
    wanted = range(int(first), int(last or first) + 1)
    start, tried = time.monotonic(), 0
    failed: dict[str, int] = {}
    with closing(swarm(scenario, wanted, processes or os.cpu_count() or 1)) as results:
        for result in results:
            tried += 1
            if result.failure is not None:
                _tell(console, draw_plan(scenario, result.seed, None, None), result.failure, None)
                failed.setdefault(result.failure.rule, result.seed)
            if seconds and time.monotonic() - start > seconds:
                break
    spent = time.monotonic() - start
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    console.print(
        f"{tried} of {len(wanted)} seeds in {spent:.0f} s "
        f"({usage.ru_utime + usage.ru_stime:.0f} CPU-s), {len(failed)} rules broken"
    )
    for rule, seed in failed.items():
        tries = max(LEAST_TRIES, SHRINK_TRIES // len(failed))
        _shrunk(console, draw_plan(scenario, seed, None, None), rule, tries)
    return 1 if failed else 0


def _shrunk(console: Console, plan: Plan, rule: str, tries: int) -> None:
    small = shrink(plan, rule, tries)
    file = Path(f"{plan.scenario}-{plan.seed}.plan.json")
    file.write_text(to_json(small))
    console.print(
        f"{rule}: {len(small.players)} nodes, {len(small.faults)} faults left; "
        f"repeat it: openledger simnet sim --plan {file} (whole: {_command(plan)}); "
        f"commit {commit() or 'unknown'}",
        soft_wrap=True,
        markup=False,
    )


def run_mutants(names: list[str]) -> int:
    """Play each mutant with its protection removed and in place; 0 when all are found and only they."""
    console = Console()
    chosen = [m for m in MUTANTS if not names or m.name in names]
    missed = 0
    for mutant in chosen:
        broken, intact = found(mutant.name)
        good = broken is not None and broken.rule == mutant.rule and intact is None
        missed += not good
        seen = broken.text if broken else "nothing"
        console.print(
            f"{'found ' if good else 'MISSED'} {mutant.name} ({mutant.protects}): {seen}"
            + (f"; with it in place: {intact.text}" if intact else ""),
            soft_wrap=True,
            markup=False,
        )
    console.print(f"{len(chosen) - missed} of {len(chosen)} found")
    return 1 if missed else 0
