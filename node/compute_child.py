"""The compute child: the only file that joins lora and attribution under torch. One per device.

``python -m node.compute_child --blobs DIR --cache DIR`` answers requests on its pipes until
stdin closes. Merging, judging and inspecting need numpy alone; torch and transformers (4 CPU-seconds to
import) are loaded by the first request that needs a model, and the base stays loaded.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datanet.blobs import FileBlobs
from lora import adapter as adapters
from lora import merge as merging
from lora import optimizer
from lora.adapter import Adapter
from lora.recipe import Recipe
from lora.vectors import Vector, digest, from_raw, raw
from node.child_loop import serve
from protocol import compute as asked
from protocol.codec import unpack
from protocol.compute import RecordList, RecordText, Request, Result
from protocol.errors import ComputeError
from protocol.ids import content_id

if TYPE_CHECKING:
    from lora.base import Base

MICRO, PPB = 10**6, 10**9
NEVER_PPB = 2**62  # an infinite distance


@cache
def _model_part(name: str) -> Any:
    """A module of ours that imports torch, loaded when first needed."""
    return import_module(name)


class Child:
    """Handlers by request class over one blob folder; holds at most one base and its fp64 copy."""

    def __init__(self, blobs: FileBlobs, folder: Path) -> None:
        self._blobs = blobs
        self._folder = folder
        self._threads = 1
        self._base: Base | None = None
        self._loaded = ("", "")  # source and dtype of the base
        self._wide: Base | None = None

    @cached_property
    def _handlers(self) -> dict[type[Request], Callable[[Any], Result]]:
        return {
            asked.Describe: self._describe,
            asked.NewAdapter: self._new_adapter,
            asked.Train: self._train,
            asked.Gradient: self._gradient,
            asked.Judge: self._judge,
            asked.InspectAdapter: self._inspect,
            asked.Merge: self._merge,
            asked.Losses: self._losses,
            asked.Rows: self._rows,
            asked.Score: self._score,
            asked.CheckRows: self._check_rows,
            asked.Generate: self._generate,
            asked.ScoreAnswer: self._score_answer,
        }

    def handle(self, request: Request, threads: int) -> Result:
        """Perform one request on so many threads. Raises OpenLedgerError."""
        self._threads = threads
        act = self._handlers[type(request)]
        if isinstance(request, asked.Judge | asked.InspectAdapter | asked.Merge):
            return act(request)
        with _model_part("lora.memory").memory_errors():
            return act(request)

    # -- what requests name ---

    def _load(self, source: str, dtype: str = "fp32") -> "Base":
        if self._base is None or self._loaded != (source, dtype):
            self._base = self._wide = None  # the memory of the old one goes first
            load = _model_part("lora.base").load_base
            self._base, self._loaded = (
                load(source, self._folder, dtype),
                (source, dtype),
            )
        _model_part("torch").set_num_threads(self._threads)
        return self._base

    def _adapter(self, blob: bytes) -> Adapter:
        return adapters.parse(self._blobs.get(blob))

    def _opened(self, base: "Base", blob: bytes) -> Adapter:
        opened: Adapter = _model_part("lora.attach").open_adapter(base, self._blobs.get(blob))
        return opened

    def _records(self, blob: bytes) -> tuple[RecordText, ...]:
        return unpack(RecordList, self._blobs.get(blob)).records

    def _chosen(self, blob: bytes, indices: Sequence[int]) -> list[RecordText]:
        records = self._records(blob)
        if any(not 0 <= i < len(records) for i in indices):
            raise ComputeError("bad-input", f"an index is outside the {len(records)} records.")
        return [records[i] for i in indices]

    def _examples(self, base: "Base", records: Sequence[RecordText], max_tokens: int) -> list[Any]:
        encode = _model_part("lora.tokens").encode
        return [encode(base.tokenizer, record, max_tokens) for record in records]

    def _vector(self, blob: bytes, size: int) -> Vector:
        return from_raw(self._blobs.get(blob), size)

    # -- training and checking it ---

    def _describe(self, request: asked.Describe) -> asked.Described:
        base = self._load(request.base)
        return asked.Described(base.digest, base.parameters, str(base.device))

    def _new_adapter(self, request: asked.NewAdapter) -> asked.AdapterMade:
        base, recipe = self._load(request.base), Recipe.from_hyper(request.hyper)
        made = _model_part("lora.attach").new_adapter(base, recipe.spec, recipe.seed)
        return asked.AdapterMade(self._blobs.put(made.body()), base.digest, made.size)

    def _train(self, request: asked.Train) -> asked.Trained:
        recipe = Recipe.from_hyper(request.hyper)
        base = self._load(request.base, recipe.dtype)
        batches = [
            self._examples(base, self._chosen(request.records, batch), recipe.max_tokens)
            for batch in request.batches
        ]
        start = self._opened(base, request.adapter)
        done = _model_part("lora.train").train_unit(base, recipe, start, batches, self._blobs.put)
        losses = tuple(round(loss * MICRO) for loss in done.losses)
        return asked.Trained(done.states, losses, done.tokens, self._blobs.put(done.adapter))

    def _gradient(self, request: asked.Gradient) -> asked.GradientDone:
        recipe = Recipe.from_hyper(request.hyper)
        base = self._load(request.base, recipe.dtype)
        start = self._opened(base, request.adapter)
        at = start.with_weights(self._vector(request.w, start.size))
        chosen = self._chosen(request.records, request.batch)
        batch = self._examples(base, chosen, recipe.max_tokens)
        if request.canonical:
            part = _model_part("lora.canonical")
            self._wide = self._wide or part.canonical(base)
            done = part.canonical_gradient(self._wide, at, batch, recipe.clip)
        else:
            done = _model_part("lora.gradient").gradient(base, at, batch, recipe.clip)
        return asked.GradientDone(self._blobs.put(raw(done.g)))

    def _judge(self, request: asked.Judge) -> asked.Judged:
        recipe, state = Recipe.from_hyper(request.hyper), request.state
        if not 0 <= request.step < recipe.steps:
            raise ComputeError("bad-input", f"step {request.step} of {recipe.steps}.")
        size = len(self._blobs.get(state.w)) // 4
        w, m, v, g = (self._vector(b, size) for b in (state.w, state.m, state.v, state.g))
        own = self._vector(request.own, size)
        after = optimizer.step(optimizer.State(w, m, v), g, request.step, recipe.lr_table)
        plain, seen = optimizer.distances(own, g, v, request.step)
        return asked.Judged(
            digest(after.w), digest(after.m), digest(after.v), _ppb(plain), _ppb(seen)
        )

    def _inspect(self, request: asked.InspectAdapter) -> asked.AdapterFacts:
        held, start = self._adapter(request.adapter), self._adapter(request.start)
        if (held.base, held.spec, held.entries) != (start.base, start.spec, start.entries):
            raise ComputeError(
                "wrong-base",
                f"the adapter is of base {held.base.hex()[:16]}, rank {held.spec.rank}; its start is "
                f"of base {start.base.hex()[:16]}, rank {start.spec.rank}. Both must be of one job.",
            )
        recipe = Recipe.from_hyper(request.hyper)
        largest = float(abs(start.w).max())
        moved = float(abs(held.w.astype("float64") - start.w.astype("float64")).max())
        bound = optimizer.largest_move(recipe.lr_table, largest=largest)
        zero = content_id(bytes(4 * start.size))
        return asked.AdapterFacts(digest(held.w), digest(start.w), zero, _ppb(moved), _ppb(bound))

    def _merge(self, request: asked.Merge) -> asked.Merged:
        recipe = Recipe.from_hyper(request.hyper)
        updates = {update.worker: self._adapter(update.adapter) for update in request.updates}
        momentum = None if request.momentum is None else self._blobs.get(request.momentum)
        start = self._adapter(request.start)
        done = merging.merge(start, updates, momentum, recipe.outer_lr, recipe.outer_momentum)
        return asked.Merged(self._blobs.put(done.adapter), self._blobs.put(done.momentum))

    def _losses(self, request: asked.Losses) -> asked.LossesDone:
        base = self._load(request.base)
        held = None if request.adapter is None else self._opened(base, request.adapter)
        examples = self._examples(base, self._records(request.records), request.max_tokens)
        found = _model_part("lora.engine").losses(base, held, examples)
        return asked.LossesDone(
            tuple(round(loss * MICRO) for loss, _ in found), tuple(tokens for _, tokens in found)
        )

    # -- attribution ---

    def _rows(self, request: asked.Rows) -> asked.RowsDone:
        base = self._load(request.base)
        held, records = (
            self._opened(base, request.adapter),
            self._chosen(request.records, request.indices),
        )
        store = _model_part("attribution.rows").store_rows
        return asked.RowsDone(store(base, held, records, request.max_tokens, self._blobs.put))

    def _score(self, request: asked.Score) -> asked.Scored:
        base = self._load(request.base)
        held, queries = self._opened(base, request.adapter), self._records(request.queries)
        rows = [self._blobs.get(row) for row in request.rows]
        done = _model_part("attribution.rows").score(base, held, rows, queries, request.max_tokens)
        put = self._blobs.put
        losses = tuple(round(loss * MICRO) for loss in done.losses)
        return asked.Scored(put(done.evidence), put(done.index), done.scores, losses)

    def _check_rows(self, request: asked.CheckRows) -> asked.RowsChecked:
        base = self._load(request.base)
        done = _model_part("attribution.rows").check(
            base,
            self._opened(base, request.adapter),
            self._records(request.records),
            request.indices,
            [self._blobs.get(row) for row in request.rows],
            self._records(request.queries),
            self._blobs.get(request.evidence),
            request.max_tokens,
        )
        return asked.RowsChecked(done.row_ppb, done.evidence_ppb, done.scores)

    # -- answers ---

    def _generate(self, request: asked.Generate) -> asked.Generated:
        base = self._load(request.base)
        held = None if request.adapter is None else self._opened(base, request.adapter)
        done = _model_part("lora.engine").generate(
            base,
            held,
            request.prompt,
            request.max_tokens,
            request.request,
            request.temperature_milli / 1_000,
        )
        return asked.Generated(done.text, done.prompt_tokens, len(done.tokens))

    def _score_answer(self, request: asked.ScoreAnswer) -> asked.AnswerScored:
        base = self._load(request.base)
        answer = RecordText(request.prompt, request.answer)
        scores = _model_part("attribution.rows").score_answer(
            base,
            self._opened(base, request.adapter),
            self._blobs.get(request.index),
            answer,
            request.max_tokens,
        )
        return asked.AnswerScored(scores)


def _ppb(value: float) -> int:
    """A ratio in parts per billion, rounded up; what is not finite is further than any tolerance."""
    return min(NEVER_PPB, -int(-value * PPB // 1)) if value < NEVER_PPB / PPB else NEVER_PPB


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m node.compute_child", description=__doc__)
    parser.add_argument("--blobs", type=Path, required=True, help="the node's blob folder")
    parser.add_argument("--cache", type=Path, required=True, help="where converted bases are kept")
    given = parser.parse_args()
    serve(Child(FileBlobs(given.blobs), given.cache).handle)


if __name__ == "__main__":
    main()
