"""What a blob consists of: the hashes of its chunks, and how they are asked for."""

from dataclasses import dataclass

from protocol.errors import PeerError
from protocol.ids import Hash, content_id

MANIFEST_PROTOCOL = "/openledger/manifest/1"
CHUNK_PROTOCOL = "/openledger/chunk/1"
CHUNK_BYTES = 1024 * 1024
REQUEST_BYTES = 64
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


def chunk_size(manifest: Manifest, index: int) -> int:
    """Bytes of one chunk."""
    return min(CHUNK_BYTES, manifest.size - index * CHUNK_BYTES)


def manifest_bytes(max_size: int) -> int:
    """Upper limit of a packed manifest of a body of so many bytes."""
    return 64 + HASH_BYTES * chunk_count(max_size)


def check_manifest(manifest: Manifest, max_size: int) -> None:
    """Raises PeerError ``too-large`` or ``bad-manifest``."""
    if manifest.size > max_size:
        raise PeerError("too-large", f"{manifest.size} bytes, limit {max_size}")
    if manifest.size < 0 or len(manifest.chunks) != chunk_count(manifest.size):
        raise PeerError("bad-manifest", f"{len(manifest.chunks)} chunks, {manifest.size} bytes")
