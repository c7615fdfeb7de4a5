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
        if value["claimed"] == "0":
            print_line("Nothing to claim now. Why: openledger claim --explain")
            return
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
    adapter: Annotated[str, typer.Argument(help="Adapter id: openledger job show JOB.")],
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
    rows = [(r["score"], f"#{r['owner']}", r["text"]) for r in value["records"]]
    print_table(["Score", "Owner", "Record"], rows, "No record moved this answer measurably.")


def _print_explained(value: dict[str, Any]) -> None:
    """Work, verdict, share, root: the way of the money, and where it waits."""
    print_line(value["reason"])
    print_line(f"Claimable {money(value['claimable'])}, claimed so far {money(value['claimed'])}\n")
    shares = [
        (s["epoch"], s["kind"], s["role"], money(s["share"]), s["reason"]) for s in value["shares"]
    ]
    nothing = "No share yet: you earn when a record or verified work of yours counts.\n"
    print_table(["Epoch", "Pot", "Role", "Share", "Why"], shares, nothing)
    units = [(short(u["unit"]), u["state"], u["reason"]) for u in value["units"]]
    print_table(["Unit", "State", "Why"], units, "No unit was assigned to this node.\n")
    verdicts = [(short(v["unit"]), v["step"], v["finding"]) for v in value["verdicts"]]
    print_table(["Judged unit", "Step", "Finding"], verdicts, "No verdict concerns this node.\n")
    epochs = [
        (e["epoch"], short(e["root"]), "claimable" if e["active"] else "in its challenge window")
        for e in value["epochs"]
    ]
    print_table(["Epoch", "Root", "State"], epochs, "No epoch is committed yet.")
