"""``init``, ``backup`` and ``keys``: the node's keys."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from node.cli.app import SET_UP, app, ask_passphrase, home_of, passphrase
from node.cli.output import print_line
from node.home import Home
from protocol.errors import OperatorError

SecretOption = Annotated[
    Literal["auto", "keyring", "file", "passphrase"],
    typer.Option(help="What seals the keys; auto: the keyring, else a private file."),
]


@app.command(rich_help_panel=SET_UP)
def init(
    context: typer.Context,
    secret: SecretOption = "auto",
    from_backup: Annotated[
        Path | None, typer.Option(help="Restore the keys of this backup instead of new ones.")
    ] = None,
) -> None:
    """Make this node's keys and folder; asks nothing."""
    home = home_of(context)
    make_identity(home, secret, from_backup)
    print_line(f"Next: openledger --home {home.path} join NETWORK --payout ADDRESS")


@app.command(rich_help_panel=SET_UP)
def backup(context: typer.Context, file: Annotated[Path, typer.Argument()]) -> None:
    """Write a copy of the keys, sealed with a passphrase that you choose."""
    from node.doors import SystemRandomness
    from node.keys import export_backup, load_identity

    home = home_of(context)
    identity = load_identity(home, passphrase(home))
    export_backup(home, identity, file, ask_passphrase(confirm=True), SystemRandomness().token)
    print_line(f"Wrote {file}. Restore it: openledger --home DIR init --from-backup {file}")


group = typer.Typer(no_args_is_help=True, help="The operator key in the form that wallets read.")


@group.command()
def export(context: typer.Context, file: Annotated[Path, typer.Argument()]) -> None:
    """Write the operator key as an encrypted JSON keystore (Web3 Secret Storage, version 3)."""
    from node.cli.accounts import password
    from node.doors import SystemRandomness
    from node.home import write_file
    from node.keys import load_identity
    from settlement.keystore import seal

    home = home_of(context)
    identity = load_identity(home, passphrase(home))
    if file.exists():
        raise OperatorError("file-exists", f"{file} exists.", "Name a new file.")
    sealed = seal(identity.operator_key, password(confirm=True), SystemRandomness().token)
    write_file(file, sealed.encode())
    print_line(f"Wrote the operator key {identity.operator} to {file}")


@group.command(name="import")
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument()],
    secret: SecretOption = "auto",
) -> None:
    """Make a home whose operator key is a wallet's keystore; its peer key is new."""
    from node.cli.accounts import read_keystore
    from node.doors import SystemRandomness
    from node.keys import adopt_identity

    home = home_of(context)
    chosen = ask_passphrase(confirm=True) if secret == "passphrase" else None
    identity = adopt_identity(home, read_keystore(file), SystemRandomness().token, secret, chosen)
    print_line(f"Home {home.path}, operator {identity.operator}, peer id {identity.peer_id}")


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
