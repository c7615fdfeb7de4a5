"""Room on the disk: what was fetched may go again, the longest unused first; what is pinned stays.

Evictable is only what peers gave us and nobody pinned: it has a second link under ``root/cache``, whose
time is that of its last use. What this node wrote itself has none, so nothing of its own can be lost.
"""

from dataclasses import dataclass
from pathlib import Path

LEAST_AGE_SECONDS = 600.0  # what was used within that time is not taken from under its user


@dataclass(frozen=True, slots=True)
class Collected:
    """Bytes in use afterwards, bytes and blobs that went."""

    used: int
    freed: int = 0
    blobs: int = 0


def used_bytes(root: Path) -> int:
    """Of all blobs and drafts; links under ``cache`` are no second copies."""
    folders = (path for path in root.iterdir() if path.is_dir() and path.name != "cache")
    return sum(_size(path) for folder in folders for path in folder.rglob("*"))


def collect(root: Path, quota: int, now: float) -> Collected:
    """Evict until at most ``quota`` bytes are used, or nothing is left that may go. ``now``: Unix seconds."""
    used, freed, blobs = used_bytes(root), 0, 0
    for link in _by_last_use(root / "cache", now - LEAST_AGE_SECONDS):
        if used - freed <= quota:
            break
        size, name = _size(link), link.name
        (root / name[:2] / name[2:4] / name).unlink(missing_ok=True)
        link.unlink(missing_ok=True)
        freed, blobs = freed + size, blobs + 1
    return Collected(used - freed, freed, blobs)


def _by_last_use(cache: Path, before: float) -> list[Path]:
    used = [(link.stat().st_mtime, link) for link in cache.iterdir()]
    return [link for at, link in sorted(used) if at < before]


def _size(path: Path) -> int:
    """Bytes of a file; none of a folder, or of a file that went meanwhile."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0
