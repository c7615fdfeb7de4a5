"""Verified exchange: whole and true, or not at all, while one honest source is left."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import chain
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from datanet.blobs import FileBlobs, MemoryBlobs
from p2p.exchange import Exchange
from p2p.manifest import (
    CHUNK_BYTES,
    CHUNK_PROTOCOL,
    MANIFEST_PROTOCOL,
    Manifest,
    WantChunk,
    WantManifest,
    manifest_of,
)
from p2p.memory import MemoryTransport, Network
from protocol.codec import pack, unpack
from protocol.errors import PeerError
from protocol.ids import content_id
from protocol.seams import Blobs
from simnet.seams import TrioClock

CHUNKS = 8  # more than three sources have streams: every source is asked at least twice
BODY = random.Random(1).randbytes((CHUNKS - 1) * CHUNK_BYTES + 1000)
BLOB = content_id(BODY)
MAX = 10 * CHUNK_BYTES


def holding(*bodies: bytes) -> MemoryBlobs:
    blobs = MemoryBlobs()
    for body in bodies:
        blobs.put(body)
    return blobs


class Source:
    """A peer that serves BODY, or lies in one way."""

    def __init__(self, world: "World", name: str, lie: str = "") -> None:
        self.transport = MemoryTransport(world.network, name, world.clock)
        self.lie = lie
        self.small: bytes | None = None  # what it serves in place of BODY
        self.chunks_asked: list[int] = []
        self.manifests_asked = 0
        self.transport.handle(MANIFEST_PROTOCOL, self.manifest, 64)
        self.transport.handle(CHUNK_PROTOCOL, self.chunk, 64)

    @property
    def body(self) -> bytes:
        body = BODY if self.small is None else self.small
        return bytes(len(body)) if self.lie == "manifest" else body

    async def manifest(self, peer: str, body: bytes) -> bytes:
        self.manifests_asked += 1
        if self.lie == "absent":
            raise PeerError("no-blob", "")
        if self.lie == "junk":
            return b"\xff"
        if self.lie == "empty":
            return pack(Manifest(0, ()))
        if self.lie == "count":
            return pack(Manifest(len(BODY), (BLOB,)))
        return pack(manifest_of(self.body))

    async def chunk(self, peer: str, body: bytes) -> bytes:
        want = unpack(WantChunk, body)
        self.chunks_asked.append(want.index)
        if self.lie == "absent":
            raise PeerError("no-blob", "")
        if self.lie == "slow":
            await trio.sleep(60)
        if self.lie == "dies" and len(self.chunks_asked) > 1:
            raise PeerError("gone", "")
        part = self.body[want.index * CHUNK_BYTES : (want.index + 1) * CHUNK_BYTES]
        return part[::-1] if self.lie == "chunk" else part


class World:
    """A fetcher and its sources, all connected."""

    def __init__(self, blobs: Blobs | None = None) -> None:
        self.clock = TrioClock(0)
        self.network = Network(self.clock, random.Random(1))
        self.transport = MemoryTransport(self.network, "me", self.clock)
        self.blobs = blobs or MemoryBlobs()
        self.exchange = Exchange(self.transport, self.blobs, lambda peer, blob: True)
        self.sources: list[Source] = []

    def add(self, *lies: str) -> "World":
        self.sources += [Source(self, f"s{number}", lie) for number, lie in enumerate(lies)]
        return self

    @asynccontextmanager
    async def up(self) -> AsyncIterator[list[str]]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.transport.running())
            for source in self.sources:
                await stack.enter_async_context(source.transport.running())
                await self.transport.dial(source.transport.addrs[0])
            yield [source.transport.peer_id for source in self.sources]


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_a_manifest_covers_the_body(size: int) -> None:
    manifest = manifest_of(bytes(size))
    assert manifest.size == size and len(manifest.chunks) == -(-size // CHUNK_BYTES)


async def test_two_nodes_exchange_a_blob_and_an_empty_one(autojump_clock: MockClock) -> None:
    world = World()
    server = MemoryTransport(world.network, "server", world.clock)
    Exchange(server, holding(BODY, b""), lambda peer, blob: True).serve()
    async with server.running(), world.transport.running():
        await world.transport.dial(server.addrs[0])
        for body in (BODY, b""):
            await world.exchange.fetch(content_id(body), ["server"], MAX)
            assert world.blobs.get(content_id(body)) == body


@pytest.mark.parametrize("make", [lambda path: MemoryBlobs(), FileBlobs])
async def test_two_who_want_the_same_blob_do_not_disturb_each_other(
    make: Callable[[Path], Blobs], tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = World(make(tmp_path)).add("", "")
    async with world.up() as names, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(world.exchange.fetch, BLOB, names, MAX)
    assert world.blobs.get(BLOB) == BODY
    assert sum(len(source.chunks_asked) for source in world.sources) == CHUNKS


async def test_several_sources_share_the_work(autojump_clock: MockClock) -> None:
    world = World().add("", "", "")
    async with world.up() as names:
        await world.exchange.fetch(BLOB, names, MAX)
    asked = [source.chunks_asked for source in world.sources]
    assert sorted(chain(*asked)) == list(range(CHUNKS)) and sum(map(bool, asked)) > 1


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        ("chunk", "lying-chunk"),
        ("manifest", "lying-manifest"),
        ("junk", "wrong-shape"),
        ("empty", "lying-manifest"),
        ("count", "bad-manifest"),
        ("slow", "overtaken"),
        ("dies", "refused"),
        ("absent", "refused"),
    ],
)
async def test_one_honest_source_is_enough(lie: str, code: str, autojump_clock: MockClock) -> None:
    world = World().add(lie, lie, "")
    async with world.up() as names:
        await world.exchange.fetch(BLOB, names, MAX)
    assert world.blobs.get(BLOB) == BODY
    assert world.exchange.counters()[f"exchange-{code}"] >= 1


@pytest.mark.parametrize("lie", ["chunk", "manifest", "absent", "slow", "dies"])
async def test_without_an_honest_source_nothing_is_stored(
    lie: str, autojump_clock: MockClock
) -> None:
    world = World().add(lie, lie)
    async with world.up() as names:
        with pytest.raises(PeerError) as caught:
            await world.exchange.fetch(BLOB, [*names, "stranger"], MAX)
    assert caught.value.code == "no-source" and not world.blobs.has(BLOB)


async def test_a_blob_above_the_limit_is_not_fetched(autojump_clock: MockClock) -> None:
    world = World().add("")
    async with world.up() as names:
        with pytest.raises(PeerError):
            await world.exchange.fetch(BLOB, names, len(BODY) - 1)
    assert world.sources[0].chunks_asked == [0] and not world.blobs.has(BLOB)
    assert world.exchange.counters()["exchange-too-large"] == 1


async def test_a_body_of_one_chunk_takes_one_request_of_one_source(
    autojump_clock: MockClock,
) -> None:
    world = World().add("", "")
    small = BODY[:100]
    for source in world.sources:
        source.small = small
    async with world.up() as names:
        await world.exchange.fetch(content_id(small), names, MAX)
    assert world.blobs.get(content_id(small)) == small
    assert [source.chunks_asked for source in world.sources] == [[0], []]
    assert [source.manifests_asked for source in world.sources] == [0, 0]


@pytest.mark.parametrize("lie", ["chunk", "slow", "absent"])
async def test_a_small_body_comes_from_the_others_when_the_first_fails(
    lie: str, autojump_clock: MockClock
) -> None:
    world = World().add(lie, "")
    small = BODY[:100]
    for source in world.sources:
        source.small = small
    async with world.up() as names:
        await world.exchange.fetch(content_id(small), names, MAX)
    assert world.blobs.get(content_id(small)) == small


@pytest.mark.parametrize("make", [lambda path: MemoryBlobs(), FileBlobs])
async def test_a_fetch_resumes(
    make: Callable[[Path], Blobs], tmp_path: Path, autojump_clock: MockClock
) -> None:
    blobs = make(tmp_path)
    world = World(blobs).add("dies")
    async with world.up() as names:
        with pytest.raises(PeerError):
            await world.exchange.fetch(BLOB, names, MAX)
    again = World(blobs).add("")
    async with again.up() as names:
        await again.exchange.fetch(BLOB, names, MAX)
    first, second = world.sources[0].chunks_asked, again.sources[0].chunks_asked
    assert sorted([first[0], *second]) == list(range(CHUNKS))  # the first chunk was kept
    assert blobs.get(BLOB) == BODY and list(tmp_path.glob("drafts/*")) == []


async def test_a_torn_partial_chunk_is_fetched_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    blobs = FileBlobs(tmp_path)
    blobs.draft(BLOB).write(CHUNK_BYTES, BODY[CHUNK_BYTES : 2 * CHUNK_BYTES])
    blobs.draft(BLOB).write(0, BODY[: CHUNK_BYTES // 2])
    world = World(blobs).add("")
    async with world.up() as names:
        await world.exchange.fetch(BLOB, names, MAX)
    assert (
        sorted(world.sources[0].chunks_asked) == [0, *range(2, CHUNKS)]
        and world.blobs.get(BLOB) == BODY
    )


async def test_forbidden_and_absent_look_alike(autojump_clock: MockClock) -> None:
    world = World()
    server = MemoryTransport(world.network, "server", world.clock)
    exchange = Exchange(server, holding(BODY), lambda peer, blob: peer != "me")
    exchange.serve()
    answers = []
    async with server.running(), world.transport.running():
        await world.transport.dial(server.addrs[0])
        for blob in (BLOB, bytes(32)):
            for protocol, want in (
                (MANIFEST_PROTOCOL, pack(WantManifest(blob))),
                (CHUNK_PROTOCOL, pack(WantChunk(blob, 0))),
            ):
                with pytest.raises(PeerError) as caught:
                    await world.transport.request(
                        "server", protocol, want, timeout=5, max_response=MAX
                    )
                answers.append((caught.value.code, caught.value.text))
    assert answers == [("refused", "no-blob")] * 4
    assert exchange.counters()["exchange-forbidden"] == 4


@pytest.mark.parametrize("index", [-1, CHUNKS, 2**63])
async def test_a_chunk_that_is_not_there(index: int, autojump_clock: MockClock) -> None:
    world = World()
    server = MemoryTransport(world.network, "server", world.clock)
    Exchange(server, holding(BODY), lambda peer, blob: True).serve()
    async with server.running(), world.transport.running():
        await world.transport.dial(server.addrs[0])
        with pytest.raises(PeerError) as caught:
            await world.transport.request(
                "server", CHUNK_PROTOCOL, pack(WantChunk(BLOB, index)), timeout=5, max_response=MAX
            )
    assert caught.value.text == "no-chunk"
