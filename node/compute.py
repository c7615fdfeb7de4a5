"""The supervisor of the compute child: torch lives there, and may crash, swell or hang.

One request at a time. The child is started when first needed, within a machine-wide slot; it ends
when idle, when it outgrows its memory, or when its caller is cancelled, and the next request starts
another. A failure costs one request, never the node.
"""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, NoReturn

import psutil
import trio

from node.child_loop import (
    FAILED,
    HEADER_BYTES,
    MAX_FRAME,
    OK,
    Failure,
    Frame,
    encode_frame,
)
from node.slots import FileSlots, Slot
from protocol.codec import unpack
from protocol.compute import (
    RESULT_OF,
    InspectAdapter,
    Judge,
    Merge,
    Request,
    Result,
    encode_request,
)
from protocol.errors import ComputeError, DecodeError
from protocol.seams import Clock

YIELD_SECONDS = 1.5  # idle so long before a waiting node gets the slot: a model costs 6 CPU-seconds
LIGHT = (InspectAdapter, Judge, Merge)  # load no model: their child gives way at once
WATCH_SECONDS = 0.2  # between two looks at the child's memory, and at whether it is idle
TAIL_BYTES = 4_000


@dataclass(slots=True)
class Child:
    """A running process, its stderr (an unnamed file), and what it holds: that file and a slot."""

    process: trio.Process
    stderr: IO[bytes]
    held: ExitStack
    swollen_bytes: int = 0
    light: bool = True  # it has no model yet

    async def exchange(self, frame: Frame) -> Frame | None:
        """The child's answer, or None when it died instead."""
        assert self.process.stdin is not None
        try:
            await self.process.stdin.send_all(encode_frame(frame))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return None
        header = await self._receive(HEADER_BYTES)
        if header is None:
            return None
        body = await self._receive(min(int.from_bytes(header, "big"), MAX_FRAME))
        try:
            return None if body is None else unpack(Frame, body)
        except DecodeError:
            self.process.kill()  # the pipe is out of step: something else wrote to it
            return None

    async def _receive(self, size: int) -> bytes | None:
        assert self.process.stdout is not None
        parts = bytearray()
        while len(parts) < size:
            try:
                part = await self.process.stdout.receive_some(size - len(parts))
            except trio.ClosedResourceError:
                return None
            if not part:
                return None
            parts += part
        return bytes(parts)

    def memory(self) -> int:
        """Resident bytes; 0 when it is gone."""
        try:
            return int(psutil.Process(self.process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def last_words(self) -> str:
        """The last line it wrote to stderr."""
        if self.stderr.closed:
            return "it was closed"
        size = self.stderr.seek(0, 2)
        self.stderr.seek(max(0, size - TAIL_BYTES))
        lines = self.stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote nothing to stderr"

    async def end(self) -> None:
        """Kill it, wait for its end, give the slot back."""
        with trio.CancelScope(shield=True):
            self.process.kill()
            await self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                assert pipe is not None
                await pipe.aclose()
        self.held.close()


class ChildCompute:
    """The Compute seam over ``command``, which must call ``node.child_loop.serve``."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        slots: FileSlots,
        memory_limit: int,
        idle_seconds: float,
        clock: Clock,
        threads: int = 1,
    ) -> None:
        """``memory_limit`` in resident bytes; ``idle_seconds`` without work end the child.

        ``threads``: of all children that share the slots; a request gets its part of them.
        """
        self._command = list(command)
        self._env = dict(env)
        self._slots = slots
        self._memory_limit = memory_limit
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._threads = threads
        self._turn = trio.Lock()
        self._child: Child | None = None
        self._last_used = clock.monotonic()

    @property
    def alive(self) -> bool:
        """Whether a child is there."""
        return self._child is not None

    async def run(self, request: Request) -> Result:
        """One request. Raises ComputeError: ``crashed``, ``out-of-memory``, or what the child says.

        Cancelling kills the child: nothing else stops a computation.
        """
        kind, body = encode_request(request)
        async with self._turn:
            child, answer = await self._alive(), None
            child.light = child.light and isinstance(request, LIGHT)
            frame = Frame(kind, body, max(1, self._threads // max(1, self._slots.held())))
            try:
                answer = await self._watched(child, frame)
                if answer is None:
                    await self._bury(child)
            finally:
                if answer is None:
                    await self._end()
            self._last_used = self._clock.monotonic()
        return _result(request, answer)

    async def close(self) -> None:
        """End the child, also in the midst of its work."""
        await self._end()

    async def watch(self) -> None:
        """Run beside the node: ends a child that idles, at once when its slot is wanted."""
        while True:
            await self._clock.sleep(WATCH_SECONDS)
            if self._child is None or self._turn.locked():
                continue
            idle = self._clock.monotonic() - self._last_used
            patience = 0.0 if self._child.light else YIELD_SECONDS
            if idle > self._idle_seconds or (idle > patience and self._slots.wanted()):
                async with self._turn:
                    await self._end()

    async def _alive(self) -> Child:
        if self._child is not None and self._child.process.poll() is not None:
            await self._end()
        if self._child is None:
            self._child = await self._start()
        return self._child

    async def _start(self) -> Child:
        with ExitStack() as held:
            slot = await self._slots.acquire()
            held.callback(slot.release)
            stderr = held.enter_context(tempfile.TemporaryFile())
            return Child(await self._spawn(stderr, slot), stderr, held.pop_all())

    async def _spawn(self, stderr: IO[bytes], slot: Slot) -> trio.Process:
        try:
            with trio.CancelScope(shield=True):  # a process that nobody knows would never end
                return await trio.lowlevel.open_process(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env=self._env,
                    pass_fds=(slot.descriptor,),  # the slot is held until the child too is gone
                )
        except OSError as error:
            raise ComputeError("crashed", f"cannot start {self._command[0]}: {error}.") from error

    async def _watched(self, child: Child, frame: Frame) -> Frame | None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._limit_memory, child)
            answer = await child.exchange(frame)
            nursery.cancel_scope.cancel()
        return answer

    async def _limit_memory(self, child: Child) -> None:
        """Kill what outgrows its memory; RLIMIT_AS would count what is only mapped, too."""
        while (used := child.memory()) <= self._memory_limit:
            await self._clock.sleep(WATCH_SECONDS)
        child.swollen_bytes = used
        child.process.kill()

    async def _bury(self, child: Child) -> NoReturn:
        status, words = await child.process.wait(), child.last_words()
        if child.swollen_bytes:
            used, limit = child.swollen_bytes >> 20, self._memory_limit >> 20
            raise ComputeError(
                "out-of-memory",
                f"the compute child held {used} MiB of {limit} MiB; use a smaller batch.",
            )
        raise ComputeError("crashed", f"the compute child ended with status {status}: {words}")

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.end()


def _result(request: Request, answer: Frame) -> Result:
    if answer.kind == FAILED:
        failure = unpack(Failure, answer.body)
        raise ComputeError(failure.code, failure.text)
    assert answer.kind == OK, answer.kind
    return unpack(RESULT_OF[type(request)], answer.body)
