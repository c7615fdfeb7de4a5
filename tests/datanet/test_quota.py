"""The disk quota: fetched blobs go, the longest unused first; own and pinned ones stay."""

import os
from pathlib import Path

import pytest

from datanet.blobs import FileBlobs
from datanet.quota import LEAST_AGE_SECONDS, used_bytes
from protocol.errors import OperatorError
from protocol.ids import content_id

SIZE = 1_000
NOW = 10_000_000_000.0


def fetched(blobs: FileBlobs, root: Path, number: int, last_use: float) -> bytes:
    """A blob that came from a peer and was last used then."""
    body = bytes([number]) * SIZE
    blob = content_id(body)
    blobs.draft(blob).write(0, body)
    blobs.draft(blob).finish(SIZE)
    os.utime(root / "cache" / blob.hex(), (last_use, last_use))
    return blob


def test_the_longest_unused_goes_first_and_only_as_much_as_needed(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    own = blobs.put(b"own" * SIZE)
    ids = [fetched(blobs, tmp_path, n, NOW - 1_000 - n) for n in range(4)]
    blobs.pin(ids[3])  # the oldest of all
    found = blobs.collect(3 * SIZE + 2 * SIZE, NOW)
    assert (found.blobs, found.freed) == (2, 2 * SIZE)
    assert [blobs.has(blob) for blob in (own, *ids)] == [True, True, False, False, True]
    assert used_bytes(tmp_path) == found.used == 5 * SIZE


def test_what_was_just_used_is_not_taken_away(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    kept = fetched(blobs, tmp_path, 1, NOW - LEAST_AGE_SECONDS + 1)
    gone = fetched(blobs, tmp_path, 2, NOW - LEAST_AGE_SECONDS - 1)
    assert blobs.collect(0, NOW).used == SIZE
    assert blobs.has(kept) and not blobs.has(gone)


def test_reading_is_using_and_putting_is_pinning(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    read, put = (fetched(blobs, tmp_path, number, 1.0) for number in (1, 2))
    blobs.part(read, 0, 1)
    assert (tmp_path / "cache" / read.hex()).stat().st_mtime > 1.0
    blobs.put(blobs.get(put))
    assert not (tmp_path / "cache" / put.hex()).exists()


def test_beyond_the_quota_nothing_more_is_fetched(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    blobs.put(bytes(SIZE))
    blobs.collect(SIZE + 10, NOW)
    blobs.draft(bytes(32)).write(0, bytes(10))
    with pytest.raises(OperatorError) as caught:
        blobs.draft(bytes(32)).write(10, bytes(1))
    assert caught.value.code == "quota-full"
    assert not blobs.has(bytes(32))
    blobs.put(b"x" * 100)  # what the node writes itself is never refused
