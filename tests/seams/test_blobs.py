"""One conformance suite for both blob stores, and what only files can get wrong."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datanet.blobs import FileBlobs, MemoryBlobs
from protocol.errors import LocalError, OperatorError
from protocol.ids import content_id
from protocol.seams import Blobs

Make = Callable[[Path], Blobs]
both = pytest.mark.parametrize("make", [FileBlobs, lambda _: MemoryBlobs()], ids=["file", "memory"])


@both
def test_a_body_comes_back_under_its_hash(make: Make, tmp_path: Path) -> None:
    blobs = make(tmp_path)

    @given(st.binary(max_size=2_000))
    def round_trip(body: bytes) -> None:
        blob = blobs.put(body)
        assert blob == content_id(body)
        assert blobs.has(blob)
        assert blobs.get(blob) == body
        assert blobs.put(body) == blob

    round_trip()


@both
def test_parts_of_a_body(make: Make, tmp_path: Path) -> None:
    blobs = make(tmp_path)
    blob = blobs.put(b"0123456789")
    assert [blobs.part(blob, at, 4) for at in (0, 4, 8, 12)] == [b"0123", b"4567", b"89", b""]
    with pytest.raises(LocalError):
        blobs.part(bytes(32), 0, 4)


@both
def test_a_draft_becomes_a_blob(make: Make, tmp_path: Path) -> None:
    blobs = make(tmp_path)
    blob = content_id(b"0123456789")
    blobs.draft(blob).write(6, b"6789 and what a liar sent")
    assert blobs.draft(blob).read(6, 4) == b"6789"  # also in another life
    assert not blobs.has(blob)
    blobs.draft(blob).write(0, b"012345")
    blobs.draft(blob).finish(10)
    assert blobs.get(blob) == b"0123456789"
    assert blobs.draft(blob).read(0, 4) == b""


@both
def test_a_discarded_body_is_gone_until_it_is_stored_again(make: Make, tmp_path: Path) -> None:
    blobs = make(tmp_path)
    blob = blobs.put(b"body")
    blobs.discard(blob)
    blobs.discard(blob)
    assert not blobs.has(blob)
    assert blobs.get(blobs.put(b"body")) == b"body"


@both
def test_a_draft_is_forgotten(make: Make, tmp_path: Path) -> None:
    blobs = make(tmp_path)
    blobs.draft(bytes(32)).write(0, b"x")
    blobs.draft(bytes(32)).discard()
    blobs.draft(bytes(32)).discard()
    assert blobs.draft(bytes(32)).read(0, 1) == b"" and not blobs.has(bytes(32))


@both
def test_the_empty_blob_needs_no_write(make: Make, tmp_path: Path) -> None:
    blobs = make(tmp_path)
    blobs.draft(content_id(b"")).finish(0)
    assert blobs.get(content_id(b"")) == b""


@both
def test_what_is_not_there_is_said(make: Make, tmp_path: Path) -> None:
    blobs = make(tmp_path)
    assert not blobs.has(bytes(32))
    with pytest.raises(LocalError) as caught:
        blobs.get(bytes(32))
    assert caught.value.code == "no-blob"


@both
def test_a_stored_body_does_not_change_with_the_callers_buffer(make: Make, tmp_path: Path) -> None:
    blobs, buffer = make(tmp_path), bytearray(b"before")
    blob = blobs.put(bytes(buffer))
    buffer[:] = b"after!"
    assert blobs.get(blob) == b"before"


def _file_of(root: Path, blob: bytes) -> Path:
    (path,) = root.rglob(blob.hex())
    return path


def test_files_are_named_by_id_in_two_levels_and_nothing_stays_aside(tmp_path: Path) -> None:
    blob = FileBlobs(tmp_path).put(b"body")
    name = blob.hex()
    assert _file_of(tmp_path, blob).relative_to(tmp_path) == Path(name[:2], name[2:4], name)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [_file_of(tmp_path, blob)]


def test_a_second_process_and_a_restart_see_the_same(tmp_path: Path) -> None:
    first, second = FileBlobs(tmp_path), FileBlobs(tmp_path)
    assert second.get(first.put(b"body")) == b"body"


@pytest.mark.parametrize("damage", [b"", b"bodY", b"body and more"])
def test_a_damaged_file_is_noticed(tmp_path: Path, damage: bytes) -> None:
    blobs = FileBlobs(tmp_path)
    blob = blobs.put(b"body")
    _file_of(tmp_path, blob).write_bytes(damage)
    with pytest.raises(LocalError) as caught:
        blobs.get(blob)
    assert caught.value.code == "blob-corrupt"
    blobs.discard(blob)
    assert blobs.get(blobs.put(b"body")) == b"body"
    (aside,) = (tmp_path / "aside").iterdir()
    assert aside.read_bytes() == damage  # people may look at it


def test_a_write_that_was_cut_off_leaves_no_blob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> None:
        raise OSError("power cut")

    blobs = FileBlobs(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", cut)
        with pytest.raises(OperatorError, match="power cut"):
            blobs.put(b"body")
    assert list((tmp_path / "aside").iterdir()) == []
    assert not blobs.has(content_id(b"body"))
    assert blobs.get(blobs.put(b"body")) == b"body"


def test_a_full_disk_is_an_error_and_never_half_a_file(tmp_path: Path) -> None:
    blobs, body = FileBlobs(tmp_path), bytes(1000)
    blob = content_id(body)
    (tmp_path / "drafts" / blob.hex()).symlink_to("/dev/full")  # every write fails by ENOSPC
    (tmp_path / "aside" / f"{blob.hex()}.{os.getpid()}").symlink_to("/dev/full")
    for act in (lambda: blobs.draft(blob).write(0, body), lambda: blobs.put(body)):
        with pytest.raises(OperatorError) as caught:
            act()
        assert caught.value.code == "disk-full" and "Free disk space" in caught.value.text
    assert not blobs.has(blob) and list((tmp_path / "aside").iterdir()) == []


def test_a_draft_that_is_gone_does_not_become_zeros(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    with pytest.raises(OperatorError):
        blobs.draft(bytes(32)).finish(10)
    assert not blobs.has(bytes(32))
