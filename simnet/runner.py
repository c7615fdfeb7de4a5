"""What ``openledger simnet`` runs: the demo with real processes, or a scenario in virtual time."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from platformdirs import user_cache_path
from rich.console import Console

from lora.packaged import unprepared
from node.home import default_home
from protocol.errors import ComputeError, OpenLedgerError, OperatorError
from simnet import report as reports
from simnet.demo import Demo
from simnet.outcome import Outcome, of_report
from simnet.processes import environment
from simnet.scenario import Scenario, load_scenario
from simnet.show import Progress, money, print_report, table
from simnet.simulation import simulate

Json = dict[str, Any]
LOG_WIDTH = 180


def model_cache() -> Path:
    """Where converted bases are kept between runs."""
    return user_cache_path("openledger") / "models"


def wide_console() -> Console:
    """A terminal as it is; a pipe or a log gets lines that hold the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


def run_demo(
    seed: int = 1,
    home: Path | None = None,
    report: Path | None = None,
    keep: bool = False,
    scenario: str = "demo",
    isolate: bool = False,
) -> int:
    """Run a scenario with real processes; 0 only if every stage's evidence was checked."""
    console = wide_console()
    signal.signal(signal.SIGTERM, _interrupt)
    plan = load_scenario(scenario)
    folder = _fresh(home)
    cache = model_cache()
    cache.mkdir(parents=True, exist_ok=True)
    with Progress(console) as progress:
        try:
            _prepare(plan.base, cache, progress)
        except OpenLedgerError as error:
            progress.warn(str(error))
            return 1
        demo = Demo(plan, seed, folder, cache, progress, isolate)
        with demo.group:
            try:
                found = _once(demo)
            except OpenLedgerError as error:
                progress.warn(str(error))
                return 1
            except KeyboardInterrupt:
                progress.warn("stopped; every process that was started has been ended")
                return 130
            _finish(console, demo, found, report)
            if keep:
                _hold(console, progress, demo)
    return 0 if all(check["ok"] for check in found["checks"]) else 1


def run_simulation(scenario: str = "demo", seed: int = 1, as_json: bool = False) -> int:
    """A scenario in virtual time; 0 when all money was exact and nobody honest was slashed."""
    console = wide_console()
    plan = load_scenario(scenario)
    try:
        ended = simulate(plan, seed)
    except TimeoutError as error:
        console.print(f"{error}\nrepeat it: openledger simnet sim {scenario} --seed {seed}")
        return 1
    cheats = {cheat.name for cheat in plan.cheats}
    good = ended.exact and set(ended.slashed) <= cheats
    if as_json:
        facts = asdict(ended) | {"trace": ended.trace.hex(), "seed": seed, "ok": good}
        console.print_json(json.dumps(facts))
    else:
        rows = [(name, money(amount)) for name, amount in sorted(ended.earned.items())]
        console.print(table(f"Earned (OPEN) in {ended.pots} pots", "who|OPEN#", rows))
        console.print(
            f"slashed: {', '.join(ended.slashed) or 'nobody'}; money exact: {ended.exact}"
        )
        console.print(f"{ended.virtual_seconds:.0f} virtual seconds, trace {ended.trace.hex()}")
    if not good:
        console.print(f"repeat it: openledger simnet sim {scenario} --seed {seed}")
    return 0 if good else 1


def run_comparison(report: Path, scenario: str) -> int:
    """The outcome of real processes beside that of virtual time; 0 when they agree."""
    console, plan = wide_console(), load_scenario(scenario)
    real, seed = _read(report, plan)
    try:
        simulated = simulate(plan, seed).outcome
    except TimeoutError as error:
        console.print(f"in virtual time: {error}")
        return 1
    differ = set(real.differences(simulated))
    rows = [
        (name, _words(value), _words(getattr(simulated, name)), "no" if name in differ else "yes")
        for name, value in asdict(real).items()
    ]
    console.print(table(f"{plan.name}, seed {seed}", "what|processes|virtual time|same", rows))
    return 1 if differ else 0


def _read(report: Path, plan: Scenario) -> tuple[Outcome, int]:
    try:
        found = json.loads(report.read_text())
        if found["scenario"] != plan.name:
            raise ValueError(f"it is of the scenario {found['scenario']}")
        return of_report(plan, found), int(found["seed"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperatorError(
            "bad-report",
            f"{report} cannot be compared with {plan.name}: {error}.",
            "Write one with: openledger simnet run SCENARIO --report FILE.",
        ) from error


def _words(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def _prepare(base: str, cache: Path, progress: Progress) -> None:
    """Convert a packaged base that was never used on this machine: a part of setting up."""
    if not unprepared(base, cache):
        return
    progress.stage("model", f"converting {base} for all nodes, once")
    command = [sys.executable, "-m", "lora.prepare", base, "--cache", str(cache)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ComputeError("bad-model", done.stderr.strip().splitlines()[-1])


def _once(demo: Demo) -> Json:
    demo.set_up()
    demo.run()
    demo.progress.stage("report", "reading the evidence from the chain and from every node")
    return reports.build(demo)


def _finish(console: Console, demo: Demo, found: Json, report: Path | None) -> None:
    """Add what the run cost, write and print."""
    found["budget"] = {
        "cpu_seconds": demo.group.cpu_seconds(),
        "cpu_seconds_budget": reports.CPU_BUDGET_S,
        "peak_pss_bytes": demo.group.peak_pss_bytes,
        "peak_pss_bytes_budget": reports.PSS_BUDGET_BYTES,
        "wall_seconds": time.monotonic() - demo.started,
        "wall_seconds_budget": reports.WALL_BUDGET_S,
    }
    if report is not None:
        aside = report.with_suffix(".part")
        aside.write_text(json.dumps(found, indent=2) + "\n")
        aside.replace(report)
    print_report(console, found)
    if demo.gone:
        console.print(f"[yellow]ended in mid-run: {demo.gone}; the network went on[/yellow]")


def _hold(console: Console, progress: Progress, demo: Demo) -> None:
    """Leave everything running until Ctrl-C."""
    member = demo.builder
    running = member.home.where()
    token = member.home.token.read_text().strip()
    url = f"{running.api}/?token={token}" if running else "the builder has ended"
    console.print(f"[bold]Dashboard:[/bold] {url}\nCtrl-C ends the network.")
    progress.__exit__()
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("ending the network")


def _fresh(home: Path | None) -> Path:
    """A folder of this run's own, so that nothing of an earlier one is mixed in."""
    root = home or default_home(None, os.environ) / "simnet"
    return root.resolve() / time.strftime("demo-%Y%m%d-%H%M%S")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
