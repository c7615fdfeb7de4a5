"""What a person asks of its node: post a job, get an answer. Data actions are in ``data.py``.

A recipe is the whole truth of a run: TOML with ``name``, ``base``, ``datanets``, ``escrow`` (OPEN),
``include_private`` and a ``[train]`` table whose missing keys take the network's and the recipe's defaults.
"""

import tomllib
from decimal import Context as Precision
from decimal import Decimal, InvalidOperation
from typing import Any

from eth_utils.address import is_checksum_address

from lora.recipe import Recipe
from node import committed, data, jobs
from node.context import Context
from node.facade import Json
from node.terms import spec_fault
from protocol.compute import AdapterMade, NewAdapter
from protocol.errors import OperatorError
from protocol.ids import model_id, short
from protocol.messages import JobSpec
from protocol.params import OPEN, in_open

KINDS: dict[str, type] = {"name": str, "base": str, "datanets": list, "escrow": str}
OPTIONAL: dict[str, type] = {"include_private": bool, "train": dict}
KEYS = {*KINDS, *OPTIONAL}
MAX_DATANETS, MAX_TEXT = 16, {"name": 128, "base": 512}  # of a JobSpec
MAX_OPEN = 10**30  # far above any supply, far below uint256
FUNDING_S = 60  # from a spec to its pot on chain
EXACT = Precision(prec=100)  # digits; uint256 has 78


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
    _check_kinds(table)
    p = ctx.params
    own = {"steps": p.steps, "batch": p.batch, "max_tokens": p.max_tokens}
    recipe = Recipe.from_table({**own, **table.get("train", {})})
    for key, value in own.items():
        if getattr(recipe, key) != value:
            raise _bad(f"{key} is {value} on this network, not {getattr(recipe, key)}.")
    return table, recipe


def _check_kinds(table: dict[str, Any]) -> None:
    for key, kind in KINDS.items():
        if type(table.get(key)) is not kind:
            raise _bad(f"{key!r} must be given, as {kind.__name__}.")
    for key, kind in OPTIONAL.items():
        if type(table.get(key, kind())) is not kind:
            raise _bad(f"{key!r} must be {'a table' if kind is dict else 'true or false'}.")
    for key, most in MAX_TEXT.items():
        if not 0 < len(table[key]) <= most:
            raise _bad(f"{key!r} must have 1 to {most} characters.")
    datanets = table["datanets"]
    if not all(isinstance(name, str) for name in datanets):
        raise _bad("'datanets' must be a list of names.")
    if not 0 < len(set(datanets)) == len(datanets) <= MAX_DATANETS:
        raise _bad(f"'datanets' must name 1 to {MAX_DATANETS} Datanets, each once.")


def amount(text: str) -> int:
    """An amount in OPEN as smallest units. Raises OperatorError."""
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise _bad(f"{text!r} is not an amount of OPEN.") from error
    if not value.is_finite() or not 0 < value < MAX_OPEN:
        raise _bad(f"{text!r} is not a positive amount of OPEN below {MAX_OPEN:.0e}.")
    units = EXACT.multiply(value, OPEN)
    if units != units.to_integral_value():
        raise _bad(f"{text!r} OPEN has more than 18 decimals.")
    return int(units)


async def submit_job(ctx: Context, text: str) -> tuple[bytes, str]:
    """Make the start adapter, announce the spec, fund the pot. Returns (job id, transaction hash)."""
    ctx.check_current("AttributionPool")
    table, recipe = read_recipe(ctx, text)
    datanets = tuple(data.by_name(ctx, name) for name in table["datanets"])
    shards = [s for s in ctx.board.shards.values() if s.datanet in datanets and data.held(ctx, s)]
    if not shards:
        raise OperatorError(
            "empty-datanet",
            "No shard of these Datanets is revealed and held by the aggregators yet.",
            "Add one, or wait.",
        )
    escrow = amount(table["escrow"])
    version, p = _settled_version(ctx), ctx.params_now
    made = await ctx.seams.compute.run(NewAdapter(table["base"], recipe.to_hyper()))
    assert isinstance(made, AdapterMade)
    spec = JobSpec(
        name=table["name"],
        base=table["base"],
        base_digest=made.base_digest,
        start=made.adapter,
        datanets=datanets,
        include_private=bool(table.get("include_private", False)),
        rounds=p.rounds,
        workers=p.workers,
        escrow=escrow,
        unit_pay=p.unit_pay,
        rule_version=version,
        hyper=recipe.to_hyper(),
        builder=ctx.operator,
    )
    fault = spec_fault(spec, p, version)
    if fault:
        raise _bad(f"This network refuses the job: {fault}.")
    await ctx.share(made.adapter, ctx.put(spec))  # the spec's blob id is its digest
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
    ctx.note("job", f"posted job {short(spec.job)} with {in_open(escrow)}")
    return spec.job, "0x" + receipt.tx.hex()


def _settled_version(ctx: Context) -> int:
    """The version in force now and when the pot will be funded. Raises OperatorError between two."""
    if ctx.board.version_at(ctx.head.time + FUNDING_S) != ctx.version:
        raise OperatorError(
            "rules-change",
            f"New rules come into force within {FUNDING_S} s; a job is bound to those at its funding.",
            "Post the job again in a moment.",
        )
    return ctx.version


async def register_models(ctx: Context) -> None:
    """A builder registers the adapter of its finished job, so that fees find its owner."""
    for job in jobs.jobs(ctx):
        model = jobs.model_of(ctx, job) if job.spec.builder == ctx.operator else None
        if model is not None and model not in ctx.board.models:
            await ctx.attempt("models", _register, job)


async def _register(ctx: Context, job: jobs.Job) -> None:
    last = jobs.finished(ctx, job, job.last_round)
    assert last is not None, "a job with a model is finished"
    lineage = [model_id(ctx.operator, job.spec.start)]  # we made it; a base's owner no spec names
    receipt = await ctx.write("AssetRegistry", "registerModel", last.value, lineage, 0)
    await ctx.reached(receipt.block)
    ctx.note("job", f"registered adapter {short(last.value)} of job {short(job.id)}")


async def reclaim_pots(ctx: Context) -> None:
    """A builder takes back what a drawn pot of its own still holds, once the draw is active."""
    for pot in list(ctx.board.pots.values()):
        mine = pot.funder == ctx.operator and bool(pot.unit_pay)
        if mine and 0 < pot.drawn <= committed.active_epochs(ctx):
            await ctx.attempt("reclaim", _reclaim, pot.pot)


async def _reclaim(ctx: Context, pot: bytes) -> None:
    key = f"reclaimed/{pot.hex()}"
    if await ctx.done(key) is not None:
        return
    _, escrow, *_ = await ctx.seams.chain.read("AttributionPool", "potOf", pot)
    if escrow:
        await ctx.write("AttributionPool", "reclaim", pot)
        ctx.note("reclaim", f"took back {in_open(escrow)} of pot {short(pot)}")
    await ctx.did(key)


async def set_payout(ctx: Context, address: str) -> Json:
    """Name another payout address; it comes into force after the registry's delay.

    Raises OperatorError ``bad-payout``.
    """
    if not is_checksum_address(address):
        raise OperatorError(
            "bad-payout",
            f"{address!r} is not an address with a valid checksum (EIP-55).",
            "Copy it again from your wallet.",
        )
    index = ctx.board.index_of(ctx.operator)
    receipt = await ctx.write("AssetRegistry", "setPayout", index, address)
    await ctx.reached(receipt.block)
    ctx.private.pop("announced", None)  # the node record names it
    waiting = ctx.board.pending_payout(ctx.operator)
    since = ctx.head.time if waiting is None else waiting.since
    ctx.note("payout", f"payout address {address} from {since} on")
    return {"payout": address, "since": since, "tx": "0x" + receipt.tx.hex()}
