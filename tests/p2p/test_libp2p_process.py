"""A peer in another process: suspended, it is dropped in 15 s; restarted, it is back in 5 s."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from node.doors import SystemClock, SystemRandomness
from p2p.libp2p_host import Libp2pTransport
from p2p.redial import Redialer

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import sys, trio, warnings
warnings.simplefilter("ignore")
from node.doors import SystemClock
from p2p.libp2p_host import Libp2pTransport

async def ignore(peer, topic, body):
    pass

async def main():
    transport = Libp2pTransport(bytes([9]) * 32, SystemClock(), listen=sys.argv[1])
    await transport.subscribe("t", ignore)
    async with transport.running():
        print(transport.addrs[0], flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


class Child:
    def __init__(self, listen: str) -> None:
        command = [sys.executable, "-c", CHILD, listen]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.addr = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def start() -> Iterator[Callable[[str], Child]]:
    children: list[Child] = []

    def begin(listen: str) -> Child:
        children.append(Child(listen))
        return children[-1]

    yield begin
    for child in children:
        if child.process.poll() is None:
            child.kill()


async def until(condition: Callable[[], bool], seconds: float) -> float:
    begun = time.monotonic()
    with trio.fail_after(seconds):
        while not condition():
            await trio.sleep(0.05)
    return time.monotonic() - begun


async def ignore(peer: str, topic: str, body: bytes) -> None:
    pass


async def gossiped(transport: Libp2pTransport) -> None:
    """The other side is in our mesh."""
    with trio.fail_after(10):
        while not await transport.publish("t", b"%f" % time.monotonic()):
            await trio.sleep(0.1)


async def test_frozen_then_killed_then_back(start: Callable[[str], Child]) -> None:
    child = start("/ip4/127.0.0.1/tcp/0")
    clock = SystemClock()
    me = Libp2pTransport(bytes([8]) * 32, clock)
    redialer = Redialer(me, (child.addr,), clock, SystemRandomness())
    await me.subscribe("t", ignore)
    async with me.running(), trio.open_nursery() as nursery:
        nursery.start_soon(redialer.run)
        await until(lambda: bool(me.peers()), 5)
        await gossiped(me)
        child.process.send_signal(signal.SIGSTOP)
        await until(lambda: not me.peers(), 15)
        assert me.counters()["peer-frozen"] == 1
        child.kill()
        again = await trio.to_thread.run_sync(start, child.addr.split("/p2p/")[0])
        assert again.addr == child.addr
        await until(lambda: bool(me.peers()), 5)
        await gossiped(me)
        nursery.cancel_scope.cancel()
