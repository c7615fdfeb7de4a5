"""Can others dial this node? A verdict from what seeds found when they tried, and exact advice. Pure."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["unknown", "public", "relayed", "outbound-only"]


@dataclass(frozen=True, slots=True)
class Report:
    """What one seed found: the address our connection comes from, what it tried, what it reached.

    ``fault`` is the reason when it could not or would not try.
    """

    seed: str
    observed: str = ""  # IP as the seed sees us
    tried: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Listening:
    """What this node knows of itself: where it listens, and whether the port is a fixed one."""

    host: str
    port: int
    fixed: bool
    own_ips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """The verdict, the addresses under which others reach us, and what to do about it ("" if nothing)."""

    verdict: Verdict = "unknown"
    addrs: tuple[str, ...] = ()
    why: str = "no seed has tried yet"
    advice: str = ""
    observed: str = ""
    asked: int = 0  # seeds that tried


def conclude(reports: Sequence[Report], relays: Sequence[str], here: Listening) -> Reach:
    """Public if every seed that tried got through; one that did not may itself be cut off, so that
    a majority is enough. Else relayed while a relay holds a place for us, else outbound-only.
    """
    able = [report for report in reports if not report.fault]
    if not able and not relays:
        return Reach(why=_unasked(reports), advice=_unasked_advice(reports))
    reaching = [report for report in able if report.reached]
    observed = next((report.observed for report in able), "")
    if len(reaching) * 2 > len(able):
        addrs = tuple(dict.fromkeys(a for report in reaching for a in report.reached))
        why = f"{len(reaching)} of {len(able)} seeds dialled {_short(addrs[0])}"
        return Reach("public", addrs, why, _scope(observed), observed, len(able))
    tried = _short(next((a for report in able for a in report.tried), ""))
    why = (
        f"{len(able) - len(reaching)} of {len(able)} seeds could not dial {tried or 'any address'}"
    )
    verdict: Verdict = "relayed" if relays else "outbound-only"
    if not able:
        why = "no seed has tried to dial it"
    return Reach(verdict, tuple(relays), why, _advice(observed, here), observed, len(able))


def is_private(ip: str) -> bool:
    """Whether an address means nothing beyond its own network or machine."""
    try:
        return not ipaddress.ip_address(ip).is_global
    except ValueError:
        return False


def ip_of(addr: str) -> str:
    """The IP of a multiaddr, "" when it has none."""
    parts = addr.split("/")
    return parts[2] if len(parts) > 2 and parts[1] in ("ip4", "ip6") else ""


def port_of(addr: str) -> int:
    """The TCP port of a multiaddr, 0 when it has none."""
    parts = addr.split("/")
    return int(parts[4]) if len(parts) > 4 and parts[3] == "tcp" and parts[4].isdigit() else 0


def _short(addr: str) -> str:
    return addr.split("/p2p/")[0]


def _unasked(reports: Sequence[Report]) -> str:
    if not reports:
        return "no seed is connected"
    return "; ".join(f"{report.seed[-8:]}: {report.fault}" for report in reports)


def _unasked_advice(reports: Sequence[Report]) -> str:
    if reports:
        return "The node asks again by itself."
    return "See that a seed of the network can be dialled: openledger doctor."


def _scope(observed: str) -> str:
    if is_private(observed):
        return f"Only on the network of {observed}: the seeds that tried are on it too."
    return ""


def _advice(observed: str, here: Listening) -> str:
    """What the operator can do, most likely cause first."""
    if ipaddress.ip_address(here.host).is_loopback:
        return 'It listens on this machine only: set [listen] host = "0.0.0.0" and restart.'
    steps = []
    port = here.port
    if not here.fixed:
        port = 4001
        steps.append(f"Choose a fixed port ([listen] port = {port}) and restart.")
    if observed in here.own_ips:
        steps.append(
            f"{observed} is this machine's own address, so a firewall is in the way: "
            f"let TCP port {port} in (for example: sudo ufw allow {port}/tcp)."
        )
    else:
        own = next((ip for ip in here.own_ips if not ipaddress.ip_address(ip).is_loopback), "it")
        steps.append(
            f"The network sees {observed or 'another address'}, this machine is {own}: forward TCP "
            f"port {port} of the router to {own}:{port}."
        )
    steps.append("Until then it works by dialling out: every duty can be done so.")
    return " ".join(steps)
