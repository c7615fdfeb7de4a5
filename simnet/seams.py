"""Simulated seams: trio's clock as the world's clock, seeded randomness, a database in memory.

``run_world`` makes a run repeatable: virtual time, and trio's scheduling from a seed.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import trio
import trio.testing
from blake3 import blake3
from trio._core import _run

from node.store import Migrations, Statement, pending, translated

T = TypeVar("T")
MEMORY = ":memory:"
SCHEDULING = "_ALLOW_DETERMINISTIC_SCHEDULING"


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

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds``; a checkpoint even when not positive."""
        await trio.sleep(max(0.0, seconds))


class SeededRandomness:
    """BLAKE3 of a seed and a counter."""

    def __init__(self, seed: bytes) -> None:
        self._key = blake3(b"simulated randomness" + seed).digest()
        self._drawn = 0

    def token(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        self._drawn += 1
        return blake3(self._drawn.to_bytes(8, "big"), key=self._key).digest(length=size)


class MemoryStore:
    """The Store seam on synchronous sqlite3 in memory: the same SQL and errors, and no thread."""

    def __init__(self, migrations: Migrations = ()) -> None:
        self._connection = sqlite3.connect(MEMORY, isolation_level=None)
        self._connection.execute("PRAGMA foreign_keys = ON")
        for batch in pending(0, migrations, MEMORY):
            self._all_or_none(batch)

    async def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        """Run one statement in its own transaction; the affected row count."""
        await trio.lowlevel.checkpoint()
        return max(0, self._cursor(sql, args).rowcount)

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
        self._connection.close()

    def _cursor(self, sql: str, args: Sequence[Any]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, args)
        except sqlite3.Error as error:
            raise translated(error, MEMORY) from error

    def _all_or_none(self, statements: Sequence[Statement]) -> None:
        self._cursor("BEGIN IMMEDIATE", ())
        try:
            for sql, args in statements:
                self._cursor(sql, args)
            self._cursor("COMMIT", ())
        finally:
            if self._connection.in_transaction:
                self._cursor("ROLLBACK", ())


def run_world(main: Callable[..., Awaitable[T]], *args: Any, seed: int) -> T:
    """``trio.run(main, *args)`` in virtual time; one seed gives one order of all tasks.

    A clock that jumps is not enough: trio shuffles the tasks that are ready. Its own switch for
    that is private (trio 0.35; a test notices when it goes).
    """
    before, state = getattr(_run, SCHEDULING), _run._r.getstate()
    setattr(_run, SCHEDULING, True)
    _run._r.seed(seed)
    try:
        return trio.run(main, *args, clock=trio.testing.MockClock(autojump_threshold=0))
    finally:
        setattr(_run, SCHEDULING, before)
        _run._r.setstate(state)
