"""Redialling: parallel, with growing jittered pauses, back within five seconds."""

import random

import trio
import trio.testing

from p2p.memory import MemoryTransport, Network
from p2p.redial import LONGEST_PAUSE_SECONDS, Redialer
from simnet.seams import SeededRandomness, TrioClock


def world() -> tuple[TrioClock, Network]:
    clock = TrioClock(0)
    return clock, Network(clock, random.Random(1))


async def test_a_restarted_seed_is_back_within_five_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock, network = world()
    seed, node = (MemoryTransport(network, name, clock) for name in ("seed", "node"))
    addrs = ("/memory/seed/p2p/seed", "/memory/gone/p2p/gone", "/memory/node/p2p/node")
    redialer = Redialer(node, addrs, clock, SeededRandomness(b"r"))
    async with node.running(), trio.open_nursery() as nursery:
        nursery.start_soon(redialer.run)
        await clock.sleep(300)  # nobody there: the pauses have grown to the longest
        assert "seed" in redialer.last_error["/memory/seed/p2p/seed"]
        tries = redialer.counters()["dial-failed"]
        assert 2 * 300 / LONGEST_PAUSE_SECONDS < tries < 4 * 300 / LONGEST_PAUSE_SECONDS + 20
        for _ in range(2):
            async with seed.running():
                await clock.sleep(5)
                assert list(node.peers()) == ["seed"]
                assert "/memory/seed/p2p/seed" not in redialer.last_error
            assert list(node.peers()) == []
        assert "/memory/node/p2p/node" not in redialer.last_error  # never dials itself
        nursery.cancel_scope.cancel()
