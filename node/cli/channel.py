"""``channel``: deposits from which answers are paid."""

from typing import Annotated, Any

import typer

from node.cli import client
from node.cli.app import JsonFlag, home_of
from node.cli.output import money, print_json, print_line, print_table, short

app = typer.Typer(no_args_is_help=True, help="Deposits from which answers are paid.")
Amount = Annotated[str, typer.Argument(help="In OPEN.")]
Channel = Annotated[str, typer.Argument(help="Its id: openledger channel list.")]


@app.command(name="list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """All channels that this node pays or serves."""
    value = client.get(home_of(context), "channels")
    if as_json:
        print_json(value)
        return
    rows = [
        (
            short(c["channel"]),
            short(c["payer"]),
            short(c["host"] or ""),
            money(c["deposit"]),
            money(c["spent"]),
            c["state"],
            _hosting(c),
        )
        for c in value
    ]
    empty = "No channel yet: `openledger chat` opens one, or `openledger channel open`."
    columns = ["Channel", "Payer", "Host", "Deposit", "Spent", "State", "Hosting"]
    shown = len(columns) if any(c["hosting"] for c in value) else -1  # rare, and the table is wide
    print_table(columns[:shown], [row[:shown] for row in rows], empty)


@app.command(name="open")
def open_(
    context: typer.Context,
    host: Annotated[str, typer.Argument(help="Operator of the host: openledger peers.")],
    amount: Amount,
    hosting: Annotated[str, typer.Option(help="OPEN a period for hosting your models.")] = "",
    every: Annotated[int, typer.Option(help="Seconds of a period of hosting.")] = 86_400,
    as_json: JsonFlag = False,
) -> None:
    """Deposit coins of the operator account for one host: for its answers, or for hosting."""
    terms = {"rate": hosting, "every": every} if hosting else {}
    _did(context, "open", {"host": host, "amount": amount, **terms}, as_json)


@app.command(name="top-up")
def top_up(
    context: typer.Context, channel: Channel, amount: Amount, as_json: JsonFlag = False
) -> None:
    """Add to the deposit of an open channel."""
    _did(context, "top-up", {"channel": channel, "amount": amount}, as_json)


@app.command()
def close(context: typer.Context, channel: Channel, as_json: JsonFlag = False) -> None:
    """Start the close; after the host's delay the same command brings back the rest."""
    value = _did(context, "close", {"channel": channel}, as_json)
    if not as_json and value["state"] == "closing":
        print_line(f"The host may claim its last voucher until {value['closes_at']} (unix time).")
        print_line("Run the same command after that: the rest comes back then.")


def _did(context: typer.Context, act: str, body: dict[str, Any], as_json: bool) -> dict[str, Any]:
    value: dict[str, Any] = client.post(home_of(context), f"channels/{act}", body)
    if as_json:
        print_json(value)
    else:
        print_line(f"Channel {value['channel']}, transaction {value['tx']}")
    return value


def _hosting(channel: dict[str, Any]) -> str:
    """What a channel pays for hosting, and how that went."""
    if not channel["hosting"]:
        return ""
    if (terms := channel["terms"]) is None:
        return "yes"
    counts = f"{terms['served']} served, {terms['missed']} missed"
    return f"{money(terms['rate'])} / {terms['every']} s: {counts}"
