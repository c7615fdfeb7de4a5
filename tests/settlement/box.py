"""The chain in a box, or anvil, as a process, and what a test asks of it by plain HTTP."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from eth_account import Account

from protocol.ids import checksum
from protocol.typed_data import address_of
from settlement.anvil import path

BOTH = ("settlement.devchain", "settlement.anvil")
ROOT = Path(__file__).resolve().parents[2]
CHAIN_ID = 777


@dataclass(frozen=True, slots=True)
class Box:
    """The process as its first line described it."""

    url: str
    key: bytes
    process: "subprocess.Popen[bytes]"

    @property
    def is_ours(self) -> bool:
        """The chain in a box, not anvil."""
        return "settlement.devchain" in self.process.args

    @property
    def account(self) -> str:
        return checksum(address_of(self.key))

    def post(self, body: Any) -> Any:
        """One HTTP request of a JSON value, or of raw bytes."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(self.url, raw, {"Content-Type": "application/json"})
        with urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def rpc(self, method: str, *params: Any) -> Any:
        """The whole answer of one call."""
        return self.post({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})

    def ask(self, method: str, *params: Any) -> Any:
        """The result of a call that must succeed."""
        answer = self.rpc(method, *params)
        assert "error" not in answer, answer
        return answer["result"]

    def receipt(self, tx: str) -> Any:
        """At once from the box; anvil answers a moment before it mines."""
        for _ in range(1 if self.is_ours else 40):
            found = self.ask("eth_getTransactionReceipt", tx)
            if found is not None:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{tx} is not mined")

    def send(self, **fields: Any) -> str:
        """A signed transaction of the funded account; its hash."""
        plain = {
            "chainId": CHAIN_ID,
            "type": 2,
            "nonce": int(self.ask("eth_getTransactionCount", self.account, "pending"), 16),
            "gas": 2_000_000,
            "maxFeePerGas": 4 * 10**9,
            "maxPriorityFeePerGas": 10**9,
            **fields,
        }
        signed = Account.sign_transaction(plain, self.key)
        return str(self.ask("eth_sendRawTransaction", signed.raw_transaction.to_0x_hex()))


def anvil() -> str | None:
    """anvil's executable: of ``npm ci`` in tests/anvil, else wherever the program finds one."""
    local = sorted((ROOT / "tests/anvil/node_modules/@foundry-rs").glob("anvil-*/bin/anvil"))
    return str(local[0]) if local else path()


def need_anvil() -> None:
    """Skip, visibly, where there is none; in CI with npm that is a failure."""
    if anvil() is not None:
        return
    if os.environ.get("CI") and shutil.which("npm"):
        pytest.fail("CI must have anvil; .ci/run installs it")
    pytest.skip("no anvil here: run `npm ci` in tests/anvil")


def started(module: str = "settlement.devchain", chain_id: int = CHAIN_ID) -> Box:
    command = [sys.executable, "-m", module, "--chain-id", str(chain_id)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    env = {**os.environ, "OPENLEDGER_ANVIL": anvil() or ""}
    process = subprocess.Popen(command, cwd=ROOT, env=env, **pipes)  # type: ignore[call-overload]
    ready = json.loads(process.stdout.readline())
    assert ready["chain_id"] == chain_id
    return Box(ready["url"], bytes.fromhex(ready["funded_key"][2:]), process)


def stopped(box: Box) -> int:
    """Wait for the end; the exit status."""
    status = box.process.wait(20)
    for pipe in (box.process.stdin, box.process.stdout):
        if pipe is not None:
            pipe.close()
    return status
