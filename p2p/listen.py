"""Listening: is the address free (asked before libp2p, whose SO_REUSEPORT would share it in silence),
and under which addresses of this machine does a listener on all interfaces answer?
"""

import errno
import ipaddress
import socket
from collections.abc import Callable, Sequence

import psutil

from protocol.errors import OperatorError


def check_free(listen: str) -> None:
    """Raise OperatorError: ``bad-listen``, ``port-taken`` or ``cannot-listen``, with the remedy."""
    host, port = _parse(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # passes over connections of our last life, not over a listener
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OperatorError(
                "port-taken" if error.errno == errno.EADDRINUSE else "cannot-listen",
                f"Cannot listen on {listen}: {error.strerror}.",
                "Stop the program that uses it, or choose another port with --listen-port.",
            ) from error


def _parse(listen: str) -> tuple[str, int]:
    parts = listen.split("/")
    if len(parts) == 5 and parts[1] in ("ip4", "ip6") and parts[3] == "tcp" and parts[4].isdigit():
        return parts[2], int(parts[4])
    raise OperatorError(
        "bad-listen", f"{listen!r} is no listen address.", "Use /ip4/ADDRESS/tcp/PORT."
    )


def own_ips() -> tuple[str, ...]:
    """IPs of this machine's interfaces, those that reach farthest first; no link-local ones."""
    families = (socket.AF_INET, socket.AF_INET6)
    found = {
        ipaddress.ip_address(entry.address)
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family in families and "%" not in entry.address
    }
    usable = (ip for ip in found if not ip.is_link_local)
    order = sorted(usable, key=lambda ip: (ip.is_loopback, not ip.is_global, ip.version, int(ip)))
    return tuple(str(ip) for ip in order)


def spread(addr: str, ips: Callable[[], Sequence[str]]) -> tuple[str, ...]:
    """A listen address under the IPs that others can dial: "all interfaces" is no address.

    ``ips`` asks the machine, 0.16 ms that are spent only when they must.
    """
    family, host = addr.split("/")[1:3]
    if host not in ("0.0.0.0", "::"):
        return (addr,)
    version = 4 if family == "ip4" else 6
    same = [ip for ip in map(ipaddress.ip_address, ips()) if ip.version == version]
    wide = [ip for ip in same if not ip.is_loopback] or same
    return tuple(addr.replace(f"/{family}/{host}/", f"/{family}/{ip}/") for ip in wide)
