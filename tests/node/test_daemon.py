"""A node that is killed between reserving a unit and telling of it, and its next life on the same home."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from node import actions, data, runtime
from node.context import Context
from p2p.memory import MemoryTransport
from protocol.codec import unpack
from protocol.ids import checksum
from protocol.merkle import MerkleTree, keccak256
from protocol.messages import UNIT, UnitBody
from protocol.params import SIMNET
from protocol.seams import Chain
from simnet.seams import run_world
from simnet.world import Member, World, running
from tasks.entries import UnitEntry
from tasks.lifecycle import State
from tests.simnet import rogues
from tests.simnet.story import RECIPE, Part, write_rows

CAST = (
    Member("ann", ("contributor", "aggregator", "verifier"), open_tokens=5_000),
    Member("bob", ("contributor", "verifier")),
    Member("cyd", ("worker",)),
)
PARTS = (Part("ann", "kjv", "kjv", 0), Part("bob", "kjv", "kjv", 1))
PARAMS = replace(SIMNET, rounds=1, workers=1)


class Silent:
    """A chain whose answer to one kind of transaction never comes: the node dies before it is sent."""

    def __init__(self, chain: Chain, function: str) -> None:
        self._chain = chain
        self._function = function

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)

    async def write(self, key: bytes, contract: str, function: str, *args: Any) -> Any:
        if function == self._function:
            await trio.sleep_forever()
        return await self._chain.write(key, contract, function, *args)


def hang(ctx: Context) -> None:
    """Training never ends."""
    ctx.seams = replace(ctx.seams, compute=rogues.stuck(ctx.seams.compute, ctx.seams.blobs))


def silence(function: str, ctx: Context) -> None:
    ctx.seams = replace(ctx.seams, chain=Silent(ctx.seams.chain, function))


@dataclass(frozen=True, slots=True)
class Ended:
    """What others see of cyd's unit in the end, and what its journal held when it died."""

    unit: UnitEntry
    body: UnitBody | None
    posted: tuple[bytes, ...]  # bodies posted for the unit
    state: State | None  # as ann judges it
    stake: int  # cyd's, smallest units
    notes: tuple[str, ...]  # of the second life


async def publish(world: World, folder: Path) -> None:
    """A Datanet of two owners and a job over it."""
    ann = world.nodes["ann"]
    await data.found(ann, "kjv", "open", "PD", "a test's texts")
    await world.until(
        lambda: all(len(data.names(ctx)) == 1 for ctx in world.nodes.values()), 60, "no Datanet"
    )
    for part in PARTS:
        path = folder / f"{part.owner}.jsonl"
        write_rows(part, path)
        await data.commit_shard(world.nodes[part.owner], part.datanet, path)
    shards = ann.board.shards
    await world.until(
        lambda: [data.held(ann, s) for s in shards.values()] == [True] * len(PARTS),
        120,
        "not held",
    )
    await actions.submit_job(ann, RECIPE.format(datanets='"kjv"', private="false"))


async def live_again(world: World, name: str, *, task_status: Any) -> None:
    """A new context over the store and the blobs that a killed node left."""
    old = world.nodes[name]
    wires = old.seams.transport._network  # type: ignore[attr-defined]
    seams = replace(
        old.seams,
        transport=MemoryTransport(wires, old.seams.transport.peer_id, world.clock),
        chain=world.chain,
        compute=world.nodes["ann"].seams.compute,
    )
    ctx = runtime.build(seams, old.keys, world.network, old.roles, old.payout)
    async with seams.transport.running():
        for other in world.nodes.values():
            for addr in other.seams.transport.addrs:
                await seams.transport.dial(addr)
        world.nodes[name] = ctx
        await runtime.run(ctx, task_status=task_status)


async def killed_and_restarted(
    first_life: Callable[[Context], None],
    dies: Callable[[Context, UnitEntry], Awaitable[bool]],
    done: Callable[[Context, UnitEntry], bool],
    folder: Path,
) -> Ended:
    """``dies``: the moment of the kill. ``done``: what ann waits for afterwards."""
    async with running(CAST, PARAMS, b"restart") as world, trio.open_nursery() as nursery:
        ann, cyd = world.nodes["ann"], world.nodes["cyd"]
        first_life(cyd)
        await publish(world, folder)
        await world.until(lambda: bool(ann.board.units), 60, "nothing was reserved")
        (unit,) = ann.board.units.values()
        with trio.fail_after(300):
            while not await dies(cyd, unit):
                await world.clock.sleep(1.0)
        world.stop("cyd")
        body = await cyd.done(f"unit/{unit.unit.hex()}/body")
        await world.clock.sleep(10.0)
        await nursery.start(partial(live_again, world, "cyd"))
        await world.until(lambda: done(ann, unit), 400, "the unit has no end")
        notes = tuple(note.text for note in world.nodes["cyd"].notes)
        nursery.cancel_scope.cancel()
    return Ended(
        unit=unit,
        body=None if body is None else unpack(UnitBody, body),
        posted=tuple(post.value for post in ann.board.posted(UNIT, unit.unit)),
        state=ann.outcomes[unit.unit].state if unit.unit in ann.outcomes else None,
        stake=await world.chain.read("WorkerStake", "stakeOf", checksum(cyd.operator)),
        notes=notes,
    )


async def reserved(ctx: Context, unit: UnitEntry) -> bool:
    return await ctx.done(f"unit/{unit.unit.hex()}/session") is not None


async def journalled(ctx: Context, unit: UnitEntry) -> bool:
    return await ctx.done(f"unit/{unit.unit.hex()}/body") is not None


async def published(ctx: Context, unit: UnitEntry) -> bool:
    return ctx.mine(UNIT, unit.unit)


def released(ctx: Context, unit: UnitEntry) -> bool:
    return bool(unit.ended)


def accepted(ctx: Context, unit: UnitEntry) -> bool:
    return unit.unit in ctx.outcomes and ctx.outcomes[unit.unit].state is State.ACCEPTED


WHOLE_STAKE = SIMNET.min_stake + 2 * SIMNET.unit_stake


def test_a_node_killed_in_training_hands_its_unit_back(tmp_path: Path) -> None:
    ended = run_world(killed_and_restarted, hang, reserved, released, tmp_path, seed=1)
    assert ended.body is None
    assert ended.unit.ended == "handed-back"
    assert any("restarted in mid-unit" in note for note in ended.notes)
    assert ended.stake == WHOLE_STAKE


@pytest.mark.parametrize(("function", "dies"), [("commit", journalled), ("anchor", published)])
def test_a_node_killed_after_training_finishes_from_its_journal(
    tmp_path: Path, function: str, dies: Callable[..., Any]
) -> None:
    ended = run_world(
        killed_and_restarted, partial(silence, function), dies, accepted, tmp_path, seed=1
    )
    assert ended.body is not None
    assert ended.unit.root == MerkleTree(ended.body.leaves, keccak256).root
    assert ended.unit.adapter == ended.body.adapter
    assert len(ended.posted) == 1
    assert not any("training" in note for note in ended.notes)
    assert ended.stake == WHOLE_STAKE
