"""``claim``, ``stake`` and ``chat``: what is earned, locked and paid."""

from typing import Annotated, Any

import typer

from node.cli import client
from node.cli.app import MONEY, JsonFlag, app, home_of
from node.cli.output import money, print_json, print_line, print_table, short


@app.command(rich_help_panel=MONEY)
def claim(
    context: typer.Context,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what is owed, and why not yet.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Claim everything that is due, to the payout address."""
    home = home_of(context)
    value = client.get(home, "claim/explain") if explain else client.post(home, "claim", {})
    if as_json:
        print_json(value)
    elif explain:
        _print_explained(value)
    else:
        print_line(f"Claimed {money(value['claimed'])}, transaction {value['tx']}")
        before, after = money(value["balance_before"]), money(value["balance_after"])
        print_line(f"Balance of the payout address: {before} -> {after}")


@app.command(rich_help_panel=MONEY)
def stake(context: typer.Context, as_json: JsonFlag = False) -> None:
    """The stake of this node's operator key, and how to add to it."""
    status = client.get(home_of(context), "status")
    value = {name: status[name] for name in ("operator", "owner_index", "stake", "roles")}
    if as_json:
        print_json(value)
        return
    print_line(f"{money(value['stake'])} for {', '.join(value['roles'])}")
    print_line(f"Any account adds stake: WorkerStake.deposit({value['operator']}, AMOUNT)")


@app.command(rich_help_panel=MONEY)
def chat(
    context: typer.Context,
    adapter: Annotated[str, typer.Argument(help="base:datanet/adapter@version, or a job's name.")],
    prompt: Annotated[str, typer.Argument()],
    max_tokens: Annotated[int, typer.Option(min=1, max=2_048)] = 48,
    as_json: JsonFlag = False,
) -> None:
    """One paid answer, with the records that moved it."""
    body = {"adapter": adapter, "prompt": prompt, "max_tokens": max_tokens}
    value = client.post(home_of(context), "chat", body)
    if as_json:
        print_json(value)
        return
    print_line(value["text"])
    print_line(f"\nThe base alone: {value['base_text']}")
    print_line(f"Fee {money(value['fee'])}, receipt {value['receipt']}\n")
    rows = [(r["score"], short(r["owner"]), r["text"]) for r in value["records"]]
    print_table(["Score", "Owner", "Record"], rows, "No record moved this answer measurably.")


def _print_explained(value: dict[str, Any]) -> None:
    """Lists as tables with one column per field, single facts as lines."""
    for name, fact in value.items():
        if isinstance(fact, list):
            columns = list(fact[0]) if fact else []
            rows = [[_cell(column, row[column]) for column in columns] for row in fact]
            print_table([column.replace("_", " ") for column in columns], rows, f"No {name} yet.")
        else:
            print_line(f"{name.replace('_', ' ')}: {_cell(name, fact)}")


def _cell(name: str, fact: Any) -> str:
    if name in ("share", "amount", "claimable_open", "total") and str(fact).isdigit():
        return money(fact)
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    return short(fact) if isinstance(fact, str) and " " not in fact else str(fact)
