"""Frozen peers are dropped within 15 s; slow ones that still send, and those that answer, stay."""

from collections import Counter

import pytest
import trio
import trio.testing

from p2p.liveness import Liveness
from simnet.seams import TrioClock


@pytest.mark.parametrize("offset", [step / 2 for step in range(24)])  # any moment of the round
async def test_only_the_frozen_peer_is_dropped(
    autojump_clock: trio.testing.MockClock, offset: float
) -> None:
    alive = {"frozen", "slow", "good"}
    dropped: dict[str, float] = {}
    frozen_at = 30 + offset

    async def ping(peer: str) -> None:
        if peer == "slow" or (peer == "frozen" and trio.current_time() >= start + frozen_at):
            await trio.sleep_forever()

    async def drop(peer: str) -> None:
        alive.discard(peer)
        dropped[peer] = trio.current_time() - start

    counts: Counter[str] = Counter()
    liveness = Liveness(TrioClock(0), counts, ping, drop)
    start = trio.current_time()

    async def chatter() -> None:
        while True:
            liveness.heard("slow")
            await trio.sleep(5)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(chatter)
        nursery.start_soon(liveness.run, lambda: tuple(sorted(alive)))
        await trio.sleep(120)
        nursery.cancel_scope.cancel()
    assert list(dropped) == ["frozen"] and counts == {"peer-frozen": 1}
    assert dropped["frozen"] - frozen_at <= 15
