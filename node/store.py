"""The journal's database: aiosqlite in the asyncio thread, WAL, one writer, every commit on disk.

``PRAGMA user_version`` counts the migrations that a file has seen; they only go forward. The
file is held exclusively: a second node with the same home is refused instead of doubling its keys.
"""

import sqlite3
from collections.abc import Callable, Coroutine, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
import trio

from node.aio import AsyncioThread
from protocol.errors import LocalError, OpenLedgerError, OperatorError

T = TypeVar("T")
Statement = tuple[str, Sequence[Any]]
Migrations = Sequence[Sequence[str]]

BUSY_SECONDS = 2.0
CHANGES = ("INSERT", "UPDATE", "DELETE", "REPLAC")
PRAGMAS = (
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)


class SqliteStore:
    """The Store seam; made by ``open_store``."""

    def __init__(self, connection: aiosqlite.Connection, thread: AsyncioThread, name: str) -> None:
        self._connection = connection
        self._thread = thread
        self._name = name
        self._writer = trio.Lock()

    async def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        """Run one statement in its own transaction; the affected row count.

        Raises LocalError: ``store-conflict`` (a constraint), ``store-sql``; OperatorError:
        ``store-locked``, ``store-corrupt``, ``store-full``.
        """
        return await self._run(_execute, self._connection, sql, args)

    async def transaction(self, statements: Sequence[Statement]) -> None:
        """Run all statements or none. Raises as ``execute``."""
        await self._run(_transaction, self._connection, statements)

    async def query(self, sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a select. Raises as ``execute``."""
        return await self._run(_query, self._connection, sql, args)

    async def close(self) -> None:
        """Write the log back and let the file go."""
        await self._run(self._connection.close)

    async def _run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """One at a time, and to its end: a transaction is never left half-way by a cancellation."""
        async with self._writer:
            with trio.CancelScope(shield=True):
                try:
                    return await self._thread.run(function, *args)
                except sqlite3.Error as error:
                    raise translated(error, self._name) from error


async def open_store(path: Path, thread: AsyncioThread, migrations: Migrations) -> SqliteStore:
    """Open or create the file and bring it to the newest version.

    ``migrations[n]`` leads from version n to n + 1. Raises OperatorError: ``store-newer``,
    ``store-locked``, ``store-corrupt``, ``store-missing``.
    """
    try:
        connection = await thread.run(_open, path)
    except sqlite3.Error as error:
        raise translated(error, str(path)) from error
    store = SqliteStore(connection, thread, str(path))
    try:
        ((version,),) = await store.query("PRAGMA user_version")
        for batch in pending(version, migrations, str(path)):
            await store.transaction(batch)
    except OpenLedgerError:
        await store.close()
        raise
    return store


def batches(statements: Sequence[Statement]) -> Iterator[tuple[str, list[Sequence[Any]]]]:
    """Runs of one and the same change, for which SQLite is asked once; all else one by one."""
    for sql, run in groupby(statements, key=itemgetter(0)):
        several = [args for _, args in run]
        if sql.lstrip()[:6].upper() in CHANGES:
            yield sql, several
        else:
            yield from ((sql, [args]) for args in several)


def pending(version: int, migrations: Migrations, name: str) -> list[list[Statement]]:
    """One transaction for each migration that a file of ``version`` lacks."""
    if version > len(migrations):
        raise OperatorError(
            "store-newer",
            f"{name} has version {version}, this program knows {len(migrations)}.",
            "Install the newer program that wrote it, or give another home.",
        )
    return [
        [*((sql, ()) for sql in migrations[at]), (f"PRAGMA user_version = {at + 1}", ())]
        for at in range(version, len(migrations))
    ]


def translated(error: sqlite3.Error, name: str) -> OpenLedgerError:
    """Whose fault an error of SQLite is: the operator's (the file) or ours (the SQL)."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if isinstance(error, sqlite3.IntegrityError):
        return LocalError("store-conflict", f"{name}: {error}")
    if code in _FILE_ERRORS:
        short, remedy = _FILE_ERRORS[code]
        return OperatorError(short, f"{name}: {error}.", remedy)
    return LocalError("store-sql", f"{name}: {error}")


_LOCKED = ("store-locked", "Stop the other node that uses this home, or give another home.")
_CORRUPT = ("store-corrupt", "Restore the file from a backup, or move it away to start anew.")
_MISSING = ("store-missing", "Check that the folder exists and may be written.")
_FILE_ERRORS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_CORRUPT: _CORRUPT,
    sqlite3.SQLITE_NOTADB: _CORRUPT,
    sqlite3.SQLITE_IOERR: ("store-corrupt", "Check the disk; restore the file from a backup."),
    sqlite3.SQLITE_FULL: ("store-full", "Free disk space and start again."),
    sqlite3.SQLITE_CANTOPEN: _MISSING,
    sqlite3.SQLITE_READONLY: _MISSING,
}


async def _open(path: Path) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        for pragma in PRAGMAS:
            await connection.execute_fetchall(pragma)
        await connection.execute_fetchall("BEGIN IMMEDIATE")  # takes the lock now, and keeps it
        await connection.execute_fetchall("COMMIT")
    except sqlite3.Error:
        await connection.close()
        raise
    return connection


async def _execute(connection: aiosqlite.Connection, sql: str, args: Sequence[Any]) -> int:
    async with connection.execute(sql, args) as cursor:
        return max(0, cursor.rowcount)


async def _query(
    connection: aiosqlite.Connection, sql: str, args: Sequence[Any]
) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.execute_fetchall(sql, args)]


async def _transaction(connection: aiosqlite.Connection, statements: Sequence[Statement]) -> None:
    await connection.execute_fetchall("BEGIN IMMEDIATE")
    try:
        for sql, several in batches(statements):
            if len(several) == 1:
                await connection.execute_fetchall(sql, several[0])
            else:
                async with connection.executemany(sql, several):
                    pass
        await connection.execute_fetchall("COMMIT")
    finally:
        if connection.in_transaction:
            await connection.execute_fetchall("ROLLBACK")
