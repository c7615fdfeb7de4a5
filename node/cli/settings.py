"""``config``: every value the node would run with, and where it comes from."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli.app import SET_UP, JsonFlag, app, home_of
from node.cli.output import print_json, print_line, print_table


@app.command(rich_help_panel=SET_UP)
def config(
    context: typer.Context,
    show: Annotated[bool, typer.Option("--show", help="All values with their origin.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """The configuration file, or with --show every value and its origin."""
    from node.config import load_config, settings

    home = home_of(context)
    lines = settings(load_config(home, os.environ))
    if as_json:
        print_json([{"key": s.key, "value": _plain(s.value), "origin": s.origin} for s in lines])
    elif show:
        rows = [(s.key, _text(s.value), s.origin) for s in lines]
        print_table(["Key", "Value", "From"], rows, "")
    else:
        print_line(str(home.config))


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _text(value: Any) -> str:
    return (", ".join(value) if isinstance(value, tuple) else str(value)) or "-"
