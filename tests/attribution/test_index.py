"""One bit an element keeps the order of influence, and a malformed index is refused."""

from dataclasses import replace

import numpy as np
import pytest

from attribution import index
from attribution.bfloat import to_bytes
from attribution.gram import gram
from attribution.influence import SCALE, scores
from protocol.codec import pack, unpack
from protocol.errors import DecodeError

SLICES = (slice(0, 1_500), slice(1_500, 8_003))


def world(seed: int) -> tuple[list[bytes], list[bytes], np.ndarray, bytes]:
    """24 rows and 6 queries in three topics of 2,003 elements, and the index of the rows."""
    draw = np.random.default_rng(seed)
    topics = draw.normal(size=(3, 8_003))
    rows = (topics[np.arange(24) % 3] + 2 * draw.normal(size=(24, 8_003))).astype(np.float32)
    queries = (topics[np.arange(6) % 3] + draw.normal(size=(6, 8_003))).astype(np.float32)
    row_bytes, query_bytes = [to_bytes(r) for r in rows], [to_bytes(q) for q in queries]
    made = gram(row_bytes, query_bytes, SLICES)
    return row_bytes, query_bytes, queries, index.build(row_bytes, SLICES, made)


def test_answers_score_as_queries_do() -> None:
    rows, asked, queries, body = world(1)
    exact = np.array(scores(gram(rows, asked, SLICES)), dtype=float)
    coarse = np.array([index.answer_scores(body, query) for query in queries], dtype=float)
    assert np.corrcoef(exact.ravel(), coarse.ravel())[0, 1] > 0.95
    assert np.abs(coarse).max() < SCALE


def test_an_index_of_another_size_is_refused() -> None:
    *_, body = world(2)
    with pytest.raises(DecodeError, match="bad-index"):
        index.answer_scores(body, np.ones(7, dtype=np.float32))


def test_a_short_line_is_refused() -> None:
    *_, queries, body = world(3)
    made = unpack(index.Index, body)
    for broken in (
        replace(made, signs=(made.signs[0][:-1], *made.signs[1:])),
        replace(made, scales=made.scales[:-4]),
        replace(made, damping=made.damping + made.damping),
    ):
        with pytest.raises(DecodeError, match=r"bad-index|bad-vector"):
            index.answer_scores(pack(broken), queries[0])


def test_a_louder_answer_is_clipped() -> None:
    *_, queries, body = world(4)
    loud = [np.array(index.answer_scores(body, queries[0] * factor)) for factor in (100, 1_000)]
    np.testing.assert_allclose(*loud, atol=2)
