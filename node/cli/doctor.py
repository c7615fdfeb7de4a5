"""``doctor``: checks everything that would stop this node, running or not."""

import os
import shutil
from typing import TYPE_CHECKING, Any

import typer

from node.cli.app import SET_UP, JsonFlag, app, home_of, passphrase
from node.cli.output import print_json, print_table
from node.home import Home
from protocol.errors import OpenLedgerError, OperatorError

if TYPE_CHECKING:
    from bootstrap.network import NetworkFile
    from node.config import NodeConfig
    from node.doctor import ChainFacts, Endpoint


@app.command(rich_help_panel=SET_UP)
def doctor(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Check home, keys, ports, seeds, chain, clock, stake, disk and compute; fails if any is at fault."""
    from dataclasses import asdict

    from node.config import load_config
    from node.doctor import Probes, examine
    from node.doors import SystemClock
    from node.keys import load_identity

    home = home_of(context)
    config = load_config(home, os.environ)
    probes = Probes(
        chain=lambda network: _ask_chain(network, config, home),
        endpoints=lambda network: _ask_endpoints(network, config),
        running=lambda: _ask_node(home),
    )
    findings = list(
        examine(
            home,
            config,
            lambda: load_identity(home, passphrase(home)),
            probes,
            SystemClock().now(),
            shutil.disk_usage(_existing(home)).free,
        )
    )
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        rows = [(f.check, "ok" if f.ok else "FAULT", f.text, f.remedy) for f in findings]
        print_table(["Check", "", "Found", "Remedy"], rows, "")
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


def _ask_node(home: Home) -> Any:
    """The status of the node that runs in this home, None when none does."""
    from node.cli import client

    try:
        return client.get(home, "status")
    except OperatorError as error:
        if error.code not in ("no-daemon", "bad-permissions"):  # the latter is a finding of its own
            raise
        return None


def _ask_chain(network: "NetworkFile", config: "NodeConfig", home: Home) -> "ChainFacts":
    """One connection as the node makes it."""
    import trio

    from node.aio import AsyncioThread
    from node.daemon import open_chain
    from node.doctor import ChainFacts
    from node.keys import load_identity

    operator = load_identity(home, passphrase(home)).operator

    async def ask() -> ChainFacts:
        with AsyncioThread() as thread:
            client = await open_chain(config, network, thread)
            head = await thread.run(client.head)
            wei = await thread.run(client.balance, operator)
            stake = await thread.run(client.read, "WorkerStake", "stakeOf", operator)
            await thread.run(client.close)
        return ChainFacts(client.chain_id, head.time, operator, wei, int(stake))

    return trio.run(ask)


def _ask_endpoints(network: "NetworkFile", config: "NodeConfig") -> "list[Endpoint]":
    """Each configured URL alone: its head, then the hash of a block that all of them have."""
    import trio

    from node.aio import AsyncioThread
    from node.doctor import Endpoint
    from settlement.evm import EvmChain

    urls = tuple(dict.fromkeys((*config.chain_rpc, *network.rpc)))
    if len(urls) < 2:
        return [Endpoint(url) for url in urls]

    async def ask() -> list[Endpoint]:
        with AsyncioThread() as thread:
            clients = {url: EvmChain(url, network.genesis.chain_id) for url in urls}
            heads: dict[str, int] = {}
            found = []
            for url, client in clients.items():
                try:
                    heads[url] = (await thread.run(client.head)).number
                except OpenLedgerError as error:
                    found.append(Endpoint(url, fault=f"{error.code}: {error.text}"))
            common = min(heads.values(), default=0)
            for url, head in heads.items():
                client = clients[url]
                block = await thread.run(client.block, common)
                served = await thread.run(client.served_chain)
                found.append(Endpoint(url, served, head, common, block.hash))
            for client in clients.values():
                await thread.run(client.close)
        return found

    return trio.run(ask)


def _existing(home: Home) -> str:
    """The home, or the nearest folder above it that exists."""
    return str(next(path for path in (home.path, *home.path.parents) if path.exists()))
