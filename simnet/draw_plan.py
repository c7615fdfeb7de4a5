"""Plans drawn from a seed: who is there, who cheats, what goes wrong. One seed, one plan, on any machine.

``busy`` is the hour that the speed figure is about; ``small`` worlds have any cheats and faults, ``mixed`` ones
differ in size as a swarm of seeds needs it; ``calm`` has neither cheats nor faults.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from protocol.errors import OperatorError
from simnet.plan import Dice, Fault, Plan, Player, Posting, Shard

HOUR = 3_600.0
BOOKS = 50  # of the King James text, each an owner's
ROWS = 20  # of a shard
UNITS = 4  # further open units of a busy worker: a unit's stake is locked until its job is settled
OWNERS = 5  # of a Datanet
CHEATS = ("lazy", "hasty", "junk", "withhold", "stuck", "scrap", "swapped", "equivocator")
MORE = ("flipped", "stranger", "hidden")  # caught whichever steps are drawn, as all CHEATS are
LUCKY = ("bent",)  # caught when the step that it faked is drawn
SEATS = ("", "mute", "false-merge", "thief")  # of one aggregator; a quorum does without it
QUORUM = ("n01", "n02")  # two of three seats; where the last one is a thief, both are
HANDS = ("", "copycat", "sybil")
APART = ("garbage", "fisher")  # beside all these: noise as records, a verifier that looks first
APART_IN = 3  # each in one world of so many
# Nodes look every 8 s at the latest; a reorganisation of ``simnet/faults.py`` takes at most 21 blocks.
TRIALS = {"window_seconds": 30, "jury_seconds": 60, "settle_blocks": 22}
LARGE_EVERY = 48  # seeds
BRIEF = {
    "steps": 4,
    "batch": 2,
    "max_tokens": 32,
    "row_samples": 4,
    "unit_seconds": 120,
    "judge_seconds": 150,
    "attribute_seconds": 120,
}


def busy(seed: int, nodes: int, hours: float) -> Plan:
    """A job every few minutes, a fifth of the nodes cheating, a tenth ending and starting again."""
    dice = Dice(f"busy/{seed}/{nodes}")
    names = tuple(f"n{i:02d}" for i in range(nodes))
    jobs = max(1, round(20 * hours))
    drawn = _players(dice, names, cheats=nodes // 5)
    players = tuple(replace(p, units=UNITS if "worker" in p.roles else 0) for p in drawn)
    builders = [p.name for p in players if p.open_tokens]
    postings = tuple(
        Posting(60.0 + 130.0 * k, builders[k % len(builders)], (f"d{k:02d}",), 800, 10)
        for k in range(jobs)
    )
    return Plan(
        scenario="busy",
        seed=seed,
        until=HOUR * hours,
        players=players,
        shards=_shards(names, jobs),
        postings=postings,
        faults=_churn(dice, players, nodes // 10, HOUR * hours),
        params={**BRIEF, "workers": max(3, min(14, nodes // 3))},
        pace={"chain": 12.0, "tick": 24.0, "rest": 4.0, "sync": 60.0, "keep": 60.0, "learn": 15.0},
        wires={"mesh": 3, "grain": 0.005},
    )


def _players(dice: Dice, names: tuple[str, ...], cheats: int) -> tuple[Player, ...]:
    """Five seats and two hosts and four builders first; the rest work and verify."""
    count = len(names)
    seats, hosts, builders = min(5, max(3, count // 4)), 2 if count > 12 else 1, min(4, count // 3)
    workers = names[seats + hosts :]
    crooks = dict(zip(dice.order("cheats", workers)[:cheats], _in_turn(CHEATS), strict=False))
    found = []
    for i, name in enumerate(names):
        roles = ["contributor"]
        roles += ["aggregator"] if i < seats else []
        roles += ["host"] if seats <= i < seats + hosts else []
        roles += ["verifier"] if name not in crooks and (i < seats or i % 5 in (0, 1, 2)) else []
        roles += ["worker"] if name in crooks or (i >= seats + hosts and i % 4 != 3) else []
        tokens = 20_000 if i < builders else 0
        found.append(Player(name, tuple(roles), crooks.get(name, ""), tokens))
    return tuple(found)


def _in_turn(things: tuple[str, ...]) -> tuple[str, ...]:
    return things * 10


def _shards(names: tuple[str, ...], datanets: int) -> tuple[Shard, ...]:
    """Each Datanet has a few owners, each owner a part of its own."""
    found = []
    for d in range(datanets):
        for j in range(min(OWNERS, len(names))):
            at = OWNERS * d + j
            part, half = at % BOOKS, at // BOOKS % 2
            owner = names[at % len(names)]
            found.append(Shard(owner, f"d{d:02d}", "kjv", part, BOOKS, half * ROWS, ROWS))
    return tuple(found)


def _churn(dice: Dice, players: tuple[Player, ...], count: int, until: float) -> tuple[Fault, ...]:
    """Nodes that end and start again, builders excepted: somebody must still ask."""
    able = tuple(p.name for p in players if not p.open_tokens)
    found = []
    for i, name in enumerate(dice.order("churn", able)[:count]):
        at = 100.0 + (until / 2) * dice.share(f"churn/at/{i}")
        kind = ("crash", "lost-write", "torn-write")[i % 3]
        found.append(Fault(kind, at, 30.0 + 120.0 * dice.share(f"churn/for/{i}"), (name,)))
    return tuple(sorted(found, key=lambda fault: fault.at))


KINDS = (
    "crash",
    "lost-write",
    "torn-write",
    "partition",
    "one-way",
    "nat",
    "loss",
    "late",
    "twice",
    "skew",
    "reorganise",
    "stall",
    "lie",
)


def small(seed: int, nodes: int, hours: float) -> Plan:
    """A world for a swarm: two jobs, one to three cheats, one to four faults of any kind; at times a bad
    seat, a copycat, one hand with two names, noise, a fishing verifier, a worker that is merely slow.
    """
    dice = Dice(f"small/{seed}/{nodes}")
    names = tuple(f"n{i:02d}" for i in range(nodes))
    cheats = 1 + dice.number("how many cheat", 3)
    drawn = _players(dice, names, cheats)
    actors = dice.order("actors", CHEATS + MORE + LUCKY)
    crooks = [p.name for p in drawn if p.actor]
    actor = dict(zip(crooks, actors, strict=False))
    hand, aside = _aside(dice, drawn)
    hand, aside = _apart(dice, drawn, hand, aside)
    actor |= {p.name: aside[p.name] for p in drawn if aside.get(p.name)}
    players = tuple(replace(p, actor=actor.get(p.name, "")) for p in drawn)
    count = 1 + dice.number("how many faults", 4)
    faults = tuple(
        _fault(dice, players, kind, i) for i, kind in enumerate(dice.order("faults", KINDS)[:count])
    )
    builder = next(p.name for p in players if p.open_tokens)
    calm_again = max(fault.at + fault.lasts for fault in faults) + 20.0
    return Plan(
        scenario="small",
        seed=seed,
        until=HOUR * hours,
        players=players,
        shards=_shards(names, 1) + hand,
        postings=(
            Posting(40.0, builder, ("d00",), 300, 2),
            Posting(calm_again, builder, ("d00",), 301, 1),  # life returns after the last fault
        ),
        faults=faults,
        params={**BRIEF, **TRIALS, "rounds": 1, "workers": 4},
        pace={"chain": 4.0, "tick": 8.0, "rest": 0.5, "sync": 10.0, "keep": 30.0},
        wires={"mesh": 4},
    )


def _aside(dice: Dice, players: tuple[Player, ...]) -> tuple[tuple[Shard, ...], dict[str, str]]:
    """Shards of a copycat or of one hand's two names, and who misbehaves without being a bad worker.

    They own nothing else, so that what they earn is by these.
    """
    seats = [p.name for p in players if "aggregator" in p.roles]
    free = tuple(p.name for p in players[OWNERS:] if p.name not in seats and not p.actor)
    one, two, *rest = (*dice.order("aside", free), "", "")
    lame = next((p.name for p in players if p.name in rest and "worker" in p.roles), "")
    actor = {seats[-1]: SEATS[dice.number("seat", len(SEATS))]}
    if "thief" in actor.values():
        actor = dict.fromkeys(QUORUM, "thief")
    if lame and dice.number("slow", 2):
        actor[lame] = "slow"
    hand = HANDS[dice.number("hand", len(HANDS))]
    if hand == "copycat" and one:  # some time after what it copies, before the first job
        actor[one] = hand
        return (Shard(one, "d00", "copycat:kjv", 0, BOOKS, 0, ROWS, at=20.0),), actor
    if hand == "sybil" and two:
        half = ROWS // 2
        actor |= dict.fromkeys((one, two), hand)
        hands = ((one, 0), (two, half))
        return tuple(Shard(n, "d00", "kjv", OWNERS, BOOKS, at, half) for n, at in hands), actor
    return (), actor


def _apart(
    dice: Dice, players: tuple[Player, ...], hand: tuple[Shard, ...], actor: dict[str, str]
) -> tuple[tuple[Shard, ...], dict[str, str]]:
    """With an owner of noise and a fishing verifier among those who do nothing else aside."""
    left = [p for p in players[OWNERS:] if not p.actor and not actor.get(p.name)]
    noisy, fishing = (not dice.number(name, APART_IN) for name in APART)
    shards, actors = hand, dict(actor)
    if noisy and left:
        name = left.pop().name
        actors[name] = "garbage"
        shards += (Shard(name, "d00", "garbage:kjv", OWNERS + 1, BOOKS, 0, ROWS),)
    able = [p.name for p in left if "verifier" in p.roles]
    if fishing and able:
        actors[able[0]] = "fisher"
    return shards, actors


def _fault(dice: Dice, players: tuple[Player, ...], kind: str, number: int) -> Fault:
    able = tuple(p.name for p in players if not p.open_tokens)
    several = 1 + dice.number(f"{number}/several", max(1, len(able) // 4))
    who = dice.order(f"{number}/who", able)[:several]
    at, lasts = 10.0 + 130.0 * dice.share(f"{number}/at"), 10.0 + 60 * dice.share(f"{number}/for")
    return Fault(
        kind, math.floor(at), math.floor(lasts), who, 0.05 + 0.2 * dice.share(f"{number}/much")
    )


def calm(seed: int, nodes: int, hours: float) -> Plan:
    """``small`` without cheats and faults."""
    plan = small(seed, nodes, hours)
    players = tuple(replace(p, actor="") for p in plan.players)
    shards = _shards(tuple(p.name for p in players), 1)
    return replace(plan, scenario="calm", players=players, shards=shards, faults=())


def mixed(seed: int, nodes: int, hours: float) -> Plan:
    """``small`` worlds for a swarm: most as small as can be, every fourth a third larger, few large."""
    size = 8 * nodes // 3 if seed % LARGE_EVERY == 0 else nodes + nodes // 3 * (seed % 4 == 0)
    return small(seed, size, hours)


Drawn = Callable[[int, int, float], Plan]
SCENARIOS: dict[str, tuple[Drawn, int, float]] = {  # with the usual nodes and hours
    "busy": (busy, 50, 1.0),
    "small": (small, 12, 0.3),
    "calm": (calm, 12, 0.2),
    "mixed": (mixed, 9, 0.3),
}


def draw_plan(scenario: str, seed: int, nodes: int | None, hours: float | None) -> Plan:
    """Raises OperatorError ``unknown-scenario``, ``too-few-nodes``."""
    if scenario not in SCENARIOS:
        known = ", ".join(SCENARIOS)
        raise OperatorError(
            "unknown-scenario", f"No scenario {scenario!r} is drawn.", f"Known: {known}."
        )
    draw, usual, lasts = SCENARIOS[scenario]
    count = usual if nodes is None else nodes
    if count < 9:
        raise OperatorError("too-few-nodes", f"{count} nodes.", "A drawn world has at least 9.")
    return partial(draw, seed, count, lasts if hours is None else hours)()
