"""The commands that move coins: what they ask of the node, and what they say."""

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from typer.testing import CliRunner

from bootstrap.network import save_network
from node.aio import AsyncioThread
from node.cli import app
from node.config import write_config
from node.found import Founding, found
from node.home import Home
from protocol.errors import OpenLedgerError
from protocol.params import OPEN, SIMNET
from settlement.evm import EvmChain
from settlement.keystore import seal
from settlement.signer import LocalSigner
from tests.node.conftest import FakeNode, Serving
from tests.node.fake_money import CHANNEL, HOST
from tests.settlement.box import CHAIN_ID, Box, started, stopped
from tests.settlement.pair import ACCOUNTS, KEYS

POT = "c3" * 32
# command line -> what reaches the node, what is said
ACTS: list[tuple[tuple[str, ...], tuple[Any, ...], str]] = [
    (("stake", "12.5"), ("stake", "12.5"), "now 130 OPEN"),
    (("unstake", "20"), ("unstake", "20"), "20 OPEN unbonding, 5 OPEN locked"),
    (("unstake",), ("unbonding",), "openledger unstake --withdraw"),
    (("unstake", "--withdraw"), ("withdraw",), f"20 OPEN went to {HOST}"),
    (("fund", POT, "3"), ("fund", POT, "3"), "Added 3 OPEN"),
    (("claim", "--batch"), ("claim_batch",), "Claimed 8 OPEN for 4 owners"),
    (("challenge",), ("review",), "as worker, due are 5"),
    (("challenge", "3"), ("challenge", 3, False), "a jury decides"),
    (("challenge", "3", "--anyway"), ("challenge", 3, True), "a jury decides"),
    (("channel", "list"), ("channels",), "0.5 OPEN"),
    (("channel", "list"), ("channels",), "served, 1"),
    (("channel", "open", HOST, "9"), ("open_channel", HOST, "9", "", 86_400), CHANNEL),
    (
        ("channel", "open", HOST, "9", "--hosting", "0.5", "--every", "3600"),
        ("open_channel", HOST, "9", "0.5", 3_600),
        CHANNEL,
    ),
    (("channel", "top-up", CHANNEL, "1"), ("top_up", CHANNEL, "1"), "transaction"),
    (("channel", "close", CHANNEL), ("close_channel", CHANNEL), "Run the same command"),
    (("chain", "status"), ("chain",), "1 transactions"),
]


@asynccontextmanager
async def online(serving: Serving, node: FakeNode, home: Home, token: str) -> AsyncIterator[Any]:
    """Commands against a served node, from a thread."""
    async with serving(node) as url:
        home.create()
        home.write(home.token, token.encode())
        home.announce(url, os.getpid())
        run = partial(CliRunner().invoke, app)
        yield lambda *args: trio.to_thread.run_sync(run, ["--home", str(home.path), *args])


@pytest.mark.parametrize(("line", "asked", "said"), ACTS)
async def test_a_command_asks_the_node_and_says_what_came_of_it(
    serving: Serving,
    fake_node: FakeNode,
    tmp_path: Path,
    token: str,
    line: tuple[str, ...],
    asked: tuple[Any, ...],
    said: str,
) -> None:
    async with online(serving, fake_node, Home(tmp_path / "home"), token) as ask:
        done = await ask(*line)
        assert done.exit_code == 0, done.output
        assert said in done.stdout
        told = json.loads((await ask(*line, "--json")).stdout)
    assert fake_node.actions == [asked, asked]
    assert told


async def test_explain_shows_the_way_of_the_money(
    serving: Serving, fake_node: FakeNode, tmp_path: Path, token: str
) -> None:
    async with online(serving, fake_node, Home(tmp_path / "home"), token) as ask:
        text = (await ask("claim", "--explain")).stdout
        told = json.loads((await ask("claim", "--explain", "--json")).stdout)
    for word in ("in its window", "score 91240 of 40 records", "root e5e5e5e5", "3 siblings"):
        assert word in text
    assert told["tasks"][0]["stage"] == "in its window"
    assert told["proof"]["valid"]


# -- stake from an account that the node does not know ---


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    made = started()
    yield made
    made.process.terminate()
    assert stopped(made) == 0


async def networked(box: Box, home: Home) -> str:
    """A home that knows a network on the box; the operator is registered. Its address."""
    wanted = Founding("n", SIMNET, (box.account,), 1, tuple(ACCOUNTS[:3]), box.account, (), ())
    with AsyncioThread() as thread:
        chain = EvmChain(box.url, CHAIN_ID)
        file = home.path / "founded.toml"
        network = await thread.run(found, chain, LocalSigner(box.key), wanted, file, _silent)
        await thread.run(chain.transfer_eth, box.key, ACCOUNTS[1], OPEN)
        register = chain.call_of("AssetRegistry", "registerOwner", (HOST,))
        await thread.run(chain.transact, LocalSigner(KEYS[1]), register)
        await thread.run(chain.close)
    save_network(home.network, network)
    write_config(home, {"chain_rpc": (box.url,)})
    return ACCOUNTS[1]


def _silent(text: str) -> None:
    """Nothing is told."""


@pytest.mark.process
async def test_a_keystore_s_account_stakes_for_the_operator(
    box: Box,
    serving: Serving,
    fake_node: FakeNode,
    tmp_path: Path,
    token: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENLEDGER_KEYSTORE_PASSWORD", "pw")
    home, file = Home(tmp_path / "home"), tmp_path / "key.json"
    file.write_text(seal(box.key, "pw", lambda size: bytes(range(size))))
    async with online(serving, fake_node, home, token) as ask:
        fake_node.state["status"]["operator"] = await networked(box, home)
        done = await ask("stake", "12.5", "--keystore", str(file), "--json")
        assert done.exit_code == 0, done.exception
        assert json.loads(done.stdout)["stake"] == str(25 * OPEN // 2)
        monkeypatch.setenv("OPENLEDGER_KEYSTORE_PASSWORD", "wrong")
        failed = await ask("stake", "1", "--keystore", str(file))
        assert isinstance(failed.exception, OpenLedgerError)
        assert failed.exception.code == "wrong-password"
    assert fake_node.actions == []
