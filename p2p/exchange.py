"""Verified exchange of blobs: a manifest of chunk hashes, then chunks from several sources at once.

A blob's id is BLAKE3 of its whole body, so a manifest is a claim until the body is whole. Sources
are grouped by the manifest that they claim; a group whose body does not hash to the id has lied.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from p2p.partial import MemoryPartials, Partials
from protocol.codec import pack, unpack
from protocol.errors import LocalError, PeerError
from protocol.ids import Hash, content_id
from protocol.seams import Blobs, PeerId, Transport

MANIFEST_PROTOCOL = "/openledger/manifest/1"
CHUNK_PROTOCOL = "/openledger/chunk/1"
CHUNK_BYTES = 256 * 1024
REQUEST_BYTES = 64
MANIFEST_SECONDS = 10.0
CHUNK_SECONDS = 10.0  # slower than 26 kB/s is given up
STREAMS_PER_SOURCE = 2
CACHED_MANIFESTS = 64
HASH_BYTES = 34  # of one chunk hash inside a packed manifest


@dataclass(frozen=True, slots=True)
class WantManifest:
    """Request: which chunks does this blob have?"""

    blob: Hash


@dataclass(frozen=True, slots=True)
class WantChunk:
    """Request: chunk ``index`` of a blob; the response is its bytes."""

    blob: Hash
    index: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Size in bytes and the BLAKE3 of every chunk; all chunks but the last have CHUNK_BYTES."""

    size: int
    chunks: tuple[Hash, ...]


def manifest_of(body: bytes) -> Manifest:
    """The manifest of a whole body."""
    hashes = (content_id(body[at : at + CHUNK_BYTES]) for at in range(0, len(body), CHUNK_BYTES))
    return Manifest(len(body), tuple(hashes))


def chunk_count(size: int) -> int:
    """Number of chunks of a body."""
    return -(-size // CHUNK_BYTES)


@dataclass(slots=True)
class _Download:
    """One attempt at one manifest."""

    blob: bytes
    manifest: Manifest
    todo: deque[int]
    sources: list[PeerId]


class Exchange:
    """Serves our blobs and fetches others'. ``may_serve(peer, blob)`` decides who gets what."""

    def __init__(
        self,
        transport: Transport,
        blobs: Blobs,
        may_serve: Callable[[PeerId, bytes], bool],
        partials: Partials | None = None,
    ) -> None:
        self._transport = transport
        self._blobs = blobs
        self._may_serve = may_serve
        self._partials = MemoryPartials() if partials is None else partials
        self._counts: Counter[str] = Counter()
        self._manifests: OrderedDict[bytes, Manifest] = OrderedDict()
        self._last_body = (b"", b"")  # id and body: a fetcher asks for chunk after chunk

    def counters(self) -> dict[str, int]:
        """Refusals and faults of sources by reason code."""
        return dict(self._counts)

    def serve(self) -> None:
        """Register the handlers; before the transport runs."""
        self._transport.handle(MANIFEST_PROTOCOL, self._serve_manifest, REQUEST_BYTES)
        self._transport.handle(CHUNK_PROTOCOL, self._serve_chunk, REQUEST_BYTES)

    async def _serve_manifest(self, peer: PeerId, body: bytes) -> bytes:
        blob = unpack(WantManifest, body).blob
        self._check_access(peer, blob)
        manifest = self._manifests.pop(blob, None) or manifest_of(self._body(blob))
        self._manifests[blob] = manifest
        if len(self._manifests) > CACHED_MANIFESTS:
            self._manifests.popitem(last=False)
        return pack(manifest)

    async def _serve_chunk(self, peer: PeerId, body: bytes) -> bytes:
        want = unpack(WantChunk, body)
        self._check_access(peer, want.blob)
        whole = self._body(want.blob)
        if not 0 <= want.index < chunk_count(len(whole)):
            raise PeerError("no-chunk", f"chunk {want.index} of {want.blob.hex()}")
        return whole[want.index * CHUNK_BYTES : (want.index + 1) * CHUNK_BYTES]

    def _check_access(self, peer: PeerId, blob: bytes) -> None:
        """One answer for absent and for forbidden: the difference would tell who holds what."""
        allowed = self._may_serve(peer, blob)
        if not allowed:
            self._counts["exchange-forbidden"] += 1
        if not allowed or not self._blobs.has(blob):
            raise PeerError("no-blob", blob.hex())

    def _body(self, blob: bytes) -> bytes:
        if self._last_body[0] != blob:
            self._last_body = (blob, self._blobs.get(blob))
        return self._last_body[1]

    async def fetch(self, blob: bytes, sources: Sequence[PeerId], max_size: int) -> None:
        """Bring ``blob`` into the store. Raises PeerError ``no-source`` when no honest one is left.

        Sources must be connected. Verified chunks survive a failure and are not fetched again.
        """
        if self._blobs.has(blob):
            return
        offers = await self._offers(blob, sources, max_size)
        for manifest, holders in sorted(offers.items(), key=lambda offer: -len(offer[1])):
            if await self._try(blob, manifest, holders):
                return
        raise PeerError(
            "no-source", f"{blob.hex()}: none of {len(sources)} sources served it whole and true"
        )

    async def _offers(
        self, blob: bytes, sources: Sequence[PeerId], max_size: int
    ) -> dict[Manifest, list[PeerId]]:
        """Ask all sources at once; who claims which manifest, in the order of ``sources``."""
        claims: dict[PeerId, Manifest] = {}

        async def ask(peer: PeerId) -> None:
            try:
                claims[peer] = await self._ask(peer, blob, max_size)
            except PeerError as error:
                self._counts[f"exchange-{error.code}"] += 1

        async with trio.open_nursery() as nursery:
            for peer in dict.fromkeys(sources):
                nursery.start_soon(ask, peer)
        offers: dict[Manifest, list[PeerId]] = {}
        for peer in dict.fromkeys(sources):
            if peer in claims:
                offers.setdefault(claims[peer], []).append(peer)
        return offers

    async def _ask(self, peer: PeerId, blob: bytes, max_size: int) -> Manifest:
        raw = await self._transport.request(
            peer,
            MANIFEST_PROTOCOL,
            pack(WantManifest(blob)),
            timeout=MANIFEST_SECONDS,
            max_response=64 + HASH_BYTES * chunk_count(max_size),
        )
        manifest = unpack(Manifest, raw)
        if manifest.size > max_size:
            raise PeerError("too-large", f"{manifest.size} bytes, limit {max_size}")
        if manifest.size < 0 or len(manifest.chunks) != chunk_count(manifest.size):
            raise PeerError("bad-manifest", f"{len(manifest.chunks)} chunks, {manifest.size} bytes")
        return manifest

    async def _try(self, blob: bytes, manifest: Manifest, holders: list[PeerId]) -> bool:
        """Fetch by one manifest; False when its holders failed or it was a lie."""
        todo = deque(
            index
            for index, digest in enumerate(manifest.chunks)
            if self._partials.get(blob, digest) is None
        )
        download = _Download(blob, manifest, todo, list(holders))
        while download.todo and download.sources:
            async with trio.open_nursery() as nursery:
                for peer in download.sources * STREAMS_PER_SOURCE:
                    nursery.start_soon(self._pull, download, peer)
        return not download.todo and self._finish(blob, manifest, len(holders))

    async def _pull(self, download: _Download, peer: PeerId) -> None:
        """Take chunk after chunk from one source; its first fault ends it and frees the chunk."""
        while download.todo and peer in download.sources:
            index = download.todo.popleft()
            try:
                await self._pull_chunk(download, peer, index)
            except PeerError as error:
                download.todo.append(index)
                self._counts[f"exchange-{error.code}"] += 1
                if peer in download.sources:
                    download.sources.remove(peer)

    async def _pull_chunk(self, download: _Download, peer: PeerId, index: int) -> None:
        chunk = await self._transport.request(
            peer,
            CHUNK_PROTOCOL,
            pack(WantChunk(download.blob, index)),
            timeout=CHUNK_SECONDS,
            max_response=CHUNK_BYTES,
        )
        digest = download.manifest.chunks[index]
        if content_id(chunk) != digest:
            raise PeerError("lying-chunk", f"{peer}: chunk {index} of {download.blob.hex()}")
        self._partials.put(download.blob, digest, chunk)

    def _finish(self, blob: bytes, manifest: Manifest, holders: int) -> bool:
        """Join, check against the id, store."""
        parts = []
        for digest in manifest.chunks:
            part = self._partials.get(blob, digest)
            if part is None:
                raise LocalError("partial-lost", f"a verified chunk of {blob.hex()} is gone")
            parts.append(part)
        body = b"".join(parts)
        self._partials.clear(blob)
        if content_id(body) != blob:
            self._counts["exchange-lying-manifest"] += holders
            return False
        self._blobs.put(body)
        return True
