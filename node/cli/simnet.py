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
    scenario: Annotated[str, typer.Argument(help="demo, or the path of a .toml scenario.")],
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
    scenario: Annotated[str, typer.Argument(help="demo, or a .toml path.")] = "demo",
    seed: Annotated[int, typer.Option(help="One seed makes everything.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """The same nodes in one process and virtual time."""
    raise typer.Exit(_runner().run_simulation(scenario=scenario, seed=seed, as_json=as_json))


def _runner() -> Any:
    return importlib.import_module("simnet.runner")
