"""Content-addressed bytes on disk (named by id, written aside, fsynced, renamed) and in memory."""

import os
from pathlib import Path

from protocol.errors import LocalError
from protocol.ids import content_id


class FileBlobs:
    """Blobs under ``root``; several processes may share it. Every read checks the hash."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._aside = root / "aside"
        self._aside.mkdir(parents=True, exist_ok=True)

    def put(self, body: bytes) -> bytes:
        """Store atomically; the 32-byte id. Returns after the bytes are on the disk."""
        blob = content_id(body)
        path = self._path(blob)
        if path.exists():
            return blob
        part = self._aside / f"{blob.hex()}.{os.getpid()}"
        with part.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        path.parent.mkdir(parents=True, exist_ok=True)
        part.replace(path)
        _sync_folder(path.parent)
        return blob

    def get(self, blob: bytes) -> bytes:
        """The body. Raises LocalError: ``no-blob``, ``blob-corrupt`` (the file is kept)."""
        try:
            body = self._path(blob).read_bytes()
        except FileNotFoundError as error:
            raise LocalError("no-blob", blob.hex()) from error
        if content_id(body) != blob:
            raise LocalError("blob-corrupt", f"{self._path(blob)} does not have its hash")
        return body

    def has(self, blob: bytes) -> bool:
        return self._path(blob).exists()

    def _path(self, blob: bytes) -> Path:
        name = blob.hex()
        return self._root / name[:2] / name[2:4] / name


class MemoryBlobs:
    """The simulated side."""

    def __init__(self) -> None:
        self._bodies: dict[bytes, bytes] = {}

    def put(self, body: bytes) -> bytes:
        """Store; the 32-byte id."""
        blob = content_id(body)
        self._bodies[blob] = bytes(body)
        return blob

    def get(self, blob: bytes) -> bytes:
        """The body. Raises LocalError ``no-blob``."""
        if blob not in self._bodies:
            raise LocalError("no-blob", blob.hex())
        return self._bodies[blob]

    def has(self, blob: bytes) -> bool:
        return blob in self._bodies


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
