"""Drops peers that stopped answering: a suspended process keeps its sockets open for ever."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection

import trio

from protocol.seams import Clock, PeerId

LOOK_SECONDS = 1.0
QUIET_SECONDS = 4.0  # with the look, the deadline and the close: a frozen peer is gone in 14 s
PING_SECONDS = 8.0
MEASURE_SECONDS = 30.0  # a peer that is never quiet is pinged so often for its latency


class Liveness:
    """Pings every connected peer that is quiet; one that neither answers nor sends is dropped.

    Whoever pings is heard too, so that one echo in four seconds serves both ends. ``silences`` are the
    seconds since each connection of a peer brought anything; ``ping`` returns when the peer answered
    on all of them, and may raise nothing; ``drop`` closes them.
    """

    def __init__(
        self,
        clock: Clock,
        counts: Counter[str],
        silences: Callable[[PeerId], Collection[float]],
        ping: Callable[[PeerId], Awaitable[None]],
        drop: Callable[[PeerId], Awaitable[None]],
    ) -> None:
        self._clock = clock
        self._counts = counts
        self._silences = silences
        self._ping = ping
        self._drop = drop
        self._latency: dict[PeerId, float] = {}
        self._measured: dict[PeerId, float] = {}
        self._asked: set[PeerId] = set()  # whose echo is still out

    def latency(self, peer: PeerId) -> float | None:
        """Seconds that the last echo took, None before the first."""
        return self._latency.get(peer)

    async def run(self, peers: Callable[[], Collection[PeerId]]) -> None:
        """Watch ``peers()`` until cancelled. Nobody waits for a slow one's echo."""
        async with trio.open_nursery() as nursery:
            while True:
                await self._clock.sleep(LOOK_SECONDS)
                now = peers()
                self._measured = {peer: at for peer, at in self._measured.items() if peer in now}
                self._latency = {peer: took for peer, took in self._latency.items() if peer in now}
                for peer in now:
                    if peer not in self._asked and self._due(peer):
                        self._asked.add(peer)
                        nursery.start_soon(self._check, peer)

    def _due(self, peer: PeerId) -> bool:
        quiet = max(self._silences(peer), default=float("inf")) >= QUIET_SECONDS
        measured = self._measured.get(peer, float("-inf"))
        return quiet or self._clock.monotonic() - measured >= MEASURE_SECONDS

    async def _check(self, peer: PeerId) -> None:
        sent = self._clock.monotonic()
        try:
            with trio.move_on_after(PING_SECONDS) as scope:
                await self._ping(peer)
        finally:
            self._asked.discard(peer)
        self._measured[peer] = self._clock.monotonic()
        if not scope.cancelled_caught:
            self._latency[peer] = self._measured[peer] - sent
        elif min(self._silences(peer), default=float("inf")) > PING_SECONDS:
            self._counts["peer-frozen"] += 1
            await self._drop(peer)
