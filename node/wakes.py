"""Who waits for what at one node: changes as they are told, and the alarm of one stage."""

from math import inf

import trio


class Wakes:
    """What changed since somebody last looked, and the tasks that wait for a change."""

    def __init__(self) -> None:
        self.looked = -inf  # when all stages looked last, by the monotonic clock
        self._what: set[type | None] = set()
        self._changed = trio.Event()
        self._folded = trio.Event()

    def tell(self, kind: type | None) -> None:
        """A message of a kind came, or (None) something changed that anybody may wait for."""
        self._what.add(kind)
        self._changed.set()
        self._changed = trio.Event()

    def take(self) -> set[type | None]:
        """What was told since the last call."""
        what, self._what = self._what, set()
        return what

    async def change(self) -> None:
        """Wait for a change."""
        await self._changed.wait()

    async def changed(self, at_most: float) -> None:
        """Wait for a change, at most so many seconds."""
        event = self._changed
        with trio.move_on_after(at_most):
            await event.wait()

    def fold(self) -> None:
        """The board holds more of the chain."""
        self._folded.set()
        self._folded = trio.Event()
        self.tell(None)

    async def folded(self) -> None:
        """Wait until the board holds more of the chain."""
        await self._folded.wait()


class Alarm:
    """Wakes one stage; what rings while the stage is at work is heard when it is done."""

    def __init__(self) -> None:
        self._rung = trio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self) -> None:
        await self._rung.wait()
        self._rung = trio.Event()
