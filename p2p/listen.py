"""Is the listen address free? Asked before libp2p, whose SO_REUSEPORT would share it in silence."""

import errno
import socket

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
