"""A burst of announcements on ten nodes: ``python -m tests.bench.burst [--nodes N] [--burst N]``.

Real transports on loopback in one process, in a ring with chords; one node publishes everything at
once. Prints how many bodies each node heard, and the drops that it counted under which reason. Exit
code 1 when a body is missing anywhere.
"""

import argparse
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import trio

from node.doors import SystemClock
from p2p.framing import GOSSIP_BYTES
from p2p.libp2p_host import Libp2pTransport

TOPIC = "openledger/bench"
NODES, BURST, BODY_BYTES = 10, 1_000, 600
PATIENCE_S = 120.0
DROPS = (
    "gossip-dropped",
    "gossip-ignored-forwarder",
    "gossip-write",
    "gossip-failed",
    "published-to",
)
DROPS += ("peer-",)  # a machine too busy to answer pings within 8 s loses its peers


def collect(into: set[bytes]) -> Callable[[str, str, bytes], Awaitable[None]]:
    """A handler that remembers what came."""

    async def handler(peer: str, topic: str, body: bytes) -> None:
        into.add(body)

    return handler


async def measure(nodes: int, burst: int) -> int:
    """Print the table; how many bodies are missing."""
    transports = [Libp2pTransport(bytes([n + 1]) * 32, SystemClock()) for n in range(nodes)]
    heard: list[set[bytes]] = [set() for _ in transports]
    bodies = {b"%8d" % n + bytes(BODY_BYTES - 8) for n in range(burst)}
    assert BODY_BYTES <= GOSSIP_BYTES
    async with AsyncExitStack() as stack:
        for transport, into in zip(transports, heard, strict=True):
            await transport.subscribe(TOPIC, collect(into))
            await stack.enter_async_context(transport.running())
        for at, transport in enumerate(transports):
            for step in (1, 3):
                await transport.dial(transports[(at + step) % nodes].addrs[0])
        await trio.sleep(5)  # the mesh forms
        begun = time.monotonic()
        for body in bodies:
            await transports[0].publish(TOPIC, body)
        with trio.move_on_after(PATIENCE_S):
            while not all(bodies <= into for into in heard[1:]):
                await trio.sleep(0.1)
        seconds = time.monotonic() - begun
        return show(transports, heard, bodies, seconds)


def show(
    transports: list[Libp2pTransport], heard: list[set[bytes]], bodies: set[bytes], seconds: float
) -> int:
    """The table; how many bodies are missing."""
    missing = 0
    for number, (transport, into) in enumerate(zip(transports, heard, strict=True)):
        drops = {c: n for c, n in transport.counters().items() if c.startswith(DROPS)}
        lacks = len(bodies - into) if number else 0
        missing += lacks
        role = "published" if not number else "heard"
        sys.stdout.write(f"node {number:2} {role:>10}{len(bodies) - lacks:6}  dropped {drops}\n")
    sys.stdout.write(f"{missing} of {len(bodies) * (len(heard) - 1)} missing, {seconds:.1f} s\n")
    return missing


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--burst", type=int, default=BURST)
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    sys.exit(bool(trio.run(measure, args.nodes, args.burst)))


if __name__ == "__main__":
    main()
