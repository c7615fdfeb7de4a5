"""Founding a network: once, twice, interrupted, from the command line, and what it costs."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bootstrap.network import load_network
from node.aio import AsyncioThread
from node.cli import app
from node.config import load_config
from node.daemon import open_chain
from node.found import Founding, found
from node.home import Home
from protocol.errors import ChainError, OperatorError
from protocol.params import SIMNET
from settlement.abi import CONTRACTS
from settlement.agreed import AgreedChain
from settlement.evm import EvmChain
from settlement.quote import gas_of_deployment
from settlement.signer import LocalSigner, Signer
from tests.settlement.box import CHAIN_ID, Box, started, stopped
from tests.settlement.pair import ACCOUNTS
from tests.settlement.proxy import proxy

pytestmark = pytest.mark.process
SEATS = tuple(ACCOUNTS[:3])


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    made = started()
    yield made
    made.process.terminate()
    assert stopped(made) == 0


def wanted(box: Box) -> Founding:
    return Founding("net", SIMNET, SEATS, 2, SEATS, box.account, (), (box.url,))


class Breaking(EvmChain):
    """Stops working after so many contracts."""

    left = 3

    async def create(self, signer: Signer, contract: str, args: tuple[Any, ...]) -> str:
        if not self.left:
            raise ChainError("unreachable", "gone")
        self.left -= 1
        return await super().create(signer, contract, args)


async def go(box: Box, out: Path, what: Founding, kind: type[EvmChain] = EvmChain) -> list[str]:
    """The lines that it told."""
    told: list[str] = []
    with AsyncioThread() as thread:
        chain = kind(box.url, CHAIN_ID)
        try:
            await thread.run(found, chain, LocalSigner(box.key), what, out, told.append)
        finally:
            await thread.run(chain.close)
    return told


def sent(box: Box) -> int:
    return int(box.ask("eth_getTransactionCount", box.account, "latest"), 16)


async def test_an_interrupted_founding_goes_on_and_a_third_run_finds_all(
    box: Box, tmp_path: Path
) -> None:
    out, before = tmp_path / "net.toml", sent(box)
    with pytest.raises(ChainError, match="gone"):
        await go(box, out, wanted(box), Breaking)
    assert (sent(box), out.exists()) == (before + 3, False)
    told = await go(box, out, wanted(box))
    assert sent(box) == before + len(CONTRACTS) + 1, "each contract once, and the treasury"
    assert sum(" is at " in line for line in told) == 3
    network = load_network(out)
    assert network.genesis.genesis_block > 0 and not (tmp_path / "net.toml.plan").exists()
    assert await go(box, out, wanted(box)) == [f"{out}: everything is deployed, with our bytecode"]
    assert sent(box) == before + len(CONTRACTS) + 1


async def test_a_plan_or_file_of_something_else_is_refused(box: Box, tmp_path: Path) -> None:
    out, other = tmp_path / "net.toml", replace(wanted(box), quorum=3)
    with pytest.raises(ChainError, match="gone"):
        await go(box, out, wanted(box), Breaking)
    with pytest.raises(OperatorError, match="other-plan"):
        await go(box, out, other)
    box.send(to=ACCOUNTS[5], value=1)
    with pytest.raises(ChainError, match="wrong-address"):
        await go(box, out, wanted(box))
    out.with_name("net.toml.plan").write_text("{")
    with pytest.raises(OperatorError, match="other-plan"):
        await go(box, out, wanted(box))
    out.with_name("net.toml.plan").unlink()
    await go(box, out, wanted(box))
    with pytest.raises(OperatorError, match="other-network"):
        await go(box, out, other)


@pytest.mark.parametrize("change", [{"quorum": 4}, {"quorum": 0}, {"committee": ()}])
async def test_seats_that_cannot_agree_are_refused(
    box: Box, tmp_path: Path, change: dict[str, Any]
) -> None:
    before = sent(box)
    with pytest.raises(OperatorError, match="bad-deploy"):
        await go(box, tmp_path / "net.toml", replace(wanted(box), **change))
    assert sent(box) == before


def test_the_command_deploys_and_says_first_what_it_costs(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "net.toml"
    monkeypatch.setenv("OPENLEDGER_KEY", "0x" + box.key.hex())
    seats = [word for seat in SEATS for word in ("--seat", seat)]
    line = ["chain", "deploy", "--rpc", box.url, "--out", str(out), "--name", "net", *seats]
    line += ["--preset", "simnet", "--json"]
    before = sent(box)
    quoted = json.loads(CliRunner().invoke(app, [*line, "--dry-run"]).stdout)
    assert (sent(box), out.exists()) == (before, False)
    made = json.loads(CliRunner().invoke(app, line).stdout)
    assert load_network(out).id.hex() == made["id"]
    spent = int(quoted["held_wei"]) - int(box.ask("eth_getBalance", box.account, "latest"), 16)
    assert 0.9 < spent / int(quoted["cost_wei"]) < 1.1
    assert list(quoted["gas"]) == list(CONTRACTS)


async def test_a_node_with_two_endpoints_believes_what_both_say(box: Box, tmp_path: Path) -> None:
    def twisted(method: str, params: list[Any], result: Any) -> Any:
        return {**result, "hash": "0x" + "66" * 32} if method == "eth_getBlockByNumber" else result

    home, out = Home(tmp_path / "home"), tmp_path / "net.toml"
    await go(box, out, wanted(box))
    with proxy(box.url) as second, AsyncioThread() as thread:
        flags = {"chain_rpc": f"{box.url}, {second.url}"}
        chain = await open_chain(load_config(home, {}, flags), load_network(out), thread)
        assert isinstance(chain, AgreedChain)
        assert (await thread.run(chain.head)).number > 0
        second.twist = twisted
        with pytest.raises(ChainError, match="endpoints-disagree"):
            await thread.run(chain.head)
        await thread.run(chain.close)


def test_a_deployment_needs_an_account(box: Box, tmp_path: Path) -> None:
    line = ["chain", "deploy", "--rpc", box.url, "--out", str(tmp_path / "n"), "--name", "net"]
    done = CliRunner().invoke(app, [*line, "--seat", SEATS[0]])
    assert isinstance(done.exception, OperatorError) and done.exception.code == "no-signer"


def test_a_quote_is_what_the_chain_takes(box: Box) -> None:
    gas = gas_of_deployment(wanted(box).terms)
    assert all(100_000 < used < 8_000_000 for used in gas.values())
