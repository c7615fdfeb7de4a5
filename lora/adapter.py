"""A LoRA adapter as plain values: which matrices, and one flat fp32 vector of them all.

Names follow peft, so that the bytes load there and in vLLM beside an ``adapter_config.json``.
``w`` holds the matrices of ``entries`` one after the other, in the order of their names.
"""

from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from lora.vectors import Vector, digest, pack, unpack
from protocol.errors import DecodeError

FORMAT = "openledger-lora-1"
MAX_RANK = 256


@dataclass(frozen=True, slots=True)
class Spec:
    """What an adapter is made of; its output is scaled by alpha / rank (Hu et al., 2106.09685)."""

    rank: int
    alpha: int
    targets: tuple[str, ...]

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


@dataclass(frozen=True, slots=True)
class Entry:
    """One matrix: A is [rank, in], B is [out, rank]."""

    name: str
    rows: int
    columns: int

    @property
    def size(self) -> int:
        return self.rows * self.columns


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """Immutable; ``base`` is the 32-byte digest of the base model that it belongs to."""

    base: bytes
    spec: Spec
    entries: tuple[Entry, ...]
    w: Vector

    def __post_init__(self) -> None:
        assert self.w.shape == (self.size,), (self.w.shape, self.size)
        assert list(self.entries) == sorted(self.entries, key=lambda entry: entry.name)

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where each entry lies in ``w``."""
        ends = list(accumulate(entry.size for entry in self.entries))
        return tuple(slice(end - e.size, end) for end, e in zip(ends, self.entries, strict=True))

    @property
    def digest(self) -> bytes:
        """Digest of the weights alone: what check C compares with T_K."""
        return digest(self.w)

    def with_weights(self, w: Vector) -> "Adapter":
        return replace(self, w=w)

    def body(self) -> bytes:
        """Canonical safetensors bytes."""
        tensors = {
            entry.name: self.w[where].reshape(entry.rows, entry.columns)
            for entry, where in zip(self.entries, self.slices, strict=True)
        }
        return pack(tensors, _metadata(self.base, self.spec))


def parse(body: bytes) -> Adapter:
    """The adapter whose canonical bytes are ``body``. Raises DecodeError ``bad-adapter``."""
    tensors, metadata = unpack(body)
    base, spec = _described(metadata)
    for name, tensor in tensors.items():
        side = 0 if name.endswith(".lora_A.weight") else 1
        if tensor.ndim != 2 or tensor.shape[side] != spec.rank:
            raise DecodeError("bad-adapter", f"{name} {tensor.shape} does not fit rank {spec.rank}")
    if not tensors:
        raise DecodeError("bad-adapter", "it holds no matrices")
    entries = tuple(Entry(name, *tensors[name].shape) for name in sorted(tensors))
    return Adapter(base, spec, entries, np.concatenate([tensors[e.name].ravel() for e in entries]))


def _metadata(base: bytes, spec: Spec) -> dict[str, str]:
    return {
        "format": FORMAT,
        "base": base.hex(),
        "rank": str(spec.rank),
        "alpha": str(spec.alpha),
        "targets": ",".join(spec.targets),
    }


def _described(metadata: dict[str, str]) -> tuple[bytes, Spec]:
    try:
        spec = Spec(
            int(metadata["rank"]), int(metadata["alpha"]), tuple(metadata["targets"].split(","))
        )
        base = bytes.fromhex(metadata["base"])
    except (KeyError, ValueError) as error:
        raise DecodeError("bad-adapter", f"metadata: {error!r}") from error
    if not (1 <= spec.rank <= MAX_RANK and spec.alpha >= 1 and len(base) == 32):
        raise DecodeError("bad-adapter", f"metadata out of range: {metadata}")
    if _metadata(base, spec) != metadata:
        raise DecodeError("bad-adapter", f"metadata is not canonical: {metadata}")
    return base, spec
