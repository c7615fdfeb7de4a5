"""One scenario file, two kinds of run: faults are read and refused alike, and outcomes can be compared."""

from dataclasses import replace
from pathlib import Path

import pytest

from protocol.errors import OperatorError
from simnet import simulation
from simnet.outcome import bounded, paid
from simnet.runner import run_comparison
from simnet.scenario import Fault, load_scenario
from simnet.simulation import simulate


def test_a_scenario_extends_another_by_faults() -> None:
    demo, hurt = load_scenario("demo"), load_scenario("hurt")
    assert replace(hurt, name="demo", faults=()) == demo
    assert {fault.does for fault in hurt.faults} == {"kill", "freeze", "restart"}


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ('node = "nobody"\nstage = "job"', "no node"),
        ('node = "kjv-a"\nstage = "lunch"', "not known"),
        ('node = "kjv-a"\nstage = "job"\ndoes = "shout"', "not known"),
        ('node = "builder"\nstage = "job"\ndoes = "restart"', "cannot be restarted"),
        ('node = "kjv-a"\nstage = "job"\nwhy = "for fun"', "why"),
    ],
)
def test_what_no_runner_could_do_is_refused(tmp_path: Path, fault: str, word: str) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(f'extends = "demo"\n[[faults]]\n{fault}\n')
    with pytest.raises(OperatorError, match=word):
        load_scenario(str(path))


def test_who_is_bounded_and_who_is_paid() -> None:
    plan = load_scenario("demo")
    shares = {"kjv-a": 50, "kjv-b": 0, "faq-a": 30, "faq-b": 20, "garbage": 3, "copycat": 6}
    assert paid(plan, shares | {"home": 9}) == ("faq-a", "faq-b", "kjv-a")
    assert bounded(plan, shares) == ("copycat", "garbage")
    assert bounded(plan, shares | {"copycat": 7}) == ("garbage",)
    assert bounded(plan, shares | {"garbage": 4}) == ("copycat",)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"scenario": "hurt"}'])
def test_a_report_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(OperatorError, match="cannot be compared with demo"):
        run_comparison(path, "demo")


@pytest.mark.slow
def test_what_is_killed_frozen_and_restarted_does_not_change_the_outcome() -> None:
    hurt = simulate(load_scenario("hurt"), 1).outcome
    calm = simulate(load_scenario("demo"), 1).outcome
    assert hurt.differences(calm) == ("dead",) and hurt.dead == ("worker-2",)


@pytest.mark.slow
def test_a_dead_chain_settles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "JOB_S", 300)
    plan = replace(load_scenario("demo"), faults=(Fault("chain", "job"),))
    with pytest.raises(TimeoutError, match="the job was not settled"):
        simulate(plan, 1)
