"""Casts in which somebody is accused: wrongly by colluding seats, or rightly and appealing all the same."""

from dataclasses import replace

from node import cases, court
from node.context import Context
from protocol.ids import content_id
from protocol.params import SIMNET
from protocol.typed_data import Slash
from settlement.claims import slash_args
from simnet.world import World
from tasks.court import Case
from tasks.entries import UnitEntry
from tests.simnet.story import DEMO


async def colluding_seats(world: World) -> object:
    """Ann and bob order the slash of an honest worker's unit; returns what its node says at once."""
    dan, chain = world.nodes["dan"], world.chain
    await world.until(lambda: _anchored(dan) is not None, 300, "dan has anchored nothing")
    unit = _anchored(dan)
    assert unit is not None
    order = Slash(dan.operator, unit.unit, SIMNET.slash, content_id(b"made up"), bytes(20))
    seats = [world.nodes[name] for name in ("ann", "bob")]
    domain = dan.contract_domain("Arbiter")
    args = slash_args(order, domain, [ctx.sign(order, domain) for ctx in seats])
    await chain.write(seats[0].keys.operator_key, "Arbiter", "order", *args)
    await world.until(lambda: bool(cases.explain(dan, unit.unit)), 60, "dan knows of no order")
    return cases.explain(dan, unit.unit)


def _anchored(ctx: Context) -> UnitEntry | None:
    units = ctx.board.units.values()
    return next((u for u in units if u.operator == ctx.operator and u.root), None)


async def stubborn(world: World) -> object:
    """Eve, who was lazy, appeals as a person may, whatever her node finds; returns what it says then."""
    eve, said = world.nodes["eve"], []

    def ordered() -> Case | None:
        court = eve.board.court
        return next((c for c in court.open() if c.accused == (eve.operator,)), None)

    await world.until(lambda: ordered() is not None, 600, "nobody ordered eve's slash")
    case = ordered()
    assert case is not None
    said.append(cases.explain(eve, case.unit))
    await court.appeal(eve, case)
    said.append(cases.explain(eve, case.unit))
    return tuple(said)


COLLUSION = replace(DEMO, answers=0, disturb=colluding_seats, seed=5)
STUBBORN = replace(DEMO, answers=0, disturb=stubborn, params=replace(SIMNET, rounds=1), seed=6)
