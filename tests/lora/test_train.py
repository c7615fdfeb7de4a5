"""A unit keeps every state, each step of which can be re-computed and checked exactly."""

import numpy as np
import pytest

from lora.adapter import Adapter, parse
from lora.base import Base
from lora.gradient import gradient
from lora.optimizer import State, distances, largest_move, step
from lora.recipe import Recipe
from lora.tokens import Example
from lora.train import Trained, train_unit
from lora.vectors import digest, from_raw
from protocol.compute import StepState
from protocol.errors import ComputeError
from protocol.ids import ZERO, content_id

RECIPE = Recipe(rank=4, alpha=8, steps=5, batch=2, max_tokens=48, lr=1e-2)


class Blobs(dict[bytes, bytes]):
    def put(self, body: bytes) -> bytes:
        self[content_id(body)] = body
        return content_id(body)


@pytest.fixture(scope="module")
def blobs() -> Blobs:
    return Blobs()


@pytest.fixture(scope="module")
def batches(examples: list[Example]) -> list[list[Example]]:
    return [[examples[i % 5], examples[(i + 2) % 5]] for i in range(RECIPE.steps)]


@pytest.fixture(scope="module")
def trained(base: Base, adapter: Adapter, batches: list[list[Example]], blobs: Blobs) -> Trained:
    return train_unit(base, RECIPE, adapter, batches, blobs.put)


def opened(blobs: Blobs, kept: StepState, size: int) -> State:
    return State(*(from_raw(blobs[blob], size) for blob in (kept.w, kept.m, kept.v)))


def test_every_step_can_be_checked(
    base: Base, adapter: Adapter, batches: list[list[Example]], blobs: Blobs, trained: Trained
) -> None:
    """Check A to the bit, check B in another micro-batch, from the stored state alone."""
    assert len(trained.states) == RECIPE.steps + 1
    for index, kept in enumerate(trained.states[:-1]):
        state, g = opened(blobs, kept, adapter.size), from_raw(blobs[kept.g], adapter.size)
        after, following = step(state, g, index, RECIPE.lr_table), trained.states[index + 1]
        assert tuple(map(digest, (after.w, after.m, after.v))) == (
            following.w,
            following.m,
            following.v,
        )
        own = gradient(base, adapter.with_weights(state.w), batches[index], RECIPE.clip, micro=1).g
        plain, seen = distances(own, g, state.v, index)
        assert plain < 5e-5
        assert seen < 5e-4


def test_first_and_last_state(adapter: Adapter, trained: Trained) -> None:
    first, last = trained.states[0], trained.states[-1]
    zero = digest(np.zeros_like(adapter.w))
    assert (first.w, first.m, first.v) == (adapter.digest, zero, zero)
    final = parse(trained.adapter)
    assert (final.digest, ZERO) == (last.w, last.g)
    moved = np.abs(final.w.astype(np.float64) - adapter.w).max()
    assert 0 < moved <= largest_move(RECIPE.lr_table)


def test_a_second_run_is_the_same_to_the_bit(
    base: Base, adapter: Adapter, batches: list[list[Example]], trained: Trained
) -> None:
    seen: list[tuple[int, float]] = []
    again = train_unit(
        base, RECIPE, adapter, batches, content_id, lambda i, loss: seen.append((i, loss))
    )
    assert again == trained
    assert seen == list(enumerate(trained.losses))
    assert trained.tokens == sum(e.targets for batch in batches for e in batch)


def test_training_lowers_the_loss(base: Base, adapter: Adapter, examples: list[Example]) -> None:
    recipe = Recipe(rank=4, alpha=8, steps=20, batch=5, max_tokens=48, lr=2e-2)
    out = train_unit(base, recipe, adapter, [examples] * 20, content_id)
    assert out.losses[-1] < 0.8 * out.losses[0]


def test_skipped_or_stale_work_is_far_outside(
    base: Base, adapter: Adapter, batches: list[list[Example]], blobs: Blobs, trained: Trained
) -> None:
    state = opened(blobs, trained.states[2], adapter.size)
    own = gradient(base, adapter.with_weights(state.w), batches[2], RECIPE.clip).g
    stale = from_raw(blobs[trained.states[1].g], adapter.size)
    for claimed in (stale, np.zeros_like(own)):
        assert min(distances(own, claimed, state.v, 2)) > 0.2


def test_wrong_number_of_batches(base: Base, adapter: Adapter, examples: list[Example]) -> None:
    with pytest.raises(ComputeError, match="1 batches for 5 steps"):
        train_unit(base, RECIPE, adapter, [examples], content_id)


def test_a_learning_rate_that_diverges_is_an_error(
    base: Base, adapter: Adapter, examples: list[Example]
) -> None:
    far = adapter.with_weights(adapter.w * np.float32(1e30))
    with pytest.raises(ComputeError, match="diverged"):
        train_unit(base, RECIPE, far, [examples] * 5, content_id)
