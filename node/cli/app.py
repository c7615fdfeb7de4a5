"""The root of the command tree, and what every command shares: the home and ``--json``."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from node.home import Home, default_home

# Groups of commands in the help.
SET_UP, WATCH, WORK, MONEY = "Set up and run", "Watch", "Data and models", "Money and answers"
PANELS = (SET_UP, WATCH, WORK, MONEY)


class Panels(TyperGroup):
    """Help by groups of commands, as plain text: rich and its markdown take twice the time of all else."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {title: [] for title in PANELS}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is None or command.hidden:
                continue
            panel = getattr(command, "rich_help_panel", None)
            title = panel if isinstance(panel, str) else "Commands"
            panels.setdefault(title, []).append((name, command.get_short_help_str(limit=90)))
        for title, rows in panels.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


app = typer.Typer(
    name="openledger",
    cls=Panels,
    rich_markup_mode=None,
    help="A peer-to-peer network that knows who created the value inside a model, and pays them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.callback()
def root(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(help="The node's folder (default: OPENLEDGER_HOME, then the platform's)."),
    ] = None,
) -> None:
    context.obj = Home(default_home(home, os.environ))


def home_of(context: typer.Context) -> Home:
    """The home that the root option chose."""
    found = context.find_object(Home)
    assert found is not None  # root() ran before any command
    return found


def passphrase(home: Home) -> str | None:
    """The passphrase of the home's keys, asked for only when they need one."""
    from node.keys import needs_passphrase

    if not needs_passphrase(home):
        return None
    return os.environ.get("OPENLEDGER_PASSPHRASE") or ask_passphrase(confirm=False)


def ask_passphrase(confirm: bool) -> str:
    return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))
