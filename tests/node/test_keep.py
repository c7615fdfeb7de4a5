"""A node keeps whole copies of the Datanets that it chose, and of no others."""

from pathlib import Path

from node import data, keep
from node.context import Context
from protocol.messages import BlobHint
from protocol.params import SIMNET
from simnet.seams import run_world
from simnet.world import Member, running
from tests.node.test_daemon import PARTS
from tests.simnet.story import write_rows

CAST = (
    Member("ann", ("contributor", "aggregator", "verifier")),
    Member("bob", ("verifier",)),
    Member("cyd", ()),
)


def test_only_chosen_datanets_are_copied(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(CAST, SIMNET, b"keep") as world:
            ann, bob, cyd = (world.nodes[name] for name in ("ann", "bob", "cyd"))
            for name in ("kjv", "other"):
                await data.found(ann, name, "open", "PD", "texts")
            await world.until(lambda: len(data.names(bob)) == 2, 60, "no Datanets")
            for number, name in enumerate(("kjv", "other")):
                path = tmp_path / f"{number}.jsonl"
                write_rows(PARTS[number], path)
                await data.commit_shard(ann, name, path)
            shards = bob.board.shards
            await world.until(
                lambda: [data.held(bob, s) for s in shards.values()] == [True, True],
                300,
                "not held",
            )
            bob.datanets = ("kjv",)
            (entry,) = keep.chosen(bob)
            assert keep.chosen(cyd) == []
            world.nursery.start_soon(keep.keep_datanets, bob)
            await world.until(lambda: copies(bob) == 1, 60, "no copy")
            await world.clock.sleep(60)
            assert copies(bob) == 1 and copies(cyd) == 0
            assert bob.seams.transport.peer_id in {
                letter.author for letter in cyd.mail.letters(BlobHint)
            }
            assert entry.reveal is not None and bob.seams.blobs.has(entry.reveal.value)

    def copies(ctx: Context) -> int:
        return sum(
            entry.reveal is not None and ctx.seams.blobs.has(entry.reveal.value)
            for entry in ctx.board.shards.values()
        )

    run_world(main, seed=1)
