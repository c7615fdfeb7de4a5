"""The gradient of one step from given weights: what a worker commits and a verifier re-computes.

The loss of a step is the mean over its records of each record's mean token loss. Hence the gradient
is the mean of the per-example rows, and neither padding nor micro-batches change what is computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

from lora.adapter import Adapter
from lora.attach import attached, leaf
from lora.base import Base
from lora.optimizer import clip
from lora.tokens import Example
from lora.vectors import Array64, Vector
from protocol.errors import ComputeError


@dataclass(frozen=True, slots=True, eq=False)
class StepGradient:
    """The clipped gradient, each record's mean loss in nats, and the number of target tokens."""

    g: Vector
    losses: tuple[float, ...]
    tokens: int


def gradient(
    base: Base, adapter: Adapter, batch: Sequence[Example], max_norm: float, micro: int = 0
) -> StepGradient:
    """Forward and backward of one batch at ``adapter.w``, ``micro`` records at a time (0: all).

    Raises ComputeError ``bad-input`` for an empty batch, ``diverged``.
    """
    g, losses = mean_gradient(base, adapter, batch, micro)
    return StepGradient(clip(g, max_norm), losses, sum(example.targets for example in batch))


def mean_gradient(
    base: Base, adapter: Adapter, batch: Sequence[Example], micro: int = 0
) -> tuple[Array64, tuple[float, ...]]:
    """The unclipped gradient, widened to fp64, and each record's loss."""
    w, losses = leaf(base, adapter.w), []
    size = micro or max(1, len(batch))
    for start in range(0, len(batch), size):
        with attached(base, adapter, w):
            part = record_losses(base, batch[start : start + size])
        (part.sum() / len(batch)).backward()  # type: ignore[no-untyped-call]
        losses += part.tolist()
    if w.grad is None:
        raise ComputeError("bad-input", "a training step without records.")
    wide: Array64 = w.grad.double().cpu().numpy()
    return wide, tuple(losses)


def record_losses(base: Base, batch: Sequence[Example]) -> torch.Tensor:
    """Mean negative log-likelihood of each record's targets [batch]; differentiable."""
    ids, targets = (tensor.to(base.device) for tensor in _collate(batch))
    # The head is a fifth of SmolLM2's work: questions need none. A model that cannot skip them
    # gives all logits, of which the last are taken.
    keep = ids.shape[1] - min(example.start for example in batch) + 1
    # No attention mask: padding stands at the right, where a causal model's tokens cannot see it.
    found = base.model(input_ids=ids, use_cache=False, logits_to_keep=keep)
    logits, counted = found.logits[:, -keep:-1], targets[:, 1 - keep :]
    wide = torch.promote_types(base.dtype, torch.float32)
    nll = cross_entropy(logits[counted].to(wide), ids[:, 1 - keep :][counted], reduction="none")
    rows = counted.nonzero()[:, 0]
    sums = torch.zeros(len(batch), dtype=wide, device=base.device).index_add(0, rows, nll)
    return sums / counted.sum(1)


def _collate(batch: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [batch, tokens] padded with 0, and which of ids[:, 1:] are targets."""
    width = max(len(example.ids) for example in batch)
    ids = torch.tensor([[*e.ids, *[0] * (width - len(e.ids))] for e in batch])
    place = torch.arange(1, width)
    start = torch.tensor([[e.start] for e in batch])
    end = torch.tensor([[len(e.ids)] for e in batch])
    return ids, (place >= start) & (place < end)
