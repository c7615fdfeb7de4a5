"""Flat fp32 vectors and canonical safetensors bytes, without torch.

One set of tensors has one encoding: names sorted, compact JSON with sorted keys, no padding between
tensors. The safetensors library itself orders metadata at random, so the header is written here; a
test holds the bytes readable by that library.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from protocol import flat_json
from protocol.errors import DecodeError

Vector = npt.NDArray[np.float32]  # one dimension
Array64 = npt.NDArray[np.float64]

MAX_HEADER = 1 << 20  # bytes; a 70B Llama with every projection adapted needs 170 kB
HEADER_DEPTH = 3  # the object, a tensor's entry, its shape
ALIGN = 8  # safetensors pads its header to this many bytes


def raw(w: Vector) -> bytes:
    """Little-endian bytes of a vector: the body of a state blob."""
    return w.astype("<f4", copy=False).tobytes()


def from_raw(body: bytes, size: int) -> Vector:
    """The vector of ``size`` elements with these bytes. Raises DecodeError ``bad-vector``."""
    if len(body) != 4 * size:
        raise DecodeError(
            "bad-vector", f"{len(body)} bytes where {size} fp32 elements need {4 * size}"
        )
    w = np.frombuffer(body, dtype="<f4").astype(np.float32)
    if not np.isfinite(w).all():
        raise DecodeError("bad-vector", "it holds NaN or infinity")
    return w


def digest(w: Vector) -> bytes:
    """BLAKE3-256 of ``raw(w)``, which is also its blob id."""
    return blake3(raw(w)).digest()


def norm(x: npt.NDArray[np.floating[Any]]) -> float:
    """Euclidean norm, exactly rounded (fsum), hence equal on every machine; 30 ms for 460,800."""
    wide = x.astype(np.float64)
    return math.sqrt(math.fsum((wide * wide).tolist()))


def pack(tensors: Mapping[str, npt.NDArray[np.float32]], metadata: Mapping[str, str]) -> bytes:
    """Canonical safetensors bytes of fp32 tensors."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    offset, parts = 0, []
    for name in sorted(tensors):
        part = tensors[name].astype("<f4", copy=False).tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(tensors[name].shape),
            "data_offsets": [offset, offset + len(part)],
        }
        offset += len(part)
        parts.append(part)
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    text += b" " * (-len(text) % ALIGN)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def unpack(body: bytes) -> tuple[dict[str, npt.NDArray[np.float32]], dict[str, str]]:
    """Tensors and metadata of canonical bytes. Raises DecodeError ``bad-tensors``."""
    header, data = _header(body)
    try:
        metadata = {str(key): str(value) for key, value in header.pop("__metadata__").items()}
        tensors = {name: _tensor(entry, data) for name, entry in header.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DecodeError("bad-tensors", f"malformed header: {error!r}") from error
    if pack(tensors, metadata) != body:
        raise DecodeError("bad-tensors", "not the canonical encoding of its tensors")
    return tensors, metadata


def _header(body: bytes) -> tuple[dict[str, Any], bytes]:
    size = int.from_bytes(body[:8], "little")
    if size > min(MAX_HEADER, len(body) - 8):
        raise DecodeError("bad-tensors", f"a header of {size} bytes in a body of {len(body)}")
    try:
        header = flat_json.loads(body[8 : 8 + size].decode(), HEADER_DEPTH)
    except ValueError as error:
        raise DecodeError("bad-tensors", f"the header is not JSON: {error!r}") from error
    if not isinstance(header, dict):
        raise DecodeError("bad-tensors", "the header is not an object")
    return header, body[8 + size :]


def _tensor(entry: dict[str, Any], data: bytes) -> npt.NDArray[np.float32]:
    start, end = entry["data_offsets"]
    flat = np.frombuffer(data[start:end], dtype="<f4").astype(np.float32)
    if not np.isfinite(flat).all():
        raise ValueError("NaN or infinity")
    return flat.reshape([int(side) for side in entry["shape"]])
