"""``init`` and ``backup``: the node's keys."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from node.cli.app import SET_UP, app, ask_passphrase, home_of, passphrase
from node.cli.output import print_line
from node.home import Home


@app.command(rich_help_panel=SET_UP)
def init(
    context: typer.Context,
    secret: Annotated[
        Literal["auto", "keyring", "file", "passphrase"],
        typer.Option(help="What seals the keys; auto: the keyring, else a private file."),
    ] = "auto",
    from_backup: Annotated[
        Path | None, typer.Option(help="Restore the keys of this backup instead of new ones.")
    ] = None,
) -> None:
    """Make this node's keys and folder; asks nothing."""
    home = home_of(context)
    make_identity(home, secret, from_backup)
    print_line(f"Next: openledger --home {home.path} join NETWORK_FILE --payout ADDRESS")


@app.command(rich_help_panel=SET_UP)
def backup(context: typer.Context, file: Annotated[Path, typer.Argument()]) -> None:
    """Write a copy of the keys, sealed with a passphrase that you choose."""
    from node.doors import SystemRandomness
    from node.keys import export_backup, load_identity

    home = home_of(context)
    identity = load_identity(home, passphrase(home))
    export_backup(home, identity, file, ask_passphrase(confirm=True), SystemRandomness().token)
    print_line(f"Wrote {file}. Restore it: openledger --home DIR init --from-backup {file}")


def make_identity(
    home: Home,
    secret: Literal["auto", "keyring", "file", "passphrase"] = "auto",
    from_backup: Path | None = None,
) -> None:
    """Seal new or restored keys into the home and say who the node is."""
    from node.doors import SystemRandomness
    from node.keys import create_identity, install_identity, read_backup

    draw = SystemRandomness().token
    chosen = ask_passphrase(confirm=True) if secret == "passphrase" else None
    if from_backup is None:
        identity = create_identity(home, draw, secret, chosen)
    else:
        identity = read_backup(from_backup, ask_passphrase(confirm=False))
        install_identity(home, identity, draw, secret, chosen)
    print_line(f"Home      {home.path}")
    print_line(f"Peer id   {identity.peer_id}")
    print_line(f"Operator  {identity.operator}")
