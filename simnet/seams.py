"""Simulated seams: trio's clock as the world's clock, seeded randomness, a database in memory.

``run_world`` makes a run repeatable: virtual time, and trio's scheduling from a seed.
"""

import gc
import math
import random
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import islice
from typing import Any, TypeVar

import trio
from blake3 import blake3
from trio._core import _run
from trio.testing import MockClock

from datanet.blobs import MemoryBlobs
from node.store import Migrations, Statement, batches, pending, translated
from p2p.conditions import Pending
from protocol.errors import LocalError
from protocol.ids import content_id
from protocol.seams import Clock
from simnet.shared import sharing

T = TypeVar("T")
MEMORY = ":memory:"
SCHEDULING = "_ALLOW_DETERMINISTIC_SCHEDULING"
SELDOM = 100_000, 50, 1_000  # of Python's collector: a world has millions of objects and few cycles
EVERY = 64  # turns of trio's loop between two looks for what comes from outside


class Sleepers:
    """Who waits for which virtual instant, woken by the clock itself.

    A world sleeps millions of times, and a cancel scope for each costs more than all else that trio does.
    Like ``SCHEDULING`` this stands on a private part of trio 0.35: what its clock does in an idle loop.
    """

    def __init__(self, clock: MockClock) -> None:
        self._clock = clock
        # a heap; of those due at one instant the first to lie down wakes first
        self._waiting: list[tuple[float, int, Pending]] = []
        self._count = 0
        setattr(clock, "_autojump", self._jump)  # noqa: B010  (a method for the type checker)

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds``, more than 0."""
        task = trio.lowlevel.current_task()
        wake = partial(trio.lowlevel.reschedule, task)
        sleeper = self.call_at(self._clock.current_time() + seconds, wake)

        def abort(_: object) -> trio.lowlevel.Abort:
            sleeper.wake = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def call_at(self, due: float, call: Callable[[], None]) -> Pending:
        """Call at an instant, or as soon as no task can run when that is over."""
        self._count += 1
        sleeper = Pending(call)
        heappush(self._waiting, (due, self._count, sleeper))
        return sleeper

    def _jump(self) -> None:
        """No task can run: on to the next deadline or sleeper, as MockClock does for deadlines alone."""
        waiting = self._waiting
        while waiting and waiting[0][2].wake is None:
            heappop(waiting)
        deadline = _run.GLOBAL_RUN_CONTEXT.runner.deadlines.next_deadline()
        due = waiting[0][0] if waiting else math.inf
        now = self._clock.current_time()
        ahead = min(due, deadline) - now
        if 0 < ahead < math.inf:
            self._clock.jump(ahead)
            now = self._clock.current_time()
        while waiting and waiting[0][0] <= now:
            wake = heappop(waiting)[2].wake
            if wake is not None:
                wake()


_SLEEPERS: trio.lowlevel.RunVar[Sleepers | None] = trio.lowlevel.RunVar("sleepers", None)


class TrioClock:
    """``epoch`` at the moment of construction (inside trio); one a world, or nodes disagree."""

    def __init__(self, epoch: float) -> None:
        self._offset = epoch - trio.current_time()

    def now(self) -> float:
        """Unix time in seconds."""
        return trio.current_time() + self._offset

    def monotonic(self) -> float:
        """Seconds of trio's clock."""
        return trio.current_time()

    def call_at(self, due: float, call: Callable[[], None]) -> Pending:
        """Call once ``monotonic`` has come to ``due``; only in a world's time."""
        sleepers = _SLEEPERS.get()
        assert sleepers is not None, "a world's time is virtual"
        return sleepers.call_at(due, call)

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds``; a checkpoint even when not positive."""
        sleepers = _SLEEPERS.get()
        if seconds > 0 and sleepers is not None:
            await sleepers.sleep(seconds)
        else:
            await trio.sleep(max(0.0, seconds))


class SkewedClock:
    """A machine's clock; its wall time runs ``ahead`` by so many seconds, monotonic time is the world's."""

    def __init__(self, clock: Clock, ahead: float = 0.0) -> None:
        self._clock = clock
        self.ahead = ahead

    def now(self) -> float:
        """Unix time in seconds, as this machine believes."""
        return self._clock.now() + self.ahead

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


class Disk(MemoryBlobs):
    """Blobs of a machine whose power may go: the last one written can be lost, or cut short."""

    def __init__(self) -> None:
        super().__init__()
        self._last = b""
        self._torn: set[bytes] = set()

    def put(self, body: bytes) -> bytes:
        """Store; the 32-byte id."""
        new = not self.has(content_id(body))
        blob = super().put(body)
        self._last = blob if new else self._last
        return blob

    def get(self, blob: bytes) -> bytes:
        """The body. Raises LocalError: ``no-blob``, ``blob-corrupt``."""
        body = super().get(blob)
        if blob in self._torn and content_id(body) != blob:
            raise LocalError("blob-corrupt", blob.hex())
        return body

    @property
    def count(self) -> int:
        return len(self._bodies)

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(map(len, self._bodies.values()))

    def after(self, seen: int) -> Iterator[tuple[bytes, bytes]]:
        """What can be read of the blobs written after the first ``seen``, in order, by id."""
        for blob in list(islice(self._bodies, seen, None)):
            try:
                yield blob, self.get(blob)
            except LocalError:
                continue  # torn by a crash, and known as such

    def lose_last(self) -> None:
        """The last blob never reached the disk."""
        self._bodies.pop(self._last, None)

    def tear_last(self) -> None:
        """Half of the last blob reached the disk."""
        if self._last in self._bodies:
            self._torn.add(self._last)
            body = self._bodies[self._last]
            self._bodies[self._last] = body[: len(body) // 2]


class SeededRandomness:
    """BLAKE3 of a seed and a counter."""

    def __init__(self, seed: bytes) -> None:
        self._key = blake3(b"simulated randomness" + seed).digest()
        self._drawn = 0

    def token(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        self._drawn += 1
        return blake3(self._drawn.to_bytes(8, "big"), key=self._key).digest(length=size)


def seeded_draws(seed: bytes) -> random.Random:
    """Floats from a seed, equal on every machine: the latencies and losses of wires."""
    return random.Random(seed)


class MemoryStore:
    """The Store seam on synchronous sqlite3 in memory: the same SQL and errors, and no thread.

    A write stays open until the next one, so that ``lose_last`` can take it back as a crash of a disk
    that lied about its last write would.
    """

    def __init__(self, migrations: Migrations = ()) -> None:
        self._connection = sqlite3.connect(MEMORY, isolation_level=None)
        self._connection.execute("PRAGMA foreign_keys = ON")
        for batch in pending(0, migrations, MEMORY):
            self._all_or_none(batch)

    def lose_last(self) -> None:
        """Take back the last write."""
        self._end("ROLLBACK")

    async def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        """Run one statement in its own transaction; the affected row count."""
        await trio.lowlevel.checkpoint()
        return self._all_or_none([(sql, args)])

    async def transaction(self, statements: Sequence[Statement]) -> None:
        """Run all statements or none."""
        await trio.lowlevel.checkpoint()
        self._all_or_none(statements)

    async def query(self, sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a select."""
        await trio.lowlevel.checkpoint()
        return self._cursor(sql, args).fetchall()

    async def close(self) -> None:
        """Forget everything."""
        await trio.lowlevel.checkpoint()
        self._end("COMMIT")
        self._connection.close()

    def _cursor(self, sql: str, *several: Sequence[Any]) -> sqlite3.Cursor:
        try:
            if len(several) == 1:
                return self._connection.execute(sql, several[0])
            return self._connection.executemany(sql, several)
        except sqlite3.Error as error:
            raise translated(error, MEMORY) from error

    def _all_or_none(self, statements: Sequence[Statement]) -> int:
        """The rows that the last statements affected."""
        self._end("COMMIT")
        self._cursor("BEGIN IMMEDIATE", ())
        count = 0
        try:
            for sql, several in batches(statements):
                count = max(0, self._cursor(sql, *several).rowcount)
        except BaseException:
            self._end("ROLLBACK")
            raise
        return count

    def _end(self, how: str) -> None:
        if self._connection.in_transaction:
            self._cursor(how, ())


def run_world(main: Callable[..., Awaitable[T]], *args: Any, seed: int) -> T:
    """``trio.run(main, *args)`` in virtual time; one seed gives one order of all tasks.

    A clock that jumps is not enough: trio shuffles the tasks that are ready. Its own switch for
    that is private (trio 0.35; a test notices when it goes).
    """
    before, state, often = getattr(_run, SCHEDULING), _run._r.getstate(), gc.get_threshold()
    setattr(_run, SCHEDULING, True)
    gc.set_threshold(*SELDOM)
    _run._r.seed(seed)
    try:
        with sharing():
            result: T = trio.run(_slept, main, args, clock=MockClock(autojump_threshold=0))
            return result
    finally:
        setattr(_run, SCHEDULING, before)
        _run._r.setstate(state)
        gc.set_threshold(*often)


class Calm:
    """trio's door to the system, asked for events one turn in ``EVERY``: a world waits for none of them,
    and Ctrl-C may come a moment later. As private as ``SCHEDULING``.
    """

    def __init__(self, door: Any) -> None:
        self._door = door
        self._turns = 0

    def get_events(self, timeout: float) -> Any:
        self._turns += 1
        return () if self._turns % EVERY else self._door.get_events(timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._door, name)


async def _slept(main: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock), "a world's time is virtual"
    _SLEEPERS.set(Sleepers(clock))
    runner = _run.GLOBAL_RUN_CONTEXT.runner
    setattr(runner, "io_manager", Calm(runner.io_manager))  # noqa: B010  (a stand-in for the type checker)
    return await main(*args)
