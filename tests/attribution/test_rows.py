"""Attribution end to end on a tiny model: rows, scores, a verifier's check, an answer."""

from dataclasses import dataclass

import numpy as np
import pytest
from blake3 import blake3

from attribution import evidence
from attribution.bfloat import from_bytes, to_bytes
from attribution.influence import SCALE, Gram
from attribution.rows import Scored, check, gradient_rows, score, score_answer, store_rows
from lora.adapter import Adapter
from lora.base import Base
from lora.example_grads import example_gradients
from lora.tokens import encode
from protocol.compute import RecordText
from protocol.errors import DecodeError

TOKENS = 48
RECORDS = tuple(
    RecordText("", text)
    for text in (
        "And God said, Let there be light: and there was light.",
        "qqqq zzzz 9999 xxxx jjjj",
        "And God called the light Day, and the darkness he called Night.",
        "A permit costs 5,000 SEK.",
        "And God saw the light, that it was good.",
    )
)
QUERIES = (RecordText("", "And God said, Let there be lights."), RecordText("Who?", "The builder."))


@dataclass
class Done:
    blobs: dict[bytes, bytes]
    ids: tuple[bytes, ...]
    scored: Scored

    def rows(self, positions: tuple[int, ...]) -> list[bytes]:
        return [self.blobs[self.ids[i]] for i in positions]


@pytest.fixture(scope="module")
def done(base: Base, adapter: Adapter) -> Done:
    blobs: dict[bytes, bytes] = {}

    def put(body: bytes) -> bytes:
        return blobs.setdefault(blake3(body).digest(), body) and blake3(body).digest()

    ids = store_rows(base, adapter, RECORDS, TOKENS, put)
    rows = [blobs[i] for i in ids]
    return Done(blobs, ids, score(base, adapter, rows, QUERIES, TOKENS))


def test_a_row_is_the_gradient_of_the_summed_loss(base: Base, adapter: Adapter, done: Done) -> None:
    for i, record in enumerate(RECORDS):
        example = encode(base.tokenizer, record, TOKENS)
        (alone,), _ = example_gradients(base, adapter, [example])
        stored = from_bytes(done.blobs[done.ids[i]], adapter.size)
        np.testing.assert_allclose(stored, alone * example.targets, rtol=2**-8, atol=1e-5)


def test_the_table_is_query_by_row_and_bounded(done: Done) -> None:
    table = np.array(done.scored.scores)
    assert table.shape == (len(QUERIES), len(RECORDS))
    assert np.abs(table).max() <= SCALE
    assert table[0, [0, 2, 4]].min() > table[0, [1, 3]].max()


def test_an_honest_verifier_agrees(base: Base, adapter: Adapter, done: Done) -> None:
    found = check(
        base,
        adapter,
        RECORDS,
        (1, 4),
        done.rows((1, 4)),
        QUERIES,
        done.scored.evidence,
        TOKENS,
    )
    assert max(found.row_ppb) < 5_000_000
    assert found.evidence_ppb < 1_250_000
    assert found.scores == done.scored.scores


def test_an_invented_row_is_far_away(base: Base, adapter: Adapter, done: Done) -> None:
    (row,) = done.rows((1,))
    better = to_bytes(from_bytes(row, adapter.size) * np.float32(1.02))
    found = check(base, adapter, RECORDS, (1,), [better], QUERIES, done.scored.evidence, TOKENS)
    assert found.row_ppb[0] > 10_000_000


@pytest.mark.parametrize("lie", ["rows", "cross", "queries"])
def test_invented_inner_products_are_far_away(
    base: Base, adapter: Adapter, done: Done, lie: str
) -> None:
    true = evidence.parse(done.scored.evidence)
    parts = {"rows": true.rows, "cross": true.cross, "queries": true.queries}
    parts[lie] = parts[lie] + np.float32(0.05) * np.abs(parts[lie]).max()
    body = evidence.to_bytes(Gram(true.widths, **parts))
    rows = done.rows((0, 1))
    found = check(base, adapter, RECORDS, (0, 1), rows, QUERIES, body, TOKENS)
    assert found.evidence_ppb > 5_000_000


def test_evidence_of_other_records_is_refused(base: Base, adapter: Adapter, done: Done) -> None:
    proof, rows = done.scored.evidence, done.rows((0,))
    with pytest.raises(DecodeError, match="bad-gram"):
        check(base, adapter, RECORDS[:4], (0,), rows, QUERIES, proof, TOKENS)


def test_an_answer_scores_nearly_as_the_same_query(
    base: Base, adapter: Adapter, done: Done
) -> None:
    answer = score_answer(base, adapter, done.scored.index, QUERIES[0], TOKENS)
    assert np.corrcoef(answer, done.scored.scores[0])[0, 1] > 0.9


def test_padding_does_not_change_a_row(base: Base, adapter: Adapter) -> None:
    together = {i: row for i, row, _ in gradient_rows(base, adapter, RECORDS, TOKENS)}
    for i, record in enumerate(RECORDS):
        ((_, alone, _),) = gradient_rows(base, adapter, [record], TOKENS)
        np.testing.assert_allclose(together[i], alone, rtol=1e-3, atol=1e-4)
