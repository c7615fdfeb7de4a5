"""A chain in a box with our contracts, a network file, homes, and the real command line."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap.network import NetworkFile
from node.config import Value, write_config
from node.doors import SystemRandomness
from node.home import Home
from node.keys import Identity, create_identity
from protocol.params import SIMNET
from settlement.anvil import local_chain
from simnet.processes import Group, Process
from simnet.treasury import Seat, Treasury

CHAIN_ID = 31_337
PAYOUT = "0x52908400098527886E0F7030069857D2E4169EE7"
ALL_ROLES = ("contributor", "worker", "verifier", "aggregator", "host", "seed")
PATIENCE_S = 60.0
COMMAND_S = 120.0
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Said:
    """What a finished command left."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)

    def refuses(self, *parts: str) -> None:
        """One error of ours, no traceback: a code, and a text with what, where and what to do."""
        assert self.status != 0, self.out
        assert "Traceback" not in self.err, self.err
        assert "openledger: " in self.err
        assert [part for part in parts if part not in self.err] == [], self.err


@dataclass(frozen=True, slots=True)
class Member:
    """A home with its keys."""

    name: str
    home: Home
    identity: Identity
    roles: tuple[str, ...]

    @property
    def seat(self) -> Seat:
        return Seat(self.name, self.identity.operator, self.roles)


@dataclass(frozen=True, slots=True)
class Node:
    """A running member."""

    member: Member
    process: Process

    @property
    def facts(self) -> dict[str, Any]:
        return self.process.facts

    def ask(self, *args: str) -> Said:
        return command(self.member.home, *args)

    def until(self, what: Callable[[], bool]) -> None:
        """Wait for something that the node does by itself."""
        deadline = time.monotonic() + PATIENCE_S
        while not what():
            assert self.process.alive, self.process.last_words()
            assert time.monotonic() < deadline, self.ask("status").out
            time.sleep(POLL_S)


@dataclass(frozen=True, slots=True)
class Place:
    """One chain, its network, and the folder of its homes."""

    folder: Path
    group: Group
    treasury: Treasury
    network: NetworkFile
    founder: Member  # holds every role
    absent: Member  # has its seats, and no node until a test starts one

    def member(self, name: str, *roles: str, **config: Value) -> Member:
        """A further home that has joined; without gas, stake or a running node."""
        made = member(self.folder, name, roles, **config)
        self.treasury.save(made.home.network, self.network)
        return made

    def start(self, member: Member) -> Node:
        """Run a member's node until it is ready."""
        arguments = ["-m", "node.cli", "--home", str(member.home.path), "run", "--json"]
        process = self.group.add(member.name, arguments, self.folder / f"{member.name}.log")
        process.ready()
        return Node(member, process)

    def stake(self, member: Member) -> None:
        """Deposit what a registered member's roles need."""
        self.treasury.approve_stakes(SIMNET, [member.seat])
        self.treasury.deposit(SIMNET, member.seat)


def member(folder: Path, name: str, roles: tuple[str, ...], **config: Value) -> Member:
    """Keys and configuration in a new home."""
    home = Home(folder / name)
    home.create()
    identity = create_identity(home, SystemRandomness().token, "file")
    values: dict[str, Value] = {"payout": PAYOUT, "roles": roles, "listen_host": "127.0.0.1"}
    write_config(home, {**values, **config})
    return Member(name, home, identity, roles)


@contextmanager
def place(folder: Path, absent_roles: tuple[str, ...] = ("verifier",)) -> Iterator[Place]:
    """Start the chain, deploy, give the founder gas; ends every process that was started."""
    founder = member(folder, "founder", ALL_ROLES)
    absent = member(folder, "absent", absent_roles)  # a committee has a quorum of two
    group = Group(environment())
    with _closing_pipes(group), group:
        arguments = [*local_chain(), "--chain-id", str(CHAIN_ID)]
        facts = group.add("chain", arguments, folder / "chain.log").ready()
        key = bytes.fromhex(facts["funded_key"].removeprefix("0x"))
        treasury = Treasury(facts["url"], CHAIN_ID, key)
        network = treasury.found(SIMNET, [founder.seat, absent.seat], ())
        treasury.save(founder.home.network, network)
        treasury.gas(founder.identity.operator)
        yield Place(folder, group, treasury, network, founder, absent)
        treasury.close()


@contextmanager
def _closing_pipes(group: Group) -> Iterator[None]:
    try:
        yield
    finally:
        for process in group.processes.values():
            assert process.popen is not None
            for pipe in (process.popen.stdin, process.popen.stdout):
                assert pipe is not None
                pipe.close()


def command(home: Home, *args: str) -> Said:
    """Run ``openledger --home HOME ARGS`` to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "node.cli", "--home", str(home.path), *args],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=home.path,
        timeout=COMMAND_S,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def environment() -> dict[str, str]:
    """Ours, without settings of a node, one thread a process, and no hub to wait for."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("OPENLEDGER_")}
    return {**kept, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
