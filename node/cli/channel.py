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
        (c["channel"], short(c["payer"]), short(c["host"] or ""), money(c["deposit"]), money(c["spent"]), c["state"])
        for c in value
    ]  # fmt: skip
    empty = "No channel yet: `openledger chat` opens one, or `openledger channel open`."
    print_table(["Channel", "Payer", "Host", "Deposit", "Spent", "State"], rows, empty)


@app.command(name="open")
def open_(
    context: typer.Context,
    host: Annotated[str, typer.Argument(help="Operator of the host: openledger peers.")],
    amount: Amount,
    as_json: JsonFlag = False,
) -> None:
    """Deposit coins of the operator account for one host."""
    _did(context, "open", {"host": host, "amount": amount}, as_json)


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


def _did(context: typer.Context, act: str, body: dict[str, str], as_json: bool) -> dict[str, Any]:
    value: dict[str, Any] = client.post(home_of(context), f"channels/{act}", body)
    if as_json:
        print_json(value)
    else:
        print_line(f"Channel {value['channel']}, transaction {value['tx']}")
    return value
