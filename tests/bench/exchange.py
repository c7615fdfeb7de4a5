"""Shard exchange against the bare library: ``python -m tests.bench.exchange``.

Pairs of processes on loopback. *bare*: one stream of a py-libp2p host as it comes, read and thrown
away. *ours*: the same bytes by manifest and chunks, each verified before it is written, the whole
verified and fsynced at the end. Both alternate, so that a busy machine slows both; the last line is
the median of the ratios. Exit code 1 below the goal.
"""

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path

import trio

LISTEN = "/ip4/127.0.0.1/tcp/0"
READ = 64 * 1024
MIB = 1024 * 1024
ROUNDS, SIZE_MIB = 9, 64
GOAL = 0.80

Pull = Callable[[str], Awaitable[float]]  # an address -> seconds


def body_of(size: int) -> bytes:
    """The bytes that travel."""
    return random.Random(7).randbytes(size)


@asynccontextmanager
async def bare(size: int, serving: bool) -> AsyncIterator[tuple[str, Pull]]:
    """A host of the library as it comes: our door is never imported in its process."""
    import warnings

    warnings.filterwarnings("ignore", message="websockets.legacy", category=DeprecationWarning)
    import logging

    from libp2p import new_host
    from libp2p.abc import INetStream
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.custom_types import TProtocol
    from libp2p.peer.peerinfo import info_from_p2p_addr
    from multiaddr import Multiaddr

    logging.getLogger("libp2p").setLevel(logging.CRITICAL)  # as ours: printing is not measured
    protocol = TProtocol("/bench/bare/1")
    key = create_new_key_pair((b"\x11" if serving else b"\x12") * 32)
    host = new_host(key_pair=key, listen_addrs=[Multiaddr(LISTEN)])
    body = body_of(size) if serving else b""

    async def serve(stream: INetStream) -> None:
        await stream.write(body)
        await stream.close()

    async def pull(addr: str) -> float:
        info = info_from_p2p_addr(Multiaddr(addr))
        await host.connect(info)
        begun, got = time.perf_counter(), 0
        stream = await host.new_stream(info.peer_id, [protocol])
        while got < size:
            got += len(await stream.read(READ))
        await stream.close()
        return time.perf_counter() - begun

    host.set_stream_handler(protocol, serve)
    async with host.run([Multiaddr(LISTEN)]):
        yield str(host.get_addrs()[0]), pull


@asynccontextmanager
async def ours(size: int, serving: bool) -> AsyncIterator[tuple[str, Pull]]:
    """The node's own transport, exchange and stores on disk."""
    from datanet.blobs import FileBlobs
    from node.doors import SystemClock
    from p2p.exchange import Exchange
    from p2p.libp2p_host import Libp2pTransport
    from protocol.ids import content_id

    transport = Libp2pTransport((b"\x13" if serving else b"\x14") * 32, SystemClock())
    blob = content_id(body_of(size))

    async def pull(addr: str) -> float:
        peer = await transport.dial(addr)
        with tempfile.TemporaryDirectory() as name:
            exchange = Exchange(transport, FileBlobs(Path(name)), lambda peer, blob: True)
            begun = time.perf_counter()
            await exchange.fetch(blob, [peer], size)
            return time.perf_counter() - begun

    with tempfile.TemporaryDirectory() as folder:
        if serving:
            blobs = FileBlobs(Path(folder))
            blobs.put(body_of(size))
            Exchange(transport, blobs, lambda peer, blob: True).serve()
        async with transport.running():
            yield transport.addrs[0], pull


SIDES = {"bare": bare, "ours": ours}
ENDS = ("serve", "pull")


async def child(side: str, size: int, serving: bool) -> None:
    """Print the address, then the seconds of one transfer for every address on stdin."""
    async with SIDES[side](size, serving) as (addr, pull):
        sys.stdout.write(f"{addr}\n")
        sys.stdout.flush()
        async for line in trio.wrap_file(sys.stdin):
            sys.stdout.write(f"{await pull(line.strip())}\n")
            sys.stdout.flush()


class Child:
    """One end of one side, in a process of its own."""

    def __init__(self, side: str, end: str, mib: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.exchange", "--mib", str(mib), "--be", side, end],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addr = self._line()

    def pull(self, addr: str) -> float:
        """Seconds of one transfer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{addr}\n")
        self._process.stdin.flush()
        return float(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise SystemExit("a child ended early")
        return line

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def measure(rounds: int, mib: int) -> float:
    """Print the table; the median of the ratios."""
    ratios = []
    sys.stdout.write(f"{'round':>6}{'bare MiB/s':>12}{'ours MiB/s':>12}{'ratio':>8}\n")
    with ExitStack() as stack:
        pairs = {
            side: [stack.enter_context(closing(Child(side, end, mib))) for end in ENDS]
            for side in SIDES
        }
        for number in range(rounds + 1):  # round 0 warms both up and does not count
            rate = {
                side: mib / puller.pull(server.addr) for side, (server, puller) in pairs.items()
            }
            ratios.append(rate["ours"] / rate["bare"])
            sys.stdout.write(
                f"{number:6}{rate['bare']:12.1f}{rate['ours']:12.1f}{ratios[-1]:8.2f}\n"
            )
            sys.stdout.flush()
    return statistics.median(ratios[1:])


def main() -> None:
    """Measure and print, or be one end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--mib", type=int, default=SIZE_MIB)
    parser.add_argument("--be", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.be:
        trio.run(child, args.be[0], args.mib * MIB, args.be[1] == "serve")
        return
    ratio = measure(args.rounds, args.mib)
    sys.stdout.write(f"median ratio {ratio:.2f}, goal {GOAL:.2f}\n")
    sys.exit(ratio < GOAL)


if __name__ == "__main__":
    main()
