"""The integer learner's answers about weights: train, check, merge, measure, generate."""

from blake3 import blake3

from protocol.compute import (
    AdapterFacts,
    AdapterMade,
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
    StepState,
    Train,
    Trained,
)
from protocol.errors import ComputeError
from protocol.ids import ZERO
from simnet.learner_bench import MICRO_TO_ONE, Bench, base_digest
from simnet.learner_fixed import Vector
from simnet.learner_model import answer, loss
from simnet.learner_optimizer import State, distances, largest_move, outer_step, step
from simnet.learner_text import PARAMETERS, words_of

START = 1_000_000  # largest weight of a start adapter, 1e-3


def describe(_: Bench, ask: Describe) -> Described:
    """An untrained base, told apart by its name."""
    return Described(base_digest(ask.base), PARAMETERS, "integer")


def new_adapter(bench: Bench, ask: NewAdapter) -> AdapterMade:
    """Small weights from the job's seed."""
    base = base_digest(ask.base)
    w = _start_weights(ask.hyper)
    return AdapterMade(bench.put_adapter(base, w), base, PARAMETERS)


def train(bench: Bench, ask: Train) -> Trained:
    """At most ``hyper.steps`` canonical steps; every state is kept."""
    base = base_digest(ask.base)
    if not 1 <= len(ask.batches) <= ask.hyper.steps:
        raise ComputeError("bad-input", f"{len(ask.batches)} batches, {ask.hyper.steps} steps.")
    state = State.start(bench.weights(base, ask.adapter))
    states, losses, tokens = [], [], 0
    for index, batch in enumerate(ask.batches):
        records = bench.pick(ask.records, batch)
        g, nll, words = bench.batch_gradient(base, state.w, records, ask.hyper, exact=False)
        states.append(_put_state(bench, state, bench.put_vector(g)))
        losses.append(nll // MICRO_TO_ONE)
        tokens += words
        state = step(state, g, index, ask.hyper)
    states.append(_put_state(bench, state, ZERO))
    final = bench.put_adapter(base, state.w)
    return Trained(tuple(states), tuple(losses), tokens, final)


def gradient(bench: Bench, ask: Gradient) -> GradientDone:
    """One step's clipped gradient; without the device's noise in canonical mode."""
    base = base_digest(ask.base)
    bench.weights(base, ask.adapter)
    records = bench.pick(ask.records, ask.batch)
    w = bench.vector(ask.w)
    g, _, _ = bench.batch_gradient(base, w, records, ask.hyper, exact=ask.canonical)
    return GradientDone(bench.put_vector(g))


def judge(bench: Bench, ask: Judge) -> Judged:
    """Checks A and B."""
    if not 0 <= ask.step < ask.hyper.steps:
        raise ComputeError("bad-input", f"step {ask.step} of {ask.hyper.steps}.")
    vector = bench.vector
    state = State(vector(ask.state.w), vector(ask.state.m), vector(ask.state.v))
    g, own = vector(ask.state.g), vector(ask.own)
    after = _put_state(bench, step(state, g, ask.step, ask.hyper), ZERO)
    return Judged(after.w, after.m, after.v, *distances(own, g, state.v, ask.step))


def inspect(bench: Bench, ask: InspectAdapter) -> AdapterFacts:
    """Checks C and D."""
    base, start = bench.adapter(ask.start)
    w = bench.weights(base, ask.adapter)
    put = bench.put_vector
    moved = max(abs(a - b) for a, b in zip(w, start, strict=True))
    zero = put((0,) * PARAMETERS)
    return AdapterFacts(put(w), put(start), zero, moved, largest_move(ask.hyper))


def merge(bench: Bench, ask: Merge) -> Merged:
    """The outer step; the updates' order does not matter."""
    if not ask.updates:
        raise ComputeError("bad-input", "no update to merge.")
    base, start = bench.adapter(ask.start)
    updates = [bench.weights(base, update.adapter) for update in ask.updates]
    momentum = bench.vector(ask.momentum) if ask.momentum else (0,) * PARAMETERS
    w, held = outer_step(start, updates, momentum, ask.hyper)
    return Merged(bench.put_adapter(base, w), bench.put_vector(held))


def losses(bench: Bench, ask: Losses) -> LossesDone:
    """Of each record, under the base with or without an adapter."""
    base = base_digest(ask.base)
    w = _weights_or_base(bench, base, ask.adapter)
    words = [bench.words(base, r, ask.max_tokens) for r in bench.records(ask.records)]
    nll = tuple(loss(w, (record,)) // MICRO_TO_ONE for record in words)
    return LossesDone(nll, tuple(len(record) for record in words))


def generate(bench: Bench, ask: Generate) -> Generated:
    """An answer of words (see ``learner_model.answer``)."""
    base = base_digest(ask.base)
    w = _weights_or_base(bench, base, ask.adapter)
    prompt = words_of(ask.prompt)
    drawn = ask.request if ask.temperature_milli else b""  # a greedy answer draws nothing
    said = answer(base, w, tuple(prompt), ask.max_tokens, drawn, ask.temperature_milli)
    bench.count(len(prompt) + len(said))
    return Generated(b" ".join(said).decode(), len(prompt), len(said))


def _put_state(bench: Bench, state: State, g: bytes) -> StepState:
    put = bench.put_vector
    return StepState(put(state.w), put(state.m), put(state.v), g)


def _weights_or_base(bench: Bench, base: bytes, adapter: bytes | None) -> Vector:
    return (0,) * PARAMETERS if adapter is None else bench.weights(base, adapter)


def _start_weights(hyper: Hyper) -> Vector:
    """Small weights that follow from the job's seed, uniform in +-START."""
    stream = blake3(b"integer start %d" % hyper.seed).digest(length=4 * PARAMETERS)
    draws = (int.from_bytes(stream[at : at + 4], "big") for at in range(0, len(stream), 4))
    return tuple(draw % (2 * START + 1) - START for draw in draws)
