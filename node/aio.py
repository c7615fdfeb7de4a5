"""One asyncio loop in one thread, for the libraries that know no trio: aiosqlite and web3.

A call costs about 0.1 ms. The loop is an explicit SelectorEventLoop: no policy of a library can
change what it is.
"""

import asyncio
import threading
import typing
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, NoReturn, TypeVar

import outcome
import trio

from protocol.errors import LocalError

T = TypeVar("T")
RaiseCancel = Callable[[], NoReturn]


class AsyncioThread:
    """``with AsyncioThread() as thread: await thread.run(fn, *args)``; leaving cancels the rest."""

    def __init__(self) -> None:
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="asyncio", daemon=True)

    def __enter__(self) -> "AsyncioThread":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Await ``function(*args)`` in the loop, from trio.

        Its exceptions pass through. Cancelling the trio side cancels the asyncio task and waits for
        its end. Raises LocalError ``aio-stopped`` when the thread is left meanwhile.
        """
        call = _Call(self._loop, function(*args))
        self._loop.call_soon_threadsafe(call.start)
        return typing.cast(T, await trio.lowlevel.wait_task_rescheduled(call.abort))

    async def _finish(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_asyncgens()


class _Call:
    """One coroutine in the loop with one trio task waiting for it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]
    ) -> None:
        self._loop = loop
        self._coroutine = coroutine
        self._token = trio.lowlevel.current_trio_token()
        self._waiting = trio.lowlevel.current_task()
        self._task: asyncio.Task[Any] | None = None
        self._raise_cancel: RaiseCancel | None = None

    def start(self) -> None:
        """In the loop's thread."""
        self._task = self._loop.create_task(self._coroutine)
        self._task.add_done_callback(self._finished)

    def abort(self, raise_cancel: RaiseCancel) -> trio.lowlevel.Abort:
        """In trio's thread: ask the task to end; ``_finished`` wakes trio when it has."""
        self._raise_cancel = raise_cancel
        self._loop.call_soon_threadsafe(self._cancel)
        return trio.lowlevel.Abort.FAILED

    def _cancel(self) -> None:
        assert self._task is not None  # the loop runs callbacks in order: start came first
        self._task.cancel()

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._token.run_sync_soon(self._wake, task)

    def _wake(self, task: asyncio.Task[Any]) -> None:
        """In trio's thread."""
        trio.lowlevel.reschedule(self._waiting, outcome.capture(self._unwrap, task))

    def _unwrap(self, task: asyncio.Task[Any]) -> Any:
        if not task.cancelled():
            return task.result()
        if self._raise_cancel is not None:
            self._raise_cancel()
        raise LocalError("aio-stopped", "the asyncio thread ended during a call")
