"""Several children of one node: at once where slots are spare, one after the other where they are not."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from node.children import Children
from node.compute import ChildCompute
from node.doors import SystemClock
from node.slots import FileSlots
from node.together import together
from protocol.compute import Describe, Described
from protocol.errors import ComputeError
from tests.node.supervised import watched

ROOT = Path(__file__).resolve().parents[2]
FAKE = Path(__file__).with_name("fake_child.py")
CLOCK = SystemClock()

pytestmark = pytest.mark.process


@asynccontextmanager
async def running(slots: FileSlots, seats: int) -> AsyncIterator[Children]:
    command, env = [sys.executable, str(FAKE)], {"PYTHONPATH": str(ROOT)}
    made = (ChildCompute(command, env, slots, 1 << 30, 60.0, CLOCK) for _ in range(seats))
    children = Children(tuple(made), slots)
    async with watched(children):
        yield children


async def ask(children: Children, base: str) -> str:
    """The process that answered."""
    found = await children.run(Describe(base))
    assert isinstance(found, Described)
    return found.device


async def at_once(children: Children, count: int) -> list[str]:
    return await together([lambda: ask(children, "nap 0.3")] * count)


async def test_requests_that_come_at_once_use_every_slot(tmp_path: Path) -> None:
    async with running(FileSlots(tmp_path / "slots", 2, CLOCK), 2) as children:
        assert len(set(await at_once(children, 4))) == 2


async def test_a_slot_that_is_taken_or_wanted_by_others_is_left_to_them(tmp_path: Path) -> None:
    slots = FileSlots(tmp_path / "slots", 2, CLOCK)
    async with running(slots, 2) as children:
        neighbour = await slots.acquire()
        assert len(set(await at_once(children, 3))) == 1
        neighbour.release()


async def test_one_request_after_the_other_keeps_one_child(tmp_path: Path) -> None:
    async with running(FileSlots(tmp_path / "slots", 2, CLOCK), 2) as children:
        assert len({await ask(children, "a") for _ in range(4)}) == 1


async def test_the_first_error_ends_what_runs_beside_it(tmp_path: Path) -> None:
    async with running(FileSlots(tmp_path / "slots", 2, CLOCK), 2) as children:
        start = trio.current_time()
        with pytest.raises(ComputeError, match="bad-model"):
            await together(
                [lambda: ask(children, "hang"), lambda: ask(children, "fail no such model")]
            )
        assert trio.current_time() - start < 20
        assert await ask(children, "a")
