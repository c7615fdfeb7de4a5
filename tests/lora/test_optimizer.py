"""The canonical optimiser: equal to torch's AdamW but exact, bounded, and judged in two norms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lora.optimizer import ADAMW, AdamW, State, clip, distances, largest_move, step
from lora.vectors import Vector, digest, norm
from protocol.errors import ComputeError

TABLE = (1e-3, 2e-3, 3e-3, 3e-3, 1e-3)


def numbers(seed: int, size: int = 257) -> Vector:
    return np.random.default_rng(seed).normal(0, 1e-2, size).astype(np.float32)


def run(adam: AdamW, w: Vector, gradients: list[Vector]) -> State:
    state = State.start(w)
    for index, g in enumerate(gradients):
        state = step(state, g, index, TABLE, adam)
    return state


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_agrees_with_torch_to_fp32(decay: float) -> None:
    adam = AdamW(weight_decay=decay)
    w, gradients = numbers(0), [numbers(i + 1) for i in range(5)]
    theirs = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    torch_adam = torch.optim.AdamW([theirs], eps=adam.eps, weight_decay=decay)
    for lr, g in zip(TABLE, gradients, strict=True):
        torch_adam.param_groups[0]["lr"] = lr
        theirs.grad = torch.tensor(g, dtype=torch.float64)
        torch_adam.step()
    np.testing.assert_allclose(run(adam, w, gradients).w, theirs.detach().numpy(), atol=3e-8)


def test_bits_are_fixed() -> None:
    """One vector for every machine: integers of a fixed sequence, no library's random numbers."""
    ramp = ((np.arange(1000) * 7919) % 2003 - 1001).astype(np.float32) / np.float32(512)
    gradients = [ramp * np.float32(2.0**-n) for n in (3, 4, 7)]
    state = run(ADAMW, ramp, [gradients[0], np.roll(gradients[1], 5), gradients[2]])
    digests = [digest(vector).hex()[:16] for vector in (state.w, state.m, state.v)]
    assert digests == ["aa4db8715986b3e1", "d04a0b06435d2367", "0e52fb5b0827ea0d"]


def test_elements_do_not_see_each_other() -> None:
    """The exact check may be split over any slices, threads or machines."""
    w, gradients = numbers(0), [numbers(i + 1) for i in range(3)]
    whole = run(ADAMW, w, gradients)
    parts = [run(ADAMW, w[s], [g[s] for g in gradients]) for s in (slice(0, 100), slice(100, 257))]
    assert np.concatenate([part.w for part in parts]).tobytes() == whole.w.tobytes()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=5),
    st.sampled_from([0.0, 0.05]),
)
def test_no_gradient_moves_an_element_beyond_the_bound(
    rows: list[list[float]], decay: float
) -> None:
    adam = AdamW(weight_decay=decay)
    w = np.array([0.5, -0.25, 0.0], dtype=np.float32)
    table = TABLE[: len(rows)]
    state = State.start(w)
    for index, row in enumerate(rows):
        state = step(state, np.array(row, dtype=np.float32), index, table, adam)
    bound = largest_move(table, adam, float(np.abs(w).max()))
    assert np.abs(state.w.astype(np.float64) - w).max() <= bound


def test_the_bound_is_reached() -> None:
    """A constant gradient moves every element by nearly the whole table."""
    moved = run(ADAMW, np.zeros(3, dtype=np.float32), [np.full(3, 0.5, dtype=np.float32)] * 5).w
    assert largest_move(TABLE) < 1.1 * np.abs(moved).max()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-3, 10))
def test_clip_bounds_the_norm_and_keeps_the_direction(seed: int, limit: float) -> None:
    g = numbers(seed).astype(np.float64)
    clipped = clip(g, limit)
    assert norm(clipped) <= min(limit, norm(g)) * (1 + 1e-6)
    assert float(clipped @ g) == pytest.approx(norm(clipped) * norm(g), rel=1e-5)


def test_a_diverged_gradient_is_an_error() -> None:
    with pytest.raises(ComputeError, match="diverged"):
        clip(np.array([1.0, np.inf]), 1.0)
    assert not clip(np.zeros(4), 1.0).any()


def test_distances() -> None:
    g, v = numbers(1), np.abs(numbers(2))
    assert distances(g, g, v, 3) == (0.0, 0.0)
    plain, seen = distances(g, np.zeros_like(g), v, 3)
    assert (plain, seen) == (1.0, 1.0)
    zero = np.zeros_like(g)
    assert distances(zero, zero, v, 0) == (0.0, 0.0)
    assert distances(zero, g, v, 0) == (np.inf, np.inf)


def test_the_second_norm_sees_what_the_first_forgives() -> None:
    """A shift on elements with tiny second moments moves the adapter, not the plain norm."""
    g = numbers(1, 1000)
    g[500:] *= 1e-3
    claimed = g.copy()
    claimed[500:] *= 2
    plain, seen = distances(g, claimed, g * g, 0)
    assert plain < 2e-3
    assert seen > 0.1
