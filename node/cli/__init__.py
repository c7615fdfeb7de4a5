"""The ``openledger`` command. No module of it imports anything heavy at its top."""

import sys

from node.cli import (
    chain,
    channel,
    datanet,
    doctor,
    govern,
    job,
    keys,
    money,
    payout,
    reads,
    run,
    settings,
    simnet,
)
from node.cli.app import MONEY, SET_UP, WORK, app
from protocol.errors import OpenLedgerError

app.add_typer(datanet.app, name="datanet", rich_help_panel=WORK)
app.add_typer(govern.app, name="govern", rich_help_panel=MONEY)
app.add_typer(job.app, name="job", rich_help_panel=WORK)
app.add_typer(payout.app, name="payout", rich_help_panel=MONEY)
app.add_typer(channel.app, name="channel", rich_help_panel=MONEY)
app.add_typer(chain.app, name="chain", rich_help_panel=MONEY)
app.add_typer(keys.group, name="keys", rich_help_panel=SET_UP)
app.add_typer(simnet.app, name="simnet", rich_help_panel=WORK)

__all__ = ["app", "doctor", "keys", "main", "money", "reads", "run", "settings"]


def main() -> None:
    """Console script. An expected error is one line on stderr and exit status 1."""
    try:
        app()
    except OpenLedgerError as error:
        print(f"openledger: {error.code}: {error.text}", file=sys.stderr)
        sys.exit(1)
