"""``job``: one fine-tune, from its recipe to its losses."""

from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli import client
from node.cli.app import JsonFlag, home_of
from node.cli.output import money, print_json, print_line, print_table, short
from protocol.errors import OperatorError

app = typer.Typer(no_args_is_help=True, help="Post fine-tunes and follow them.")


@app.command()
def submit(
    context: typer.Context,
    recipe: Annotated[Path, typer.Argument(help="TOML: base, Datanets, settings, pot.")],
    as_json: JsonFlag = False,
) -> None:
    """Post a job and fund its pot."""
    if not recipe.is_file():
        raise OperatorError("no-file", f"{recipe} is not a file.", "Name a TOML recipe.")
    value = client.post(home_of(context), "jobs", {"recipe": recipe.read_text()})
    if as_json:
        print_json(value)
        return
    print_line(f"Job {value['job']}, pot {value['pot']}, transaction {value['tx']}")


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """All jobs that this node knows."""
    value = client.get(home_of(context), "jobs")
    if as_json:
        print_json(value)
        return
    rows = [
        (
            job["name"],
            job["id"],
            job["state"],
            len(job["rounds"]),
            money(job["escrow"]),
            job["reason"],
        )
        for job in value
    ]
    empty = "No jobs on this network yet. Post one: openledger job submit RECIPE.toml"
    print_table(["Name", "Id", "State", "Rounds", "Pot", "Why"], rows, empty)


@app.command()
def show(
    context: typer.Context,
    job: Annotated[str, typer.Argument(help="Id, its beginning, or name.")],
    as_json: JsonFlag = False,
) -> None:
    """One job: its rounds, units and losses."""
    value = _find(client.get(home_of(context), "jobs"), job)
    if as_json:
        print_json(value)
        return
    print_line(f"{value['name']}: {value['state']}" + _because(value["reason"]))
    if value["model"]:
        print_line(f"Model: {value['model']}")
        print_line(f"Adapter: {value['adapter']}")
    for name, before in value["loss"]["before"].items():
        after = value["loss"]["after"].get(name)
        now = "not measured yet" if after is None else f"{after / 1e6:.3f}"
        print_line(f"Held-out loss of {name}: {before / 1e6:.3f} -> {now}")
    rows = [
        (
            round_["round"],
            short(unit["unit"]),
            short(unit["worker"]),
            unit["state"],
            _last(unit),
            unit["reason"],
        )
        for round_ in value["rounds"]
        for unit in round_["units"]
    ]
    print_table(
        ["Round", "Unit", "Worker", "State", "Loss", "Why"], rows, "No unit is assigned yet."
    )


def _find(jobs: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    found = [job for job in jobs if job["name"] == wanted or job["id"].startswith(wanted)]
    if len(found) == 1:
        return found[0]
    text = f"{len(found)} jobs match {wanted!r}."
    raise OperatorError("no-job", text, "See: openledger job list")


def _because(reason: str | None) -> str:
    return f" ({reason})" if reason else ""


def _last(unit: dict[str, Any]) -> str:
    losses = unit["losses_micro"]
    return f"{losses[-1] / 1e6:.3f}" if losses else ""
