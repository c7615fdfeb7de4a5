"""One suite for every Compute: the integer learner, and the real child on two real models.

A device is a Compute with its blobs; ``other`` is an honest second machine of the same kind.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from protocol.compute import (
    AdapterFacts,
    AdapterMade,
    AnswerScored,
    CheckRows,
    Describe,
    Described,
    Generate,
    Generated,
    Gradient,
    GradientDone,
    Hyper,
    InspectAdapter,
    Judge,
    Judged,
    Losses,
    LossesDone,
    Merge,
    Merged,
    NewAdapter,
    RecordText,
    Request,
    Rows,
    RowsChecked,
    RowsDone,
    Score,
    ScoreAnswer,
    Scored,
    StepState,
    Train,
    Trained,
    Update,
)
from protocol.errors import ComputeError
from protocol.ids import ZERO, content_id
from protocol.params import SIMNET
from protocol.seams import Compute
from tests.seams.devices import MAX_TOKENS, Device, integer_device, smollm2_device, tiny_device


@pytest.fixture
def integer() -> Device:
    return integer_device()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    with tiny_device(tmp_path_factory.mktemp("tiny")) as made:
        yield made


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    with smollm2_device(tmp_path_factory.mktemp("smollm2")) as made:
        yield made


DEVICES = [
    "integer",
    pytest.param("tiny", marks=pytest.mark.process),
    pytest.param("smollm2", marks=[pytest.mark.weights, pytest.mark.slow]),
]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Device:
    made: Device = request.getfixturevalue(request.param)
    return made


TEXTS = [
    RecordText("", "And God said, Let there be light: and there was light."),
    RecordText("", "And God saw the light, that it was good: and God divided the light."),
    RecordText("", "And the evening and the morning were the first day."),
    RecordText("Who said it?", "And God said, Let the waters under the heaven be gathered."),
    RecordText("", "And God called the dry land Earth; and the gathering of the waters Seas."),
    RecordText("", "And God said, Let the earth bring forth grass, the herb yielding seed."),
]
HELD_OUT = RecordText("", "And God said, Let there be lights in the firmament of the heaven.")
BATCHES = ((0, 1), (2, 3), (4, 5), (1, 3))


async def started(device: Device, hyper: Hyper | None = None) -> AdapterMade:
    made = await device.compute.run(NewAdapter(device.base, hyper or device.hyper))
    assert isinstance(made, AdapterMade)
    return made


async def trained(device: Device, compute: Compute | None = None) -> tuple[Train, Trained]:
    start = await started(device)
    ask = Train(device.base, start.adapter, device.put(*TEXTS), BATCHES, device.hyper)
    done = await (compute or device.compute).run(ask)
    assert isinstance(done, Trained)
    return ask, done


async def judged(device: Device, ask: Train, state: StepState, step: int) -> Judged:
    """What the other machine finds about one step."""
    own = await device.other.run(
        Gradient(ask.base, ask.adapter, state.w, ask.records, ask.batches[step], ask.hyper, False)
    )
    assert isinstance(own, GradientDone)
    found = await device.other.run(Judge(state, own.g, step, ask.hyper))
    assert isinstance(found, Judged)
    return found


async def mean_loss(device: Device, adapter: bytes | None, *texts: RecordText) -> float:
    ask = Losses(device.base, adapter, device.put(*texts), MAX_TOKENS)
    done = await device.compute.run(ask)
    assert isinstance(done, LossesDone)
    assert len(done.nll_micro) == len(done.tokens) == len(texts)
    return sum(done.nll_micro) / len(texts)


async def rows_of(device: Device, adapter: bytes, records: bytes, count: int) -> tuple[bytes, ...]:
    done = await device.compute.run(
        Rows(device.base, adapter, records, tuple(range(count)), MAX_TOKENS)
    )
    assert isinstance(done, RowsDone)
    return done.rows


@dataclass(frozen=True, slots=True)
class Scoring:
    adapter: bytes
    records: bytes
    queries: bytes
    rows: tuple[bytes, ...]
    scored: Scored


async def scoring(device: Device, *queries: RecordText) -> Scoring:
    ask, done = await trained(device)
    rows = await rows_of(device, done.adapter, ask.records, len(TEXTS))
    blob = device.put(*queries)
    scored = await device.compute.run(Score(device.base, done.adapter, rows, blob, MAX_TOKENS))
    assert isinstance(scored, Scored)
    return Scoring(done.adapter, ask.records, blob, rows, scored)


async def test_a_base_says_what_it_is(device: Device) -> None:
    described = await device.compute.run(Describe(device.base))
    assert isinstance(described, Described)
    assert described.parameters > 0
    assert described.device
    assert (await started(device)).base_digest == described.base_digest


async def test_a_start_adapter_follows_from_the_seed(device: Device) -> None:
    first, again = await started(device), await started(device)
    other = await started(device, replace(device.hyper, seed=8))
    assert first == again
    assert other.adapter != first.adapter
    assert first.parameters == other.parameters > 0


async def test_training_keeps_every_state_and_lowers_the_loss(device: Device) -> None:
    ask, done = await trained(device)
    assert len(done.states) == len(BATCHES) + 1
    assert len(done.losses_micro) == len(BATCHES)
    assert done.tokens > 0
    assert done.states[-1].g == ZERO
    kept = {blob for state in done.states for blob in (state.w, state.m, state.v, state.g)}
    assert all(device.blobs.has(blob) for blob in kept - {ZERO})
    before = await mean_loss(device, ask.adapter, *TEXTS)
    assert await mean_loss(device, done.adapter, *TEXTS) < before
    assert await mean_loss(device, done.adapter, HELD_OUT) < await mean_loss(
        device, ask.adapter, HELD_OUT
    )


async def test_the_same_request_gives_the_same_bytes(device: Device) -> None:
    _, first = await trained(device)
    _, again = await trained(device)
    assert first == again


async def test_an_honest_step_passes_on_another_machine(device: Device) -> None:
    ask, done = await trained(device)
    for step, state in enumerate(done.states[:-1]):
        found, after = await judged(device, ask, state, step), done.states[step + 1]
        assert (found.next_w, found.next_m, found.next_v) == (after.w, after.m, after.v)
        assert found.distance_ppb <= SIMNET.tolerance_ppb
        assert found.optimiser_ppb <= SIMNET.optimiser_tolerance_ppb


@pytest.mark.parametrize("cheat", ["stale", "zero"])
async def test_a_gradient_that_was_not_computed_is_far_off(device: Device, cheat: str) -> None:
    ask, done = await trained(device)
    zeros = bytes(len(device.blobs.get(done.states[0].g)))
    g = done.states[1].g if cheat == "stale" else device.blobs.put(zeros)
    found = await judged(device, ask, replace(done.states[2], g=g), 2)
    assert found.distance_ppb > 1_000 * SIMNET.tolerance_ppb
    assert found.optimiser_ppb > 100 * SIMNET.optimiser_tolerance_ppb


async def test_another_state_leads_to_another_next_state(device: Device) -> None:
    ask, done = await trained(device)
    found = await judged(device, ask, replace(done.states[2], m=done.states[1].m), 2)
    assert (found.next_w, found.next_m) != (done.states[3].w, done.states[3].m)


async def test_canonical_gradients_agree_bit_by_bit(device: Device) -> None:
    ask, done = await trained(device)
    w = done.states[1].w
    request = Gradient(ask.base, ask.adapter, w, ask.records, (2, 3), ask.hyper, True)
    assert await device.compute.run(request) == await device.other.run(request)


async def test_an_adapter_is_its_last_state_within_the_schedule(device: Device) -> None:
    ask, done = await trained(device)
    facts = await device.compute.run(InspectAdapter(done.adapter, ask.adapter, ask.hyper))
    assert isinstance(facts, AdapterFacts)
    assert facts.w == done.states[-1].w
    assert facts.start_w == done.states[0].w
    assert facts.zero == done.states[0].m == done.states[0].v
    assert 0 < facts.moved_ppb <= facts.bound_ppb
    slower = replace(ask.hyper, lr_nano=ask.hyper.lr_nano // 1000)
    far = await device.compute.run(InspectAdapter(done.adapter, ask.adapter, slower))
    assert isinstance(far, AdapterFacts)
    assert far.moved_ppb > far.bound_ppb


async def test_a_merge_depends_on_no_order_and_carries_momentum(device: Device) -> None:
    ask, one = await trained(device)
    two = await device.other.run(replace(ask, batches=BATCHES[::-1]))
    assert isinstance(two, Trained)
    updates = (Update(content_id(b"1"), one.adapter), Update(content_id(b"2"), two.adapter))
    merge = Merge(ask.adapter, updates, None, device.hyper)
    first = await device.compute.run(merge)
    assert isinstance(first, Merged)
    assert await device.other.run(replace(merge, updates=updates[::-1])) == first
    second = await device.compute.run(replace(merge, momentum=first.momentum))
    assert isinstance(second, Merged)
    assert second.adapter != first.adapter
    before = await mean_loss(device, ask.adapter, *TEXTS)
    assert await mean_loss(device, first.adapter, *TEXTS) < before


async def test_scores_have_a_row_and_a_column_each(device: Device) -> None:
    done = await scoring(device, HELD_OUT, TEXTS[0])
    assert len(done.scored.scores) == 2
    assert {len(line) for line in done.scored.scores} == {len(TEXTS)}
    assert device.blobs.has(done.scored.evidence)
    assert device.blobs.has(done.scored.index)


async def test_scoring_finds_the_queries_losses(device: Device) -> None:
    done = await scoring(device, HELD_OUT, TEXTS[0])
    measured = await device.compute.run(Losses(device.base, done.adapter, done.queries, MAX_TOKENS))
    assert isinstance(measured, LossesDone)
    assert done.scored.nll_micro == pytest.approx(measured.nll_micro, abs=5)


async def test_a_record_moves_itself_most(device: Device) -> None:
    done = await scoring(device, TEXTS[2])
    (line,) = done.scored.scores
    assert line[2] == max(line) > 0


async def test_honest_rows_pass_on_another_machine(device: Device) -> None:
    done = await scoring(device, HELD_OUT, TEXTS[0])
    checked = await device.other.run(check(device, done, (1, 4)))
    assert isinstance(checked, RowsChecked)
    assert len(checked.row_ppb) == 2
    assert max(*checked.row_ppb, checked.evidence_ppb) <= SIMNET.row_tolerance_ppb
    assert checked.scores == done.scored.scores


def check(device: Device, done: Scoring, indices: tuple[int, ...]) -> CheckRows:
    return CheckRows(
        base=device.base,
        adapter=done.adapter,
        records=done.records,
        indices=indices,
        rows=tuple(done.rows[index] for index in indices),
        queries=done.queries,
        evidence=done.scored.evidence,
        max_tokens=MAX_TOKENS,
    )


async def test_a_row_of_another_record_is_far_off(device: Device) -> None:
    done = await scoring(device, HELD_OUT)
    swapped = replace(check(device, done, (1, 4)), rows=(done.rows[1], done.rows[0]))
    checked = await device.other.run(swapped)
    assert isinstance(checked, RowsChecked)
    assert checked.row_ppb[0] <= SIMNET.row_tolerance_ppb < checked.row_ppb[1]


async def test_evidence_of_other_queries_is_far_off(device: Device) -> None:
    done = await scoring(device, HELD_OUT)
    checked = await device.other.run(
        replace(check(device, done, (1, 4)), queries=device.put(TEXTS[5]))
    )
    assert isinstance(checked, RowsChecked)
    assert checked.evidence_ppb > SIMNET.row_tolerance_ppb


async def test_an_answer_is_scored_against_all_indexed_records(device: Device) -> None:
    done = await scoring(device, HELD_OUT)
    ask = ScoreAnswer(
        device.base, done.adapter, done.scored.index, "", TEXTS[2].completion, MAX_TOKENS
    )
    answer = await device.compute.run(ask)
    assert isinstance(answer, AnswerScored)
    assert len(answer.scores) == len(TEXTS)
    assert answer.scores[2] == max(answer.scores) > 0


async def test_an_answer_repeats_and_ends(device: Device) -> None:
    _, done = await trained(device)
    ask = Generate(device.base, done.adapter, "And God", 8, content_id(b"request"), 0)
    first = await device.compute.run(ask)
    assert isinstance(first, Generated)
    assert 0 < first.answer_tokens <= 8
    assert first.prompt_tokens > 0
    assert first.text.strip()
    assert await device.compute.run(ask) == first
    base = await device.compute.run(replace(ask, adapter=None))
    assert isinstance(base, Generated)
    assert base.answer_tokens <= 8


async def test_a_drawn_answer_follows_from_the_request(device: Device) -> None:
    _, done = await trained(device)
    ask = Generate(device.base, done.adapter, "And God", 8, content_id(b"one"), 1500)
    first = await device.compute.run(ask)
    assert await device.compute.run(ask) == first
    drawn = {content_id(bytes([n])) for n in range(3)}
    assert {await device.compute.run(replace(ask, request=request)) for request in drawn} != {first}


async def refusal(device: Device, request: Request) -> str:
    with pytest.raises(ComputeError) as caught:
        await device.compute.run(request)
    assert caught.value.text
    return caught.value.code


async def test_what_cannot_be_computed_is_refused_with_a_code(device: Device) -> None:
    ask, done = await trained(device)
    missing = content_id(b"nothing has this hash")
    assert await refusal(device, Describe(device.wrong_base)) == "bad-model"
    assert await refusal(device, replace(ask, records=missing)) == "bad-input"
    assert await refusal(device, replace(ask, records=device.blobs.put(b"no list"))) == "bad-input"
    assert await refusal(device, replace(ask, batches=((0, 99),))) == "bad-input"
    cut = device.blobs.put(device.blobs.get(done.states[0].w)[:-4])
    wrong = replace(done.states[0], w=cut)
    assert await refusal(device, Judge(wrong, done.states[0].g, 0, ask.hyper)) == "bad-input"
    assert await refusal(device, Merge(ask.adapter, (), None, ask.hyper)) == "bad-input"
    assert (await started(device)).adapter == ask.adapter  # it works on after refusals
