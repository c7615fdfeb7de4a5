"""The opening half of the libp2p door: whoever waits for a stream may be cancelled, the library may not.

Cut short it keeps the stream's slot, and the peer waits 30 s for the name of a protocol.
"""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable

import trio
from libp2p.abc import INetStream

from p2p.guard import MAX_STREAMS, Guard
from p2p.libp2p_gossip import LIBRARY
from protocol.seams import PeerId

OPEN_SECONDS = 10.0
AT_ONCE = MAX_STREAMS // 4  # to one peer: it counts streams that were given up until it has read so

Open = Callable[[], Awaitable[INetStream]]
Reset = Callable[[INetStream], Awaitable[None]]


class Openings:
    """Streams being opened, each by a task that nobody cancels; one that nobody waits for is reset."""

    def __init__(self, reset: Reset) -> None:
        self._reset = reset
        self._busy: Counter[PeerId] = Counter()
        self._turns: defaultdict[PeerId, trio.Semaphore] = defaultdict(
            lambda: trio.Semaphore(AT_ONCE)
        )

    async def open(self, nursery: trio.Nursery, peer: PeerId, act: Open) -> INetStream:
        """Raises what ``act`` raises, and trio.TooSlowError after OPEN_SECONDS."""
        send, receive = trio.open_memory_channel[INetStream | Exception](0)
        with receive:
            nursery.start_soon(self._run, peer, act, send)
            result = await receive.receive()
        if isinstance(result, Exception):
            raise result
        return result

    async def _run(
        self,
        peer: PeerId,
        act: Open,
        send: "trio.MemorySendChannel[INetStream | Exception]",
    ) -> None:
        self._busy[peer] += 1
        try:
            async with self._turns[peer]:
                if not send.statistics().open_receive_channels:
                    return  # given up before its turn
                result = await self._opened(act)
            await self._hand_over(result, send)
        finally:
            self._busy[peer] -= 1
            if not self._busy[peer]:
                del self._busy[peer], self._turns[peer]

    async def _opened(self, act: Open) -> INetStream | Exception:
        with Guard(Counter(), "open", LIBRARY) as guard, trio.fail_after(OPEN_SECONDS):
            return await act()
        assert guard.tripped is not None, "it returned or raised"
        return guard.tripped

    async def _hand_over(
        self,
        result: INetStream | Exception,
        send: "trio.MemorySendChannel[INetStream | Exception]",
    ) -> None:
        try:
            await send.send(result)
        except trio.BrokenResourceError:
            if not isinstance(result, Exception):
                await self._reset(result)
