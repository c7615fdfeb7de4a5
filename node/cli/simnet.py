"""``simnet``: the whole network on this machine.

The simnet package lies above the node and is met by name, so that the node never depends on it.
"""

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="The whole network on this machine.")


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="demo, hurt, or the path of a .toml file.")],
    report: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave network and dashboard up.")] = False,
    seed: Annotated[
        int, typer.Option(help="Changes garbage and edits; beacons and queries are new every time.")
    ] = 1,
    home: Annotated[Path | None, typer.Option(help="Folder of the nodes' homes.")] = None,
) -> None:
    """Real processes, real chain, real weights, once round the loop."""
    run_demo = _runner().run_demo
    status = run_demo(scenario=scenario, seed=seed, home=home, report=report, keep=keep)
    raise typer.Exit(status)


@app.command()
def sim(
    scenario: Annotated[
        str, typer.Argument(help="demo, hurt, a .toml path, or drawn: busy, small, calm, mixed.")
    ] = "demo",
    named: Annotated[str, typer.Option("--scenario", help="The same by name.")] = "",
    seed: Annotated[int, typer.Option(help="One seed makes everything.")] = 1,
    nodes: Annotated[int | None, typer.Option(help="Of a drawn scenario.")] = None,
    hours: Annotated[float | None, typer.Option(help="Virtual, of a drawn scenario.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Play a plan that a failure wrote.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """The same nodes in one process and virtual time."""
    chosen, drawn = named or scenario, _drawn()
    if plan is not None or chosen in drawn.SCENARIOS:
        raise typer.Exit(drawn.run_drawn(chosen, seed, nodes, hours, plan, as_json))
    raise typer.Exit(_runner().run_simulation(scenario=chosen, seed=seed, as_json=as_json))


@app.command()
def compare(
    report: Annotated[Path, typer.Argument(help="What `simnet run --report` wrote.")],
    scenario: Annotated[str, typer.Argument(help="Which scenario that was.")] = "demo",
) -> None:
    """Play a run of real processes again in virtual time, and compare what they came to."""
    raise typer.Exit(_runner().run_comparison(report, scenario))


@app.command()
def swarm(
    seeds: Annotated[str, typer.Argument(help="First and last, as 1-300.")] = "1-300",
    scenario: Annotated[str, typer.Option(help="mixed, small, calm or busy.")] = "mixed",
    processes: Annotated[int, typer.Option(help="At a time; 0: one a core.")] = 0,
    seconds: Annotated[float, typer.Option(help="Try no more after so long; 0: try all.")] = 0.0,
) -> None:
    """Many seeds in parallel; a failing one is made small and written to a file."""
    raise typer.Exit(_drawn().run_swarm(seeds, scenario, processes, seconds))


@app.command()
def mutants(
    names: Annotated[list[str] | None, typer.Argument(help="Default: all.")] = None,
) -> None:
    """Take protections away one at a time, and show which checker notices."""
    raise typer.Exit(_drawn().run_mutants(names or []))


def _drawn() -> Any:
    return importlib.import_module("simnet.drawn")


def _runner() -> Any:
    return importlib.import_module("simnet.runner")
