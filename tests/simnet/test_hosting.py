"""Hosting in a whole network: a real adapter, probes re-run by drawn verifiers, coins on the chain."""

from dataclasses import replace

import pytest

from node import hosting, tabs
from node.attribute import attributed, finished_jobs
from node.tabs import OwnerTab
from protocol.params import OPEN, SIMNET
from simnet.world import World
from tests.simnet import rogues
from tests.simnet.story import DEMO, FIVE, Cast, told

EVERY, PERIODS = 600, 3


async def hosted(world: World) -> tuple[OwnerTab, int, bool]:
    """What ann's node keeps of three periods with bob as her host, what he claimed for them, and whether
    he held what an answer needs before anybody asked.
    """
    ann, bob = world.nodes["ann"], world.nodes["bob"]
    (item,) = await finished_jobs(bob)
    found = await attributed(bob, item)
    assert found is not None
    stocked = bob.seams.blobs.has(item.adapter) and bob.seams.blobs.has(found.body.index)
    channel, _ = await hosting.open_hosting(ann, bob.operator, 20 * OPEN, OPEN, EVERY)
    await world.clock.sleep(PERIODS * EVERY)
    tab = await tabs.load(ann, OwnerTab, channel)
    assert tab is not None
    return tab, tabs.settled(ann, channel), stocked


HOSTING = replace(DEMO, params=replace(SIMNET, rounds=1), answers=0, afterwards=hosted)
THRIFTY = replace(
    HOSTING,
    members=tuple(replace(m, wrap=rogues.thrifty) if m.name == "bob" else m for m in FIVE),
)


def after(cast: Cast) -> tuple[OwnerTab, int, bool]:
    seen = told(cast).seen
    assert isinstance(seen, tuple)
    return seen


def test_a_host_that_serves_is_paid_by_the_period() -> None:
    tab, settled, stocked = after(HOSTING)
    assert stocked  # whoever computed it may be gone by then
    assert tab.served >= PERIODS - 1 and tab.missed == 0
    assert tab.served * OPEN - settled in (0, OPEN)  # the last claim may be on its way


@pytest.mark.slow
def test_a_host_that_serves_the_base_for_the_adapter_is_not_paid() -> None:
    tab, settled, _ = after(THRIFTY)
    assert tab.missed >= PERIODS - 1 and tab.served == settled == 0
