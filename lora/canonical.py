"""Canonical mode: a step's gradient in fp64, rounded to 16 mantissa bits, for disputes.

fp64 noise lies 36 bits below what is kept, so instruction sets, threads and micro-batches agree to
the bit but for one element in about ten billion. Models widen to fp32 inside (norms, softmax,
rotary tables); a function mode turns every such request into fp64, whatever the architecture.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from lora.adapter import Adapter
from lora.base import Base
from lora.gradient import StepGradient, mean_gradient
from lora.optimizer import clip
from lora.tokens import Example
from lora.vectors import Array64

MANTISSA_BITS = 16


def canonical(base: Base) -> Base:
    """An fp64 copy of the base (8 bytes a parameter: 1.1 GB for SmolLM2)."""
    model = copy.deepcopy(base.model).to(torch.float64)
    with Widen():
        for module in model.modules():
            if hasattr(module, "inv_freq") and hasattr(module, "config"):
                module.inv_freq = type(module)(module.config).inv_freq.to(base.device)
    return replace(base, model=model, dtype=torch.float64)


def canonical_gradient(
    base: Base, adapter: Adapter, batch: Sequence[Example], max_norm: float, micro: int = 0
) -> StepGradient:
    """As ``gradient``, on a base that ``canonical`` made; equal to the bit on every machine."""
    with Widen():
        g, losses = mean_gradient(base, adapter, batch, micro)
    kept = clip(_rounded(g), max_norm)
    kept = _rounded(kept.astype(np.float64)).astype(np.float32)
    return StepGradient(kept, losses, sum(example.targets for example in batch))


def _rounded(g: Array64) -> Array64:
    mantissa, exponent = np.frexp(g)
    scale = 2.0**MANTISSA_BITS
    rounded: Array64 = np.ldexp(np.rint(mantissa * scale) / scale, exponent)
    return rounded


class Widen(TorchFunctionMode):
    """Within it every request for fp32 is answered with fp64."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is torch.Tensor.float:
            return args[0].double()
        wide = {name: _wide(value) for name, value in (kwargs or {}).items()}
        return func(*map(_wide, args), **wide)


def _wide(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value
