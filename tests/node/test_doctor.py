"""The doctor: each fault is found, and its remedy named."""

import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.network import Contract, Genesis, NetworkFile, save_network
from node.config import NodeConfig, load_config, write_config
from node.doctor import (
    MIN_DISK_BYTES,
    ChainFacts,
    Endpoint,
    Finding,
    Probes,
    check_clock,
    check_compute,
    check_port,
    check_stake,
    examine,
)
from node.home import Home
from node.keys import create_identity, export_backup, load_identity
from protocol.errors import ChainError
from protocol.params import OPEN, preset
from tests.node.fake_values import full_snapshot

NOW = 1_767_225_600
PAYOUT = "0x52908400098527886E0F7030069857D2E4169EE7"
GOOD = ChainFacts(31_337, NOW - 1, PAYOUT, 1, 10 * OPEN)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with nothing wrong: keys, backup, configuration, network."""
    home = Home(tmp_path / "home")
    count = iter(range(1, 100))
    identity = create_identity(home, lambda size: bytes([next(count)]) * size, "file")
    export_backup(home, identity, tmp_path / "b", "correct horse", lambda size: bytes(size))
    params, seat = preset("simnet"), bytes(19) + b"\x01"
    contracts = (Contract("WorkerStake", seat),)
    genesis = Genesis(31_337, 1, contracts, (seat,), 1, (seat,), seat, params.hash)
    save_network(home.network, NetworkFile("box", params, genesis, (), ("http://127.0.0.1:9",)))
    write_config(home, {"payout": PAYOUT})
    return home


def faults(home: Home, config: NodeConfig | None = None, **changed: Any) -> dict[str, Finding]:
    probes = Probes(
        chain=changed.get("probe", lambda _: changed.get("facts", GOOD)),
        endpoints=lambda _: changed.get("endpoints", []),
        running=lambda: changed.get("status"),
    )
    free = changed.get("free", MIN_DISK_BYTES)
    config = config or load_config(home)
    found = examine(home, config, lambda: load_identity(home), probes, NOW, free)
    return {finding.check: finding for finding in found if not finding.ok}


def test_a_healthy_home_has_no_fault(home: Home) -> None:
    assert faults(home) == {}


def test_each_fault_of_the_home_is_found_with_its_remedy(home: Home) -> None:
    config = load_config(home)
    assert "--payout" in faults(home, replace(config, payout=""))["payout"].remedy
    assert "0.0 GiB" in faults(home, free=0)["disk"].text
    missing = replace(config, network=home.path / "none.toml")
    assert "openledger join" in faults(home, missing)["network file"].remedy
    home.backup_mark.unlink()
    assert "openledger" in faults(home)["backup"].remedy
    home.key_file.chmod(0o644)
    found = faults(home)
    assert f"chmod 600 {home.key_file}" in found["home"].remedy
    assert found["keys"].text == "bad-permissions"
    home.key_file.chmod(0o600)
    home.identity.unlink()
    assert "openledger init" in faults(home)["keys"].remedy


def test_each_fault_of_the_chain_is_found_with_its_remedy(home: Home) -> None:
    def unreachable(_: NetworkFile) -> ChainFacts:
        raise ChainError("unreachable", "no answer")

    assert "http://127.0.0.1:9" in faults(home, probe=unreachable)["chain"].remedy
    wrong = faults(home, facts=replace(GOOD, chain_id=1))
    assert "lives on 31337" in wrong["chain"].text
    assert "clock" in faults(home, facts=replace(GOOD, head_time=NOW - 600))


def test_a_taken_port_is_a_fault_and_port_0_never() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert not check_port("p", "127.0.0.1", taken.getsockname()[1]).ok
    assert check_port("p", "127.0.0.1", 0).ok


@pytest.mark.parametrize(
    ("skew", "ok"), [(0, True), (120, True), (-120, True), (121, False), (-121, False)]
)
def test_the_clock_may_differ_by_two_minutes(skew: int, ok: bool) -> None:
    assert check_clock(NOW - skew, NOW).ok is ok


def test_stake_is_what_the_roles_need_together(home: Home) -> None:
    lacking = check_stake(GOOD, 110 * OPEN, ("contributor", "worker"))
    assert lacking.text == "10 OPEN for contributor, worker, 110 needed"
    assert f"deposit 100 OPEN for the operator {PAYOUT}" in lacking.remedy
    assert check_stake(GOOD, 10 * OPEN, ("verifier",)).ok
    assert "10 needed" in faults(home, facts=replace(GOOD, stake=0))["stake"].text


def test_an_operator_without_gas_is_a_fault(home: Home) -> None:
    assert PAYOUT in faults(home, facts=replace(GOOD, wei=0))["gas"].remedy


def test_a_compute_child_that_cannot_start_shows_its_last_line() -> None:
    assert check_compute([sys.executable, "-c", ""]).ok
    broken = check_compute([sys.executable, "-c", "import no_such_model_library"])
    assert not broken.ok
    assert "no_such_model_library" in broken.text


def test_endpoints_that_differ_in_anything_are_named(home: Home) -> None:
    one = Endpoint("http://one", 31_337, 100, 90, b"a" * 32)
    assert faults(home, endpoints=[one]) == faults(home, endpoints=[one, one]) == {}
    for other, says in (
        (replace(one, url="http://two", hash=b"b" * 32), "they disagree"),
        (replace(one, url="http://two", chain_id=1), "chain 1"),
        (replace(one, url="http://two", head=200), "http://one is 100 blocks behind"),
        (Endpoint("http://two", fault="unreachable: no"), "http://two: unreachable"),
    ):
        finding = faults(home, endpoints=[one, other])["endpoints"]
        assert says in finding.text and finding.remedy


def test_a_running_node_tells_who_refuses_it_and_whether_it_can_be_dialled(home: Home) -> None:
    status = full_snapshot()["status"]
    found = faults(home, status=status)
    assert set(found) == {"clock-skew"}
    assert "1 peers refuse this node" in found["clock-skew"].text
    assert "reachable" in faults(home, status={**status, "roles": ["seed"]})
