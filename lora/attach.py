"""An adapter on a base: forward hooks on the target layers that add scale * B A x.

No module is wrapped and no weight is changed, so one base in memory serves training, verification
and any adapter. All matrices are views of one flat leaf, whose gradient is then one vector.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from blake3 import blake3
from torch.nn.functional import linear

from lora.adapter import Adapter, Entry, Spec, parse
from lora.base import Base
from lora.vectors import Vector
from protocol.errors import ComputeError

PREFIX = "base_model.model."  # peft's names
SUFFIX_A, SUFFIX_B = ".lora_A.weight", ".lora_B.weight"


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One adapted layer: A [rank, in], B [out, rank], and where each lies in the flat vector."""

    a: torch.Tensor
    b: torch.Tensor
    at_a: slice
    at_b: slice
    scale: float


# Called with (site, input [batch, tokens, in], gradient of the output [batch, tokens, out]).
Tap = Callable[[Site, torch.Tensor, torch.Tensor], None]


def new_adapter(base: Base, spec: Spec, seed: int) -> Adapter:
    """A start adapter: A uniform within 1 / sqrt(in) (as peft), B zero.

    The numbers are 24-bit integers of a BLAKE3 stream, equal on every machine; torch's are not.
    """
    parts = []
    for entry in entries_of(base, spec):
        if entry.name.endswith(SUFFIX_A):
            stream = blake3(f"{seed} {entry.name}".encode()).digest(length=4 * entry.size)
            unit = (np.frombuffer(stream, dtype="<u4") >> 8) / 2.0**23 - 1.0
            parts.append((unit / np.sqrt(entry.columns)).astype(np.float32))
        else:
            parts.append(np.zeros(entry.size, dtype=np.float32))
    return Adapter(base.digest, spec, entries_of(base, spec), np.concatenate(parts))


def open_adapter(base: Base, body: bytes) -> Adapter:
    """Parse canonical bytes and check that they belong to this base.

    Raises DecodeError ``bad-adapter``, ComputeError ``wrong-base``.
    """
    adapter = parse(body)
    if adapter.base != base.digest:
        raise ComputeError(
            "wrong-base",
            f"the adapter was made for base {adapter.base.hex()[:16]}, but {base.source!r} is "
            f"{base.digest.hex()[:16]}. Load the base it names, or choose another adapter.",
        )
    if adapter.entries != entries_of(base, adapter.spec):
        raise ComputeError("wrong-base", f"its matrices do not fit the layers of {base.source!r}.")
    return adapter


def entries_of(base: Base, spec: Spec) -> tuple[Entry, ...]:
    """The matrices of an adapter on this base, by name. Raises ComputeError ``no-targets``."""
    entries = []
    for name, layer in _targets(base, spec):
        entries.append(Entry(PREFIX + name + SUFFIX_A, spec.rank, layer.in_features))
        entries.append(Entry(PREFIX + name + SUFFIX_B, layer.out_features, spec.rank))
    return tuple(sorted(entries, key=lambda entry: entry.name))


def leaf(base: Base, w: Vector) -> torch.Tensor:
    """``w`` as a differentiable tensor: fp32, or fp64 on a canonical base."""
    dtype = torch.float64 if base.dtype is torch.float64 else torch.float32
    return torch.tensor(w, dtype=dtype, device=base.device, requires_grad=True)


@contextmanager
def attached(
    base: Base, adapter: Adapter, w: torch.Tensor, tap: Tap | None = None
) -> Iterator[None]:
    """Within the context the base's model computes with weights ``w`` in the adapter's shapes."""
    layers = dict(_targets(base, adapter.spec))
    # split, not slices: its backward is one concatenation, where 120 slices add 120 full vectors.
    parts = torch.split(w, [entry.size for entry in adapter.entries])
    named = {
        entry.name: (part.view(entry.rows, entry.columns).to(base.dtype), where)
        for entry, part, where in zip(adapter.entries, parts, adapter.slices, strict=True)
    }
    with ExitStack() as hooks:
        for name, layer in layers.items():
            a, at_a = named[PREFIX + name + SUFFIX_A]
            b, at_b = named[PREFIX + name + SUFFIX_B]
            site = Site(a, b, at_a, at_b, adapter.spec.scale)
            hooks.callback(layer.register_forward_hook(_hook(site, tap)).remove)
        yield


def _hook(site: Site, tap: Tap | None) -> Callable[[Any, Any, torch.Tensor], torch.Tensor]:
    def forward(_: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        (x,) = inputs
        output = output + site.scale * linear(linear(x, site.a), site.b)
        if tap is not None:
            seen = x.detach()
            output.register_hook(lambda d: tap(site, seen, d))  # type: ignore[no-untyped-call]
        return output

    return forward


def _targets(base: Base, spec: Spec) -> list[tuple[str, torch.nn.Linear]]:
    layers = [
        (name, layer)
        for name, layer in base.model.named_modules()
        if isinstance(layer, torch.nn.Linear)
    ]
    found = [(name, layer) for name, layer in layers if name.rpartition(".")[2] in spec.targets]
    missing = set(spec.targets) - {name.rpartition(".")[2] for name, _ in found}
    if missing:
        names = sorted({name.rpartition(".")[2] for name, _ in layers})
        raise ComputeError(
            "no-targets",
            f"{base.source!r} has no linear layer named {', '.join(sorted(missing))}; "
            f"choose among: {', '.join(names) or 'none'}.",
        )
    return found
