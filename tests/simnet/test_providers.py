"""A shard whose only holder the fetcher has no connection to, and no word of: found through its keepers."""

from pathlib import Path

import pytest

from node import data, keep, mail
from node.context import Context, Pace
from p2p import dialler
from protocol.errors import PeerError
from protocol.params import SIMNET
from simnet.seams import run_world
from simnet.world import Member, World, running
from tests.node.test_daemon import PARTS
from tests.simnet.story import write_rows

CROWD = tuple(f"n{number}" for number in range(12))
CAST = (
    Member("ann", ("contributor", "aggregator", "verifier")),
    Member("bob", ("verifier",)),
    *(Member(name, ()) for name in CROWD),
)
STANDING = 2  # connections that each node seeks; others dial it besides
LETTERS_LIVE_S = 120
CALM = Pace(chain=3.0, tick=30.0, sync=15.0, keep=30.0, learn=15.0)


async def only_bob_has_it(world: World, folder: Path) -> bytes:
    """Ann's shard, of which bob keeps a copy; ann is gone, and so is each word of who has it."""
    ann, bob = world.nodes["ann"], world.nodes["bob"]
    await data.found(ann, "kjv", "open", "PD", "texts")
    await world.until(lambda: bool(data.names(bob)), 60, "no Datanet")
    write_rows(PARTS[0], folder / "rows.jsonl")
    shard, _ = await data.commit_shard(ann, "kjv", folder / "rows.jsonl")
    bob.datanets = ("kjv",)
    world.nursery.start_soon(keep.keep_datanets, bob)
    await world.until(lambda: bob.holders.figures().provided == 1, 300, "no copy")
    world.stop("ann")
    await world.clock.sleep(2 * LETTERS_LIVE_S)
    return shard


@pytest.mark.parametrize("table", [True, False])
def test_a_late_fetcher_gets_it_through_the_table_of_providers_and_not_without(
    table: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "LIFETIME_S", LETTERS_LIVE_S)
    monkeypatch.setattr(dialler, "STANDING", STANDING)
    monkeypatch.setattr(dialler, "GUEST_S", LETTERS_LIVE_S)  # bob's keepers are not his company

    async def main() -> None:
        async with running(CAST, SIMNET, b"kad", pace=CALM, standing=STANDING) as world:
            shard = await only_bob_has_it(world, tmp_path)
            bob = world.nodes["bob"]
            own = bob.seams.transport.peer_id
            fay = next(
                world.nodes[name]
                for name in CROWD
                if own not in world.nodes[name].seams.transport.peers()
            )
            entry = fay.board.shards[shard]
            assert entry.reveal is not None and fay.mail.hinting(entry.reveal.value) == ()
            if table:
                opened = await data.open_shard(fay, entry)
                assert opened.training and fay.holders.figures().lookups == {"found": 1}
                assert own in fay.seams.transport.peers()
                await after_churn(world, shard, fay)
            else:
                fay.holders = Without()
                with pytest.raises(PeerError, match="no-source"):
                    await data.open_shard(fay, entry)

    run_world(main, seed=1)


class Without:
    """No table of providers."""

    async def find(self, shard: bytes, named: object) -> list[str]:
        return []


async def after_churn(world: World, shard: bytes, fay: Context) -> None:
    """Half of the keepers go, bob starts again with what its disk has: another one finds it all the same."""
    keepers = [name for name in CROWD if world.nodes[name].holders.figures().records]
    assert len(keepers) >= 4
    for name in keepers[: len(keepers) // 2]:
        world.stop(name)
    world.stop("bob")
    await world.clock.sleep(30)
    await world.start("bob")
    bob = world.nodes["bob"]
    bob.datanets = ("kjv",)
    world.nursery.start_soon(keep.keep_datanets, bob)
    await world.clock.sleep(2 * LETTERS_LIVE_S)
    late = next(
        ctx
        for name, ctx in world.nodes.items()
        if name in CROWD and world.runs(name) and ctx is not fay
        if bob.seams.transport.peer_id not in ctx.seams.transport.peers()
    )
    assert (await data.open_shard(late, late.board.shards[shard])).training
