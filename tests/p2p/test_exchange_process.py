"""A fetch that is killed goes on where it was: at most one chunk a stream is fetched again."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from datanet.blobs import FileBlobs, MemoryBlobs
from node.doors import SystemClock
from p2p.download import STREAMS_PER_SOURCE
from p2p.exchange import Exchange
from p2p.libp2p_host import Libp2pTransport
from p2p.manifest import CHUNK_BYTES, CHUNK_PROTOCOL, MANIFEST_PROTOCOL, WantChunk, manifest_of
from protocol.codec import pack, unpack
from protocol.ids import content_id

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]
CHUNKS = 12
BODY = random.Random(3).randbytes(CHUNKS * CHUNK_BYTES - 5)
BLOB = content_id(BODY)
CHILD = """
import sys, trio, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from datanet.blobs import FileBlobs, MemoryBlobs
from node.doors import SystemClock
from p2p.exchange import Exchange
from p2p.libp2p_host import Libp2pTransport

async def main(addr, blob, folder, size):
    transport = Libp2pTransport(bytes([9]) * 32, SystemClock())
    exchange = Exchange(transport, FileBlobs(Path(folder)), lambda peer, blob: True)
    async with transport.running():
        peer = await transport.dial(addr)
        await exchange.fetch(bytes.fromhex(blob), [peer], int(size))

trio.run(main, *sys.argv[1:])
"""


class Source:
    """Serves BODY; after ``stop_at`` chunks it holds the next answers back and says so."""

    def __init__(self, stop_at: int | None) -> None:
        self.transport = Libp2pTransport(bytes([8]) * 32, SystemClock())
        self.asked: list[int] = []
        self.full = trio.Event()
        self._stop_at = stop_at
        self.transport.handle(MANIFEST_PROTOCOL, self._manifest, 64)
        self.transport.handle(CHUNK_PROTOCOL, self._chunk, 64)

    async def _manifest(self, peer: str, body: bytes) -> bytes:
        return pack(manifest_of(BODY))

    async def _chunk(self, peer: str, body: bytes) -> bytes:
        index = unpack(WantChunk, body).index
        self.asked.append(index)
        if self._stop_at is not None and len(self.asked) > self._stop_at:
            if len(self.asked) == self._stop_at + STREAMS_PER_SOURCE:
                self.full.set()
            await trio.sleep_forever()
        return BODY[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1])
async def test_small_blobs_arrive_though_some_streams_have_nothing_to_bring(size: int) -> None:
    blobs, theirs = MemoryBlobs(), MemoryBlobs()
    blob = theirs.put(BODY[:size])
    me, other = (Libp2pTransport(bytes([number]) * 32, SystemClock()) for number in (1, 2))
    Exchange(other, theirs, lambda peer, blob: True).serve()
    exchange = Exchange(me, blobs, lambda peer, blob: True)
    async with me.running(), other.running():
        await me.dial(other.addrs[0])
        await exchange.fetch(blob, [other.peer_id], CHUNKS * CHUNK_BYTES)
    assert blobs.get(blob) == BODY[:size] and exchange.counters() == {}


def start(source: Source, folder: Path) -> subprocess.Popen[bytes]:
    size = str(len(BODY))
    args = [sys.executable, "-c", CHILD, source.transport.addrs[0], BLOB.hex(), str(folder), size]
    return subprocess.Popen(args, cwd=ROOT)


async def test_a_killed_fetch_resumes(tmp_path: Path) -> None:
    first, second = Source(stop_at=6), Source(stop_at=None)
    async with first.transport.running():
        child = start(first, tmp_path)
        with trio.fail_after(60):
            await first.full.wait()
        child.kill()
        child.wait()
    assert not FileBlobs(tmp_path).has(BLOB)
    async with second.transport.running():
        child = start(second, tmp_path)
        with trio.fail_after(60):
            assert await trio.to_thread.run_sync(child.wait) == 0
    assert FileBlobs(tmp_path).get(BLOB) == BODY
    again = set(first.asked) & set(second.asked)
    assert len(again) <= STREAMS_PER_SOURCE and len(second.asked) == CHUNKS - 6
    assert list((tmp_path / "drafts").iterdir()) == []
