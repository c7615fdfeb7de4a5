"""What goes wrong in a simulated world, as data: each fault of a plan begins at its time and ends after a while.

``who`` names nodes, ``amount`` is a share (of messages, of a minute of skew, of 20 blocks).
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from protocol.errors import Reverted
from protocol.ids import checksum
from settlement.claims import pot_id
from settlement.simchain import SimTx
from simnet.plan import Fault
from simnet.world import World

MOST_SKEW_S = 25.0  # gossip refuses more than 30
MOST_BLOCKS = 20

Act = Callable[[World, Fault], Awaitable[None]]


async def happen(world: World, fault: Fault) -> None:
    """Begin, last and end."""
    await world.clock.sleep(fault.at)
    await FAULTS[fault.kind](world, fault)


def _peers(world: World, names: Iterable[str]) -> set[str]:
    return {world.nodes[name].seams.transport.peer_id for name in names}


async def crash(world: World, fault: Fault) -> None:
    """SIGKILL, and a start with what the disk holds."""
    await _crash(world, fault, lambda name: None)


async def lost_write(world: World, fault: Fault) -> None:
    """A crash of a disk that had not written what it said it had: the last rows and the last blob."""

    def lose(name: str) -> None:
        world.machines[name].store.lose_last()
        world.machines[name].blobs.lose_last()

    await _crash(world, fault, lose)


async def torn_write(world: World, fault: Fault) -> None:
    """A crash in the middle of writing a blob."""
    await _crash(world, fault, lambda name: world.machines[name].blobs.tear_last())


async def _crash(world: World, fault: Fault, damage: Callable[[str], None]) -> None:
    down = [name for name in fault.who if world.runs(name)]
    for name in down:
        world.stop(name)
    await world.clock.sleep(fault.lasts)
    for name in down:
        damage(name)
        await world.start(name)


async def partition(world: World, fault: Fault) -> None:
    """``who`` and the others cannot reach each other, then dial again."""
    world.wires.partition(_peers(world, fault.who))
    await world.clock.sleep(fault.lasts)
    world.wires.heal()


async def one_way(world: World, fault: Fault) -> None:
    """What ``who`` send does not arrive; they hear everything."""
    peers, everybody = _peers(world, fault.who), _peers(world, world.nodes)
    pairs = {(one, other) for one in peers for other in everybody}
    world.wires.silenced |= pairs
    await world.clock.sleep(fault.lasts)
    world.wires.silenced -= pairs


async def nat(world: World, fault: Fault) -> None:
    """From now on nobody can dial ``who``; they were restarted, so they dial all others."""
    for peer in _peers(world, fault.who):
        world.wires.hide(peer)
    await _crash(world, fault, lambda name: None)


async def wires(world: World, fault: Fault) -> None:
    """More loss, lateness or doubling of messages everywhere."""
    before: float = getattr(world.wires.conditions, fault.kind)
    _set(world, fault.kind, fault.amount)
    await world.clock.sleep(fault.lasts)
    _set(world, fault.kind, before)


def _set(world: World, name: str, share: float) -> None:
    changed: dict[str, Any] = {name: share}
    world.wires.conditions = replace(world.wires.conditions, **changed)


async def skew(world: World, fault: Fault) -> None:
    """Wall clocks of ``who`` run ahead or behind."""
    for number, name in enumerate(fault.who):
        world.machines[name].clock.ahead = (-1) ** number * 4 * fault.amount * MOST_SKEW_S
    await world.clock.sleep(fault.lasts)
    for name in fault.who:
        world.machines[name].clock.ahead = 0.0


async def reorganise(world: World, fault: Fault) -> None:
    """The last blocks are replaced; every few transactions are lost with them."""
    depth = 1 + int(4 * fault.amount * MOST_BLOCKS)
    every = 2 + int(fault.lasts) % 7
    world.chain.reorganise(depth, lambda tx: tx.block % every != 0)


async def endpoint(world: World, fault: Fault) -> None:
    """The chain endpoints of ``who`` are silent (``stall``) or contradict each other (``lie``)."""
    for name in fault.who:
        world.machines[name].endpoint.fault = fault.kind
    await world.clock.sleep(fault.lasts)
    for name in fault.who:
        world.machines[name].endpoint.fault = ""


async def grab(world: World, fault: Fault) -> None:
    """Funders ask for their coins back again and again, whatever they promised."""

    def mine(tx: SimTx) -> bool:
        return tx.function == "fund" and tx.sender in people

    people = {checksum(world.machines[name].keys.operator): name for name in fault.who}
    until = world.clock.monotonic() + fault.lasts
    while world.clock.monotonic() < until:
        for tx in list(filter(mine, world.chain.mined)):
            pot = pot_id(tx.sender, tx.values[0])
            await _send(world, people[tx.sender], "reclaim", pot)
        await world.clock.sleep(5.0)


async def replay(world: World, fault: Fault) -> None:
    """Every claim is sent again by ``who``."""
    until = world.clock.monotonic() + fault.lasts
    seen = 0
    while world.clock.monotonic() < until:
        claims = [tx for tx in world.chain.mined if tx.function == "claim"]
        own = [tx for tx in claims[seen:] if tx.contract == "AttributionPool"]
        seen = len(claims)
        for tx in own:
            await _send(world, fault.who[0], "claim", *tx.values)
        await world.clock.sleep(5.0)


async def _send(world: World, name: str, function: str, *args: Any) -> None:
    try:
        await world.chain.write(
            world.machines[name].keys.operator_key, "AttributionPool", function, *args
        )
    except Reverted:
        return  # as it should


FAULTS: dict[str, Act] = {
    "grab": grab,
    "replay": replay,
    "crash": crash,
    "lost-write": lost_write,
    "torn-write": torn_write,
    "partition": partition,
    "one-way": one_way,
    "nat": nat,
    "loss": wires,
    "late": wires,
    "twice": wires,
    "skew": skew,
    "reorganise": reorganise,
    "stall": endpoint,
    "lie": endpoint,
}
