"""Chunks of blobs that are not complete yet, so that a fetch resumes after a crash.

Kept by their own BLAKE3 and checked again when read: a torn write is a chunk that is not there.
"""

import os
from pathlib import Path
from typing import Protocol

from blake3 import blake3


class Partials(Protocol):
    """Verified chunks by blob id and chunk hash."""

    def put(self, blob: bytes, digest: bytes, chunk: bytes) -> None:
        """Keep one verified chunk."""
        ...

    def get(self, blob: bytes, digest: bytes) -> bytes | None:
        """The chunk, or None when it is not here whole."""
        ...

    def clear(self, blob: bytes) -> None:
        """Forget all chunks of a blob."""
        ...


class MemoryPartials:
    """The simulated side."""

    def __init__(self) -> None:
        self._chunks: dict[bytes, dict[bytes, bytes]] = {}

    def put(self, blob: bytes, digest: bytes, chunk: bytes) -> None:
        self._chunks.setdefault(blob, {})[digest] = chunk

    def get(self, blob: bytes, digest: bytes) -> bytes | None:
        return self._chunks.get(blob, {}).get(digest)

    def clear(self, blob: bytes) -> None:
        self._chunks.pop(blob, None)


class DirPartials:
    """The real side: one file a chunk, in one directory a blob, under ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, blob: bytes, digest: bytes, chunk: bytes) -> None:
        path = self._path(blob, digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".part")
        aside.write_bytes(chunk)
        os.replace(aside, path)

    def get(self, blob: bytes, digest: bytes) -> bytes | None:
        try:
            chunk = self._path(blob, digest).read_bytes()
        except FileNotFoundError:
            return None
        return chunk if blake3(chunk).digest() == digest else None

    def clear(self, blob: bytes) -> None:
        folder = self._root / blob.hex()
        if folder.is_dir():
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()

    def _path(self, blob: bytes, digest: bytes) -> Path:
        return self._root / blob.hex() / digest.hex()
