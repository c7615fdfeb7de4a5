"""One suite for every Store: aiosqlite on a file, sqlite3 in memory."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import trio

from node.aio import AsyncioThread
from node.store import open_store
from protocol.errors import LocalError, OperatorError
from protocol.seams import Store
from simnet.seams import MemoryStore

MIGRATIONS = [
    ["CREATE TABLE owner (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT"],
    [
        "CREATE TABLE share (owner INTEGER NOT NULL REFERENCES owner (id), amount BLOB) STRICT",
        "INSERT INTO owner (id, name) VALUES (0, 'treasury')",
    ],
]
INSERT = "INSERT INTO owner (id, name) VALUES (?, ?)"
NAMES = "SELECT name FROM owner WHERE id > 0 ORDER BY id"


@pytest.fixture(params=["sqlite", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        memory = MemoryStore(MIGRATIONS)
        yield memory
        await memory.close()
        return
    with AsyncioThread() as thread:
        opened = await open_store(tmp_path / "journal.db", thread, MIGRATIONS)
        yield opened
        await opened.close()


async def test_what_is_written_is_read(store: Store) -> None:
    assert await store.execute(INSERT, (1, "ada")) == 1
    assert await store.execute("UPDATE owner SET name = name || ?", ("!",)) == 2
    assert await store.query(NAMES) == [("ada!",)]
    assert await store.query("SELECT id FROM owner WHERE name = ?", ("nobody",)) == []


async def test_values_keep_their_types(store: Store) -> None:
    await store.execute("INSERT INTO share (owner, amount) VALUES (0, ?)", (b"\x00\xff",))
    ((owner, amount),) = await store.query("SELECT owner, amount FROM share")
    assert (owner, amount) == (0, b"\x00\xff")
    await store.execute("INSERT INTO share (owner, amount) VALUES (0, NULL)")
    assert await store.query("SELECT amount FROM share WHERE amount IS NULL") == [(None,)]


async def test_a_run_of_one_statement_keeps_its_place(store: Store) -> None:
    """Many equal statements go to SQLite at once; what stands between them still comes between."""
    rename = "UPDATE owner SET name = name || ?"
    people = [(INSERT, (i, f"n{i}")) for i in range(1, 40)]
    await store.transaction(
        [*people, (rename, ("a",)), (rename, ("b",)), (INSERT, (40, "n40")), (rename, ("c",))]
    )
    assert sorted(row[0] for row in await store.query(NAMES)) == sorted(
        [*(f"n{i}abc" for i in range(1, 40)), "n40c"]
    )
    with pytest.raises(LocalError):  # the last of a run fails: nothing of it stays
        await store.transaction([(INSERT, (i, f"n{i}")) for i in (41, 42, 1)])
    assert len(await store.query(NAMES)) == 40


async def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    await store.transaction([(INSERT, (1, "ada")), (INSERT, (2, "ben"))])
    with pytest.raises(LocalError) as caught:
        await store.transaction([(INSERT, (3, "cay")), (INSERT, (4, "ada"))])
    assert caught.value.code == "store-conflict"
    assert await store.query(NAMES) == [("ada",), ("ben",)]
    await store.execute(INSERT, (3, "cay"))
    assert await store.query(NAMES) == [("ada",), ("ben",), ("cay",)]


async def test_a_foreign_key_is_held(store: Store) -> None:
    with pytest.raises(LocalError) as caught:
        await store.execute("INSERT INTO share (owner, amount) VALUES (9, NULL)")
    assert caught.value.code == "store-conflict"


@pytest.mark.parametrize(
    ("sql", "args"),
    [("SELEKT 1", ()), ("SELECT missing FROM owner", ()), (INSERT, (1,)), (NAMES, (1,))],
)
async def test_wrong_sql_is_our_error(store: Store, sql: str, args: Sequence[int]) -> None:
    with pytest.raises(LocalError) as caught:
        await store.query(sql, args)
    assert caught.value.code == "store-sql"


async def test_a_value_that_does_not_fit_leaves_no_half_transaction(store: Store) -> None:
    with pytest.raises(OverflowError):
        await store.transaction([(INSERT, (1, "ada")), (INSERT, (2**70, "ben"))])
    await store.transaction([(INSERT, (1, "cay"))])
    assert await store.query(NAMES) == [("cay",)]


async def test_transactions_side_by_side_do_not_mix(store: Store) -> None:
    async def pay(owner: int) -> None:
        names = [(INSERT, (10 * owner + part, f"{owner}/{part}")) for part in range(5)]
        await store.transaction(names)

    async with trio.open_nursery() as nursery:
        for owner in range(1, 6):
            nursery.start_soon(pay, owner)
    assert len(await store.query(NAMES)) == 25


async def test_a_cancelled_transaction_is_whole_or_absent(store: Store) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.transaction([(INSERT, (1, "ada")), (INSERT, (2, "ben"))])
    assert len(await store.query(NAMES)) in (0, 2)
    await store.execute(INSERT, (3, "cay"))


class TestFile:
    """What only a file can do."""

    async def test_a_file_outlives_its_store(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.db"
        with AsyncioThread() as thread:
            first = await open_store(path, thread, MIGRATIONS)
            await first.execute(INSERT, (1, "ada"))
            await first.close()
            second = await open_store(path, thread, MIGRATIONS)
            assert await second.query(NAMES) == [("ada",)]
            await second.close()

    async def test_an_older_file_is_brought_forward_once(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.db"
        with AsyncioThread() as thread:
            old = await open_store(path, thread, MIGRATIONS[:1])
            await old.execute(INSERT, (1, "ada"))
            await old.close()
            for _ in range(2):
                new = await open_store(path, thread, MIGRATIONS)
                assert await new.query("SELECT count(*) FROM share") == [(0,)]
                assert await new.query("PRAGMA user_version") == [(2,)]
                assert await new.query(NAMES) == [("ada",)]
                await new.close()

    async def test_a_broken_migration_changes_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.db"
        broken = [MIGRATIONS[0], [MIGRATIONS[1][0], "INSERT INTO nowhere VALUES (1)"]]
        with AsyncioThread() as thread:
            with pytest.raises(LocalError):
                await open_store(path, thread, broken)
            store = await open_store(path, thread, MIGRATIONS)
            assert await store.query("PRAGMA user_version") == [(2,)]
            await store.close()

    async def test_a_newer_file_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.db"
        with AsyncioThread() as thread:
            await (await open_store(path, thread, MIGRATIONS)).close()
            with pytest.raises(OperatorError, match=r"version 2.* knows 1") as caught:
                await open_store(path, thread, MIGRATIONS[:1])
        assert caught.value.code == "store-newer"
        assert caught.value.remedy

    async def test_a_second_node_with_the_same_file_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("node.store.BUSY_SECONDS", 0.01)
        path = tmp_path / "journal.db"
        with AsyncioThread() as thread:
            first = await open_store(path, thread, MIGRATIONS)
            with pytest.raises(OperatorError, match="other node") as caught:
                await open_store(path, thread, MIGRATIONS)
            assert caught.value.code == "store-locked"
            await first.close()
            await (await open_store(path, thread, MIGRATIONS)).close()

    async def test_a_file_that_is_no_database_is_refused_and_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.db"
        path.write_bytes(b"not a database " * 100)
        with AsyncioThread() as thread, pytest.raises(OperatorError) as caught:
            await open_store(path, thread, MIGRATIONS)
        assert caught.value.code == "store-corrupt"
        assert path.read_bytes() == b"not a database " * 100

    async def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "nowhere" / "journal.db"
        with AsyncioThread() as thread, pytest.raises(OperatorError, match="nowhere") as caught:
            await open_store(path, thread, MIGRATIONS)
        assert caught.value.code == "store-missing"

    async def test_every_commit_is_synced(self, tmp_path: Path) -> None:
        with AsyncioThread() as thread:
            store = await open_store(tmp_path / "journal.db", thread, MIGRATIONS)
            assert await store.query("PRAGMA synchronous") == [(2,)]
            assert await store.query("PRAGMA journal_mode") == [("wal",)]
            await store.close()


def test_memory_refuses_a_broken_migration() -> None:
    with pytest.raises(LocalError, match="nowhere"):
        MemoryStore([["INSERT INTO nowhere VALUES (1)"]])
