"""Coalitions: what the bound is, that it binds, and what one hand gains by two names."""

from dataclasses import replace

import pytest

from simnet.actors import ACTORS, SLOW_S
from simnet.coalitions import Account, coalitions
from simnet.draw_plan import APART, CHEATS, HANDS, LUCKY, MORE, SEATS, calm, draw_plan, small
from simnet.oracle import chance
from simnet.plan import Dice, Plan, Shard
from simnet.play import play
from simnet.posters import POSTERS
from tasks import draw

OF_SPLITS = 1.7  # docs/threats.md: what unlinked names gained at most


def an_account() -> Account:
    """ann paid 100; bob did work for 30 and took it; cid did nothing; eve took 1 by rounding."""
    account = Account(b"pot", "ann", 100)
    account.took.update({"ann": 40, "bob": 30, "eve": 1})
    account.did.update({"bob": 30})
    account.shares.update({"ann": 1, "bob": 1, "eve": 1})
    return account


def test_who_did_the_work_or_paid_for_it_takes_nothing_beyond_its_due() -> None:
    account = an_account()
    for members in (("ann",), ("bob",), ("eve",), ("bob", "eve"), ("ann", "bob", "eve"), ()):
        assert account.excess(frozenset(members)) <= 0


@pytest.mark.parametrize("thief", ["bob", "cid", "eve"])
def test_two_units_more_than_its_due_are_seen_whoever_else_is_with_it(thief: str) -> None:
    account = an_account()
    account.took[thief] += 2
    account.did["bob"] -= account.shares[thief]  # the rounding's allowance is used up
    assert account.excess(frozenset(("bob", "cid", "eve"))) > 0
    assert account.excess(frozenset(("ann", thief))) <= 0  # ann may give away what she paid


def test_coalitions_are_the_wrongdoers_each_alone_and_sets_of_anybody() -> None:
    plan = draw_plan("small", 1, None, None)
    found = list(coalitions(plan, Dice("x").number))
    names = frozenset(player.name for player in plan.players)
    assert found[0] == names - plan.honest
    assert found[1 : len(names) + 1] == [frozenset((p.name,)) for p in plan.players]
    assert len(set(found)) > len(names) + 20
    assert found == list(coalitions(plan, Dice("x").number))


def test_every_actor_is_drawn() -> None:
    drawn: set[str] = set()
    for seed in range(150):
        drawn |= {player.actor for player in small(seed, 12, 0.3).players}
    assert drawn == {"", "slow", *CHEATS, *MORE, *LUCKY, *SEATS, *HANDS, *APART}
    assert set(ACTORS) | set(POSTERS) <= drawn


@pytest.mark.parametrize(
    ("steps", "samples", "faked", "odds"), [(4, 2, 1, 0.5), (8, 2, 8, 1.0), (64, 4, 1, 1 / 16)]
)
def test_the_chance_to_be_drawn_is_that_of_the_draw(
    steps: int, samples: int, faked: int, odds: float
) -> None:
    caught, every = chance(steps, samples, faked)
    assert caught == round(odds * every)
    tries = 4_000
    drawn = (
        draw.steps(b"b", bytes([i % 256]) * 31 + bytes([i // 256]), steps, samples)
        for i in range(tries)
    )
    met = sum(any(step < faked for step in each) for each in drawn)
    assert abs(met / tries - odds) < 0.03


def test_the_slow_are_honest_and_may_miss_their_deadline() -> None:
    plans = (small(seed, 12, 0.3) for seed in range(50))
    plan = next(p for p in plans if any(x.actor == "slow" for x in p.players))
    slow = next(player.name for player in plan.players if player.actor == "slow")
    assert slow in plan.honest
    assert plan.params["unit_seconds"] * 0.9 < SLOW_S


def hands(names: tuple[str, ...], owners: int) -> Plan:
    """A calm world in which one hand owns 20 of the records, under so many names."""
    plan = calm(1, 12, 0.2)
    rest = plan.shards[: owners - 1]
    size = 20 // len(names)
    own = tuple(Shard(n, "d00", "kjv", 9, 50, i * size, size) for i, n in enumerate(names))
    return replace(plan, shards=(*own, *rest), postings=plan.postings[:1])


@pytest.mark.slow
@pytest.mark.parametrize("owners", [3, 5])
def test_a_hand_with_two_unlinked_names_gains_at_most_what_the_threats_say(owners: int) -> None:
    one, two = (play(hands(names, owners)).earned for names in (("n08",), ("n08", "n09")))
    whole, split = one["n08"], two["n08"] + two["n09"]
    assert 0 < split <= OF_SPLITS * whole
