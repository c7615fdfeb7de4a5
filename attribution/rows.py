"""Rows, scores, checks and answers on a real model: the part of attribution that runs under torch.

A row is the gradient of a record's *summed* target losses (mean loss x targets), so that pay grows
with tokens and cutting a text into two records pays nothing. Rows leave as bfloat16 blobs as they
come: memory holds one batch, 240 rows of 460,800 elements would be 442 MB in fp32.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from blake3 import blake3

from attribution import evidence, index
from attribution.agree import draw_rows
from attribution.bfloat import Bytes, from_bytes, to_bytes
from attribution.gram import gram
from attribution.influence import scores
from attribution.recheck import evidence_ppb, row_ppb
from lora.adapter import Adapter
from lora.base import Base
from lora.example_grads import example_gradients
from lora.tokens import encode
from lora.vectors import Vector
from protocol.compute import RecordText
from protocol.errors import DecodeError

BATCH = 8
"""Records a backward pass, of like length: no faster at 16 on a CPU, and 1.5 GB at 64 tokens."""

Table = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """Evidence bytes, index bytes, ``scores[query][row]``, and each query's mean loss in nats."""

    evidence: bytes
    index: bytes
    scores: Table
    losses: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """Distances of each drawn row, the worst of the evidence, and the scores it really gives."""

    row_ppb: tuple[int, ...]
    evidence_ppb: int
    scores: Table


def gradient_rows(
    base: Base, adapter: Adapter, records: Sequence[RecordText], max_tokens: int
) -> Iterator[tuple[int, Vector, float]]:
    """(position, fp32 row [P], mean loss in nats) of every record, shortest first: little padding."""
    examples = [encode(base.tokenizer, record, max_tokens) for record in records]
    order = sorted(range(len(examples)), key=lambda i: (len(examples[i].ids), i))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        rows, losses = example_gradients(base, adapter, [examples[i] for i in batch], BATCH)
        for i, row, loss in zip(batch, rows, losses, strict=True):
            yield i, row * examples[i].targets, float(loss)


def store_rows(
    base: Base,
    adapter: Adapter,
    records: Sequence[RecordText],
    max_tokens: int,
    put: Callable[[bytes], bytes],
) -> tuple[bytes, ...]:
    """Blob ids of the bfloat16 rows, in the order of the records; ``put`` stores and names one."""
    found = gradient_rows(base, adapter, records, max_tokens)
    ids = {i: put(to_bytes(row)) for i, row, _ in found}
    return tuple(ids[i] for i in range(len(records)))


def score(
    base: Base,
    adapter: Adapter,
    rows: Sequence[Bytes],
    queries: Sequence[RecordText],
    max_tokens: int,
) -> Scored:
    """Influence of every stored row on every query. Raises DecodeError ``bad-row``."""
    for row in rows:
        from_bytes(row, adapter.size)
    found = gradient_rows(base, adapter, queries, max_tokens)
    asked = {i: (to_bytes(row), loss) for i, row, loss in found}
    in_order = [asked[i] for i in range(len(queries))]
    products = gram(rows, [body for body, _ in in_order], adapter.slices)
    return Scored(
        evidence.to_bytes(products),
        index.build(rows, adapter.slices, products),
        scores(products),
        tuple(loss for _, loss in in_order),
    )


def check(
    base: Base,
    adapter: Adapter,
    records: Sequence[RecordText],
    drawn: Sequence[int],
    rows: Sequence[Bytes],
    queries: Sequence[RecordText],
    proof: bytes,
    max_tokens: int,
) -> Checked:
    """Re-compute the ``drawn`` records and as many queries; ``rows`` are their committed bytes.

    The queries follow from evidence and rows drawn: verifiers of other rows check other queries.
    Raises DecodeError for malformed evidence or rows, or evidence of another shape.
    """
    products = evidence.parse(proof)
    widths = tuple(where.stop - where.start for where in adapter.slices)
    if products.widths != widths or products.cross.shape[1:] != (len(records), len(queries)):
        raise DecodeError("bad-gram", "the evidence is not of these records, queries and adapter")
    seed = blake3(proof + repr(tuple(drawn)).encode()).digest()
    asked = draw_rows(seed, [0] * len(queries), 0, len(drawn))
    own = _own(base, adapter, records, drawn, max_tokens)
    own_queries = _own(base, adapter, queries, asked, max_tokens)
    committed = [from_bytes(row, adapter.size) for row in rows]
    return Checked(
        tuple(row_ppb(own[i], row) for i, row in zip(drawn, committed, strict=True)),
        evidence_ppb(products, adapter.slices, own, own_queries),
        scores(products),
    )


def score_answer(
    base: Base, adapter: Adapter, body: bytes, answer: RecordText, max_tokens: int
) -> tuple[int, ...]:
    """Influence of every indexed record on one answer (prompt and completion)."""
    ((_, row, _),) = gradient_rows(base, adapter, [answer], max_tokens)
    return index.answer_scores(body, row)


def _own(
    base: Base,
    adapter: Adapter,
    records: Sequence[RecordText],
    positions: Sequence[int],
    max_tokens: int,
) -> dict[int, Vector]:
    chosen = [records[i] for i in positions]
    found = gradient_rows(base, adapter, chosen, max_tokens)
    return {positions[i]: row for i, row, _ in found}
