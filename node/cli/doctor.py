"""``doctor``: checks everything that would stop this node, without starting it."""

import os
import shutil
from typing import TYPE_CHECKING

import typer

from node.cli.app import SET_UP, JsonFlag, app, home_of, passphrase
from node.cli.output import print_json, print_table
from node.home import Home

if TYPE_CHECKING:
    from bootstrap.network import NetworkFile
    from node.config import NodeConfig
    from node.doctor import ChainFacts


@app.command(rich_help_panel=SET_UP)
def doctor(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Check home, keys, ports, chain, clock, stake, disk and compute; fails if any is at fault."""
    from dataclasses import asdict

    from node.config import load_config
    from node.doctor import examine
    from node.doors import SystemClock
    from node.keys import load_identity

    home = home_of(context)
    config = load_config(home, os.environ)
    findings = list(
        examine(
            home,
            config,
            lambda: load_identity(home, passphrase(home)),
            lambda network: _ask_chain(network, config, home),
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


def _ask_chain(network: "NetworkFile", config: "NodeConfig", home: Home) -> "ChainFacts":
    """One connection as the node makes it."""
    import trio

    from node.aio import AioChain, AsyncioThread
    from node.daemon import open_chain
    from node.doctor import ChainFacts
    from node.keys import load_identity

    operator = load_identity(home, passphrase(home)).operator

    async def ask() -> ChainFacts:
        with AsyncioThread() as thread:
            client = await open_chain(config, network, thread)
            chain = AioChain(client, thread)
            head = await chain.head()
            wei = await thread.run(client.balance, operator)
            stake = await chain.read("WorkerStake", "stakeOf", operator)
            await thread.run(client.close)
        return ChainFacts(chain.chain_id, head.time, operator, wei, int(stake))

    return trio.run(ask)


def _existing(home: Home) -> str:
    """The home, or the nearest folder above it that exists."""
    return str(next(path for path in (home.path, *home.path.parents) if path.exists()))
