"""The vote of ``tests/simnet/test_vote.py`` on the real EVM, in real time: two nodes that only watch the
chain follow it. About two minutes: ``pytest -m slow tests/seams/test_vote_on_evm.py``."""

from dataclasses import replace

import pytest
import trio

from node import govern, terms, watch
from node.context import START, Context
from node.doors import SystemClock
from protocol.ids import checksum
from protocol.params import OPEN, SIMNET
from protocol.rules import genesis, under
from tests.node import bare
from tests.seams.test_chain import World, box, evm_world  # noqa: F401

VOTES = 20_000_000 * OPEN
CHANGES = {"contributors_bps": 3_000, "samples": 4}


def follower(world: World, name: str) -> Context:
    """A node that knows nothing yet but where the chain is."""
    ctx = bare.node(name, ())
    ctx.seams = replace(ctx.seams, chain=world.chain, clock=SystemClock())
    ctx.head = START
    return ctx


async def after(ctx: Context, time: int) -> None:
    while ctx.head.time <= time:
        await ctx.changed(1.0)


@pytest.mark.slow
@pytest.mark.process
async def test_a_vote_on_the_evm_changes_what_two_nodes_go_by(box: object) -> None:  # noqa: F811
    async for world in evm_world(box):  # type: ignore[arg-type]
        ann, bob = follower(world, "ann"), follower(world, "bob")
        for ctx in (ann, bob):
            await world.gas(ctx.keys.operator_key)
        to = checksum(ann.operator)
        await world.chain.write(world.treasurer, "OpenToken", "transfer", to, VOTES + 1_000 * OPEN)
        async with trio.open_nursery() as nursery:
            for ctx in (ann, bob):
                nursery.start_soon(watch.watch_chain, ctx)
            await after(ann, 0)
            await _voted(ann, bob)
            nursery.cancel_scope.cancel()


async def _voted(ann: Context, bob: Context) -> None:
    await govern.wrap(ann, VOTES)
    await govern.delegate(ann, checksum(ann.operator))
    await after(ann, ann.head.time + 1)
    number, start = await govern.propose_rules(ann, CHANGES, 0, "less to contributors")
    wanted = f"{number:064x}"
    await after(ann, ann.board.proposals[number].start)
    await govern.vote(ann, wanted, "for")
    await after(bob, ann.board.proposals[number].end)
    await govern.queue(bob, wanted)
    await after(bob, bob.head.time + SIMNET.timelock_seconds)
    await govern.execute(bob, wanted)
    await after(ann, start)
    await after(bob, start)
    changed = under(SIMNET, replace(genesis(SIMNET), **CHANGES))
    for ctx in (ann, bob):
        assert ctx.board.rules[1].start == start
        assert (ctx.version, ctx.params_now) == (2, changed)
        assert ctx.params_at(start - 1) == under(SIMNET, genesis(SIMNET)) == SIMNET
    least = [terms.least_escrow(p, p.rounds, p.workers) for p in (SIMNET, changed)]
    assert least[1] < least[0]  # contributors get less: a job's units need a smaller escrow
