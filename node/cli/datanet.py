"""``datanet``: named data sets of one domain with many owners."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from node.cli import client
from node.cli.app import JsonFlag, home_of
from node.cli.output import percent, print_json, print_line, print_table, short

app = typer.Typer(no_args_is_help=True, help="Create Datanets and add records to them.")


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument()],
    licence: Annotated[str, typer.Option(help="SPDX name of the records' licence.")],
    data_class: Annotated[
        Literal["open", "consented", "private"], typer.Option("--class", help="Who may train.")
    ] = "open",
    description: Annotated[str, typer.Option()] = "",
    as_json: JsonFlag = False,
) -> None:
    """Found and register a Datanet."""
    body = {"name": name, "data_class": data_class, "licence": licence, "description": description}
    value = client.post(home_of(context), "datanets", body)
    if as_json:
        print_json(value)
        return
    print_line(f"Datanet {value['datanet']}")
    print_line(f"Next: openledger datanet add {value['datanet']} FILE.jsonl")


@app.command()
def add(
    context: typer.Context,
    datanet: Annotated[str, typer.Argument(help="Id or name.")],
    file: Annotated[Path, typer.Argument(help="Records: .jsonl or .txt.")],
    as_json: JsonFlag = False,
) -> None:
    """Take in a file of records and commit them on chain."""
    body = {"datanet": datanet, "path": str(file.expanduser().absolute())}
    value = client.post(home_of(context), "shards", body)
    if as_json:
        print_json(value)
        return
    print_line(f"Committed {value['records']} records as {value['commitment']}")


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Datanets and their shards."""
    value = client.get(home_of(context), "datanets")
    if as_json:
        print_json(value)
        return
    rows = []
    for datanet in value:
        founder = f"founded by {short(datanet['founder'])}"
        terms = (datanet["data_class"], datanet["licence"])
        rows.append((datanet["name"], datanet["id"], *terms, founder))
        for shard in datanet["shards"]:
            state = "revealed" if shard["revealed"] else "committed"
            yielded = f"{percent(shard['yielded_ppm'])} yielded"
            owner = f"owner {short(shard['owner'])}"
            rows.append(
                ("", f"{shard['records']} records, {owner}", state, yielded, shard["reason"])
            )
    empty = "No Datanets yet. Create one: openledger datanet create NAME --licence LICENCE"
    print_table(["Name", "Id", "Class", "Licence", "Who or why"], rows, empty)
