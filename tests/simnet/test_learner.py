"""The integer learner learns from real text, and garbage helps it less than honest rows."""

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log1p

import pytest
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from datanet.blobs import MemoryBlobs
from protocol.codec import pack, unpack
from protocol.compute import (
    AdapterMade,
    AnswerScored,
    CheckRows,
    Generate,
    Generated,
    Gradient,
    GradientDone,
    Hyper,
    Judge,
    Judged,
    Losses,
    LossesDone,
    NewAdapter,
    RecordList,
    RecordText,
    Rows,
    RowsChecked,
    RowsDone,
    Score,
    ScoreAnswer,
    Scored,
    Train,
    Trained,
)
from protocol.errors import ComputeError
from protocol.ids import content_id
from simnet.learner import TOKENS_PER_SECOND, IntegerLearner
from simnet.learner_fixed import FAR_PPB, ONE, divide, pack_vector, sigmoid, softplus, unpack_vector
from simnet.learner_influence import Evidence, Whitening, products
from simnet.learner_optimizer import State, distances, largest_move, outer_step, step
from simnet.learner_text import words_of
from simnet.seams import TrioClock
from simnet.texts import owner_rows

BASE = "integer:tiny"
WORDS = 64
HYPER = Hyper(
    rank=4,
    alpha=8,
    targets=("q_proj",),
    steps=16,
    batch=4,
    max_tokens=WORDS,
    lr_nano=50_000_000,
    clip_micro=1_000_000,
    outer_lr_micro=700_000,
    outer_momentum_micro=600_000,
    dtype="fp32",
    seed=1,
)
RESERVED = 8
FIXED = [
    RecordText("", "In the beginning God created the heaven and the earth."),
    RecordText("Who?", "And the earth was without form, and void; and darkness was upon it."),
    RecordText("", "Grüße, sagte er und ging."),
]


def texts(source: str, part: int, seed: bytes, count: int = 40) -> list[RecordText]:
    rows = owner_rows(source, part, 2, count, seed)
    return [RecordText("", " ".join(row.values())) for row in rows]


class Bench:
    """A learner with its blobs, and requests in few words."""

    def __init__(self, noise: bytes = b"", noise_ppb: int = 2_000) -> None:
        self.blobs = MemoryBlobs()
        self.learner = IntegerLearner(self.blobs, None, noise, noise_ppb)

    def put(self, records: Sequence[RecordText]) -> bytes:
        return self.blobs.put(pack(RecordList(tuple(records))))

    async def start(self) -> bytes:
        made = await self.learner.run(NewAdapter(BASE, HYPER))
        assert isinstance(made, AdapterMade)
        return made.adapter

    async def train(self, records: Sequence[RecordText]) -> Trained:
        """One pass in an order that mixes the owners."""
        steps, batch, count = HYPER.steps, HYPER.batch, len(records)
        batches = tuple(
            tuple((37 * (at * batch + place)) % count for place in range(batch))
            for at in range(steps)
        )
        ask = Train(BASE, await self.start(), self.put(records), batches, HYPER)
        done = await self.learner.run(ask)
        assert isinstance(done, Trained)
        return done

    async def loss(self, adapter: bytes | None, records: Sequence[RecordText]) -> float:
        done = await self.learner.run(Losses(BASE, adapter, self.put(records), WORDS))
        assert isinstance(done, LossesDone)
        return sum(done.nll_micro) / len(done.nll_micro)

    async def scores(
        self, adapter: bytes, records: Sequence[RecordText], queries: Sequence[RecordText]
    ) -> tuple[Scored, list[float]]:
        """The result, and each record's mean over the queries."""
        asked = tuple(range(len(records)))
        rows = await self.learner.run(Rows(BASE, adapter, self.put(records), asked, WORDS))
        assert isinstance(rows, RowsDone)
        scored = await self.learner.run(Score(BASE, adapter, rows.rows, self.put(queries), WORDS))
        assert isinstance(scored, Scored)
        columns = zip(*scored.scores, strict=True)
        return scored, [sum(column) / len(queries) for column in columns]


async def test_training_helps_held_out_text_of_its_own_domain_most() -> None:
    bench = Bench()
    kjv, faq = texts("kjv", 0, b"1"), texts("faq", 0, b"1")
    start = await bench.start()
    gains = []
    for own, other in ((kjv, faq), (faq, kjv)):
        adapter = (await bench.train(own[RESERVED:])).adapter
        gains.append(
            [
                await bench.loss(start, queries) - await bench.loss(adapter, queries)
                for queries in (own[:RESERVED], other[:RESERVED])
            ]
        )
    for here, there in gains:
        assert here > 0.04 * await bench.loss(start, kjv[:RESERVED])
        assert here > 1.3 * there


async def test_a_base_knows_nothing() -> None:
    bench = Bench()
    assert await bench.loss(None, texts("kjv", 0, b"1")) == pytest.approx(2e6 * 0.693147, rel=1e-5)


@pytest.mark.parametrize("seed", [b"1", b"2", b"3"])
async def test_garbage_moves_honest_queries_less_than_honest_rows(seed: bytes) -> None:
    """Five seeds, garbage of either text: AUC 0.96 to 0.99, 2.0 to 3.4 % where equal is 20 %."""
    bench = Bench()
    owners = [texts(source, part, seed) for source in ("kjv", "faq") for part in (0, 1)]
    garbage = texts("garbage:faq", 0, seed, 32)
    honest = [record for rows in owners for record in rows[RESERVED:]]
    queries = [record for rows in owners for record in rows[:RESERVED]]
    adapter = (await bench.train([*honest, *garbage])).adapter
    _, means = await bench.scores(adapter, [*honest, *garbage], queries)
    good, bad = means[: len(honest)], means[len(honest) :]
    wins = sum((a > b) + (a == b) / 2 for a in good for b in bad)
    assert wins / (len(good) * len(bad)) > 0.93
    paid = sum(max(0.0, mean) for mean in bad) / sum(max(0.0, mean) for mean in means)
    assert paid < 0.2 * len(bad) / len(means)


async def test_an_answer_is_scored_as_a_query_would_be() -> None:
    bench = Bench()
    records = texts("kjv", 0, b"1", 12)
    adapter = (await bench.train(records)).adapter
    query = records[3]
    scored, means = await bench.scores(adapter, records, [query])
    answer = await bench.learner.run(
        ScoreAnswer(BASE, adapter, scored.index, query.prompt, query.completion, WORDS)
    )
    assert isinstance(answer, AnswerScored)
    assert answer.scores == pytest.approx(means, rel=1e-6, abs=50)


async def test_evidence_that_no_gradients_could_give_is_refused() -> None:
    bench = Bench()
    records = texts("kjv", 0, b"1", 3)
    blob, adapter = bench.put(records), await bench.start()
    scored, _ = await bench.scores(adapter, records, records[:2])
    evidence = unpack(Evidence, bench.blobs.get(scored.evidence))
    forged = bench.blobs.put(pack(replace(evidence, gram=((1, 5), (5, 1)))))
    rows = evidence.rows[:1]
    queries = bench.put(records[:2])
    ask = CheckRows(BASE, adapter, blob, (0,), rows, queries, forged, WORDS)
    with pytest.raises(ComputeError, match="no Gram matrix") as caught:
        await bench.learner.run(ask)
    assert caught.value.code == "bad-input"
    unknown = replace(evidence, rows=(bytes(32), *evidence.rows[1:]))
    honest = replace(ask, evidence=bench.blobs.put(pack(unknown)))
    checked = await bench.learner.run(honest)
    assert isinstance(checked, RowsChecked)
    assert checked.evidence_ppb == FAR_PPB


@given(st.lists(st.integers(-ONE, ONE), min_size=12, max_size=12))
def test_whitened_products_solve_the_damped_equations(values: list[int]) -> None:
    """With M = Q'Q / n + damping, a'M^-1 b must agree with n (A^-1 QQ')_j for b a query."""
    queries = [tuple(values[at : at + 4]) for at in (0, 4, 8)]
    gram = tuple(products(queries, query) for query in queries)
    whitening = Whitening.of(gram)
    for at, line in enumerate(gram):
        solved = whitening.solve(line)
        for other in range(3):
            inner = whitening.inner(solved, gram[other], line[other]) / 10**18
            assert inner == pytest.approx(3 * solved[other] / 10**60, abs=1e-6)
            assert at != other or 0 <= inner <= 3 + 1e-6


async def test_noise_lies_below_tolerance_and_above_nothing() -> None:
    """Two devices differ, by no more than both their errors together."""
    here, there = Bench(b"here"), Bench(b"there")
    there.blobs = here.blobs
    there.learner = IntegerLearner(here.blobs, None, b"there")
    records = texts("kjv", 0, b"1", 12)
    done = await here.train(records)
    blob, w = here.put(records), done.states[3].w
    ask = Gradient(BASE, done.adapter, w, blob, (1, 2, 3, 4), HYPER, False)
    mine, theirs = await here.learner.run(ask), await there.learner.run(ask)
    exact = await here.learner.run(replace(ask, canonical=True))
    assert isinstance(mine, GradientDone) and isinstance(theirs, GradientDone)
    assert len({mine, theirs, exact}) == 3
    judged = await here.learner.run(Judge(replace(done.states[3], g=theirs.g), mine.g, 3, HYPER))
    assert isinstance(judged, Judged)
    assert 100 < judged.distance_ppb <= 4_000
    assert 100 < judged.optimiser_ppb <= 4_000


async def test_bytes_are_the_same_on_every_machine() -> None:
    """A change of this digest is a change of every simulated run."""
    done = await Bench(b"noise").train(FIXED)
    assert done.adapter.hex() == "f10aa2472e20ca80d197b9bc0b2d2e05dab066a991db490ea77e5858c801b163"


async def test_work_takes_virtual_time(autojump_clock: trio.testing.MockClock) -> None:
    clock, bench = TrioClock(0.0), Bench()
    learner = IntegerLearner(bench.blobs, clock)
    record = RecordText("", "one two three four five")
    await learner.run(Losses(BASE, None, bench.put([record] * 40), WORDS))
    assert clock.now() == pytest.approx(200 / TOKENS_PER_SECOND)


async def test_a_device_does_one_thing_at_a_time(autojump_clock: trio.testing.MockClock) -> None:
    clock, bench = TrioClock(0.0), Bench()
    learner = IntegerLearner(bench.blobs, clock)
    ask = Losses(BASE, None, bench.put([RecordText("", "one two")]), WORDS)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(learner.run, ask)
    assert clock.now() == pytest.approx(10 / TOKENS_PER_SECOND)


async def test_an_adapter_of_another_base_is_refused() -> None:
    bench = Bench()
    ask = Losses("integer:other", await bench.start(), bench.put([]), WORDS)
    with pytest.raises(ComputeError, match="belongs to base") as caught:
        await bench.learner.run(ask)
    assert caught.value.code == "wrong-base"


async def test_an_answer_says_what_followed_in_the_training_text() -> None:
    bench = Bench()
    records = [RecordText("", "concrete shall project site building law")] * 4
    adapter = (await bench.train(records)).adapter
    said = await bench.learner.run(Generate(BASE, adapter, "concrete", 3, content_id(b""), 0))
    assert isinstance(said, Generated)
    assert said.text.split()[0] == "shall"


def test_words_are_lower_ascii_and_keep_other_letters() -> None:
    assert words_of("Let There, be don't-stop Grüße 42!") == [
        b"let", b"there", b"be", b"don't", b"stop", "grüße".encode(), b"42",
    ]  # fmt: skip


@given(st.integers(-60 * ONE, 60 * ONE))
def test_sigmoid_and_softplus_are_exact_to_the_unit(x: int) -> None:
    real = x / ONE
    assert abs(sigmoid(x) - ONE / (1 + exp(-real))) <= 2
    assert abs(softplus(x) - ONE * (max(real, 0.0) + log1p(exp(-abs(real))))) <= 2


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**20))
def test_division_rounds_to_nearest(value: int, by: int) -> None:
    assert abs(2 * (value - divide(value, by) * by)) <= by


@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1), max_size=20))
def test_vectors_round_trip(values: list[int]) -> None:
    assert unpack_vector(pack_vector(values)) == tuple(values)


gradients = st.lists(
    st.lists(st.integers(-ONE, ONE) | st.integers(-50, 50), min_size=3, max_size=3),
    min_size=8,
    max_size=8,
)


@given(gradients)
@settings(max_examples=50)
def test_no_gradient_moves_a_weight_beyond_the_schedule(steps: list[list[int]]) -> None:
    hyper = replace(HYPER, steps=8)
    state = State.start((0, 5, -7))
    for index, g in enumerate(steps):
        state = step(state, tuple(g), index, hyper)
    moved = max(abs(a - b) for a, b in zip(state.w, (0, 5, -7), strict=True))
    assert moved <= largest_move(hyper)


def test_the_bound_is_tight_for_a_steady_gradient() -> None:
    hyper = replace(HYPER, steps=8)
    state = State.start((0,))
    for index in range(8):
        state = step(state, (ONE,), index, hyper)
    assert largest_move(hyper) < 1.1 * -state.w[0]


@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=4, max_size=4))
def test_a_hostile_state_is_judged_and_not_a_crash(values: list[int]) -> None:
    hostile = tuple(values)
    after = step(State(hostile, hostile, hostile), hostile, 0, HYPER)
    pack_vector((*after.w, *after.m, *after.v))
    assert min(distances((ONE, 0, 0, 0), hostile, hostile, 0)) >= 0


def test_one_update_without_momentum_moves_by_the_outer_rate() -> None:
    hyper = replace(HYPER, outer_lr_micro=500_000, outer_momentum_micro=0)
    w, momentum = outer_step((10, 20), [(110, 0)], (0, 0), hyper)
    assert w == (60, 10)
    assert momentum == (100, -20)


def test_a_huge_update_counts_no_more_than_the_median() -> None:
    hyper = replace(HYPER, outer_lr_micro=1_000_000, outer_momentum_micro=0)
    w, _ = outer_step((0,), [(100,), (110,), (10**15,)], (0,), hyper)
    assert 100 <= w[0] <= 110
