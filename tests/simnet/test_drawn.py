"""Drawn worlds: one seed is one plan and one trace, small worlds hold all rules, mutants are found."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.errors import OperatorError
from protocol.params import SIMNET
from simnet.draw_plan import SCENARIOS, draw_plan
from simnet.hunt import Failure, attempt, found, repeat, shrink
from simnet.mutants import MUTANTS
from simnet.plan import Fault, Plan, read_plan, to_json
from simnet.play import Ended

FIXED = (3,)
LOST = Path(__file__).with_name("lost-write.plan.json")  # an honest worker lost stake by its disk
FRESH = (int.from_bytes(os.urandom(4), "big"),)  # told by the test's name and by its failure


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_one_seed_is_one_plan(scenario: str) -> None:
    plan = draw_plan(scenario, 7, None, None)
    assert plan == draw_plan(scenario, 7, None, None)
    assert scenario == "calm" or plan != draw_plan(scenario, 8, None, None)


def test_a_plan_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    plan = draw_plan("small", 3, None, None)
    (tmp_path / "plan.json").write_text(to_json(plan))
    read = read_plan(tmp_path / "plan.json")
    assert read == plan and type(read.wires["mesh"]) is int
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(OperatorError):
        read_plan(tmp_path / "plan.json")


def test_the_busy_hour_has_what_its_figure_is_about() -> None:
    plan = draw_plan("busy", 1, 50, 1.0)
    units = len(plan.postings) * SIMNET.rounds * plan.params["workers"]
    assert units >= 500
    assert len(plan.players) == 50 and len(plan.postings) >= 20
    assert sum(shard.records for shard in plan.shards) >= 2_000
    assert sum(posting.questions for posting in plan.postings) >= 200
    assert sum(bool(player.actor) for player in plan.players) == 10
    assert len(plan.faults) == 5


def test_one_seed_one_trace_whatever_the_hash_seed() -> None:
    def trace(hash_seed: str) -> str:
        command = [
            sys.executable,
            "-m",
            "node.cli",
            "simnet",
            "sim",
            "small",
            "--seed",
            "3",
            "--json",
        ]
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
        return str(json.loads(done.stdout)["trace"])

    assert trace("1") == trace("2")


@pytest.mark.parametrize("seed", FIXED + FRESH)
def test_a_small_world_holds_all_rules(seed: int) -> None:
    plan = draw_plan("small", seed, None, None)
    ended = attempt(plan)
    assert isinstance(ended, Ended), f"{ended.text}\n{repeat(plan, 12, 0.3)}"
    looked = ("money-conserved", "evidence", "same-roots", "verified-bytes", "ends", "exact")
    assert all(ended.checked[rule] for rule in (*looked, "coalitions"))


def test_what_was_found_once_stays_mended() -> None:
    ended = attempt(read_plan(LOST))
    assert isinstance(ended, Ended), f"{ended.text}\nopenledger simnet sim --plan {LOST}"


def test_a_failing_plan_is_made_small_and_still_fails() -> None:
    """Of four faults one matters; the shrinker finds it without being told."""
    plan = draw_plan("small", 3, None, None)
    faults = tuple(Fault("crash", at, 5.0, ("n05",)) for at in (10.0, 20.0, 30.0, 40.0))
    tried: list[Plan] = []

    def fails(candidate: Plan) -> bool:
        tried.append(candidate)
        return any(fault.at == 30.0 for fault in candidate.faults)

    small = shrink(replace(plan, faults=faults), "a rule", 200, fails)
    assert [fault.at for fault in small.faults] == [30.0]
    assert not any(player.actor for player in small.players) and len(small.postings) == 1
    assert len(small.players) < len(plan.players) and len(tried) <= 200


QUICK = ("check-b", "payout-cap")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(mutant.name, marks=() if mutant.name in QUICK else pytest.mark.slow)
        for mutant in MUTANTS
    ],
)
def test_a_protection_that_is_missing_is_noticed(name: str) -> None:
    """All of them: ``openledger simnet mutants``."""
    rule = next(mutant.rule for mutant in MUTANTS if mutant.name == name)
    broken, intact = found(name)
    assert isinstance(broken, Failure) and broken.rule == rule
    assert intact is None
