"""Calls from trio into the asyncio thread: results, errors, cancellation, the end."""

import asyncio
import threading

import pytest
import trio
import trio.testing

from node.aio import AsyncioThread
from protocol.errors import LocalError, Reverted


async def double(value: int) -> int:
    await asyncio.sleep(0)
    return 2 * value


async def test_a_result_comes_back_from_another_thread() -> None:
    async def where() -> int:
        return threading.get_ident()

    with AsyncioThread() as thread:
        assert await thread.run(double, 21) == 42
        assert await thread.run(where) != threading.get_ident()


async def test_the_loop_is_a_selector_loop() -> None:
    async def kind() -> type:
        return type(asyncio.get_running_loop())

    with AsyncioThread() as thread:
        assert issubclass(await thread.run(kind), asyncio.SelectorEventLoop)


async def test_an_error_passes_through_as_itself() -> None:
    async def revert() -> None:
        raise Reverted("NotYourLeaf", "the leaf belongs to another")

    with AsyncioThread() as thread, pytest.raises(Reverted, match="NotYourLeaf"):
        await thread.run(revert)


async def test_many_calls_run_side_by_side() -> None:
    """Each of the three waits until all have come."""
    together: list[int] = []

    async def meet(value: int) -> None:
        together.append(value)
        while len(together) < 3:
            await asyncio.sleep(0)

    with AsyncioThread() as thread, trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for value in range(3):
                nursery.start_soon(thread.run, meet, value)
    assert sorted(together) == [0, 1, 2]


async def test_cancelling_trio_cancels_the_task_and_waits_for_its_end() -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("cleaned up")

    with AsyncioThread() as thread:
        with trio.move_on_after(0.01) as scope:
            await thread.run(forever)
        assert scope.cancelled_caught
        assert ended == ["cleaned up"]
        assert await thread.run(double, 1) == 2


async def test_a_task_that_finishes_despite_the_cancellation_keeps_its_result() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done all the same"
        raise AssertionError("the event is never set")

    with AsyncioThread() as thread, trio.move_on_after(0.01):
        assert await thread.run(stubborn) == "done all the same"


async def test_leaving_ends_what_still_runs() -> None:
    caught: list[str] = []

    async def call(thread: AsyncioThread) -> None:
        with pytest.raises(LocalError) as error:
            await thread.run(asyncio.Event().wait)
        caught.append(error.value.code)

    async with trio.open_nursery() as nursery:
        with AsyncioThread() as thread:
            nursery.start_soon(call, thread)
            await trio.testing.wait_all_tasks_blocked()
    assert caught == ["aio-stopped"]
    assert "asyncio" not in {thread.name for thread in threading.enumerate()}
