"""The merge gives one hash whoever runs it, resists one wild update, and carries momentum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora.adapter import Adapter, Entry, Spec, parse
from lora.merge import merge
from lora.vectors import from_raw, norm, raw
from protocol.errors import DecodeError, LocalError

START = Adapter(
    bytes(32),
    Spec(2, 4, ("q",)),
    (Entry("q.lora_A.weight", 2, 3), Entry("q.lora_B.weight", 4, 2)),
    np.linspace(-1, 1, 14, dtype=np.float32),
)


def moved(seed: int, length: float = 1.0) -> Adapter:
    delta = np.random.default_rng(seed).normal(size=START.size)
    return START.with_weights((START.w + delta * length / norm(delta)).astype(np.float32))


@settings(max_examples=50, deadline=None)
@given(
    st.permutations([(bytes([i]) * 4, i) for i in range(7)]), st.integers(1, 7), st.floats(0, 0.99)
)
def test_any_order_gives_the_same_bytes(
    order: list[tuple[bytes, int]], count: int, outer: float
) -> None:
    chosen = order[:count]
    past = raw(moved(99).w)
    ordered = merge(START, {w: moved(s) for w, s in sorted(chosen)}, past, 0.7, outer)
    assert merge(START, {w: moved(s) for w, s in chosen}, past, 0.7, outer) == ordered


def test_plain_average() -> None:
    updates = {b"a": moved(1), b"b": moved(2)}
    out = parse(merge(START, updates, None, 1.0, 0.0).adapter)
    np.testing.assert_allclose(out.w, (moved(1).w + moved(2).w) / 2, atol=1e-6)


def test_nesterov_momentum_is_carried() -> None:
    first = merge(START, {b"a": moved(1)}, None, 0.5, 0.9)
    delta = moved(1).w.astype(np.float64) - START.w
    np.testing.assert_allclose(parse(first.adapter).w, START.w + 0.5 * 1.9 * delta, atol=1e-6)
    second = merge(START, {b"a": START}, first.momentum, 0.5, 0.9)
    np.testing.assert_allclose(
        parse(second.adapter).w, START.w + 0.5 * 0.9 * 0.9 * delta, atol=1e-6
    )
    np.testing.assert_allclose(from_raw(second.momentum, START.size), 0.9 * delta, atol=1e-6)


def test_a_wild_update_weighs_no_more_than_the_median() -> None:
    updates = {b"a": moved(1), b"b": moved(2), b"c": moved(3, length=1e4)}
    out = merge(START, updates, None, 1.0, 0.0)
    assert out.limit == pytest.approx(1.0, rel=1e-5)
    assert out.norms == pytest.approx((1.0, 1.0, 1e4), rel=1e-5)
    assert norm(parse(out.adapter).w.astype(np.float64) - START.w) <= 1.0


def test_from_five_on_a_coordinate_loses_its_extremes() -> None:
    """Four agree, one points elsewhere with the same norm: it moves nothing."""
    honest = moved(1)
    liar = START.with_weights(2 * START.w - honest.w)
    updates = {bytes([i]): honest for i in range(4)} | {b"z": liar}
    out = parse(merge(START, updates, None, 1.0, 0.0).adapter)
    np.testing.assert_allclose(out.w, honest.w, atol=1e-6)
    few = parse(merge(START, {b"a": honest, b"z": liar}, None, 1.0, 0.0).adapter)
    np.testing.assert_allclose(few.w, START.w, atol=1e-6)


def test_refusals() -> None:
    with pytest.raises(LocalError, match="no-updates"):
        merge(START, {}, None, 1.0, 0.0)
    other = Adapter(START.base, Spec(2, 8, ("q",)), START.entries, START.w)
    with pytest.raises(LocalError, match="update-mismatch"):
        merge(START, {b"a": other}, None, 1.0, 0.0)
    with pytest.raises(DecodeError, match="bad-vector"):
        merge(START, {b"a": START}, b"\0" * 8, 1.0, 0.0)
