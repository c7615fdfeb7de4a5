"""Hunting for faults: one plan tried, many seeds tried in parallel, and a failing plan made small.

Processes of this file share nothing: each plays its seeds one after the other and prints a line of JSON each.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from protocol.errors import OpenLedgerError
from simnet.checks import Violated
from simnet.draw_plan import draw_plan
from simnet.mutants import MUTANTS
from simnet.plan import Plan
from simnet.play import Ended, play

CRASHES = (
    OpenLedgerError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TimeoutError,
    TypeError,
    ValueError,
)
"""What the code under test may end with when it is wrong: each is a finding, not the end of the hunt."""


TEXT = 1_500  # characters of a failure that a process of a swarm tells


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a plan failed: the rule that was broken (or the exception's name) and what was seen."""

    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """One seed of a swarm."""

    scenario: str
    seed: int
    failure: Failure | None
    seconds: float  # virtual


def attempt(plan: Plan) -> Ended | Failure:
    """Play a plan; whatever goes wrong is its failure."""
    try:
        return play(plan)
    except Violated as found:
        return Failure(found.rule, str(found))
    except BaseExceptionGroup as group:
        return _failure(group)
    except CRASHES as error:
        return _failure(error)


def _failure(error: BaseException) -> Failure:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, KeyboardInterrupt):
        raise error
    rule = error.rule if isinstance(error, Violated) else type(error).__name__
    return Failure(rule, str(error))


def repeat(plan: Plan, nodes: int, hours: float) -> str:
    """The command that repeats a drawn plan."""
    return f"openledger simnet sim {plan.scenario} --seed {plan.seed} --nodes {nodes} --hours {hours:g}"


def commit() -> str:
    """Of the tree that this file stands in; '' outside of a repository."""
    asked = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


# -- many seeds ---


def swarm(scenario: str, seeds: Sequence[int], processes: int) -> Generator[Result]:
    """The results as they come; each process takes every n-th seed. Closing it ends them all."""
    running, (read, write) = [], os.pipe()
    for number in range(min(processes, len(seeds))):
        mine = ",".join(str(seed) for seed in seeds[number::processes])
        command = [sys.executable, "-m", "simnet.hunt", scenario, mine]
        running.append(subprocess.Popen(command, stdout=write, env=dict(os.environ)))
    os.close(write)
    try:
        with os.fdopen(read) as lines:  # of all processes: a line this short is written whole
            for line in lines:
                yield _result(json.loads(line))
        for process in running:
            if process.wait():
                raise RuntimeError(f"a process of the swarm ended with status {process.returncode}")
    finally:
        for process in running:
            process.kill()
            process.wait()


def _result(found: dict[str, object]) -> Result:
    failure = found.pop("failure")
    return Result(**found, failure=Failure(**failure) if failure else None)  # type: ignore[arg-type]


def main(scenario: str, seeds: str) -> None:
    """One process of a swarm."""
    for seed in map(int, seeds.split(",")):
        ended = attempt(draw_plan(scenario, seed, None, None))
        failed = Failure(ended.rule, ended.text[:TEXT]) if isinstance(ended, Failure) else None
        seconds = 0.0 if isinstance(ended, Failure) else ended.virtual_seconds
        line = json.dumps(asdict(Result(scenario, seed, failed, seconds)))
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


# -- shrinking ---


def shrink(plan: Plan, rule: str, tries: int, fails: Callable[[Plan], bool] | None = None) -> Plan:
    """A smaller plan that still breaks the same rule: without faults, cheats, jobs, nodes that it can miss."""

    def still(candidate: Plan) -> bool:
        found = attempt(candidate)
        return isinstance(found, Failure) and found.rule == rule

    fails = fails or still
    left = tries
    smaller = True
    while smaller and left:
        smaller = False
        for candidate in _smaller(plan):
            if not left:
                break
            left -= 1
            if fails(candidate):
                plan, smaller = candidate, True
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with one thing less; the most telling first."""
    for fault in plan.faults:
        yield replace(plan, faults=tuple(f for f in plan.faults if f is not fault))
    for player in plan.players:
        if player.actor:
            honest = (replace(p, actor="") if p is player else p for p in plan.players)
            yield replace(plan, players=tuple(honest))
    for posting in plan.postings:
        if len(plan.postings) > 1:
            yield replace(plan, postings=tuple(p for p in plan.postings if p is not posting))
    for player in reversed(plan.players):
        if not player.open_tokens and "aggregator" not in player.roles:
            yield _without(plan, player.name)


def found(name: str) -> tuple[Failure | None, Failure | None]:
    """(what the checkers find with a mutant's protection removed, and with it in place)."""
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    broken = attempt(replace(mutant.plan, mutant=name))
    intact = attempt(mutant.plan)
    return tuple(each if isinstance(each, Failure) else None for each in (broken, intact))  # type: ignore[return-value]


def _without(plan: Plan, name: str) -> Plan:
    faults = (replace(f, who=tuple(w for w in f.who if w != name)) for f in plan.faults)
    return replace(
        plan,
        players=tuple(p for p in plan.players if p.name != name),
        shards=tuple(s for s in plan.shards if s.owner != name),
        faults=tuple(f for f in faults if f.who),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
