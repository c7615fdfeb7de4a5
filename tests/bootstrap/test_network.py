"""Network files: read strictly, written back equal, and the id that they fix."""

from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap.network import Contract, Genesis, NetworkFile, load_network, save_network
from protocol.errors import OperatorError
from protocol.params import DEVNET, SIMNET

FILE = NetworkFile(
    name="Café net",
    params=SIMNET,
    genesis=Genesis(
        chain_id=1337,
        genesis_block=7,
        contracts=(Contract("CommitLog", b"\x01" * 20), Contract("OpenToken", b"\xab" * 20)),
        seats=(b"\x02" * 20, b"\x03" * 20, b"\x04" * 20),
        quorum=2,
        committee=(b"\x05" * 20,),
        treasury=b"\x06" * 20,
        params=SIMNET.hash,
    ),
    seeds=("/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW",),
    rpc=("http://127.0.0.1:8545",),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_network(tmp_path / "network.toml", FILE)
    return tmp_path / "network.toml"


def test_a_saved_file_reads_back_equal(path: Path) -> None:
    assert load_network(path) == FILE
    assert load_network(path).contract("OpenToken").lower() == "0x" + "ab" * 20


def test_the_order_of_contracts_in_the_file_does_not_matter(path: Path) -> None:
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-2] + lines[:-3:-1]))
    assert load_network(path).id == FILE.id


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 1},
        {"genesis_block": 8},
        {"contracts": FILE.genesis.contracts[:1]},
        {"seats": FILE.genesis.seats[::-1]},
        {"quorum": 3},
        {"committee": ()},
        {"treasury": bytes(20)},
        {"params": DEVNET.hash},
    ],
)
def test_every_genesis_entry_changes_the_id(change: dict[str, object]) -> None:
    other = replace(FILE, genesis=replace(FILE.genesis, **change))  # type: ignore[arg-type]
    assert other.id != FILE.id


def test_name_seeds_and_urls_do_not_change_the_id() -> None:
    assert replace(FILE, name="other", seeds=(), rpc=()).id == FILE.id


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("chain_id = 1337", "", "chain_id"),
        ("chain_id = 1337", 'chain_id = "1337"', "chain_id"),
        ("chain_id = 1337", "chain_id = -1", "chain_id"),
        ("chain_id = 1337", "chain_id = true", "chain_id"),
        ("quorum = 2", "quorum = 4", "quorum"),
        ("quorum = 2", "quorum = 0", "quorum"),
        ("quorum = 2", "quorum = 2\nextra = 1", "extra"),
        ('preset = "simnet"', 'preset = "moonnet"', "moonnet"),
        ('OpenToken = "0x', 'OpenToken = "0x00', "OpenToken"),
        ('seeds = ["', 'seeds = [1, "', "seeds"),
        ("name", "name name", "line 1"),
    ],
)
def test_faults_are_named_with_a_remedy(path: Path, old: str, new: str, says: str) -> None:
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(OperatorError) as caught:
        load_network(path)
    assert says in caught.value.text and caught.value.remedy


def test_a_missing_a_binary_and_a_huge_file(tmp_path: Path) -> None:
    path = tmp_path / "network.toml"
    for body, code in ((None, "no-network-file"), (b"\xff", "bad-network-file")):
        if body is not None:
            path.write_bytes(body)
        with pytest.raises(OperatorError) as caught:
            load_network(path)
        assert caught.value.code == code
    path.write_bytes(b"#" * 70_000)
    with pytest.raises(OperatorError, match="limit"):
        load_network(path)


def test_an_unknown_contract_is_an_operators_error() -> None:
    with pytest.raises(OperatorError, match="Nonesuch"):
        FILE.contract("Nonesuch")
