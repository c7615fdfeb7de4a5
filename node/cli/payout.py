"""``payout``: the address that receives what this node earns, and how to change it."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from node.cli import client
from node.cli.app import JsonFlag, home_of
from node.cli.output import print_json, print_line

app = typer.Typer(no_args_is_help=True, help="The address that receives what this node earns.")


@app.command()
def show(context: typer.Context, as_json: JsonFlag = False) -> None:
    """The address in force, and a change that waits."""
    status = client.get(home_of(context), "status")
    value = {"payout": status["payout"], "pending": status["payout_pending"]}
    if as_json:
        print_json(value)
        return
    print_line(f"{value['payout']} is paid")
    if pending := value["pending"]:
        print_line(f"{pending['payout']} from {_time(pending['since'])} on")


@app.command("set")
def set_(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="EIP-55 address.")],
    as_json: JsonFlag = False,
) -> None:
    """Name another address; the operator key's word counts after the network's delay.

    The present payout address changes it at once: AssetRegistry.setPayout, from that address.
    """
    value = client.post(home_of(context), "payout", {"address": address})
    if as_json:
        print_json(value)
        return
    print_line(
        f"{value['payout']} is paid from {_time(value['since'])} on, transaction {value['tx']}"
    )


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
