"""Canonical MessagePack of frozen dataclasses: one value, one encoding.

A dataclass becomes an array of its fields in order, so there is no key order to agree on. Integers
beyond 64 bits (money) become extension 1 with minimal big-endian two's complement. Decoding builds
the value, packs it again and refuses any input that differs, which rules out every non-canonical form
(long integer forms, wrong lengths, trailing bytes) in one comparison.
"""

import dataclasses
import functools
import math
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union

import msgpack

from protocol.errors import DecodeError, LocalError

T = TypeVar("T")

MAX_BYTES = 64 * 1024 * 1024  # bodies; messages are limited to 4 KiB by the gossip rules
MAX_DEPTH = 12
BIG_INT = 1  # MessagePack extension code
BIG_INT_BYTES = 33  # a signed uint256


@dataclass(frozen=True, slots=True)
class Size:
    """Annotation: exactly this many bytes."""

    exact: int


@dataclass(frozen=True, slots=True)
class Max:
    """Annotation: at most this many bytes, characters or elements."""

    limit: int


DEFAULT_MAX = {bytes: 16 * 1024 * 1024, str: 65_536, tuple: 1_000_000}


def pack(value: Any) -> bytes:
    """Canonical bytes of a dataclass value. Raises LocalError when a field breaks its annotation."""
    try:
        plain = _plain(value, type(value), "", 0)
    except DecodeError as error:
        raise LocalError("bad-value", error.text) from error
    return typing.cast(bytes, msgpack.packb(plain, use_bin_type=True))


def unpack(cls: type[T], data: bytes, limit: int = MAX_BYTES) -> T:
    """The value whose canonical bytes are ``data``. Raises DecodeError for anything else."""
    if len(data) > limit:
        raise DecodeError("too-large", f"{cls.__name__}: {len(data)} bytes, limit {limit}")
    try:
        plain = msgpack.unpackb(
            data, raw=False, use_list=False, strict_map_key=True, ext_hook=_big_int
        )
    except (ValueError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise DecodeError("not-msgpack", f"{cls.__name__}: {error}") from error
    value = _typed(plain, cls, cls.__name__, 0)
    if msgpack.packb(_plain(value, cls, "", 0), use_bin_type=True) != data:
        raise DecodeError("not-canonical", f"{cls.__name__}: another encoding of the same value")
    return typing.cast(T, value)


def _big_int(code: int, data: bytes) -> int:
    if code != BIG_INT or not 8 < len(data) <= BIG_INT_BYTES:
        raise ValueError(f"extension {code} of {len(data)} bytes")
    return int.from_bytes(data, "big", signed=True)


def _encode_int(value: int, where: str) -> Any:
    if -(2**63) <= value < 2**64:
        return value
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1  # one bit for the sign
    if size > BIG_INT_BYTES:
        raise DecodeError("too-large", f"{where}: integer of {size} bytes")
    return msgpack.ExtType(BIG_INT, value.to_bytes(size, "big", signed=True))


@functools.cache
def _fields(cls: type) -> tuple[tuple[str, Any], ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple((field.name, hints[field.name]) for field in dataclasses.fields(cls))


def _strip(kind: Any) -> tuple[Any, int | None, int | None]:
    """(bare type, exact size, limit) of an annotation."""
    exact = limit = None
    if typing.get_origin(kind) is Annotated:
        for mark in kind.__metadata__:
            if isinstance(mark, Size):
                exact = mark.exact
            elif isinstance(mark, Max):
                limit = mark.limit
        kind = typing.get_args(kind)[0]
    return kind, exact, limit


def _optional(kind: Any) -> Any | None:
    """The inner type of ``X | None``, else None."""
    if typing.get_origin(kind) in (Union, types.UnionType):
        inner = [arg for arg in typing.get_args(kind) if arg is not type(None)]
        if len(inner) == 1:
            return inner[0]
        raise LocalError("bad-type", f"unions other than X | None are not encodable: {kind}")
    return None


def _plain(value: Any, kind: Any, where: str, depth: int) -> Any:
    """Check ``value`` against ``kind`` and turn it into MessagePack's own types."""
    return _walk(value, kind, where, depth, encode=True)


def _typed(plain: Any, kind: Any, where: str, depth: int) -> Any:
    """Build a value of ``kind`` from decoded MessagePack."""
    return _walk(plain, kind, where, depth, encode=False)


def _walk(value: Any, kind: Any, where: str, depth: int, *, encode: bool) -> Any:
    if depth > MAX_DEPTH:
        raise DecodeError("too-deep", where)
    bare, exact, limit = _strip(kind)
    inner = _optional(bare)
    if inner is not None:
        return None if value is None else _walk(value, inner, where, depth, encode=encode)
    if dataclasses.is_dataclass(bare):
        return _walk_struct(value, typing.cast(type, bare), where, depth, encode)
    if typing.get_origin(bare) is tuple:
        return _walk_tuple(value, bare, where, depth, limit, encode)
    return _walk_scalar(value, bare, where, exact, limit, encode)


def _walk_struct(value: Any, cls: type, where: str, depth: int, encode: bool) -> Any:
    fields = _fields(cls)
    if encode:
        if type(value) is not cls:
            raise DecodeError("wrong-type", f"{where}: {type(value).__name__}, not {cls.__name__}")
        value = [getattr(value, name) for name, _ in fields]
    elif type(value) is not tuple or len(value) != len(fields):
        raise DecodeError("wrong-shape", f"{where}: not {len(fields)} fields of {cls.__name__}")
    items = [
        _walk(item, kind, f"{where}.{name}", depth + 1, encode=encode)
        for item, (name, kind) in zip(value, fields, strict=True)
    ]
    if encode:
        return items
    try:
        return cls(*items)
    except ValueError as error:  # a value's own __post_init__ check
        raise DecodeError("bad-value", f"{where}: {error}") from error


def _walk_tuple(
    value: Any, kind: Any, where: str, depth: int, limit: int | None, encode: bool
) -> Any:
    if type(value) is not tuple:
        raise DecodeError("wrong-type", f"{where}: {type(value).__name__}, not a tuple")
    if len(value) > (DEFAULT_MAX[tuple] if limit is None else limit):
        raise DecodeError("too-many", f"{where}: {len(value)} elements")
    kinds = typing.get_args(kind)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise DecodeError("wrong-shape", f"{where}: {len(value)} elements, not {len(kinds)}")
    items = [
        _walk(item, inner, f"{where}[{i}]", depth + 1, encode=encode)
        for i, (item, inner) in enumerate(zip(value, kinds, strict=True))
    ]
    return items if encode else tuple(items)


def _walk_scalar(
    value: Any, kind: Any, where: str, exact: int | None, limit: int | None, encode: bool
) -> Any:
    if kind not in (int, bool, bytes, str, float):
        raise LocalError("bad-type", f"{where}: {kind} is not encodable")
    if type(value) is not kind:
        raise DecodeError("wrong-type", f"{where}: {type(value).__name__}, not {kind.__name__}")
    if kind is int:
        return _encode_int(value, where) if encode else value
    if kind is float and not math.isfinite(value):
        raise DecodeError("not-finite", where)
    if kind in (bytes, str):
        if exact is not None and len(value) != exact:
            raise DecodeError("wrong-length", f"{where}: {len(value)}, not {exact}")
        if len(value) > (DEFAULT_MAX[kind] if limit is None else limit):
            raise DecodeError("too-large", f"{where}: {len(value)} long")
    return value
