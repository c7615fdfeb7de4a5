"""A node process whose worker is an actor: the daemon as it is, with its compute seam wrapped."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import trio

from node.config import NodeConfig, load_config
from node.daemon import run_node
from node.home import Home
from node.keys import Identity, load_identity
from protocol.errors import OpenLedgerError
from simnet.actors import Wrap, actor


def main() -> None:
    """``python -m simnet.actor_node --home DIR --actor NAME``; prints the ready line of ``run --json``."""
    parser = argparse.ArgumentParser(prog="python -m simnet.actor_node", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--actor", required=True)
    given = parser.parse_args()
    home = Home(given.home)
    try:
        config = load_config(home, os.environ)
        trio.run(_run, config, load_identity(home), actor(given.actor))
    except* OpenLedgerError as group:
        sys.exit("; ".join(str(error) for error in group.exceptions))


async def _run(config: NodeConfig, identity: Identity, wrap: Wrap) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_node, config, identity, _ready, wrap)
            async for _ in signals:
                nursery.cancel_scope.cancel()


def _ready(facts: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(facts, separators=(",", ":")) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
