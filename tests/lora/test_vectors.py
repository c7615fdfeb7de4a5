"""Vectors, their digests, and exactly rounded norms."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora.vectors import digest, from_raw, norm, pack, raw, unpack
from protocol.errors import DecodeError
from protocol.ids import content_id


def test_the_digest_is_the_blob_id() -> None:
    w = np.array([1.0, -2.5, 0.0], dtype=np.float32)
    assert raw(w).hex() == "0000803f000020c000000000"
    assert digest(w) == content_id(raw(w))
    assert from_raw(raw(w), 3).tobytes() == w.tobytes()
    assert digest(w.astype(">f4")) == digest(w)


@pytest.mark.parametrize("body", [b"", b"\0" * 11, b"\0" * 16, b"\0\0\xc0\x7f" * 3])
def test_another_length_or_nan_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError, match="bad-vector"):
        from_raw(body, 3)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), max_size=20), st.randoms())
def test_the_norm_is_exact_in_any_order(values: list[float], random: object) -> None:
    shuffled = sorted(values, key=lambda _: random.random())  # type: ignore[attr-defined]
    exact = math.sqrt(float(sum((Fraction(v * v) for v in values), Fraction(0))))
    assert norm(np.array(values, dtype=np.float32)) == exact
    assert norm(np.array(shuffled, dtype=np.float32)) == exact


SHAPES = st.lists(st.integers(0, 3), max_size=3)
NAMES = st.text(max_size=8).filter(lambda name: name != "__metadata__")


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(NAMES, SHAPES, max_size=4), st.dictionaries(st.text(max_size=5), st.text()))
def test_pack_round_trip(shapes: dict[str, list[int]], metadata: dict[str, str]) -> None:
    tensors = {
        name: np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
        for name, shape in shapes.items()
    }
    body = pack(tensors, metadata)
    again, described = unpack(body)
    assert described == metadata
    assert {name: t.shape for name, t in again.items()} == {n: t.shape for n, t in tensors.items()}
    assert pack(again, described) == body


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_give_a_decode_error_only(noise: bytes) -> None:
    with pytest.raises(DecodeError):
        unpack(noise)
    with pytest.raises(DecodeError):
        unpack(len(noise).to_bytes(8, "little") + noise)


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b'{"__metadata__":{},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}',
        b'{"__metadata__":{},"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        b'{"__metadata__":{},"a":{"dtype":"F64","shape":[1],"data_offsets":[0,4]}}',
        b'{"__metadata__":{},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}',
        b'{"__metadata__":[],"a":1}',
        b'{"__metadata__":{},"a":{"dtype":"F32","shape":"1","data_offsets":[0,4]}}',
        b"[" * 100_000,
        b"[]",
    ],
)
def test_crafted_headers_are_refused(header: bytes) -> None:
    header += b" " * (-len(header) % 8)
    with pytest.raises(DecodeError):
        unpack(len(header).to_bytes(8, "little") + header + bytes(4))
