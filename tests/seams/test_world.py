"""A simulated world repeats: virtual time, and one order of tasks for one seed."""

import trio
from trio._core import _run

from simnet.seams import SCHEDULING, SeededRandomness, TrioClock, run_world

Trace = list[tuple[int, int, float]]


async def racing(tasks: int) -> Trace:
    """Who came when: tasks that are ready at the same instants."""
    clock, trace = TrioClock(1_000.0), []

    async def walk(name: int, randomness: SeededRandomness) -> None:
        for lap in range(5):
            await clock.sleep(randomness.token(1)[0] % 2)
            trace.append((name, lap, clock.now()))

    async with trio.open_nursery() as nursery:
        for name in range(tasks):
            nursery.start_soon(walk, name, SeededRandomness(bytes([name])))
    return trace


def test_one_seed_gives_one_trace_and_another_seed_another() -> None:
    first, again, other = (run_world(racing, 10, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert sorted(first) == sorted(other)


def test_a_day_passes_at_once() -> None:
    async def day() -> float:
        clock = TrioClock(1_000.0)
        await clock.sleep(86_400)
        return clock.now()

    assert run_world(day, seed=1) == 87_400.0


def test_trio_is_left_as_it_was() -> None:
    before, state = getattr(_run, SCHEDULING), _run._r.getstate()
    run_world(racing, 2, seed=1)
    assert (getattr(_run, SCHEDULING), _run._r.getstate()) == (before, state)
