"""Per-example LoRA gradients in one backward pass: the one hook for attribution, DP and verifiers.

For y = W x + s B A x and the gradient d of a layer's output, example by example:
grad B = s sum_t d_t (A x_t)^T and grad A = s sum_t (B^T d_t) x_t^T. Both come from what plain
backpropagation already passes by, so it costs about as much as a plain step.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from lora.adapter import Adapter
from lora.attach import Site, attached, leaf
from lora.base import Base
from lora.gradient import record_losses
from lora.tokens import Example


class ExampleGradients:
    """A tap for ``attached``: after backward, ``rows[i]`` is example i's gradient [batch, P].

    The loss must be a sum over examples, each depending on its own row of the batch alone.
    """

    def __init__(self, batch: int, size: int, dtype: torch.dtype, device: torch.device) -> None:
        self.rows = torch.zeros(batch, size, dtype=dtype, device=device)

    def __call__(self, site: Site, x: torch.Tensor, gradient: torch.Tensor) -> None:
        """Adds this layer's part; layers that are run twice accumulate."""
        with torch.no_grad():
            down = torch.einsum("bti,ri->btr", x, site.a)
            up = torch.einsum("bto,or->btr", gradient, site.b)
            self._add(site.at_b, site.scale * torch.einsum("bto,btr->bor", gradient, down))
            self._add(site.at_a, site.scale * torch.einsum("btr,bti->bri", up, x))

    def _add(self, where: slice, part: torch.Tensor) -> None:
        self.rows[:, where] += part.flatten(1).to(self.rows.dtype)


def example_gradients(
    base: Base, adapter: Adapter, examples: Sequence[Example], batch: int = 8
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Rows [n, P] and losses [n]: row i is the unclipped gradient of record i's mean token loss."""
    rows = np.empty((len(examples), adapter.size), dtype=np.float32)
    losses = np.empty(len(examples), dtype=np.float32)
    w = leaf(base, adapter.w)
    for start in range(0, len(examples), batch):
        part = examples[start : start + batch]
        tap = ExampleGradients(len(part), adapter.size, w.dtype, base.device)
        with attached(base, adapter, w, tap):
            loss = record_losses(base, part)
            torch.autograd.grad(loss.sum(), w)
        rows[start : start + len(part)] = tap.rows.cpu().numpy()
        losses[start : start + len(part)] = loss.detach().cpu().numpy()
    return rows, losses
