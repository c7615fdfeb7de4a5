"""``join`` and ``run``: from a network file to a running node."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.app import SET_UP, app, home_of, passphrase
from node.cli.keys import make_identity
from node.cli.output import print_line
from node.home import Home, network_folders
from protocol.errors import OpenLedgerError, OperatorError

if TYPE_CHECKING:
    import trio

    from node.config import NodeConfig
    from node.keys import Identity


@app.command(rich_help_panel=SET_UP)
def join(
    context: typer.Context,
    network: Annotated[str, typer.Argument(help="Name of a known network, or a network file.")],
    payout: Annotated[str, typer.Option(help="Address that receives what this node earns.")],
    roles: Annotated[
        str, typer.Option(help="Comma-separated: contributor, worker, verifier, ...")
    ] = "contributor",
) -> None:
    """Choose a network and a payout address; everything else is derived."""
    from bootstrap.known import find_network
    from bootstrap.network import load_network
    from node.config import load_config, write_config

    home = home_of(context)
    network_file = find_network(network, network_folders(os.environ))
    joined = load_network(network_file)
    names = tuple(part.strip() for part in roles.split(",") if part.strip())
    write_config(home, {"network": home.network, "payout": payout, "roles": names})
    home.write(home.network, network_file.read_bytes(), mode=0o644)
    if not home.identity.exists():
        make_identity(home)
    config = load_config(home, os.environ)
    print_line(f"Network   {joined.name}, {joined.id.hex()[:8]}")
    print_line(f"Payout    {config.payout}")
    print_line(f"Roles     {', '.join(config.roles)}")
    print_line(f"Next: openledger --home {home.path} run")


@app.command(rich_help_panel=SET_UP)
def run(
    context: typer.Context,
    listen_port: Annotated[str | None, typer.Option(help="TCP port for peers; 0: any.")] = None,
    api_port: Annotated[str | None, typer.Option(help="Loopback port; 0: any.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line when ready.")
    ] = False,
) -> None:
    """Run the node until Ctrl-C."""
    from bootstrap.network import load_network
    from node.config import load_config
    from node.keys import load_identity

    home = home_of(context)
    given = {"listen_port": listen_port, "api_port": api_port, "log_level": log_level}
    flags = {name: text for name, text in given.items() if text is not None}
    config = load_config(home, os.environ, flags)
    if not config.payout:
        remedy = f"Run: openledger --home {home.path} join NETWORK --payout ADDRESS"
        raise OperatorError("no-payout", "No payout address is configured.", remedy)
    load_network(config.network)  # a faulty file is said before any key is opened
    identity = load_identity(home, passphrase(home))
    _log_to_stderr(config.log_level)
    _run(config, identity, _ready_json if as_json else _ready_text(home))


def _run(
    config: "NodeConfig", identity: "Identity", on_ready: Callable[[dict[str, Any]], None]
) -> None:
    import trio

    try:
        trio.run(_until_signal, config, identity, on_ready)
    except ExceptionGroup as group:
        known, other = group.split(OpenLedgerError)
        if other is not None or known is None:
            raise
        raise _leaf(known) from group


async def _until_signal(
    config: "NodeConfig", identity: "Identity", on_ready: Callable[[dict[str, Any]], None]
) -> None:
    import signal

    import trio

    from node.daemon import run_node

    # Listening before the node starts: no signal after "ready" ends it uncleanly.
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_on, signals, nursery.cancel_scope)
            await run_node(config, identity, on_ready)
            nursery.cancel_scope.cancel()


async def _cancel_on(signals: AsyncIterator[int], scope: "trio.CancelScope") -> None:
    async for _ in signals:
        scope.cancel()


def _leaf(group: ExceptionGroup[OpenLedgerError]) -> OpenLedgerError:
    first = group.exceptions[0]
    return _leaf(first) if isinstance(first, ExceptionGroup) else first


def _ready_json(facts: dict[str, Any]) -> None:
    import json

    print(json.dumps(facts, separators=(",", ":")), flush=True)


def _ready_text(home: Home) -> Callable[[dict[str, Any]], None]:
    def ready(facts: dict[str, Any]) -> None:
        print_line(f"Node {facts['peer_id']} of {facts['network']}, chain {facts['chain_id']}")
        print_line(f"Roles: {', '.join(facts['roles'])}. Listening on {', '.join(facts['addrs'])}")
        token = Path(facts["token_file"]).read_text().strip()
        print_line(f"Dashboard: {facts['api']}/?token={token}")
        if not home.backup_mark.exists():
            print_line(f"Not backed up. Run: openledger --home {home.path} backup FILE")

    return ready


def _log_to_stderr(level: str) -> None:
    import logging

    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
