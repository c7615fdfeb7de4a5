"""What a person asks of its node: post a job, get an answer. Data actions are in ``data.py``.

A recipe is the whole truth of a run: TOML with ``name``, ``base``, ``datanets``, ``escrow`` (OPEN),
``include_private`` and a ``[train]`` table whose missing keys take the network's and the recipe's defaults.
"""

import tomllib
from decimal import Decimal, InvalidOperation
from typing import Any

from lora.recipe import Recipe
from node import data, jobs
from node.context import Context
from protocol.compute import AdapterMade, NewAdapter
from protocol.errors import OperatorError
from protocol.ids import short
from protocol.messages import JobSpec
from protocol.params import OPEN

RULE_VERSION = 1
KEYS = {"name", "base", "datanets", "escrow", "include_private", "train"}


def _bad(what: str) -> OperatorError:
    return OperatorError("bad-recipe", what, f"A recipe has the keys {', '.join(sorted(KEYS))}.")


def read_recipe(ctx: Context, text: str) -> tuple[dict[str, Any], Recipe]:
    """The checked table of a recipe and its hyperparameters. Raises OperatorError naming the entry."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _bad(f"The recipe is not TOML: {error}.") from error
    unknown = sorted(set(table) - KEYS)
    if unknown:
        raise _bad(f"Unknown key {unknown[0]!r}.")
    for key, kind in (("name", str), ("base", str), ("datanets", list), ("escrow", str)):
        if type(table.get(key)) is not kind:
            raise _bad(f"{key!r} must be given, as {kind.__name__}.")
    p = ctx.params
    own = {"steps": p.steps, "batch": p.batch, "max_tokens": p.max_tokens}
    recipe = Recipe.from_table({**own, **table.get("train", {})})
    for key, value in own.items():
        if getattr(recipe, key) != value:
            raise _bad(f"{key} is {value} on this network, not {getattr(recipe, key)}.")
    return table, recipe


def amount(text: str) -> int:
    """An amount in OPEN as smallest units. Raises OperatorError."""
    try:
        value = Decimal(text) * OPEN
    except InvalidOperation as error:
        raise _bad(f"{text!r} is not an amount of OPEN.") from error
    if value <= 0 or value != int(value):
        raise _bad(f"{text!r} OPEN is not a positive amount with at most 18 decimals.")
    return int(value)


async def submit_job(ctx: Context, text: str) -> tuple[bytes, str]:
    """Make the start adapter, announce the spec, fund the pot. Returns (job id, transaction hash)."""
    table, recipe = read_recipe(ctx, text)
    datanets = tuple(data.by_name(ctx, name) for name in table["datanets"])
    shards = [s for s in ctx.board.shards.values() if s.datanet in datanets and s.reveal]
    if not shards:
        raise OperatorError(
            "empty-datanet", "No shard of these Datanets is revealed yet.", "Add one, or wait."
        )
    escrow = amount(table["escrow"])
    made = await ctx.seams.compute.run(NewAdapter(table["base"], recipe.to_hyper()))
    assert isinstance(made, AdapterMade)
    spec = JobSpec(
        name=table["name"],
        base=table["base"],
        base_digest=made.base_digest,
        start=made.adapter,
        datanets=datanets,
        include_private=bool(table.get("include_private", False)),
        rounds=ctx.params.rounds,
        workers=ctx.params.workers,
        escrow=escrow,
        unit_pay=ctx.params.unit_pay,
        rule_version=RULE_VERSION,
        hyper=recipe.to_hyper(),
        builder=ctx.operator,
    )
    await ctx.share(made.adapter)
    await ctx.announce(spec)
    pool = ctx.seams.chain.address("AttributionPool")
    await ctx.write("OpenToken", "approve", pool, escrow)
    receipt = await ctx.write(
        "AttributionPool",
        "fund",
        spec.digest,
        escrow,
        spec.unit_pay,
        ctx.params.unit_seconds,
        spec.digest,
    )
    await ctx.reached(receipt.block)
    ctx.note("job", f"posted job {short(spec.job)} with {escrow / OPEN:g} OPEN")
    return spec.job, "0x" + receipt.tx.hex()


async def register_models(ctx: Context) -> None:
    """A builder registers the adapter of its finished job, so that fees find its owner."""
    for job in jobs.jobs(ctx):
        last = jobs.finished(ctx, job, job.last_round)
        if job.spec.builder != ctx.operator or last is None or last.value in ctx.board.models:
            continue
        lineage = [job.spec.base_digest, job.spec.start]
        receipt = await ctx.write("AssetRegistry", "registerModel", last.value, lineage, 0)
        await ctx.reached(receipt.block)
        ctx.note("job", f"registered adapter {short(last.value)} of job {short(job.id)}")
