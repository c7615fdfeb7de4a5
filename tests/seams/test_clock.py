"""One suite for every Clock: the machine's, and trio's virtual one."""

from collections.abc import Callable

import pytest
import trio.testing

from node.doors import SystemClock
from protocol.seams import Clock
from simnet.seams import TrioClock

EPOCH = 1_700_000_000.0
NAP = 0.002

CLOCKS: dict[str, Callable[[], Clock]] = {
    "system": SystemClock,
    "trio": lambda: TrioClock(EPOCH),
}


@pytest.fixture(params=CLOCKS)
async def clock(request: pytest.FixtureRequest) -> Clock:
    return CLOCKS[request.param]()


async def test_time_passes_in_sleep(clock: Clock) -> None:
    wall, running = clock.now(), clock.monotonic()
    await clock.sleep(NAP)
    assert clock.monotonic() - running >= NAP * 0.9
    assert clock.now() > wall


async def test_now_is_unix_time_in_seconds(clock: Clock) -> None:
    assert EPOCH - 1 < clock.now() < 4_000_000_000


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_sleep_without_time_still_lets_others_run(clock: Clock, seconds: float) -> None:
    with trio.testing.assert_checkpoints():
        await clock.sleep(seconds)


async def test_sleep_can_be_cancelled(clock: Clock) -> None:
    with trio.move_on_after(NAP) as scope:
        await clock.sleep(3600)
    assert scope.cancelled_caught


async def test_a_year_of_virtual_time_takes_none(autojump_clock: trio.testing.MockClock) -> None:
    clock = TrioClock(EPOCH)
    await clock.sleep(365 * 86_400)
    assert clock.now() == EPOCH + 365 * 86_400
