"""Containment of foreign code that runs on a peer's bytes."""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType

import trio

from protocol.seams import PeerId

MAX_STREAMS = 128  # inbound, per peer, being served now

Action = Callable[[], Awaitable[None]]

_log = logging.getLogger(__name__)


class Guard:
    """Contain and count whatever a library raises on a peer's bytes: ``WHAT-slow``, ``-broken``
    (``expected`` types: the connection ended) or ``-invalid`` (anything else).

    The one place that stops any exception: protobuf, varint, crypto and muxer code raise at least a
    dozen unrelated types, and one that is missing from a list would let a peer stop the node.
    """

    def __init__(
        self, counts: Counter[str], what: str, expected: tuple[type[Exception], ...] = ()
    ) -> None:
        self._counts = counts
        self._what = what
        self._expected = (*expected, OSError, trio.BrokenResourceError, trio.ClosedResourceError)
        self.tripped: Exception | None = None
        self.code = ""  # what it was counted under

    def __enter__(self) -> "Guard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        rest = None
        if isinstance(error, BaseExceptionGroup):
            error, rest = error.split(Exception)
        if isinstance(error, Exception):
            self._trip(error)
        if rest is not None:  # a cancellation, say
            raise rest
        return self.tripped is not None

    def _trip(self, error: Exception) -> None:
        self.tripped = error
        slow, broken = isinstance(error, trio.TooSlowError), isinstance(error, self._expected)
        self.code = f"{self._what}-{'slow' if slow else 'broken' if broken else 'invalid'}"
        self._counts[self.code] += 1
        _log.debug("%s: %r", self._what, error)


class StreamGuard:
    """Around every inbound stream: a limit per peer, a Guard, a reset after a fault."""

    def __init__(
        self,
        counts: Counter[str],
        expected: tuple[type[Exception], ...],
        blame: Callable[[PeerId, str], None],
    ) -> None:
        self._counts = counts
        self._expected = expected
        self._blame = blame
        self._serving: Counter[PeerId] = Counter()

    async def run(
        self,
        peer: PeerId,
        inner: Callable[[], Awaitable[None]],
        reset: Callable[[], Awaitable[None]],
    ) -> None:
        """Serve one stream by ``inner``; never raises for what the peer did."""
        if self._serving[peer] >= MAX_STREAMS:
            self._counts["stream-too-many"] += 1
            self._blame(peer, "stream-too-many")
            await reset()
            return
        self._serving[peer] += 1
        try:
            with Guard(self._counts, "stream", self._expected) as guard:
                await inner()
            if guard.tripped is not None:
                self._blame(peer, guard.code)
                await reset()
        finally:
            self._serving[peer] -= 1
            if not self._serving[peer]:
                del self._serving[peer]
