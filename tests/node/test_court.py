"""Juries in a running network: a colluding committee is overturned, a guilty worker that appeals loses more."""

import pytest

from node import court
from protocol.params import SIMNET
from tasks.court import Accusation
from tests.node import bare
from tests.simnet.story import Told, told
from tests.simnet.trials import COLLUSION, STUBBORN


@pytest.fixture(scope="module")
def collusion() -> Told:
    return told(COLLUSION)


@pytest.fixture(scope="module")
def stubborn() -> Told:
    return told(STUBBORN)


def lost(story: Told, name: str) -> int:
    before, after = story.stake[name]
    return before - after


def test_an_honest_worker_appeals_alone_and_keeps_its_stake(collusion: Told) -> None:
    dan = collusion.nodes["dan"].operator
    (case,) = [c for c in collusion.board.court.cases.values() if c.accused == (dan,)]
    assert (case.appellant, case.slashed) == (dan, False)
    assert lost(collusion, "dan") == 0
    assert collusion.locked["dan"] == 0


def test_the_seats_that_signed_pay_for_it(collusion: Told) -> None:
    assert [lost(collusion, name) for name in ("ann", "bob")] == [SIMNET.accuser_stake] * 2


def test_jurors_have_no_part_in_the_case_and_vote_what_they_find(collusion: Told) -> None:
    parties = {collusion.nodes[name].operator for name in ("ann", "bob", "dan")}
    panels = [p for p in collusion.board.court.panels.values() if p.drawn]
    assert panels
    for panel in panels:
        assert panel.jurors
        assert not parties & set(panel.jurors)
        assert set(panel.votes) == set(panel.jurors)


def test_an_order_says_until_when_it_may_be_appealed(collusion: Told) -> None:
    assert str(collusion.seen).startswith("slash of 50 OPEN ordered, appealable until 18000")


def test_a_guilty_worker_that_appeals_loses_its_bond_too(stubborn: Told) -> None:
    eve = stubborn.nodes["eve"].operator
    (case,) = [c for c in stubborn.board.court.cases.values() if c.accused == (eve,)]
    assert case.appellant == eve
    assert case.slashed
    assert lost(stubborn, "eve") == SIMNET.slash + SIMNET.min_stake
    assert stubborn.earned("eve", "worker") == 0


def test_an_appeal_is_shown_to_who_made_it(stubborn: Told) -> None:
    assert isinstance(stubborn.seen, tuple)
    ordered, appealed = stubborn.seen
    assert ordered.startswith("slash of 50 OPEN ordered, appealable until")
    assert appealed == "slash of 50 OPEN ordered, appealed, before a jury"


@pytest.mark.parametrize("name", ["ann", "bob", "cyd", "dan"])
def test_nobody_honest_is_slashed(stubborn: Told, name: str) -> None:
    assert lost(stubborn, name) == 0


async def test_an_old_accusation_s_stake_is_freed_once() -> None:
    ctx = bare.node("ann", ("ann", "bob"))
    unit = b"u" * 32
    ctx.board.court.accusations += [
        Accusation(unit, bare.operator("ann"), bytes(32), 500),
        Accusation(unit, bare.operator("bob"), bytes(32), 500),
    ]
    chain = ctx.seams.chain
    assert isinstance(chain, bare.Blocks)
    for block in (499, 500, 501):
        bare.at(ctx, block)
        await court.follow_cases(ctx)
    assert chain.written == [("Arbiter", "release")]
