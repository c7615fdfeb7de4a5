"""Nodes behind real routers: network namespaces, each with its own translation of addresses.

    net: seeds 45.0.0.1, 45.0.0.2 -- router 45.0.0.10 | 10.0.1.2 ann
                                  -- router 45.0.0.20 | 10.0.2.2 bob

Needs root, iproute2 and nftables (Debian: apt-get install iproute2 nftables); runs with -m nat.
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.node import bare
from tests.process.nat_peer import PORT
from tests.process.place import environment

pytestmark = [
    pytest.mark.nat,
    pytest.mark.skipif(
        os.geteuid() != 0 or None in (shutil.which("ip"), shutil.which("nft")),
        reason="needs root, iproute2 and nftables",
    ),
]
PATIENCE_S = 90.0
SEEDS = {"sal": "45.0.0.1", "sid": "45.0.0.2"}
HOMES = {"ann": ("10.0.1", "45.0.0.10"), "bob": ("10.0.2", "45.0.0.20")}


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def inside(space: str, *command: str) -> None:
    run("ip", "netns", "exec", f"ol-{space}", *command)


def wire(one: str, name: str, other: str, far: str) -> None:
    """A cable between two namespaces."""
    run(
        "ip",
        "link",
        "add",
        name,
        "netns",
        f"ol-{one}",
        "type",
        "veth",
        "peer",
        "name",
        far,
        "netns",
        f"ol-{other}",
    )
    inside(one, "ip", "link", "set", name, "up")
    inside(other, "ip", "link", "set", far, "up")


@pytest.fixture(scope="module")
def net() -> Iterator[None]:
    """The net with its switch, and two homes behind routers."""
    spaces = ["net", *(f"{kind}-{home}" for home in HOMES for kind in ("r", "h"))]
    try:
        for space in spaces:
            run("ip", "netns", "add", f"ol-{space}")
            inside(space, "ip", "link", "set", "lo", "up")
        inside("net", "ip", "link", "add", "br0", "type", "bridge")
        inside("net", "ip", "link", "set", "br0", "up")
        for address in SEEDS.values():
            inside("net", "ip", "addr", "add", f"{address}/24", "dev", "br0")
        for number, (home, (local, public)) in enumerate(HOMES.items()):
            router = f"r-{home}"
            wire(router, "wan", "net", f"port{number}")
            inside("net", "ip", "link", "set", f"port{number}", "master", "br0")
            wire(router, "lan", f"h-{home}", "eth0")
            inside(router, "ip", "addr", "add", f"{public}/24", "dev", "wan")
            inside(router, "ip", "addr", "add", f"{local}.1/24", "dev", "lan")
            inside(router, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
            rules = (
                "add table ip nat",
                "add chain ip nat post { type nat hook postrouting priority 100 ; }",
                "add chain ip nat pre { type nat hook prerouting priority -100 ; }",
                'add rule ip nat post oifname "wan" masquerade',
                # what nobody inside asked for gets no answer, as from a router at home
                "add chain ip nat input { type filter hook input priority 0 ; }",
                'add rule ip nat input iifname "wan" ct state new drop',
            )
            for rule in rules:
                inside(router, "nft", rule)
            inside(f"h-{home}", "ip", "addr", "add", f"{local}.2/24", "dev", "eth0")
            inside(f"h-{home}", "ip", "route", "add", "default", "via", f"{local}.1")
        yield
    finally:
        for space in spaces:
            subprocess.run(["ip", "netns", "del", f"ol-{space}"], capture_output=True, check=False)


class Peer:
    """A running ``nat_peer`` and its last words."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.lines: queue.Queue[str] = queue.Queue()
        self.state: dict[str, Any] = {}
        assert process.stdout is not None
        threading.Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def _read(self, stream: Any) -> None:
        for line in stream:
            self.lines.put(line)

    def until(
        self, what: Callable[[dict[str, Any]], bool], seconds: float = PATIENCE_S
    ) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self.state = json.loads(self.lines.get(timeout=1))
            except queue.Empty:
                continue
            if what(self.state):
                return self.state
        raise AssertionError(f"waited in vain: {self.state}")


@contextmanager
def peer(space: str, name: str, ip: str, relay: bool, *seeds: str) -> Iterator[Peer]:
    command = ["ip", "netns", "exec", f"ol-{space}", sys.executable, "-m", "tests.process.nat_peer"]
    arguments = [name, ip, "1" if relay else "0", *seeds]
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        try:
            yield Peer(process)
        finally:
            process.kill()


def addr(name: str, ip: str) -> str:
    return f"/ip4/{ip}/tcp/{PORT}/p2p/{bare.peer(name)}"


SEED_ADDRS = tuple(addr(name, ip) for name, ip in SEEDS.items())


@contextmanager
def seeds(relay: bool = True) -> Iterator[None]:
    with ExitStack() as stack:
        for name, ip in SEEDS.items():
            stack.enter_context(peer("net", name, ip, relay, *SEED_ADDRS)).until(bool)
        yield


def home(name: str) -> Any:
    return peer(f"h-{name}", name, "0.0.0.0", False, *SEED_ADDRS)


def test_behind_a_router_it_is_outbound_only_with_the_port_to_forward(net: None) -> None:
    with seeds(relay=False), home("ann") as ann:
        state = ann.until(lambda s: s["verdict"] != "unknown")
    assert (state["verdict"], state["asked"], state["observed"]) == (
        "outbound-only",
        2,
        "45.0.0.10",
    )
    assert state["seconds"] < 20  # of which libp2p's first dial, with two cores for all, is most
    assert f"forward TCP port {PORT} of the router to 10.0.1.2:{PORT}" in state["advice"]
    assert {bare.peer(name) for name in SEEDS} <= set(state["echoes"])


def test_a_forwarded_port_makes_it_public(net: None) -> None:
    rule = f'add rule ip nat pre iifname "wan" tcp dport {PORT} dnat to 10.0.1.2'
    inside("r-ann", "nft", rule)
    try:
        with seeds(), home("ann") as ann:
            state = ann.until(lambda s: s["verdict"] != "unknown")
    finally:
        inside("r-ann", "nft", "flush", "chain", "ip", "nat", "pre")
    assert (state["verdict"], state["addrs"]) == ("public", [addr("ann", "45.0.0.10")])


def test_two_nodes_behind_routers_meet_through_a_relay_and_then_directly(net: None) -> None:
    with seeds(), home("ann") as ann, home("bob") as bob:
        told = ann.until(lambda s: s["verdict"] == "relayed")
        assert all("/p2p-circuit/p2p/" in each for each in told["addrs"])
        for one, other in ((ann, "bob"), (bob, "ann")):
            state = one.until(lambda s, other=other: bare.peer(other) in s["echoes"])
            links = [link for link in state["links"] if link[0] == bare.peer(other)]
            assert any(relayed for _, _, relayed, _ in links)
        ann.until(lambda s: _direct(s, "bob"))  # dcutr made a hole in both routers
        bob.until(lambda s: _direct(s, "ann"))


def _direct(state: dict[str, Any], other: str) -> bool:
    return any(peer == bare.peer(other) and not relayed for peer, _, relayed, _ in state["links"])
