"""Content-addressed bytes on disk (named by id, written aside, fsynced, renamed) and in memory."""

import os
from pathlib import Path

from protocol.errors import LocalError, disk_error
from protocol.ids import content_id


class FileBlobs:
    """Blobs under ``root``; several processes may share it. Every read checks the hash."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._aside = root / "aside"
        self._aside.mkdir(parents=True, exist_ok=True)
        self._drafts = root / "drafts"
        self._drafts.mkdir(exist_ok=True)

    def put(self, body: bytes) -> bytes:
        """Store atomically; the 32-byte id. Returns after the bytes are on the disk.

        Raises OperatorError ``disk-full`` or ``disk-error``, and leaves nothing behind.
        """
        blob = content_id(body)
        path = self._path(blob)
        if path.exists():
            return blob
        part = self._aside / f"{blob.hex()}.{os.getpid()}"
        try:
            with part.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            _move(part, path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise disk_error(error, self._root) from error
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

    def part(self, blob: bytes, at: int, size: int) -> bytes:
        """At most ``size`` bytes from byte ``at``, not checked. Raises LocalError ``no-blob``."""
        try:
            with self._path(blob).open("rb") as file:
                return os.pread(file.fileno(), size, at)
        except FileNotFoundError as error:
            raise LocalError("no-blob", blob.hex()) from error

    def has(self, blob: bytes) -> bool:
        return self._path(blob).exists()

    def draft(self, blob: bytes) -> "FileDraft":
        """The blob as far as it was written, in this life or an earlier one."""
        return FileDraft(self._drafts / blob.hex(), self._path(blob))

    def _path(self, blob: bytes) -> Path:
        name = blob.hex()
        return self._root / name[:2] / name[2:4] / name


class FileDraft:
    """A file that grows to a blob; every chunk lies at its place."""

    def __init__(self, path: Path, final: Path) -> None:
        self._path = path
        self._final = final

    def write(self, at: int, part: bytes) -> None:
        """Keep bytes at their place. Raises OperatorError ``disk-full`` or ``disk-error``."""
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                written = 0
                while written < len(part):
                    written += os.pwrite(handle, part[written:], at + written)
            finally:
                os.close(handle)
        except OSError as error:
            raise disk_error(error, self._path) from error

    def read(self, at: int, size: int) -> bytes:
        """What is there, not checked."""
        try:
            handle = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return b""
        try:
            return os.pread(handle, size, at)
        finally:
            os.close(handle)

    def finish(self, size: int) -> None:
        """Make the first ``size`` bytes the blob, on the disk before this returns."""
        made = 0 if size else os.O_CREAT  # of the empty body nothing was ever written
        try:
            handle = os.open(self._path, os.O_WRONLY | made, 0o600)
            try:
                os.ftruncate(handle, size)
                os.fsync(handle)
            finally:
                os.close(handle)
            _move(self._path, self._final)
        except OSError as error:
            raise disk_error(error, self._path) from error

    def discard(self) -> None:
        """Forget what was written."""
        self._path.unlink(missing_ok=True)


class MemoryBlobs:
    """The simulated side."""

    def __init__(self) -> None:
        self._bodies: dict[bytes, bytes] = {}
        self._drafts: dict[bytes, bytearray] = {}

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

    def part(self, blob: bytes, at: int, size: int) -> bytes:
        """At most ``size`` bytes from byte ``at``. Raises LocalError ``no-blob``."""
        return self.get(blob)[at : at + size]

    def has(self, blob: bytes) -> bool:
        return blob in self._bodies

    def draft(self, blob: bytes) -> "MemoryDraft":
        """The blob as far as it was written."""
        return MemoryDraft(blob, self._drafts, self._bodies)


class MemoryDraft:
    """A buffer that grows to a blob."""

    def __init__(
        self, blob: bytes, drafts: dict[bytes, bytearray], bodies: dict[bytes, bytes]
    ) -> None:
        self._blob = blob
        self._drafts = drafts
        self._bodies = bodies

    def write(self, at: int, part: bytes) -> None:
        """Keep bytes at their place."""
        body = self._drafts.setdefault(self._blob, bytearray())
        body.extend(bytes(max(0, at + len(part) - len(body))))
        body[at : at + len(part)] = part

    def read(self, at: int, size: int) -> bytes:
        """What is there, not checked."""
        return bytes(self._drafts.get(self._blob, b"")[at : at + size])

    def finish(self, size: int) -> None:
        """Make the first ``size`` bytes the blob."""
        self._bodies[self._blob] = bytes(self._drafts.pop(self._blob, bytearray())[:size])

    def discard(self) -> None:
        """Forget what was written."""
        self._drafts.pop(self._blob, None)


def _move(part: Path, final: Path) -> None:
    """Rename, and make the rename survive a power cut."""
    final.parent.mkdir(parents=True, exist_ok=True)
    part.replace(final)
    _sync_folder(final.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
