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
    start = trio.current_time()
    heard = dict.fromkeys(alive, start)
    dropped: dict[str, float] = {}
    frozen_at = 30 + offset

    def silences(peer: str) -> list[float]:
        return [trio.current_time() - heard[peer]]

    async def ping(peer: str) -> None:
        if peer == "slow" or (peer == "frozen" and trio.current_time() >= start + frozen_at):
            await trio.sleep_forever()
        heard[peer] = trio.current_time()

    async def drop(peer: str) -> None:
        alive.discard(peer)
        dropped[peer] = trio.current_time() - start

    counts: Counter[str] = Counter()
    liveness = Liveness(TrioClock(0), counts, silences, ping, drop)

    async def chatter() -> None:
        while True:
            heard["slow"] = trio.current_time()
            await trio.sleep(5)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(chatter)
        nursery.start_soon(liveness.run, lambda: tuple(sorted(alive)))
        await trio.sleep(120)
        nursery.cancel_scope.cancel()
    assert list(dropped) == ["frozen"] and counts == {"peer-frozen": 1}
    assert dropped["frozen"] - frozen_at <= 15


async def test_who_is_heard_is_pinged_for_its_latency_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pings: list[float] = []

    async def ping(peer: str) -> None:
        pings.append(trio.current_time())
        await trio.sleep(0.25)

    async def drop(peer: str) -> None:
        raise AssertionError(peer)

    liveness = Liveness(TrioClock(0), Counter(), lambda peer: [1.0, 3.5], ping, drop)
    with trio.move_on_after(100):
        await liveness.run(lambda: ("chatty",))
    assert len(pings) == 4 and liveness.latency("chatty") == 0.25
