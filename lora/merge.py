"""The merge of a round's updates: the same bytes whoever runs it, in whatever order they came.

Updates are sorted by worker, summed in fp64 and reduced by elementwise operations alone; norms are
exactly rounded sums. The averaged delta takes an outer Nesterov step (DiLoCo, Douillard et al.,
2311.08105): the design measured 94 % of the centralised gain on four non-IID texts, against 78 %
for plain averaging; over the two rounds of the demo, both end at the same loss.
"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lora.adapter import Adapter
from lora.vectors import Array64, from_raw, norm, raw
from protocol.errors import LocalError

TRIM_FROM = 5  # updates: below that, dropping the extremes drops the honest
TRIM_SHARE = 5  # one in five is dropped at each end of a coordinate


@dataclass(frozen=True, slots=True)
class Merged:
    """The next adapter and outer momentum as bytes; each delta's norm by worker, and the clip."""

    adapter: bytes
    momentum: bytes
    norms: tuple[float, ...]
    limit: float


def merge(
    start: Adapter,
    updates: Mapping[bytes, Adapter],
    momentum: bytes | None,
    outer_lr: float,
    outer_momentum: float,
) -> Merged:
    """Outer step from ``start`` along the robust mean of the workers' deltas.

    ``momentum`` is what the round before returned (None at first).
    Raises LocalError ``no-updates``, ``update-mismatch``; DecodeError ``bad-vector``.
    """
    deltas = [_delta(start, worker, updates[worker]) for worker in sorted(updates)]
    if not deltas:
        raise LocalError("no-updates", "a round needs at least one update to merge")
    norms = [norm(delta) for delta in deltas]
    limit = statistics.median(norms)
    mean = _trimmed_mean([_clipped(d, n, limit) for d, n in zip(deltas, norms, strict=True)])
    past = np.zeros(start.size) if momentum is None else from_raw(momentum, start.size)
    speed = (outer_momentum * past.astype(np.float64) + mean).astype(np.float32)
    ahead = mean + outer_momentum * speed.astype(np.float64)
    w = (start.w.astype(np.float64) + outer_lr * ahead).astype(np.float32)
    return Merged(start.with_weights(w).body(), raw(speed), tuple(norms), limit)


def _delta(start: Adapter, worker: bytes, update: Adapter) -> Array64:
    if (update.base, update.spec, update.entries) != (start.base, start.spec, start.entries):
        raise LocalError(
            "update-mismatch", f"worker {worker.hex()[:16]} changed the adapter's shape"
        )
    return update.w.astype(np.float64) - start.w.astype(np.float64)


def _clipped(delta: Array64, length: float, limit: float) -> Array64:
    return delta * (limit / length) if length > limit else delta


def _trimmed_mean(deltas: list[Array64]) -> Array64:
    """Mean of each coordinate without its extremes (Yin et al., 1803.01498), summed one by one."""
    stacked = np.stack(deltas)
    if len(deltas) >= TRIM_FROM:
        cut = len(deltas) // TRIM_SHARE
        stacked = np.sort(stacked, axis=0)[cut : len(deltas) - cut]
    total = np.zeros(stacked.shape[1])
    for row in stacked:
        total += row
    mean: Array64 = total / len(stacked)
    return mean
