"""Content-addressed bytes on disk (named by id, written aside, fsynced, renamed) and in memory."""

import os
from contextlib import suppress
from pathlib import Path

from datanet.quota import Collected, collect
from protocol.errors import LocalError, OperatorError, disk_error
from protocol.ids import content_id


class FileBlobs:
    """Blobs under ``root``; several processes may share it. Every read checks the hash."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._aside = root / "aside"
        self._aside.mkdir(parents=True, exist_ok=True)
        self._drafts = root / "drafts"
        self._drafts.mkdir(exist_ok=True)
        self._cache = root / "cache"
        self._cache.mkdir(exist_ok=True)
        self.room: int | None = None  # bytes that may still be fetched; None: as many as fit

    def collect(self, quota: int, now: float) -> Collected:
        """Make room by ``datanet/quota.py``; what is left of ``quota`` bytes is what may be fetched."""
        found = collect(self._root, quota, now)
        self.room = quota - found.used
        return found

    def put(self, body: bytes) -> bytes:
        """Store atomically; the 32-byte id. Returns after the bytes are on the disk.

        Raises OperatorError ``disk-full`` or ``disk-error``, and leaves nothing behind.
        """
        blob = content_id(body)
        path = self._path(blob)
        if path.exists():
            self.pin(blob)
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
        """The body. Raises LocalError: ``no-blob``, ``blob-corrupt``."""
        try:
            body = self._path(blob).read_bytes()
        except FileNotFoundError as error:
            raise LocalError("no-blob", blob.hex()) from error
        self._used(blob)
        if content_id(body) != blob:
            raise LocalError("blob-corrupt", f"{self._path(blob)} does not have its hash")
        return body

    def part(self, blob: bytes, at: int, size: int) -> bytes:
        """At most ``size`` bytes from byte ``at``, not checked. Raises LocalError ``no-blob``."""
        try:
            with self._path(blob).open("rb") as file:
                self._used(blob)
                return os.pread(file.fileno(), size, at)
        except FileNotFoundError as error:
            raise LocalError("no-blob", blob.hex()) from error

    def has(self, blob: bytes) -> bool:
        return self._path(blob).exists()

    def draft(self, blob: bytes) -> "FileDraft":
        """The blob as far as it was written, in this life or an earlier one."""
        return FileDraft(
            self, self._drafts / blob.hex(), self._path(blob), self._cache / blob.hex()
        )

    def pin(self, blob: bytes) -> None:
        """Keep it for good: it is not evicted any more."""
        (self._cache / blob.hex()).unlink(missing_ok=True)

    def discard(self, blob: bytes) -> None:
        """Set a damaged body aside; people may look at what became of it."""
        with suppress(FileNotFoundError):
            self._path(blob).replace(self._aside / f"{blob.hex()}.damaged")
            self.pin(blob)

    def _used(self, blob: bytes) -> None:
        """The last use of what may be evicted."""
        with suppress(FileNotFoundError):
            os.utime(self._cache / blob.hex())

    def _path(self, blob: bytes) -> Path:
        name = blob.hex()
        return self._root / name[:2] / name[2:4] / name


class FileDraft:
    """A file that grows to a blob; every chunk lies at its place."""

    def __init__(self, store: FileBlobs, path: Path, final: Path, cached: Path) -> None:
        self._store = store
        self._path = path
        self._final = final
        self._cached = cached

    def write(self, at: int, part: bytes) -> None:
        """Keep bytes at their place. Raises OperatorError: ``disk-full``, ``disk-error``, ``quota-full``."""
        if self._store.room is not None:
            self._store.room -= len(part)
            if self._store.room < 0:
                text = "All blobs that may not go fill the quota of the disk."
                raise OperatorError("quota-full", text, "Raise disk.quota_mb in the config.")
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
            self._cached.unlink(missing_ok=True)
            os.link(self._path, self._cached)
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

    def pin(self, blob: bytes) -> None:
        """Nothing to do: memory evicts nothing."""

    def discard(self, blob: bytes) -> None:
        """Forget a body."""
        self._bodies.pop(blob, None)

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
