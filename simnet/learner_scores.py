"""The integer learner's answers about credit: rows, scores, their check, answers."""

from protocol.compute import (
    AnswerScored,
    CheckRows,
    Losses,
    RecordText,
    Rows,
    RowsChecked,
    RowsDone,
    Score,
    ScoreAnswer,
    Scored,
)
from protocol.errors import ComputeError
from simnet.learner_bench import Bench, base_digest
from simnet.learner_fixed import Vector, distance_ppb
from simnet.learner_influence import (
    Evidence,
    Index,
    build_index,
    entry_distance,
    gather,
    gram_distance,
    index_scores,
    scores,
)
from simnet.learner_train import losses


def rows(bench: Bench, ask: Rows) -> RowsDone:
    """Gradients of single records."""
    base = base_digest(ask.base)
    w = bench.weights(base, ask.adapter)
    records = bench.pick(ask.records, ask.indices)
    made = (bench.row(base, w, record, ask.max_tokens) for record in records)
    return RowsDone(tuple(bench.put_vector(row) for row in made))


def score(bench: Bench, ask: Score) -> Scored:
    """Influence of every row on every query, with its evidence and index."""
    base = base_digest(ask.base)
    if not ask.rows:
        raise ComputeError("bad-input", "no row to score.")
    queries = _queries(bench, base, ask)
    vectors = [bench.vector(row) for row in ask.rows]
    evidence = gather(queries, ask.rows, vectors)
    index = build_index(base, queries, vectors, evidence)
    found = losses(bench, Losses(ask.base, ask.adapter, ask.queries, ask.max_tokens))
    return Scored(bench.put_value(evidence), bench.put(index), scores(evidence), found.nll_micro)


def check_rows(bench: Bench, ask: CheckRows) -> RowsChecked:
    """A verifier's view: its own rows and entries against the revealed ones."""
    base = base_digest(ask.base)
    if len(ask.rows) != len(ask.indices):
        raise ComputeError("bad-input", f"{len(ask.rows)} rows, {len(ask.indices)} indices.")
    queries = _queries(bench, base, ask)
    w = bench.weights(base, ask.adapter)
    records = bench.pick(ask.records, ask.indices)
    own = [bench.row(base, w, record, ask.max_tokens) for record in records]
    theirs = [bench.vector(row) for row in ask.rows]
    evidence = bench.value(Evidence, ask.evidence)
    if len(evidence.gram) != len(queries):
        raise ComputeError("bad-input", f"evidence of {len(evidence.gram)} queries.")
    entries = zip(own, ask.rows, strict=True)
    farthest = max(entry_distance(queries, row, blob, evidence) for row, blob in entries)
    return RowsChecked(
        tuple(distance_ppb(a, b) for a, b in zip(own, theirs, strict=True)),
        max(farthest, gram_distance(queries, evidence)),
        scores(evidence),
    )


def score_answer(bench: Bench, ask: ScoreAnswer) -> AnswerScored:
    """Influence of every indexed record on an answer, as if it were a query."""
    base = base_digest(ask.base)
    w = bench.weights(base, ask.adapter)
    index = bench.value(Index, ask.index)
    if index.base != base:
        raise ComputeError("wrong-base", f"index {ask.index.hex()} belongs to another base.")
    record = RecordText(ask.prompt, ask.answer)
    row = bench.row(base, w, record, ask.max_tokens)
    return AnswerScored(index_scores(index, row))


def _queries(bench: Bench, base: bytes, ask: Score | CheckRows) -> list[Vector]:
    """The queries' gradients."""
    w = bench.weights(base, ask.adapter)
    records = bench.records(ask.queries)
    if not records:
        raise ComputeError("bad-input", "no query to score against.")
    return [bench.row(base, w, record, ask.max_tokens) for record in records]
