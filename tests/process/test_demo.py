"""The whole demo with real processes: three seeds, faults, and homes that others cannot read.

Minutes each, so behind the marker: ``make test ARGS="-m demo"``. No constant is chosen per seed.
"""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simnet import runner
from simnet.outcome import of_report
from simnet.scenario import Fault, Scenario, load_scenario
from simnet.simulation import simulate

pytestmark = pytest.mark.demo


def run(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    seed: int = 1,
    faults: tuple[Fault, ...] = (),
    isolate: bool = False,
) -> tuple[int, dict[str, Any]]:
    """Exit status and report (empty when there is none) of a run with faults."""
    plan = replace(load_scenario("demo"), faults=faults)

    def planned(name: str) -> Scenario:
        return plan

    monkeypatch.setattr(runner, "load_scenario", planned)
    report = folder / "report.json"
    status = runner.run_demo(seed=seed, home=folder, report=report, isolate=isolate)
    return status, json.loads(report.read_text()) if report.exists() else {}


def alike(plan: Scenario, report: dict[str, Any]) -> tuple[str, ...]:
    """In what a run of processes and the same scenario in virtual time differ."""
    return of_report(plan, report).differences(simulate(plan, report["seed"]).outcome)


def failed(report: dict[str, Any]) -> list[str]:
    """Checks that do not hold; a run that ended before its report has none, and failed."""
    if not report:
        return ["no report was written"]
    return [f"{c['name']}: {c['detail']}" for c in report["checks"] if not c["ok"]]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_once_round_the_loop(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, report = run(tmp_path, monkeypatch, seed=seed)
    assert (failed(report), status) == ([], 0)
    assert {s["name"] for s in report["verification"]["slashes"]} == {"worker-3"}
    assert report["gone"] == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="giving each node a user of its own needs root")
@pytest.mark.skipif(
    not all(p.stat().st_mode & 0o001 for p in Path(sys.executable).resolve().parents),
    reason="this Python lies in a folder that other users cannot enter",
)
def test_no_node_reads_anothers_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    status, report = run(tmp_path, monkeypatch, isolate=True)
    assert (failed(report), status) == ([], 0)


@pytest.mark.parametrize("name", ["worker-3", "kjv-b"])
def test_the_network_finishes_without_a_killed_node(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = (Fault(name, "job"),)
    status, report = run(tmp_path, monkeypatch, faults=faults)
    assert (failed(report), status) == ([], 0)
    assert name in report["gone"]
    assert alike(replace(load_scenario("demo"), faults=faults), report) == ()


def test_killed_frozen_and_restarted_the_outcome_is_that_of_virtual_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurt = load_scenario("hurt")
    status, report = run(tmp_path, monkeypatch, faults=hurt.faults)
    assert (failed(report), status) == ([], 0)
    assert set(report["gone"]) == {"worker-2"}
    assert alike(hurt, report) == ()


def test_without_the_chain_it_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, report = run(tmp_path, monkeypatch, faults=(Fault("chain", "job"),))
    assert status != 0 and report == {}
    said = " ".join(capsys.readouterr().out.split())
    assert "chain-gone" in said and "commitments, claims and slashes need it" in said
