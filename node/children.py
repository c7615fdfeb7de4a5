"""All compute children of one node. Requests that come at once run at once, where the machine has slots."""

from collections.abc import Sequence

import trio

from node.compute import ChildCompute
from node.slots import FileSlots
from protocol.compute import Request, Result

LOOK_SECONDS = 0.5  # whoever waits for one of our children looks so often for a slot that is free


class Children:
    """The Compute seam over ``seats``. A further child is started only in a slot that nobody waits for."""

    def __init__(self, seats: Sequence[ChildCompute], slots: FileSlots) -> None:
        self._seats = tuple(seats)
        self._slots = slots
        self._free = list(seats)
        self._given_back = trio.Event()

    async def run(self, request: Request) -> Result:
        """One request. Raises ComputeError as a child does."""
        while (seat := self._choose()) is None:
            with trio.move_on_after(LOOK_SECONDS):
                await self._given_back.wait()
        self._free.remove(seat)
        try:
            return await seat.run(request)
        finally:
            self._free.append(seat)
            self._given_back.set()
            self._given_back = trio.Event()

    def _choose(self) -> ChildCompute | None:
        ready = [seat for seat in self._free if seat.alive]  # it may have the model already
        if ready:
            return ready[0]
        busy = [seat for seat in self._seats if seat not in self._free]
        starting = sum(not seat.alive for seat in busy)
        if self._free and (not busy or self._slots.spare(starting)):
            return self._free[0]
        return None

    async def watch(self) -> None:
        """Run beside the node: ends children that idle."""
        async with trio.open_nursery() as nursery:
            for seat in self._seats:
                nursery.start_soon(seat.watch)

    async def close(self) -> None:
        """End all of them, also in the midst of their work."""
        for seat in self._seats:
            await seat.close()
