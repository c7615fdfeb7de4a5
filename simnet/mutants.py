"""Protections taken away one at a time, to show that a checker notices. Data: what is replaced by what,
who attacks, and which rule must be found broken; ``openledger simnet mutants`` plays them.

The same plan with the protection in place must pass: the attack alone breaks nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any

from datanet.precedence import PPM, Kept, Placed
from datanet.record import record_id
from node import reveals
from node.verify import _gradient as own_gradient
from protocol.messages import PotShares
from protocol.params import OPEN
from simnet.draw_plan import BOOKS, OWNERS, QUORUM, ROWS, TRIALS, calm
from simnet.plan import Fault, Plan, Player, Posting, Shard
from simnet.posters import Fisher, Thief
from tasks.lifecycle import TABLE, Fact, State

Old = Any
New = Any


@dataclass(frozen=True, slots=True)
class Mutant:
    """``patches``: (module:attribute or key, its replacement given the original)."""

    name: str
    protects: str  # what the protection is for
    rule: str  # the checker that must find it missing
    plan: Plan
    patches: tuple[tuple[str, Callable[[Old], New]], ...]


def _always(value: object) -> Callable[[Old], New]:
    return lambda old: lambda *args, **kwargs: value


# -- plans ---


def _plan(name: str, **changes: Any) -> Plan:
    """A calm world with one job and nobody asking."""
    plan = calm(1, 12, 0.25)
    builder = plan.postings[0].builder
    params = {key: value for key, value in plan.params.items() if key not in TRIALS}
    posting = Posting(40.0, builder, ("d00",), 300)
    base = replace(plan, scenario=f"mutant {name}", postings=(posting,), params=params)
    return replace(base, **changes)


def _workers(name: str, actor: str) -> Plan:
    """Half of the workers cheat."""
    plan = _plan(name)
    workers = [p.name for p in plan.players if "worker" in p.roles and "verifier" not in p.roles]
    cheats = frozenset(workers)
    players = tuple(replace(p, actor=actor if p.name in cheats else "") for p in plan.players)
    return replace(plan, players=players)


def _fishing() -> Plan:
    """Verifiers without a seat fish; seats have less stake than usual, so that others are drawn."""
    plan = _plan("commit before reveal")
    cheats = [p for p in plan.players if "verifier" in p.roles and "aggregator" not in p.roles]
    players = tuple(replace(p, actor="fisher" if p in cheats else "") for p in plan.players)
    params = {**plan.params, "aggregator_stake": 700 * OPEN}
    return replace(plan, players=players, params=params)


def _attacked(name: str, kind: str, who: Callable[[Player], bool], at: float, lasts: float) -> Plan:
    plan = _plan(name)
    names = tuple(p.name for p in plan.players if who(p))
    return replace(plan, faults=(Fault(kind, at, lasts, names),))


def _copied() -> Plan:
    """Four owners' records are handed in again by one who edits them a little."""
    plan = _plan("precedence")
    copies = tuple(
        Shard("n11", "d00", f"copycat:{s.source}", s.part, s.parts, s.skip, s.records, at=20.0)
        for s in plan.shards[:1]
    )
    players = tuple(replace(p, actor="copycat" if p.name == "n11" else "") for p in plan.players)
    posting = replace(plan.postings[0], at=60.0)
    return replace(plan, players=players, shards=plan.shards + copies, postings=(posting,))


def _noise() -> Plan:
    """One owner of six hands in noise."""
    plan = _plan("influence")
    noise = Shard("n11", "d00", "garbage:kjv", OWNERS + 1, BOOKS, 0, ROWS)
    players = tuple(replace(p, actor="garbage" if p.name == "n11" else "") for p in plan.players)
    return replace(plan, players=players, shards=(*plan.shards, noise))


def _thieves() -> Plan:
    """Two of three seats steal together; the second job gives the jury its time."""
    plan = _plan("challenge")
    players = tuple(replace(p, actor="thief" if p.name in QUORUM else "") for p in plan.players)
    later = replace(plan.postings[0], at=240.0, escrow=301)
    params = {**plan.params, **TRIALS}
    return replace(plan, players=players, postings=(*plan.postings, later), params=params)


def _silent_verifiers() -> Plan:
    """No verifier sees the chain while the units of cheating workers are judged."""
    plan = _workers("void rule", "hasty")
    names = tuple(p.name for p in plan.players if "verifier" in p.roles)
    brief = {**plan.params, "unit_seconds": 30, "judge_seconds": 40}
    fault = Fault("stall", 66.0, 150.0, names)
    posting = replace(plan.postings[0], at=60.0)
    return replace(plan, faults=(fault,), params=brief, postings=(posting,))


# -- replacements ---


def _no_precedence(old: Old) -> New:
    def place_all(placed: tuple[Placed, ...], most_words: int | None) -> tuple[Kept, ...]:
        return tuple(Kept(record_id(each.record), each.owner, PPM, ()) for each in placed)

    return place_all


def _paid_twice(old: Old) -> New:
    async def checks(*args: Any) -> list[int]:
        return 2 * await old(*args)  # type: ignore[no-any-return]

    return checks


def _never_silent(old: Old) -> New:
    return lambda step, code: old(step, "" if code == "no-reveal" else code)


def _unrecorded(old: Old) -> New:
    """A payment that the pool forgets."""

    def pay(book: Any, pool: bytes, index: int, *rest: Any) -> None:
        claimed, total = book._claimed[pool, index], book._pool(pool).claimed
        old(book, pool, index, *rest)
        book._claimed[pool, index] = claimed
        book._put(pool, claimed=total)

    return pay


def _unlimited(old: Old) -> New:
    """A commit whose signers' stake limits nothing."""

    def accept(
        pool: Any, epoch: Any, draws: Any, signers: Any, set_: int, _: int, *rest: Any
    ) -> None:
        old(pool, epoch, draws, signers, set_, 2**128, *rest)

    return accept


async def _all_due(ctx: Any, due: dict[bytes, Any], left: int) -> tuple[Any, ...]:
    return tuple(due[subject] for subject in sorted(due))


def _all_alike(old: Old) -> New:
    """Every record moves every query by the same."""

    def influence(rows: Any, queries: Any, scores: Any, parties: Any) -> tuple[int, ...]:
        return (1,) * len(rows)

    return influence


def _blind(old: Old) -> New:
    """Nobody finds anything in an epoch."""

    async def review(ctx: Any, entry: Any) -> Any:
        return replace(await old(ctx, entry), fault="")

    return review


async def _fished(
    ctx: Any, job: Any, number: int, entry: Any, state: Any, step: int, **kw: Any
) -> bytes:
    """A fisher commits to nothing, looks at the worker's gradient and calls it its own."""
    if not isinstance(ctx.seams.chain, Fisher):
        return await own_gradient(ctx, job, number, entry, state, step, **kw)
    seen = await reveals.ask(ctx, entry, step, bytes([1]) * 32)
    await reveals.fetch(ctx, entry, seen.g)
    return seen.g


def _stolen(old: Old) -> New:
    """Thieves give the first epoch's contributors' shares to the last seat, and sign what the other proposes."""

    async def due_pots(ctx: Any) -> dict[bytes, PotShares]:
        due: dict[bytes, PotShares] = await old(ctx)
        if not isinstance(ctx.seams.chain, Thief) or ctx.board.commits:
            return due
        thief = ctx.board.index_of(ctx.board.seats[-1])
        return {subject: _grabbed(pot, thief) for subject, pot in due.items()}

    return due_pots


def _grabbed(pot: PotShares, thief: int) -> PotShares:
    shares = [replace(s, owner=thief) if s.role == "contributor" else s for s in pot.shares]
    return replace(pot, shares=tuple(shares))


def _once(old: Old) -> New:
    """Thieves do not commit again what a jury has voided, though their signatures would do."""

    async def submit(ctx: Any, *args: Any) -> None:
        if not isinstance(ctx.seams.chain, Thief) or not ctx.board.voids:
            await old(ctx, *args)

    return submit


def _loyal(old: Old) -> New:
    """Thieves do not tell on each other."""

    async def review(ctx: Any, entry: Any) -> Any:
        found = await old(ctx, entry)
        return replace(found, fault="") if isinstance(ctx.seams.chain, Thief) else found

    return review


ATTACKS: dict[str, tuple[tuple[str, Callable[[Old], New]], ...]] = {
    "fisher": (("node.verify:_gradient", lambda old: _fished),),
    "thief": (
        ("node.epoch:due_pots", _stolen),
        ("node.epoch:_submit", _once),
        ("node.guard:review", _loyal),
    ),
}
"""What actors do that is neither work nor a post, by actor; in place with and without a protection."""

MUTANTS = (
    Mutant(
        "sampling",
        "the challenge is not known before the commitment",
        "no-gain",
        _workers("sampling", "lazy"),
        (("tasks.draw:steps", _always((0,))),),
    ),
    Mutant(
        "check-a",
        "a step follows from the state before it",
        "no-gain",
        _workers("check A", "bent"),
        (("node.verify:check_a", _always(True)),),
    ),
    Mutant(
        "check-b",
        "a gradient is that of the drawn records",
        "no-gain",
        _workers("check B", "hasty"),
        (("node.verify:check_b", _always(True)),),
    ),
    Mutant(
        "check-c",
        "the adapter is the last state",
        "no-gain",
        _workers("check C", "flipped"),
        (("node.verify:check_c", _always(True)),),
    ),
    Mutant(
        "check-d",
        "training starts where the task says",
        "no-gain",
        _workers("check D", "stranger"),
        (("node.verify:check_d", _always(True)),),
    ),
    Mutant(
        "commit-before-reveal",
        "a verifier computes before it sees",
        "evidence",
        _fishing(),
        (("node.train:_bind", lambda old: _nothing),),
    ),
    Mutant(
        "reservation",
        "coins reserved for work do not go back to the funder",
        "reserved-stays",
        _attacked("reservation", "grab", lambda p: bool(p.open_tokens), 68.0, 150.0),
        (("settlement.models.pots:PotBook._check_reclaim", _always(None)),),
    ),
    Mutant(
        "payout-cap",
        "nobody is paid twice",
        "exact",
        _attacked("payout cap", "replay", lambda p: p.name == "n00", 45.0, 250.0),
        (("settlement.models.pool:AttributionPool._pay", _unrecorded),),
    ),
    Mutant(
        "one-pay-a-check",
        "a verdict is paid once",
        "coalitions",
        _plan("one pay a check"),
        (("node.pots:_good_checks", _paid_twice),),
    ),
    Mutant(
        "precedence",
        "a copy yields to its original",
        "copies",
        _copied(),
        (("datanet.precedence:place_all", _no_precedence),),
    ),
    Mutant(
        "influence",
        "what moves nothing earns nothing",
        "garbage",
        _noise(),
        (("node.pots:job_influence", _all_alike),),
    ),
    Mutant(
        "stake-limit",
        "signers cannot move more than they can lose",
        "stake-limit",
        _plan("stake limit", params={**_plan("").params, "aggregator_stake": 100 * OPEN}),
        (
            ("settlement.models.pool:AttributionPool._accept", _unlimited),
            ("node.epoch:affordable", lambda old: _all_due),
        ),
    ),
    Mutant(
        "challenge",
        "an epoch pays what its scores say",
        "coalitions",
        _thieves(),
        (("node.guard:review", _blind),),
    ),
    Mutant(
        "availability",
        "silence is a finding",
        "no-gain",
        _workers("availability", "hidden"),
        (("node.verify:finding", _never_silent),),
    ),
    Mutant(
        "void-rule",
        "what nobody checked is not paid",
        "no-gain",
        _silent_verifiers(),
        (("tasks.lifecycle:TABLE[JUDGING][TIME_UP_NONE_OK]", lambda old: State.ACCEPTED),),
    ),
)


async def _nothing(*args: Any) -> None:
    return None


@contextmanager
def removed(plan: Plan) -> Iterator[None]:
    """Within, a plan's actors attack, and the protection that it names is missing."""
    actors = sorted({player.actor for player in plan.players})
    patches = [patch for actor in actors for patch in ATTACKS.get(actor, ())]
    if plan.mutant:
        patches += next(mutant.patches for mutant in MUTANTS if mutant.name == plan.mutant)
    undo = [_patch(place, change) for place, change in patches]
    try:
        yield
    finally:
        for back in reversed(undo):
            back()


def _patch(place: str, change: Callable[[Old], New]) -> Callable[[], None]:
    """Replace an attribute of a module or of a class in it; returns how to put it back."""
    module, _, path = place.partition(":")
    if path.startswith("TABLE["):
        row = TABLE[State.JUDGING]
        before = row[Fact.TIME_UP_NONE_OK]
        row[Fact.TIME_UP_NONE_OK] = change(before)
        return partial(row.__setitem__, Fact.TIME_UP_NONE_OK, before)
    holder: Any = import_module(module)
    *outer, last = path.split(".")
    for part in outer:
        holder = getattr(holder, part)
    old = getattr(holder, last)
    setattr(holder, last, change(old))
    return partial(setattr, holder, last, old)
