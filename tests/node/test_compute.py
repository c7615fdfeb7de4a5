"""The compute supervisor with a small child: errors, crashes, memory, cancellation, slots."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import trio
import trio.testing

from node.compute import ChildCompute
from node.doors import SystemClock
from node.slots import FileSlots
from protocol.compute import Describe, Described
from protocol.errors import ComputeError, OperatorError
from tests.node.supervised import watched

ROOT = Path(__file__).resolve().parents[2]
FAKE = Path(__file__).with_name("fake_child.py")
MEGABYTE = 1 << 20
LIMIT = 100 * MEGABYTE
CLOCK = SystemClock()

pytestmark = pytest.mark.process


@pytest.fixture
def slots(tmp_path: Path) -> FileSlots:
    return FileSlots(tmp_path / "slots", 1, CLOCK)


@asynccontextmanager
async def supervised(
    slots: FileSlots, idle_seconds: float = 60.0, threads: int = 1
) -> AsyncIterator[ChildCompute]:
    compute = ChildCompute(
        [sys.executable, str(FAKE)],
        {"PYTHONPATH": str(ROOT)},
        slots,
        LIMIT,
        idle_seconds,
        CLOCK,
        threads,
    )
    async with watched(compute):
        yield compute


async def ask(compute: ChildCompute, base: str) -> int:
    """The id of the child that answered."""
    described = await compute.run(Describe(base))
    assert isinstance(described, Described)
    assert described.parameters == len(base)
    return int(described.device)


async def refusal(compute: ChildCompute, base: str) -> ComputeError:
    with pytest.raises(ComputeError) as caught:
        await compute.run(Describe(base))
    return caught.value


async def test_one_child_answers_all_requests_and_ends_with_close(slots: FileSlots) -> None:
    async with supervised(slots) as compute:
        child = await ask(compute, "a")
        assert child != os.getpid()
        assert await ask(compute, "b" * 60_000) == child
    assert not psutil.pid_exists(child)


async def test_what_the_child_says_comes_back_and_it_lives_on(slots: FileSlots) -> None:
    async with supervised(slots) as compute:
        child = await ask(compute, "a")
        error = await refusal(compute, "fail there is no such model")
        assert (error.code, error.text) == ("bad-model", "there is no such model")
        assert (await refusal(compute, "missing 00ff")).code == "bad-input"
        assert (await refusal(compute, "memory-error 7 GB")).code == "out-of-memory"
        assert await ask(compute, "a") == child


async def test_prints_do_not_get_into_the_pipe(slots: FileSlots) -> None:
    async with supervised(slots) as compute:
        assert await ask(compute, "print " + "noise " * 1000) == await ask(compute, "a")


async def test_a_crash_costs_one_request_and_gives_its_last_line(slots: FileSlots) -> None:
    async with supervised(slots) as compute:
        child = await ask(compute, "a")
        killed = await refusal(compute, "exit last line")
        assert killed.code == "crashed"
        assert killed.text.endswith("status -9: last line")
        bug = await refusal(compute, "bug a bug of ours")
        assert bug.code == "crashed"
        assert bug.text.endswith("RuntimeError: a bug of ours")
        assert await ask(compute, "a") != child


async def test_a_child_that_died_between_requests_is_replaced(slots: FileSlots) -> None:
    async with supervised(slots) as compute:
        child = await ask(compute, "a")
        os.kill(child, signal.SIGKILL)
        while psutil.pid_exists(child) and psutil.Process(child).status() != "zombie":
            await trio.sleep(0.01)
        assert await ask(compute, "a") != child


async def test_a_child_that_swells_is_killed_with_the_numbers(slots: FileSlots) -> None:
    async with supervised(slots) as compute:
        child = await ask(compute, "a")
        error = await refusal(compute, "swell 200")
        assert error.code == "out-of-memory"
        assert f"of {LIMIT // MEGABYTE} MiB" in error.text
        assert await ask(compute, "a") != child


async def test_cancelling_a_request_kills_its_child(slots: FileSlots) -> None:
    async with supervised(slots) as compute:
        child = await ask(compute, "a")
        with trio.move_on_after(0.1) as scope:
            await ask(compute, "hang")
        assert scope.cancelled_caught
        assert not psutil.pid_exists(child)
        assert await ask(compute, "a") != child


async def test_close_ends_a_request_under_way(slots: FileSlots) -> None:
    async with supervised(slots) as compute, trio.open_nursery() as nursery:
        await ask(compute, "a")
        nursery.start_soon(refusal, compute, "hang")
        await trio.testing.wait_all_tasks_blocked(0.05)
        await compute.close()


async def test_requests_take_turns(slots: FileSlots) -> None:
    async with supervised(slots) as compute:
        children: list[int] = []

        async def one(base: str) -> None:
            children.append(await ask(compute, base))

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(one, "x" * number)
        assert len(children) == 10
        assert len(set(children)) == 1


async def test_an_idle_child_ends_and_the_next_request_starts_another(slots: FileSlots) -> None:
    async with supervised(slots, idle_seconds=0.01) as compute:
        child = await ask(compute, "a")
        while psutil.pid_exists(child):
            await trio.sleep(0.02)
        assert await ask(compute, "a") != child


async def test_an_idle_child_gives_its_slot_to_a_neighbour(slots: FileSlots) -> None:
    """Both would idle for a minute; one slot serves both all the same."""
    async with supervised(slots) as one, supervised(slots) as two:
        first = await ask(one, "a")
        second = await ask(two, "a")
        assert not psutil.pid_exists(first)
        assert psutil.pid_exists(second)


async def test_a_slot_outlives_a_node_whose_child_still_works(slots: FileSlots) -> None:
    """The child inherits the slot: one of a killed node still counts."""
    slot = await slots.acquire()
    process = await trio.lowlevel.open_process(["sleep", "60"], pass_fds=(slot.descriptor,))
    slot.release()
    with trio.move_on_after(0.2) as scope:
        await slots.acquire()
    assert scope.cancelled_caught
    process.kill()
    await process.wait()
    (await slots.acquire()).release()


async def test_slots_are_counted_and_waiting_shows(tmp_path: Path) -> None:
    slots = FileSlots(tmp_path / "slots", 2, CLOCK)
    one, two = await slots.acquire(), await slots.acquire()
    assert not slots.wanted() and slots.held() == 2
    async with trio.open_nursery() as nursery:
        nursery.start_soon(slots.acquire)
        await trio.testing.wait_all_tasks_blocked()
        while not slots.wanted():
            await trio.sleep(0.01)
        one.release()
    assert not slots.wanted() and slots.held() == 2
    two.release()
    assert slots.held() == 1


async def test_children_at_work_share_the_threads(tmp_path: Path) -> None:
    slots = FileSlots(tmp_path / "slots", 2, CLOCK)
    async with supervised(slots, threads=5) as compute:
        assert await threads_of(compute) == 5
        neighbour = await slots.acquire()
        assert await threads_of(compute) == 2
        neighbour.release()
        assert await threads_of(compute) == 5


async def threads_of(compute: ChildCompute) -> int:
    described = await compute.run(Describe("threads"))
    assert isinstance(described, Described)
    return described.parameters


async def test_a_command_that_is_not_there_says_so(slots: FileSlots) -> None:
    compute = ChildCompute(["/no/such/program"], {}, slots, LIMIT, 60.0, CLOCK)
    with pytest.raises(ComputeError, match="/no/such/program"):
        await compute.run(Describe("a"))
    (await slots.acquire()).release()


async def test_a_slots_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "slot-0").mkdir()  # not a file that can be opened for writing
    slots = FileSlots(tmp_path, 1, SystemClock())
    with pytest.raises(OperatorError, match=r"slots-unusable.*slot-0"):
        await slots.acquire()
