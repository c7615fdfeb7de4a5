"""Every fault that the doctor names, really made: on a real chain, with real ports, files and routes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.network import NetworkFile
from tests.process.place import CHAIN_ID, Member, Place, command, environment, member

pytestmark = pytest.mark.process

ROOT = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="needs root and iproute2"
)
SEED = "/ip4/{}/tcp/{}/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"


def findings(who: Member, *prefix: str) -> dict[str, dict[str, Any]]:
    """The faults that ``openledger doctor --json`` finds, by check."""
    import json

    done = subprocess.run(
        [
            *prefix,
            sys.executable,
            "-m",
            "node.cli",
            "--home",
            str(who.home.path),
            "doctor",
            "--json",
        ],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    found = json.loads(done.stdout)
    faults = {one["check"]: one for one in found if not one["ok"]}
    assert done.returncode == (1 if faults else 0)
    return faults


@pytest.fixture(scope="module")
def idle(box: Place) -> Member:
    """A contributor that never ran: without backup, gas and stake."""
    return box.member("patient", "contributor")


def with_network(box: Place, who: Member, **changed: Any) -> Member:
    network: NetworkFile = replace(box.network, **changed)
    box.treasury.save(who.home.network, network)
    return who


@contextmanager
def second_chain(box: Place, name: str, chain_id: int) -> Iterator[str]:
    arguments = ["-m", "settlement.devchain", "--chain-id", str(chain_id)]
    process = box.group.add(name, arguments, box.folder / f"{name}.log")
    yield process.ready()["url"]
    process.signal(signal.SIGTERM)


def test_no_stake_no_gas_no_backup(idle: Member) -> None:
    found = findings(idle)
    assert set(found) == {"backup", "gas", "stake"}
    assert idle.identity.operator in found["stake"]["remedy"]
    assert "deposit 10 OPEN" in found["stake"]["remedy"]
    assert idle.identity.operator in found["gas"]["remedy"]


def test_a_taken_port(box: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        fault = findings(box.member("crowded", "contributor", listen_port=port))["peer port"]
    assert f"127.0.0.1:{port}" in fault["text"] and "choose another" in fault["remedy"]


def test_key_files_that_others_can_read(box: Place) -> None:
    who = box.member("open", "contributor")
    who.home.identity.chmod(0o644)
    assert f"chmod 600 {who.home.identity}" in findings(who)["home"]["remedy"]


def test_the_wrong_chain(box: Place) -> None:
    with second_chain(box, "elsewhere", CHAIN_ID + 1) as url:
        fault = findings(box.member("lost", "contributor", chain_rpc=url))["chain"]
    assert fault["text"] == "wrong-chain"
    assert (
        f"serves chain {CHAIN_ID + 1}" in fault["remedy"] and "Set the RPC URL" in fault["remedy"]
    )


def test_endpoints_that_disagree(box: Place) -> None:
    with second_chain(box, "fork", CHAIN_ID) as url:
        who = with_network(box, box.member("torn", "contributor"), rpc=(box.network.rpc[0], url))
        fault = findings(who)["endpoints"]
    assert (
        "they disagree" in fault["text"] and url in fault["text"] and "remove it" in fault["remedy"]
    )


def test_a_clock_that_is_wrong(box: Place, tmp_path: Path) -> None:
    """The machine's clock is not the test's to set: one process of it believes in another time."""
    late = tmp_path / "late.py"
    late.write_text(
        "import sys, time\n"
        "true = time.time\n"
        "time.time = lambda: true() - 3_600\n"
        "from node.cli import main\n"
        "main()\n"
    )
    who = box.member("late", "contributor")
    done = subprocess.run(
        [sys.executable, str(late), "--home", str(who.home.path), "doctor", "--json"],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
        check=False,
    )
    assert '"3600 s before the chain' in done.stdout or "s before the chain's head" in done.stdout
    assert "NTP" in done.stdout and done.returncode == 1


def test_a_seed_that_is_down(box: Place) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    seeds = (SEED.format("127.0.0.1", port),)
    fault = findings(with_network(box, box.member("lonely", "contributor"), seeds=seeds))["seeds"]
    assert "refused" in fault["text"] and "the seeds are down" in fault["remedy"]


@ROOT
def test_no_route(box: Place) -> None:
    """A network namespace of its own has a loopback that is down, and nothing else."""
    seeds = (SEED.format("192.0.2.77", 4001),)
    who = with_network(box, box.member("island", "contributor"), seeds=seeds)
    found = findings(who, "unshare", "--net")
    assert "unreachable" in found["seeds"]["text"].lower()
    assert found["seeds"]["remedy"].startswith("No route")
    assert "chain" in found


@ROOT
def test_a_full_disk(box: Place, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets no one mount")
    try:
        who = member(folder, "cramped", ("contributor",))
        box.treasury.save(who.home.network, box.network)
        fault = findings(who)["disk"]
        assert fault["text"].startswith("0.0 GiB free") and "Free some space" in fault["remedy"]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_claim_says_that_nobody_is_registered(box: Place) -> None:
    run = box.start(box.member("gasless", "contributor"))  # it has no gas to register with
    command(run.member.home, "claim").refuses("not-registered", run.member.identity.operator)
    explained = command(run.member.home, "claim", "--explain", "--json").json
    assert "not registered" in explained["reason"]
    run.process.signal(signal.SIGTERM)
