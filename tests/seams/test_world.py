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


def test_sleepers_and_deadlines_come_in_the_order_of_their_instants() -> None:
    """The clock wakes sleepers itself; trio's own deadlines must neither be passed over nor come late."""

    async def main() -> list[str]:
        clock, seen = TrioClock(0.0), []

        async def nap(seconds: float) -> None:
            await clock.sleep(seconds)
            seen.append(f"slept {seconds:g} at {clock.now():g}")

        async with trio.open_nursery() as nursery:
            for seconds in (3.0, 1.0, 5.0):
                nursery.start_soon(nap, seconds)
            with trio.move_on_after(2.0):
                await clock.sleep(
                    60.0
                )  # given up: it must not hold the others up, nor wake anybody
            seen.append(f"gave up at {clock.now():g}")
        return seen

    assert run_world(main, seed=1) == [
        "slept 1 at 1",
        "gave up at 2",
        "slept 3 at 3",
        "slept 5 at 5",
    ]
