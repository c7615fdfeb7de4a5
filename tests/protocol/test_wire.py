"""Wire versions: an older body reads as a newer one, and nothing unknown is an error of ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import pack
from protocol.errors import DecodeError, Ignore
from protocol.messages import BlobHint, NodeRecord, OldNodeRecord
from protocol.signing import WIRE_VERSION, Envelope
from protocol.wire import KINDS, SPOKEN, read_body, version_of, write_body

RECORD = NodeRecord(b"o" * 20, 5, ("/a",), b"k" * 32, "agent", b"p" * 20, "public", b"s" * 65)


def test_two_versions_are_spoken() -> None:
    assert {WIRE_VERSION - 1, WIRE_VERSION} == SPOKEN == set(KINDS)


@pytest.mark.parametrize("version", sorted(SPOKEN))
def test_what_is_written_in_a_version_is_read_in_it(version: int) -> None:
    hint = BlobHint((b"h" * 32,))
    assert read_body(version, "BlobHint", write_body(version, hint)) == hint
    back = read_body(version, "NodeRecord", write_body(version, RECORD))
    assert (back.operator, back.addrs, back.operator_signature) == (
        RECORD.operator,
        RECORD.addrs,
        RECORD.operator_signature,
    )
    assert write_body(version, back) == write_body(version, RECORD)


def test_version_one_is_what_a_node_of_then_reads() -> None:
    old = OldNodeRecord(b"o" * 20, 5, ("/a",), b"k" * 32, "agent", b"s" * 65)
    assert write_body(1, RECORD) == pack(old)
    assert read_body(2, "NodeRecord", write_body(2, RECORD)) == RECORD


def test_a_body_of_another_version_is_no_body_of_this_one() -> None:
    with pytest.raises(DecodeError):
        read_body(1, "NodeRecord", write_body(2, RECORD))


@pytest.mark.parametrize(
    ("version", "kind", "reason"),
    [
        (3, "BlobHint", "unknown-version"),
        (0, "BlobHint", "unknown-version"),
        (2, "X", "unknown-kind"),
    ],
)
def test_what_is_unknown_is_ignored(version: int, kind: str, reason: str) -> None:
    with pytest.raises(Ignore, match=reason):
        read_body(version, kind, b"\xff")


@given(st.binary(max_size=40))
def test_any_bytes_have_a_version_or_none(raw: bytes) -> None:
    assert version_of(raw) in {None, *range(128)}


def test_the_version_stands_first() -> None:
    envelope = Envelope(7, bytes(32), "k", bytes(32), 0, 0, 1, b"", bytes(64))
    assert version_of(pack(envelope)) == 7
    assert version_of(b"\xdc\x00\x20\x09" + b"\x00" * 31) == 9
    assert (
        version_of(b"") is None and version_of(b"\x99") is None and version_of(b"\x80\x01") is None
    )
