"""A fuzzed node under siege: hostile streams, half-open and slow connections, and honest traffic beside."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

from datanet.blobs import MemoryBlobs
from node.doors import SystemClock
from p2p.exchange import Exchange
from p2p.libp2p_host import Libp2pTransport
from protocol.errors import PeerError
from protocol.ids import ZERO, content_id
from tests.p2p.hostile import GONE, Attacker, attacker, perform, plan
from tests.p2p.victim import BODY, MEMBERS, REPORT

ROOT = Path(__file__).resolve().parents[2]
TOPIC = f"openledger/{ZERO.hex()[:16]}/1"
WORKERS = 16
HONEST_EVERY_S = 0.25
HONEST_SECONDS = 30.0


@dataclass(slots=True)
class Siege:
    """What was sent, what the honest got, what the victim says of it."""

    sent: Counter[str] = field(default_factory=Counter)
    honest: int = 0
    redials: int = 0  # of the honest peer, which shares a busy process with the attackers
    failed: list[str] = field(default_factory=list)
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    rss_before: int = 0
    rss_after: int = 0

    def counted(self, *prefixes: str) -> int:
        """How much the victim's counters of these prefixes grew."""
        grown = Counter(self.after)
        grown.subtract(self.before)
        return sum(n for code, n in grown.items() if code.startswith(prefixes))


@asynccontextmanager
async def victim() -> AsyncIterator[str]:
    """A victim process; its address."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.p2p.victim"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield (await trio.to_thread.run_sync(process.stdout.readline)).strip()
        assert process.poll() is None, "the victim is dead"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def lay(streams: int, slow: int, seed: int) -> Siege:
    """Attack with so many streams while ``slow`` half-open or dripping connections are held."""
    siege = Siege()
    async with victim() as addr, AsyncExitStack() as stack:
        crowd = [attacker(name, addr, TOPIC) for name in MEMBERS if name != "victim"]
        honest = Libp2pTransport(b"\x77" * 32, SystemClock())
        for transport in (honest, *(one.transport for one in crowd)):
            await stack.enter_async_context(transport.running())
        siege.before, siege.rss_before = await report(honest, addr, siege)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_honestly, honest, addr, siege)
            for number in range(slow):
                nursery.start_soon(hold, crowd[number % len(crowd)], number)
            await storm(crowd, streams, seed)
            await trio.sleep(1)  # what is under way is still to be counted
            siege.after, siege.rss_after = await report(honest, addr, siege)
            nursery.cancel_scope.cancel()
        for one in crowd:
            siege.sent.update(one.sent)
    return siege


async def storm(crowd: list[Attacker], streams: int, seed: int) -> None:
    """All attacks of the plan, some at once."""
    work = list(enumerate(plan(streams, seed)))

    async def worker(number: int) -> None:
        while work:
            at, kind = work.pop()
            await perform(kind, at, seed, crowd[number % len(crowd)])

    async with trio.open_nursery() as nursery:
        for number in range(WORKERS):
            nursery.start_soon(worker, number)


async def hold(who: Attacker, number: int) -> None:
    """A connection or a stream that says nothing, or one byte a second; begun again when it is cut."""
    while True:
        with suppress(*GONE):
            if number % 2:
                port = int(who.victim.split("/")[4])
                stream = await trio.open_tcp_stream("127.0.0.1", port)
                async with stream:
                    await drip(stream.send_all)
            else:
                slow = await who.stream("/openledger/sync/1")
                await slow.write(b"\xf0\x01")  # 240 bytes are promised
                await drip(slow.write)
        await trio.sleep(1)


async def drip(send: object) -> None:
    """One byte a second, for ever."""
    while True:
        await send(b"\x13")  # type: ignore[operator]
        await trio.sleep(1)


async def connected(transport: Libp2pTransport, addr: str, siege: Siege) -> str:
    """The victim's peer id, dialled again when the connection is gone."""
    peer = addr.rpartition("/p2p/")[2]
    if peer not in transport.peers():
        siege.redials += 1
        await transport.dial(addr)
    return peer


async def ask_honestly(transport: Libp2pTransport, addr: str, siege: Siege) -> None:
    """Whole, verified blobs, one after the other."""
    blob = content_id(BODY)
    while True:
        blobs = MemoryBlobs()
        exchange = Exchange(transport, blobs, lambda peer, blob: True)
        try:
            peer = await connected(transport, addr, siege)
            with trio.fail_after(HONEST_SECONDS):
                await exchange.fetch(blob, [peer], len(BODY))
            assert blobs.get(blob) == BODY
            siege.honest += 1
        except (PeerError, trio.TooSlowError) as error:
            siege.failed.append(repr(error))
        await trio.sleep(HONEST_EVERY_S)


async def report(transport: Libp2pTransport, addr: str, siege: Siege) -> tuple[dict[str, int], int]:
    """The victim's counters and its memory in bytes."""
    peer = await connected(transport, addr, siege)
    raw = await transport.request(peer, REPORT, b"", timeout=10, max_response=64 * 1024)
    found = json.loads(raw)
    return found["counts"], found["rss"]
