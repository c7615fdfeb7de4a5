"""Drops peers that stopped answering: a suspended process keeps its sockets open for ever."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection

import trio

from protocol.seams import Clock, PeerId

PING_EVERY_SECONDS = 4.0  # with the deadline and the close: a frozen peer is gone in 13 s
PING_SECONDS = 8.0


class Liveness:
    """Pings every connected peer; one that neither answers nor sends is dropped.

    ``ping`` returns when the peer answered, and may raise nothing; ``drop`` closes the connection.
    """

    def __init__(
        self,
        clock: Clock,
        counts: Counter[str],
        ping: Callable[[PeerId], Awaitable[None]],
        drop: Callable[[PeerId], Awaitable[None]],
    ) -> None:
        self._clock = clock
        self._counts = counts
        self._ping = ping
        self._drop = drop
        self._heard: dict[PeerId, float] = {}
        self._latency: dict[PeerId, float] = {}
        self._asked: set[PeerId] = set()  # whose echo is still out

    def latency(self, peer: PeerId) -> float | None:
        """Seconds that the last echo took, None before the first."""
        return self._latency.get(peer)

    def heard(self, peer: PeerId) -> None:
        """The peer sent something, so it is alive however late its echo is."""
        self._heard[peer] = self._clock.monotonic()

    async def run(self, peers: Callable[[], Collection[PeerId]]) -> None:
        """Watch ``peers()`` until cancelled. Nobody waits for a slow one's echo."""
        async with trio.open_nursery() as nursery:
            while True:
                await self._clock.sleep(PING_EVERY_SECONDS)
                now = peers()
                self._heard = {peer: at for peer, at in self._heard.items() if peer in now}
                self._latency = {peer: took for peer, took in self._latency.items() if peer in now}
                for peer in now:
                    if peer not in self._asked:
                        self._asked.add(peer)
                        nursery.start_soon(self._check, peer)

    async def _check(self, peer: PeerId) -> None:
        sent = self._clock.monotonic()
        try:
            with trio.move_on_after(PING_SECONDS) as scope:
                await self._ping(peer)
        finally:
            self._asked.discard(peer)
        if not scope.cancelled_caught:
            self._latency[peer] = self._clock.monotonic() - sent
        silence = self._clock.monotonic() - self._heard.get(peer, float("-inf"))
        if scope.cancelled_caught and silence > PING_SECONDS:
            self._counts["peer-frozen"] += 1
            await self._drop(peer)
