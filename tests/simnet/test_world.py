"""A world repeats by its seed, loses a node that is stopped, and says what it waits for."""

import pytest

from protocol.errors import LocalError
from protocol.params import SIMNET
from simnet.seams import run_world
from simnet.world import Member, World, key, running
from tests.simnet.story import DEMO, Told, tell

PAIR = (Member("ann", ("aggregator", "verifier")), Member("bob", ("verifier",), open_tokens=7))


async def started(seed: bytes) -> tuple[bytes, dict[str, bytes]]:
    async with running(PAIR, SIMNET, seed) as world:
        return world.trace(), {name: ctx.operator for name, ctx in world.nodes.items()}


def test_the_whole_flow_repeats_by_its_seed(demo: Told) -> None:
    assert len(demo.nodes) == 5
    assert tell(DEMO).trace == demo.trace


def test_another_seed_makes_other_keys_and_another_trace() -> None:
    (one, keys), (other, others) = (run_world(started, seed, seed=1) for seed in (b"a", b"b"))
    assert one != other
    assert not set(keys.values()) & set(others.values())


def test_keys_differ_by_seed_and_purpose() -> None:
    assert len({key(s, p) for s in (b"a", b"b") for p in ("x/peer", "x/operator", "y/peer")}) == 6


async def in_world(act: object) -> None:
    async with running(PAIR, SIMNET, b"w") as world:
        await act(world)  # type: ignore[operator]


def test_everybody_is_registered_staked_and_connected() -> None:
    async def look(world: World) -> None:
        for ctx in world.nodes.values():
            assert len(ctx.seams.transport.peers()) == 1
            for other in world.nodes.values():
                assert ctx.board.node(other.operator) is not None
                assert ctx.board.stake(other.operator) >= SIMNET.min_stake

    run_world(in_world, look, seed=1)


def test_a_stopped_node_is_gone_for_its_peers_and_the_rest_goes_on() -> None:
    async def stop(world: World) -> None:
        ann, bob = world.nodes["ann"], world.nodes["bob"]
        world.stop("bob")
        await world.until(lambda: not ann.seams.transport.peers(), 5, "bob is still there")
        seen, asleep = ann.head.number, bob.head.number
        await world.clock.sleep(10)
        assert ann.head.number > seen
        assert bob.head.number == asleep

    run_world(in_world, stop, seed=1)


def test_waiting_in_vain_says_for_what_and_what_every_node_does() -> None:
    async def wait(world: World) -> None:
        with pytest.raises(TimeoutError, match=r"no miracle\nann: .*\nbob: "):
            await world.until(lambda: False, 5, "no miracle")

    run_world(in_world, wait, seed=1)


def test_a_torn_body_is_noticed_however_much_was_written_since_and_fetched_again() -> None:
    async def tear(world: World) -> None:
        ann, bob = world.nodes["ann"], world.nodes["bob"]
        blob = ann.seams.blobs.put(b"a body of both")
        assert bob.seams.blobs.put(b"a body of both") == blob
        world.machines["bob"].blobs.tear_last()
        bob.seams.blobs.put(b"another body")
        with pytest.raises(LocalError, match="blob-corrupt"):
            bob.seams.blobs.get(blob)
        assert await bob.fetch(blob, ann.operator) == b"a body of both"
        assert bob.failures["blob-corrupt"].count == 1
        assert bob.seams.blobs.get(blob) == b"a body of both"

    run_world(in_world, tear, seed=1)
