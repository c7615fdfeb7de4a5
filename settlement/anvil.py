"""anvil in the place of the chain in a box: the same command line, the same first line, the same funded key.

``python -m settlement.anvil --port 0 --chain-id N --accounts-seed S``; stops at SIGTERM or when its
stdin closes. anvil is taken from OPENLEDGER_ANVIL or the PATH (npm: ``@foundry-rs/anvil``). It mines
every transaction at once and an empty block every second, under Cancun.
"""

import argparse
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException
from typing import Any

from eth_utils.crypto import keccak

from protocol.ids import checksum
from protocol.typed_data import address_of

WEALTH = 10**27  # wei of the funded account, as in the chain in a box
READY_SECONDS = 20.0
FLAGS = ("--quiet", "--hardfork", "cancun", "--mixed-mining", "--block-time", "1")


def path() -> str | None:
    """Where anvil is, None when there is none."""
    return os.environ.get("OPENLEDGER_ANVIL") or shutil.which("anvil")


def local_chain() -> list[str]:
    """How Python starts a local chain: anvil when OPENLEDGER_LOCAL_CHAIN says so, else the box."""
    if os.environ.get("OPENLEDGER_LOCAL_CHAIN") == "anvil":
        return ["-m", "settlement.anvil", "--anvil", path() or ""]
    return ["-m", "settlement.devchain"]


def main() -> None:
    """The process: start anvil, fund the key, wait for the end of either."""
    parser = argparse.ArgumentParser(prog="python -m settlement.anvil", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--chain-id", type=int, default=31337)
    parser.add_argument("--accounts-seed", default="openledger", help="makes the funded key")
    parser.add_argument("--anvil", default=path(), help="the executable")
    options = parser.parse_args()
    found = options.anvil
    if not found:
        sys.exit("anvil is not there: npm ci in tests/anvil, or set OPENLEDGER_ANVIL")
    port = options.port or _free_port()
    place = ["--port", str(port), "--chain-id", str(options.chain_id), "--accounts", "1"]
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    with subprocess.Popen([found, *FLAGS, *place], stdout=subprocess.DEVNULL) as anvil:
        try:
            _serve(anvil, port, options.chain_id, options.accounts_seed)
        finally:
            anvil.terminate()


def _serve(anvil: "subprocess.Popen[bytes]", port: int, chain_id: int, seed: str) -> None:
    key = keccak(b"openledger devchain account\x00" + seed.encode())
    deadline = time.monotonic() + READY_SECONDS
    while _ask(port, "eth_chainId") is None:
        if anvil.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"{anvil.args!r} does not answer")
        time.sleep(0.05)
    _ask(port, "anvil_setBalance", checksum(address_of(key)), hex(WEALTH))
    url = f"http://127.0.0.1:{port}"
    ready = {"url": url, "chain_id": chain_id, "funded_key": "0x" + key.hex()}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    while anvil.poll() is None:
        readable, _, _ = select.select([sys.stdin], [], [], 0.5)
        if readable and not sys.stdin.read(1):
            return


def _ask(port: int, method: str, *params: Any) -> Any:
    """The result of one call, None while nothing answers."""
    link = HTTPConnection("127.0.0.1", port, timeout=5)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    try:
        link.request("POST", "/", body, {"Content-Type": "application/json"})
        return json.loads(link.getresponse().read()).get("result")
    except (OSError, HTTPException):
        return None
    finally:
        link.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
