"""Gradients: the loss they belong to, micro-batches, padding, canonical mode, per-example rows."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from lora.adapter import Adapter
from lora.attach import attached, leaf
from lora.base import Base, load_base
from lora.canonical import Widen, canonical, canonical_gradient
from lora.example_grads import example_gradients
from lora.gradient import gradient, record_losses
from lora.optimizer import distances
from lora.tokens import Example
from lora.vectors import norm
from protocol.errors import ComputeError

HUGE = 1e9  # a clip that never acts


@pytest.fixture(scope="module")
def wide(base: Base) -> Base:
    return canonical(base)


def test_loss_is_each_record_s_mean_over_its_targets(base: Base, examples: list[Example]) -> None:
    together = record_losses(base, examples)
    for example, loss in zip(examples, together.tolist(), strict=True):
        ids = torch.tensor([example.ids])
        logits = base.model(input_ids=ids).logits[0]
        alone = cross_entropy(logits[example.start - 1 : -1], ids[0, example.start :])
        assert loss == pytest.approx(float(alone), rel=1e-5)


def test_gradient_is_the_slope_of_the_mean_loss(
    wide: Base, adapter: Adapter, examples: list[Example]
) -> None:
    """A central difference in fp64 along one random direction."""
    direction = np.random.default_rng(0).normal(size=adapter.size).astype(np.float32)

    def loss(sign: float) -> float:
        w = leaf(wide, adapter.w).detach() + sign * 1e-4 * torch.tensor(direction).double()
        with torch.no_grad(), attached(wide, adapter, w):
            return float(record_losses(wide, examples).mean())

    slope = (loss(1) - loss(-1)) / 2e-4
    g = canonical_gradient(wide, adapter, examples, HUGE).g
    assert float(g.astype(np.float64) @ direction) == pytest.approx(slope, rel=1e-3)


def test_bf16_is_the_same_gradient_within_its_tolerance(
    base: Base, tiny_folder: Path, adapter: Adapter, examples: list[Example]
) -> None:
    half = load_base(str(tiny_folder), cache=tiny_folder, dtype="bf16")
    ours = gradient(base, adapter, examples, HUGE).g
    theirs = gradient(half, adapter, examples, HUGE).g
    assert 1e-4 < norm(ours - theirs) / norm(ours) < 0.1


def test_micro_batches_and_order_stay_within_tolerance(
    base: Base, adapter: Adapter, examples: list[Example]
) -> None:
    whole = gradient(base, adapter, examples, HUGE)
    for other in (
        gradient(base, adapter, examples, HUGE, micro=2),
        gradient(base, adapter, examples[::-1], HUGE),
    ):
        plain, seen = distances(whole.g, other.g, np.zeros_like(whole.g), 0)
        assert plain < 5e-6
        assert seen < 5e-4
    assert whole.tokens == sum(example.targets for example in examples)
    assert gradient(base, adapter, examples, HUGE).g.tobytes() == whole.g.tobytes()


def test_one_changed_token_lies_far_outside(
    base: Base, adapter: Adapter, examples: list[Example]
) -> None:
    honest = gradient(base, adapter, examples, HUGE).g
    first = examples[0]
    cheat = Example((first.ids[0] ^ 1, *first.ids[1:]), first.start)
    claimed = gradient(base, adapter, [cheat, *examples[1:]], HUGE).g
    plain, seen = distances(honest, claimed, np.zeros_like(honest), 0)
    assert min(plain, seen) > 1e-2


def test_clipping(base: Base, adapter: Adapter, examples: list[Example]) -> None:
    free = gradient(base, adapter, examples, HUGE).g
    bound = gradient(base, adapter, examples, norm(free) / 2).g
    assert norm(bound) == pytest.approx(norm(free) / 2, rel=1e-6)


def test_an_empty_batch_is_an_error(base: Base, adapter: Adapter) -> None:
    with pytest.raises(ComputeError, match="without records"):
        gradient(base, adapter, [], 1.0)


def test_canonical_is_equal_to_the_bit(
    wide: Base, adapter: Adapter, examples: list[Example]
) -> None:
    """Over micro-batches, order of records and threads; fp32 differs in each of them."""
    whole = canonical_gradient(wide, adapter, examples, 1.0)
    split = canonical_gradient(wide, adapter, examples, 1.0, micro=1)
    turned = canonical_gradient(wide, adapter, examples[::-1], 1.0, micro=3)
    torch.set_num_threads(2)
    try:
        threaded = canonical_gradient(wide, adapter, examples, 1.0)
    finally:
        torch.set_num_threads(1)
    assert {g.g.tobytes() for g in (whole, split, turned, threaded)} == {whole.g.tobytes()}
    mantissa, _ = np.frexp(whole.g.astype(np.float64))
    assert (mantissa * 2**16 % 1 == 0).all()


def test_canonical_is_the_same_gradient(
    base: Base, wide: Base, adapter: Adapter, examples: list[Example]
) -> None:
    ours = gradient(base, adapter, examples, 1.0).g
    exact = canonical_gradient(wide, adapter, examples, 1.0).g
    assert norm(ours - exact) < 2e-5 * norm(exact)  # 16 bits: 8e-6


def test_canonical_runs_nothing_in_fp32(
    wide: Base, adapter: Adapter, examples: list[Example]
) -> None:
    """A change of 1e-12 in the weights shows; one fp32 step inside would swallow it."""
    w = leaf(wide, adapter.w).detach()
    with torch.no_grad(), Widen():
        with attached(wide, adapter, w):
            before = record_losses(wide, examples)
        with attached(wide, adapter, w + 1e-12):
            after = record_losses(wide, examples)
    assert before.dtype is torch.float64
    apart = (after - before).abs()
    assert apart.max() < 1e-9
    assert apart.min() > 0


def test_canonical_rotary_tables_are_fp64(wide: Base) -> None:
    """A table rounded to fp32 on the way differs between instruction sets in its last bit."""
    inverse = wide.model.model.rotary_emb.inv_freq.numpy()
    np.testing.assert_allclose(inverse, 10000.0 ** -(np.arange(0, 8, 2) / 8), rtol=1e-15)


def test_every_way_to_ask_for_fp32_is_widened() -> None:
    x = torch.tensor([1 / 3], dtype=torch.float64)
    with Widen():
        asked = [x.float(), x.to(torch.float32), x.to(dtype=torch.float32)]
        asked += [torch.softmax(x, 0, dtype=torch.float32), torch.arange(2, dtype=torch.float)]
    assert {value.dtype for value in asked} == {torch.float64}


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_rows_equal_a_loop_of_plain_backwards(
    base: Base, adapter: Adapter, examples: list[Example], batch: int
) -> None:
    rows, losses = example_gradients(base, adapter, examples, batch)
    for row, loss, example in zip(rows, losses, examples, strict=True):
        alone = gradient(base, adapter, [example], HUGE)
        assert norm(row - alone.g) < 1e-5 * norm(alone.g)
        assert loss == pytest.approx(alone.losses[0], rel=1e-5)


def test_the_mean_row_is_the_step_s_gradient(
    base: Base, adapter: Adapter, examples: list[Example]
) -> None:
    rows, _ = example_gradients(base, adapter, examples)
    step = gradient(base, adapter, examples, HUGE).g
    assert norm(rows.mean(0) - step) < 1e-5 * norm(step)
