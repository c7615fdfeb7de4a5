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
from collections.abc import Callable
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
        plain = _encoder(typing.cast(Any, type(value)))(value, ROOT, 0)
    except DecodeError as error:
        raise LocalError("bad-value", error.text) from error
    return typing.cast(bytes, msgpack.packb(plain, use_bin_type=True))


def unpack(cls: type[T], data: bytes, limit: int = MAX_BYTES) -> T:
    """The value whose canonical bytes are ``data``. Raises DecodeError for anything else."""
    if len(data) > limit:
        raise DecodeError("too-large", f"{cls.__name__}: {len(data)} bytes, limit {limit}")
    return typing.cast(T, decoded(cls, data))


def decoded(cls: type, data: bytes) -> Any:
    """``unpack`` of any length; pure, so a simulation may share its values among nodes."""
    try:
        plain = msgpack.unpackb(
            data, raw=False, use_list=False, strict_map_key=True, ext_hook=_big_int
        )
    except (ValueError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise DecodeError("not-msgpack", f"{cls.__name__}: {error}") from error
    value = _decoder(cls)(plain, (None, cls.__name__), 0)
    if msgpack.packb(_encoder(cls)(value, ROOT, 0), use_bin_type=True) != data:
        raise DecodeError("not-canonical", f"{cls.__name__}: another encoding of the same value")
    return value


def _big_int(code: int, data: bytes) -> int:
    if code != BIG_INT or not 8 < len(data) <= BIG_INT_BYTES:
        raise ValueError(f"extension {code} of {len(data)} bytes")
    return int.from_bytes(data, "big", signed=True)


def _encode_int(value: int, where: "Where") -> Any:
    if -(2**63) <= value < 2**64:
        return value
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1  # one bit for the sign
    if size > BIG_INT_BYTES:
        raise DecodeError("too-large", f"{_named(where)}: integer of {size} bytes")
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


# -- walking ---

# A place in a value, for the text of an error: the place around it, and a field's name or an index.
Where = tuple[Any, str | int]
Walk = Callable[[Any, Where, int], Any]  # value, where, depth of nested structs and tuples
ROOT: Where = (None, "")


def _named(where: Where | None) -> str:
    if where is None:
        return ""
    outer, step = where
    if isinstance(step, int):
        return f"{_named(outer)}[{step}]"
    return step if outer is None else f"{_named(outer)}.{step}"


@functools.cache
def _encoder(kind: Any) -> Walk:
    """How values of a type are checked and become MessagePack's own types."""
    return _walk(kind, encode=True)


@functools.cache
def _decoder(kind: Any) -> Walk:
    """How values of a type are built from decoded MessagePack."""
    return _walk(kind, encode=False)


def _walk(kind: Any, *, encode: bool) -> Walk:
    """Made once a type, so that no annotation is looked at again for each value."""
    of = _encoder if encode else _decoder
    bare, exact, limit = _strip(kind)
    inner = _optional(bare)
    if inner is not None:
        return _walk_optional(of(inner))
    if dataclasses.is_dataclass(bare):
        return _walk_struct(typing.cast(type, bare), of, encode)
    if typing.get_origin(bare) is tuple:
        return _walk_tuple(bare, DEFAULT_MAX[tuple] if limit is None else limit, of, encode)
    return _walk_scalar(bare, exact, limit, encode)


def _walk_optional(inner: Walk) -> Walk:
    def walk(value: Any, where: Where, depth: int) -> Any:
        return None if value is None else inner(value, where, depth)

    return walk


def _check_depth(where: Where, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise DecodeError("too-deep", _named(where))


def _walk_struct(cls: type, of: Callable[[Any], Walk], encode: bool) -> Walk:
    fields = [(name, of(kind)) for name, kind in _fields(cls)]

    def plain(value: Any, where: Where, depth: int) -> Any:
        _check_depth(where, depth)
        if type(value) is not cls:
            raise DecodeError(
                "wrong-type", f"{_named(where)}: {type(value).__name__}, not {cls.__name__}"
            )
        return [walk(getattr(value, name), (where, name), depth + 1) for name, walk in fields]

    def typed(value: Any, where: Where, depth: int) -> Any:
        _check_depth(where, depth)
        if type(value) is not tuple or len(value) != len(fields):
            text = f"{_named(where)}: not {len(fields)} fields of {cls.__name__}"
            raise DecodeError("wrong-shape", text)
        found = zip(value, fields, strict=True)
        items = [walk(item, (where, name), depth + 1) for item, (name, walk) in found]
        try:
            return cls(*items)
        except ValueError as error:  # a value's own __post_init__ check
            raise DecodeError("bad-value", f"{_named(where)}: {error}") from error

    return plain if encode else typed


def _walk_tuple(kind: Any, limit: int, of: Callable[[Any], Walk], encode: bool) -> Walk:
    kinds = typing.get_args(kind)
    same = of(kinds[0]) if len(kinds) == 2 and kinds[1] is Ellipsis else None
    each = [] if same else [of(inner) for inner in kinds]

    def walk(value: Any, where: Where, depth: int) -> Any:
        _check_depth(where, depth)
        if type(value) is not tuple:
            raise DecodeError("wrong-type", f"{_named(where)}: {type(value).__name__}, not a tuple")
        if len(value) > limit:
            raise DecodeError("too-many", f"{_named(where)}: {len(value)} elements")
        if same is not None:
            items = [same(item, (where, i), depth + 1) for i, item in enumerate(value)]
        elif len(each) != len(value):
            text = f"{_named(where)}: {len(value)} elements, not {len(each)}"
            raise DecodeError("wrong-shape", text)
        else:
            found = enumerate(zip(value, each, strict=True))
            items = [inner(item, (where, i), depth + 1) for i, (item, inner) in found]
        return items if encode else tuple(items)

    return walk


def _walk_scalar(kind: Any, exact: int | None, limit: int | None, encode: bool) -> Walk:
    if kind not in (int, bool, bytes, str, float):
        raise LocalError("bad-type", f"{kind} is not encodable")
    sized = kind in (bytes, str)
    most = DEFAULT_MAX.get(kind) if limit is None else limit

    def walk(value: Any, where: Where, depth: int) -> Any:
        _check_depth(where, depth)
        if type(value) is not kind:
            text = f"{_named(where)}: {type(value).__name__}, not {kind.__name__}"
            raise DecodeError("wrong-type", text)
        if kind is int:
            return _encode_int(value, where) if encode else value
        if sized:
            if exact is not None and len(value) != exact:
                raise DecodeError("wrong-length", f"{_named(where)}: {len(value)}, not {exact}")
            if most is not None and len(value) > most:
                raise DecodeError("too-large", f"{_named(where)}: {len(value)} long")
        elif kind is float and not math.isfinite(value):
            raise DecodeError("not-finite", _named(where))
        return value

    return walk
