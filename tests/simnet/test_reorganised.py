"""A reorganised chain under the whole flow: what it takes back is done again, and nobody is paid twice."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from node import committed, explain, jobs
from node.context import Context
from node.money import Money
from node.outbox import OutboxChain
from protocol.params import SIMNET
from settlement.simchain import SimTx
from simnet.world import World
from tests.simnet.story import DEMO, tell


def of_the_epoch(tx: SimTx) -> bool:
    return tx.contract == "AttributionPool" and tx.function in ("commit", "claim")


async def epoch_lost(world: World) -> object:
    """The block of the first epoch's commit goes, with everything after it; the commit is not mined again."""
    ann = world.nodes["ann"]
    await world.until(lambda: bool(ann.board.claims), 1_500, "no claim")
    first = ann.board.epochs[0]
    root, block, tx = first.root, first.block, first.tx
    head = await world.chain.head()
    world.chain.reorganise(head.number - block + 1, lambda tx: not of_the_epoch(tx))
    nodes = world.nodes.values()
    await world.until(
        lambda: all("reorganised" in c.failures and c.board.epochs for c in nodes), 60, "no epoch"
    )
    assert ann.board.epochs[0].tx != tx
    leaf = await explain.proof(ann)
    assert leaf is not None and leaf["valid"] and leaf["seconds_left"] > 0
    await _claimed_for(world, ann, "dan")
    return root


async def _claimed_for(world: World, ann: Context, name: str) -> None:
    """A node that has gone is paid by another's batch, to its own payout address."""
    world.stop(name)
    index = ann.board.index_of(world.nodes[name].operator)
    await world.until(lambda: committed.active(ann, ann.board.epochs[0]), 600, "never active")
    done = await Money(ann, cast(OutboxChain, None)).claim_batch()
    assert done["owners"] >= 1 and int(done["claimed"]) > 0
    (claim,) = [claim for claim in ann.board.claims if claim.index == index]
    assert claim.payout == world.nodes[name].payout


FORKED = replace(DEMO, params=replace(SIMNET, rounds=1), answers=0, disturb=epoch_lost)


def test_an_epoch_that_a_reorganisation_took_is_committed_again_and_paid_once() -> None:
    told = tell(FORKED)
    (body,) = told.bodies
    assert told.board.epochs[0].root == told.seen, "the same pots give the same root"
    for name, index in told.owner.items():
        before, after = told.payout[name]
        assert after - before == told.claimed[name] == body.cumulative[index]
    boards = [ctx.board for name, ctx in told.nodes.items() if name != "dan"]
    assert all(board.epochs == boards[0].epochs for board in boards)


OFTEN = 5  # without a limit stages would find everything gone, and begin again, for ever


def forgetful(act: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """What a node derived is gone when this returns, as if the chain was reorganised meanwhile."""
    times: Counter[str] = Counter()

    async def forgetting(ctx: Context, *args: Any, **named: Any) -> Any:
        try:
            return await act(ctx, *args, **named)
        finally:
            subject = f"{ctx.operator!r} {args}"
            times[subject] += 1
            if times[subject] <= OFTEN:
                ctx.unwind(ctx.head)

    return forgetting


def test_what_was_derived_may_be_gone_after_any_fetch_and_any_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for owner, name in ((Context, "fetch"), (Context, "write"), (jobs, "fetch_adapter")):
        monkeypatch.setattr(owner, name, forgetful(getattr(owner, name)))
    ended = tell(replace(DEMO, params=replace(SIMNET, rounds=1)))
    boards = [ctx.board for ctx in ended.nodes.values()]
    assert len(ended.bodies) > 1 and all(board.epochs == boards[0].epochs for board in boards)
    for name, index in ended.owner.items():
        assert ended.claimed[name] == ended.bodies[-1].cumulative[index]
