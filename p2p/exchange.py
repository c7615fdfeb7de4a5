"""Verified exchange of blobs: a small one whole; else a manifest, then chunks from several sources at once.

A blob's id is BLAKE3 of its whole body, so a manifest is a claim until the body is whole. Sources
are grouped by the manifest that they claim; a group whose body does not hash to the id has lied.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence

import trio

from p2p.download import Blame, Download
from p2p.manifest import (
    CHUNK_BYTES,
    CHUNK_PROTOCOL,
    MANIFEST_PROTOCOL,
    REQUEST_BYTES,
    Manifest,
    WantChunk,
    WantManifest,
    check_manifest,
    manifest_bytes,
    manifest_of,
)
from protocol.codec import pack, unpack
from protocol.errors import LocalError, PeerError
from protocol.ids import content_id
from protocol.seams import Blobs, PeerId, Transport

MANIFEST_SECONDS = 10.0
FIRST_SECONDS = 3.0  # for the likeliest source alone
CACHED_MANIFESTS = 64
NOTHING = content_id(b"")


class Exchange:
    """Serves our blobs and fetches others'. ``may_serve(peer, blob)`` decides who gets what."""

    def __init__(
        self,
        transport: Transport,
        blobs: Blobs,
        may_serve: Callable[[PeerId, bytes], bool],
        blame: Blame | None = None,
    ) -> None:
        self._transport = transport
        self._blobs = blobs
        self._may_serve = may_serve
        self._tell = blame
        self._counts: Counter[str] = Counter()
        self._manifests: OrderedDict[bytes, Manifest] = OrderedDict()
        self._turns: dict[bytes, tuple[trio.Lock, int]] = {}  # blob -> whose fetch is on, how many

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
        return pack(self._manifest(blob))

    async def _serve_chunk(self, peer: PeerId, body: bytes) -> bytes:
        want = unpack(WantChunk, body)
        self._check_access(peer, want.blob)
        chunks = self._manifest(want.blob).chunks
        if not 0 <= want.index < len(chunks):
            raise PeerError("no-chunk", f"chunk {want.index} of {want.blob.hex()}")
        chunk = self._blobs.part(want.blob, want.index * CHUNK_BYTES, CHUNK_BYTES)
        if content_id(chunk) != chunks[want.index]:  # we would be taken for a liar
            raise LocalError("blob-corrupt", f"chunk {want.index} of {want.blob.hex()} changed")
        return chunk

    def _check_access(self, peer: PeerId, blob: bytes) -> None:
        """One answer for absent and for forbidden: the difference would tell who holds what."""
        allowed = self._may_serve(peer, blob)
        if not allowed:
            self._counts["exchange-forbidden"] += 1
        if not allowed or not self._blobs.has(blob):
            raise PeerError("no-blob", blob.hex())

    def _manifest(self, blob: bytes) -> Manifest:
        manifest = self._manifests.pop(blob, None) or manifest_of(self._blobs.get(blob))
        self._manifests[blob] = manifest
        if len(self._manifests) > CACHED_MANIFESTS:
            self._manifests.popitem(last=False)
        return manifest

    async def fetch(self, blob: bytes, sources: Sequence[PeerId], max_size: int) -> None:
        """Bring ``blob`` into the store. Raises PeerError ``no-source`` when no honest one is left.

        Sources must be connected. Verified chunks survive a failure and are not fetched again. Who
        wants the same blob waits: two writers would take each other's draft away.
        """
        lock, waiting = self._turns.get(blob, (trio.Lock(), 0))
        self._turns[blob] = lock, waiting + 1
        try:
            async with lock:
                if not self._blobs.has(blob):
                    await self._fetch(blob, sources, max_size)
        finally:
            lock, waiting = self._turns.pop(blob)
            if waiting > 1:
                self._turns[blob] = lock, waiting - 1

    async def _fetch(self, blob: bytes, sources: Sequence[PeerId], max_size: int) -> None:
        if blob == NOTHING:  # everybody has it
            self._blobs.put(b"")
            return
        first = await self._first(blob, sources, max_size)
        digest = content_id(first)
        draft = self._blobs.draft(blob)
        if first and digest == blob:
            draft.write(0, first)
            draft.finish(len(first))
            return
        offers = await self._offers(blob, sources, max_size)
        for manifest, holders in sorted(offers.items(), key=lambda offer: -len(offer[1])):
            if manifest.chunks[:1] == (digest,):  # a liar's may have none
                draft.write(0, first)
            download = Download(self._transport, draft, blob, manifest, holders, self._blame)
            if not await download.run():
                continue
            if download.verdict():
                draft.finish(manifest.size)
                return
            draft.discard()
            for peer in holders:
                self._blame(peer, "lying-manifest")
        raise PeerError(
            "no-source", f"{blob.hex()}: none of {len(sources)} sources served it whole and true"
        )

    async def _first(self, blob: bytes, sources: Sequence[PeerId], max_size: int) -> bytes:
        """The first chunk from the likeliest source; b"" when it has none at once, or we begun before.

        Most bodies are one chunk: its hash is the blob's id, so it needs no manifest and no second source.
        """
        if not sources or self._blobs.draft(blob).read(0, 1):
            return b""
        try:
            return await self._transport.request(
                sources[0],
                CHUNK_PROTOCOL,
                pack(WantChunk(blob, 0)),
                timeout=FIRST_SECONDS,
                max_response=min(CHUNK_BYTES, max_size),
            )
        except PeerError as error:  # it is asked again, with the others and with patience
            self._counts[f"exchange-first-{error.code}"] += 1
            return b""

    def _blame(self, peer: PeerId, code: str) -> None:
        self._counts[f"exchange-{code}"] += 1
        if self._tell is not None:
            self._tell(peer, f"exchange-{code}")

    async def _offers(
        self, blob: bytes, sources: Sequence[PeerId], max_size: int
    ) -> dict[Manifest, list[PeerId]]:
        """Ask all sources at once; who claims which manifest, in the order of ``sources``."""
        claims: dict[PeerId, Manifest] = {}

        async def ask(peer: PeerId) -> None:
            try:
                claims[peer] = await self._ask(peer, blob, max_size)
            except PeerError as error:
                self._blame(peer, error.code)

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
            max_response=manifest_bytes(max_size),
        )
        manifest = unpack(Manifest, raw)
        check_manifest(manifest, max_size)
        return manifest
