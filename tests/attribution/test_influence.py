"""The dual form against the formula written out, its bounds, and the evidence of it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution import evidence
from attribution.bfloat import to_bytes
from attribution.gram import gram
from attribution.influence import DAMPING, SCALE, Gram, scores, whitened
from lora.vectors import Vector, pack, unpack
from protocol.errors import DecodeError

SLICES = (slice(0, 5), slice(5, 17), slice(17, 20))
Rows = npt.NDArray[np.float32]


def normal(seed: int, count: int) -> Rows:
    """``count`` rows of 20 elements that bfloat16 holds exactly."""
    values = np.random.default_rng(seed).integers(-99, 99, (count, SLICES[-1].stop))
    return (values / 32).astype(np.float32)


def grams(rows: Rows, queries: Rows) -> Gram:
    return gram([to_bytes(r) for r in rows], [to_bytes(q) for q in queries], SLICES)


def explicit(rows: Vector, queries: Vector) -> tuple[Vector, Vector, Vector]:
    """sum over matrices of g^T (F + lam I)^-1 q with F written out, and the two squared norms."""
    influence, own, asked = 0.0, 0.0, 0.0
    for where in SLICES:
        g, q = rows[:, where].astype(np.float64), queries[:, where].astype(np.float64)
        fisher = g.T @ g / len(g)
        damping = DAMPING * np.trace(fisher) / len(fisher)
        inverse = np.linalg.inv(fisher + damping * np.eye(len(fisher)))
        influence = influence + g @ inverse @ q.T
        own = own + np.einsum("id,de,ie->i", g, inverse, g)
        asked = asked + np.einsum("id,de,ie->i", q, inverse, q)
    return influence, own, asked


@pytest.mark.parametrize("count", [2, 9, 40])
def test_the_dual_form_is_the_explicit_formula(count: int) -> None:
    rows, queries = normal(1, count), normal(2, 4)
    found = whitened(grams(rows, queries))
    influence, own, asked = explicit(rows, queries)
    np.testing.assert_allclose(found.influence, influence, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.rows, own, rtol=1e-4)
    np.testing.assert_allclose(found.queries, asked, rtol=1e-4)


def test_scores_are_cosines_of_clipped_whitened_rows() -> None:
    rows, queries = normal(3, 12), normal(4, 5)
    influence, own, asked = explicit(rows, queries)
    own, asked = np.sqrt(own), np.sqrt(asked)
    expected = influence / np.maximum(own, np.median(own))[:, None]
    expected = expected / np.maximum(asked, np.median(asked))
    np.testing.assert_allclose(
        np.array(scores(grams(rows, queries))) / SCALE, expected.T, atol=1e-5
    )


@given(st.integers(0, 999), st.sampled_from([0.125, 1.0, 64.0, 4096.0]))
def test_no_scaling_lifts_a_score_above_one(seed: int, factor: float) -> None:
    rows, queries = normal(seed, 7), normal(seed + 1, 3)
    rows[0] = queries[0] * np.float32(factor)
    assert max(abs(value) for line in scores(grams(rows, queries)) for value in line) <= SCALE + 1


def test_a_matrix_without_gradient_adds_nothing() -> None:
    rows, queries = normal(5, 6), normal(6, 2)
    rows[:, SLICES[1]] = 0
    full = whitened(grams(rows, queries)).influence
    kept = [SLICES[0], SLICES[2]]
    part = whitened(gram([to_bytes(r) for r in rows], [to_bytes(q) for q in queries], kept))
    np.testing.assert_allclose(full, part.influence)


def test_rows_that_say_nothing_have_no_score() -> None:
    with (
        pytest.raises(DecodeError, match="bad-gram"),
        np.errstate(invalid="ignore", divide="ignore"),
    ):
        scores(grams(np.zeros((3, 20), np.float32), normal(7, 2)))


def test_evidence_gives_the_same_scores_after_the_wire() -> None:
    made = grams(normal(8, 10), normal(9, 3))
    body = evidence.to_bytes(made)
    again = evidence.parse(body)
    assert evidence.to_bytes(again) == body
    assert scores(again) == scores(made)


def test_malformed_evidence_is_refused() -> None:
    tensors, metadata = unpack(evidence.to_bytes(grams(normal(8, 4), normal(9, 3))))

    def refused(changed: dict[str, Vector], meta: dict[str, str]) -> None:
        with pytest.raises(DecodeError, match="bad-gram"):
            evidence.parse(pack(tensors | changed, metadata | meta))

    refused({"more": tensors["cross"]}, {})
    refused({"rows": tensors["rows"][:, :-1]}, {})
    refused({"queries": tensors["queries"][:, :-1]}, {})
    refused({"cross": tensors["cross"][:-1]}, {})
    refused({}, {"format": "openledger-gram-0"})
    refused({}, {"widths": "5,12,03"})
    refused({}, {"widths": "5,12"})
    with pytest.raises(DecodeError, match="bad-tensors"):
        evidence.parse(b"\x00" * 40)


def test_widths_decide_the_damping() -> None:
    """A liar about a width changes scores; parse keeps them, so a verifier can compare them."""
    made = grams(normal(8, 10), normal(9, 3))
    lied = Gram((3, *made.widths[1:]), made.rows, made.cross, made.queries)
    assert scores(lied) != scores(made)
    assert evidence.parse(evidence.to_bytes(lied)).widths[0] == 3


def best(table: Sequence[Sequence[int]], query: int) -> int:
    return int(np.argmax(table[query]))


def test_a_record_like_the_query_scores_highest() -> None:
    rows, queries = normal(10, 30), normal(11, 2)
    rows[17] = queries[1] + normal(12, 1)[0] / 8
    assert best(scores(grams(rows, queries)), 1) == 17
