"""One unit of training: K canonical steps, every state kept for the verifiers.

Notable: the gradient runs in the recipe's dtype, the optimiser in fp64 (``lora.optimizer``); a
blob's id is its digest, so what is stored is what the step leaves commit to. The caller chooses the
data order. On SmolLM2 a vector is 1.8 MB and a unit of 8 steps keeps 35 of them, 64 MB.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lora.adapter import Adapter
from lora.base import Base
from lora.gradient import gradient
from lora.optimizer import State, step
from lora.recipe import Recipe
from lora.tokens import Example
from lora.vectors import raw
from protocol.compute import StepState
from protocol.errors import ComputeError
from protocol.ids import ZERO

Put = Callable[[bytes], bytes]  # stores a body, returns its id
Progress = Callable[[int, float], None]  # (step from 0, mean loss of its batch in nats)


@dataclass(frozen=True, slots=True)
class Trained:
    """K + 1 states, K mean losses in nats, target tokens trained on, the adapter's bytes."""

    states: tuple[StepState, ...]
    losses: tuple[float, ...]
    tokens: int
    adapter: bytes


def train_unit(
    base: Base,
    recipe: Recipe,
    start: Adapter,
    batches: Sequence[Sequence[Example]],
    put: Put,
    progress: Progress = lambda step, loss: None,
) -> Trained:
    """Train ``recipe.steps`` steps from ``start`` with zero moments.

    Raises ComputeError: ``bad-input`` for another number of batches, ``diverged``.
    """
    if len(batches) != recipe.steps:
        raise ComputeError("bad-input", f"{len(batches)} batches for {recipe.steps} steps.")
    state, kept, losses, tokens = State.start(start.w), [], [], 0
    for index, batch in enumerate(batches):
        taken = gradient(base, start.with_weights(state.w), batch, recipe.clip)
        kept.append(_keep(state, put, put(raw(taken.g))))
        state = step(state, taken.g, index, recipe.lr_table)
        losses.append(sum(taken.losses) / len(taken.losses))
        tokens += taken.tokens
        progress(index, losses[-1])
    kept.append(_keep(state, put, ZERO))
    return Trained(tuple(kept), tuple(losses), tokens, start.with_weights(state.w).body())


def _keep(state: State, put: Put, g: bytes) -> StepState:
    return StepState(put(raw(state.w)), put(raw(state.m)), put(raw(state.v)), g)
