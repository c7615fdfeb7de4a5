"""One value, one encoding; anything else is refused."""

from dataclasses import dataclass
from typing import Annotated

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import Max, Size, pack, unpack
from protocol.errors import DecodeError, LocalError


@dataclass(frozen=True, slots=True)
class Inner:
    name: Annotated[str, Max(8)]
    flag: bool


@dataclass(frozen=True, slots=True)
class Outer:
    number: int
    digest: Annotated[bytes, Size(4)]
    items: tuple[Inner, ...]
    pair: tuple[int, float]
    maybe: Inner | None


inners = st.builds(Inner, st.text(max_size=8), st.booleans())
outers = st.builds(
    Outer,
    st.integers(-(2**255), 2**255),
    st.binary(min_size=4, max_size=4),
    st.lists(inners, max_size=4).map(tuple),
    st.tuples(st.integers(-10, 10), st.floats(allow_nan=False, allow_infinity=False)),
    st.none() | inners,
)


@given(outers)
def test_round_trip(value: Outer) -> None:
    assert unpack(Outer, pack(value)) == value


@given(outers, st.binary(min_size=1, max_size=4))
def test_trailing_bytes_refused(value: Outer, tail: bytes) -> None:
    with pytest.raises(DecodeError):
        unpack(Outer, pack(value) + tail)


@given(outers, st.data())
def test_any_other_bytes_are_refused_or_another_value(value: Outer, data: st.DataObject) -> None:
    raw = bytearray(pack(value))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        other = unpack(Outer, bytes(raw))
    except DecodeError:
        return
    assert pack(other) == bytes(raw)
    assert repr(other) != repr(value)  # repr tells -0.0 from 0.0


@given(st.binary(max_size=200))
def test_hostile_bytes_never_escape_as_another_error(raw: bytes) -> None:
    try:
        value = unpack(Outer, raw)
    except DecodeError:
        return
    assert pack(value) == raw


def test_long_integer_form_is_refused() -> None:
    @dataclass(frozen=True)
    class One:
        n: int

    assert unpack(One, b"\x91\x05") == One(5)
    with pytest.raises(DecodeError, match="not-canonical"):
        unpack(One, b"\x91\xcc\x05")  # 5 as uint8
    with pytest.raises(DecodeError, match="not-msgpack"):
        unpack(One, b"\x91" + msgpack.packb(msgpack.ExtType(1, b"\x05")))


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (Outer(1, b"123", (), (1, 1.0), None), "wrong-length"),
        (Outer(1, b"1234", (Inner("123456789", True),), (1, 1.0), None), "too-large"),
        (Outer(2**300, b"1234", (), (1, 1.0), None), "too-large"),
        (Outer(1, b"1234", (), (1, float("nan")), None), "not-finite"),
        (Outer(True, b"1234", (), (1, 1.0), None), "wrong-type"),
    ],
)
def test_our_own_bad_values_are_local_errors(value: Outer, code: str) -> None:
    with pytest.raises(LocalError):
        pack(value)


def test_limit_on_the_whole() -> None:
    with pytest.raises(DecodeError, match="too-large"):
        unpack(Inner, pack(Inner("a", True)), limit=2)
