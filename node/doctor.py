"""Finds what would stop a node, and says what to do about each: one check, one finding.

Every check is a function of what it is told: the chain client and the clock stay with the caller.
"""

import errno
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bootstrap.network import REMEDY, NetworkFile, load_network
from node.config import NodeConfig
from node.facade import Json
from node.home import Home
from node.join import needed_stake
from node.keys import Identity, backed_up
from protocol.errors import OpenLedgerError, OperatorError
from protocol.params import OPEN

# A base model, its converted copy, some rounds of states; below this a job is likely to fail.
MIN_DISK_BYTES = 4 * 1024**3
# Beacons and deadlines follow the chain; envelopes follow the clock.
MAX_SKEW_SECONDS = 120
MAX_BEHIND_BLOCKS = 20
SEED_SECONDS = 3.0
COMPUTE_SECONDS = 120
COMPUTING_ROLES = {"worker", "verifier", "aggregator", "host"}
# The child itself loads its heavy parts when a request first needs them.
CHILD_IMPORTS = [sys.executable, "-c", "import node.compute_child, lora.engine, attribution.rows"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check; ``remedy`` is empty when it passed."""

    check: str
    ok: bool
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What the chain answers: its id, the head's time (Unix seconds), an operator's gas and stake."""

    chain_id: int
    head_time: int
    operator: str
    wei: int
    stake: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What one RPC URL says: its chain, its head, the hash of a block that all should have."""

    url: str
    chain_id: int = 0
    head: int = 0
    common: int = 0  # number of that block
    hash: bytes = b""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Probes:
    """The outside world, as the caller reaches it. ``running`` is the status of a running node."""

    chain: Callable[[NetworkFile], ChainFacts]
    endpoints: Callable[[NetworkFile], list[Endpoint]]
    running: Callable[[], Json | None]


def examine(
    home: Home,
    config: NodeConfig,
    identity: Callable[[], Identity],
    probes: Probes,
    now: float,
    free_bytes: int,
) -> Iterator[Finding]:
    """All checks in the order in which a node would meet them."""
    status = probes.running()
    yield _said("home", lambda: _home(home))
    keys = _said("keys", lambda: identity().peer_id)
    peer_id = keys.text if keys.ok else ""
    yield keys
    yield check_backup(home)
    yield check_payout(config)
    if status is None:  # a running node holds its own ports
        yield check_port("peer port", config.listen_host, config.listen_port)
        yield check_port("API port", "127.0.0.1", config.api_port)
    yield check_disk(free_bytes)
    try:
        network = load_network(config.network)
    except OpenLedgerError as error:
        yield Finding("network file", False, error.code, error.text)
        return
    yield Finding("network file", True, f"{network.name}, {network.id.hex()[:8]}")
    yield check_seeds(network.seeds, peer_id)
    yield from check_chain(network, probes.chain, config.roles, now)
    yield check_endpoints(probes.endpoints(network))
    if status is not None:
        yield from check_running(status)
    if COMPUTING_ROLES & set(config.roles):
        yield check_compute(CHILD_IMPORTS)


def check_backup(home: Home) -> Finding:
    """Keys without a backup are a fault: nothing else can bring them back."""
    if home.identity.exists() and backed_up(home):
        return Finding("backup", True, "done")
    remedy = f"Run: openledger --home {home.path} backup FILE"
    return Finding("backup", False, "the keys exist on this machine only", remedy)


def check_payout(config: NodeConfig) -> Finding:
    if config.payout:
        return Finding("payout", True, config.payout)
    remedy = "Run: openledger join NETWORK --payout ADDRESS"
    return Finding("payout", False, "no address is chosen", remedy)


def check_port(name: str, host: str, port: int) -> Finding:
    """Port 0 is always free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            text = f"{host}:{port} cannot be used: {error.strerror}"
            return Finding(name, False, text, "Stop what uses it, or choose another (0: any).")
    return Finding(name, True, "any free one" if port == 0 else f"{host}:{port} is free")


def check_disk(free_bytes: int) -> Finding:
    text = f"{free_bytes / 1024**3:.1f} GiB free, {MIN_DISK_BYTES / 1024**3:.0f} GiB needed"
    ok = free_bytes >= MIN_DISK_BYTES
    return Finding("disk", ok, text, "" if ok else "Free some space, or move the home (--home).")


def check_seeds(seeds: tuple[str, ...], peer_id: str) -> Finding:
    """At least one seed takes a connection; else what the system says about each."""
    others = [seed for seed in seeds if not seed.endswith(f"/p2p/{peer_id}")]
    if not others:
        return Finding("seeds", True, "none to dial" if not seeds else "this node is the only one")
    faults = {seed: fault for seed in others if (fault := _knock(seed)) is not None}
    if len(faults) < len(others):
        return Finding("seeds", True, f"{len(others) - len(faults)} of {len(others)} answer")
    text = "; ".join(f"{_where(seed)}: {fault.strerror or fault}" for seed, fault in faults.items())
    return Finding("seeds", False, text, _route_remedy(list(faults.values())))


def _knock(seed: str) -> OSError | None:
    """Why a seed's port takes no connection, None when it does."""
    parts = seed.split("/")
    if len(parts) < 5 or parts[3] != "tcp" or not parts[4].isdigit():
        return OSError(f"{seed} is no TCP address")
    try:
        socket.create_connection((parts[2], int(parts[4])), timeout=SEED_SECONDS).close()
    except OSError as error:
        return error
    return None


def _where(seed: str) -> str:
    return seed.split("/p2p/")[0]


def _route_remedy(faults: list[OSError]) -> str:
    """The system's reason says whose fault it is: the machine's network, a firewall, or the seeds'."""
    codes = {fault.errno for fault in faults}
    if codes & {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL}:
        return "No route: check this machine's network, VPN and default gateway (ip route)."
    if errno.ECONNREFUSED in codes:
        return f"Nothing listens there: the seeds are down, or have moved. {REMEDY}"
    return f"No answer: check that outgoing TCP is let through. {REMEDY}"


def check_endpoints(endpoints: list[Endpoint]) -> Finding:
    """All RPC URLs that are configured serve one chain, block for block."""
    name = "endpoints"
    if len(endpoints) < 2:
        return Finding(name, True, "one: nothing to compare it with")
    silent = [point for point in endpoints if point.fault]
    if silent:
        text = "; ".join(f"{point.url}: {point.fault}" for point in silent)
        return Finding(name, False, text, "Remove it from rpc, or wait until it is up again.")
    if len({(point.chain_id, point.hash) for point in endpoints}) > 1:
        said = "; ".join(
            f"{p.url}: chain {p.chain_id}, block {p.common} is {p.hash.hex()[:16]}"
            for p in endpoints
        )
        remedy = "One is of another chain or of a lost fork: compare with a third, and remove it."
        return Finding(name, False, f"they disagree: {said}", remedy)
    behind = max(point.head for point in endpoints) - min(point.head for point in endpoints)
    if behind > MAX_BEHIND_BLOCKS:
        slow = min(endpoints, key=lambda point: point.head)
        text = f"{slow.url} is {behind} blocks behind"
        return Finding(
            name, False, text, "Name a better one first, or wait until it has caught up."
        )
    return Finding(name, True, f"{len(endpoints)} agree on block {endpoints[0].common}")


def check_running(status: Json) -> Iterator[Finding]:
    """What a running node found out about itself."""
    for refused in status["refused_by"]:
        text = f"{refused['peers']} peers refuse this node: {refused['text']}"
        yield Finding(refused["reason"], False, text, refused["remedy"])
    reach = status["reachability"]
    text = f"{reach['verdict']}: {reach['why']}"
    # a seed is there to be dialled; all other duties can be done by dialling out
    ok = reach["verdict"] in ("public", "relayed") or "seed" not in status["roles"]
    yield Finding("reachable", ok, text, reach["advice"])
    wire = status["wire"]
    if wire["newer"]:
        text = f"{wire['newer']} of {wire['peers']} peers are newer"
        yield Finding("version", True, text, "Update openledger-node.")


def check_chain(
    network: NetworkFile,
    probe: Callable[[NetworkFile], ChainFacts],
    roles: tuple[str, ...],
    now: float,
) -> Iterator[Finding]:
    """Reachable, the right one, in step with this machine's clock, and enough stake there."""
    try:
        facts = probe(network)
    except OperatorError as error:
        yield Finding("chain", False, error.code, error.text)
        return
    except OpenLedgerError as error:
        remedy = f"Check that {', '.join(network.rpc)} answers, or set chain.rpc in the config."
        yield Finding("chain", False, f"{error.code}: {error.text}", remedy)
        return
    expected = network.genesis.chain_id
    if facts.chain_id != expected:
        text = f"the RPC serves chain {facts.chain_id}, {network.name} lives on {expected}"
        yield Finding("chain", False, text, "Set chain.rpc to an endpoint of the right chain.")
        return
    yield Finding("chain", True, f"id {facts.chain_id}")
    yield check_clock(facts.head_time, now)
    yield check_gas(facts)
    yield check_stake(facts, needed_stake(network.params, roles), roles)


def check_clock(head_time: int, now: float) -> Finding:
    """A head ahead of us: our clock is late. Far behind us: it is early, or the chain stalls."""
    skew = round(now - head_time)
    text = f"{abs(skew)} s {'after' if skew >= 0 else 'before'} the chain's head"
    if abs(skew) <= MAX_SKEW_SECONDS:
        return Finding("clock", True, text)
    return Finding(
        "clock", False, text, "Set this machine's clock (NTP); if it is right, the chain stalls."
    )


def check_gas(facts: ChainFacts) -> Finding:
    """Registering, committing and claiming are transactions."""
    if facts.wei:
        return Finding("gas", True, f"{facts.wei / 10**18:g} of the chain's coin")
    remedy = f"Send some of the chain's coin to the operator {facts.operator}."
    return Finding("gas", False, "the operator cannot pay for a transaction", remedy)


def check_stake(facts: ChainFacts, needed: int, roles: tuple[str, ...]) -> Finding:
    """Every role needs some: without stake nobody listens to a node."""
    text = (
        f"{facts.stake / OPEN:g} OPEN for {', '.join(roles) or 'no role'}, {needed / OPEN:g} needed"
    )
    if facts.stake >= needed:
        return Finding("stake", True, text)
    missing = f"{(needed - facts.stake) / OPEN:g} OPEN"
    remedy = (
        f"Any account can deposit {missing} for the operator {facts.operator}: openledger stake"
    )
    return Finding("stake", False, text, remedy)


def check_compute(command: list[str]) -> Finding:
    """Start what the node starts for training: its imports are the heavy ones."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPUTE_SECONDS)
    except subprocess.TimeoutExpired:
        text = f"not ready within {COMPUTE_SECONDS} s"
        return Finding("compute", False, text, "Close other programs and try again.")
    if done.returncode == 0:
        return Finding("compute", True, "the compute child starts")
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return Finding(
        "compute", False, last, "Reinstall: pip install --force-reinstall openledger-node"
    )


def _home(home: Home) -> str:
    home.check()
    return str(home.path)


def _said(check: str, tell: Callable[[], str]) -> Finding:
    """A check whose fault is an error with its own remedy."""
    try:
        return Finding(check, True, tell())
    except OpenLedgerError as error:
        return Finding(check, False, error.code, error.text)
