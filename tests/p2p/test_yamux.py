"""A connection whose peer takes nothing more ends by itself; one that is closed lets its writers go."""

from typing import Any

import pytest
import trio
import trio.testing
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable

from p2p.libp2p_yamux import FRAME_SECONDS, WholeYamux


class Stalled:
    """A secured connection whose writes wait until it is closed."""

    is_initiator = True

    def __init__(self) -> None:
        self.closed = trio.Event()

    async def write(self, data: bytes) -> None:
        await self.closed.wait()
        raise trio.ClosedResourceError

    async def close(self) -> None:
        self.closed.set()


def stalled() -> tuple[Stalled, Any]:
    link = Stalled()
    return link, WholeYamux(link, ID(b"\x00\x01a"), is_initiator=True)  # type: ignore[arg-type]


async def test_a_frame_that_nobody_takes_ends_the_connection_though_its_sender_is_cancelled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    link, muxer = stalled()
    start = trio.current_time()
    with pytest.raises(MuxedConnUnavailable), trio.move_on_after(1):
        await muxer.echo()
    assert link.closed.is_set() and trio.current_time() - start == FRAME_SECONDS


async def test_closing_lets_a_waiting_writer_go(autojump_clock: trio.testing.MockClock) -> None:
    link, muxer = stalled()

    async def write() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await muxer.echo()

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await muxer.close()
    assert link.closed.is_set() and trio.current_time() - start == pytest.approx(1)
