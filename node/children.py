"""All compute children of one node. Requests that come at once run at once, where the machine has slots."""

from collections.abc import Sequence

import trio

from node.compute import ChildCompute
from node.slots import FileSlots
from protocol.compute import Request, Result


class Children:
    """The Compute seam over ``seats``. A further child is started only for a slot that nobody waits for."""

    def __init__(self, seats: Sequence[ChildCompute], slots: FileSlots) -> None:
        self._seats = tuple(seats)
        self._slots = slots

    async def run(self, request: Request) -> Result:
        """One request. Raises ComputeError as a child does."""
        return await self._seat().run(request)

    def _seat(self) -> ChildCompute:
        idle = [seat for seat in self._seats if not seat.load]
        ready = [seat for seat in idle if seat.alive]  # it may have the model already
        if ready:
            return ready[0]
        busy = [seat for seat in self._seats if seat.load]
        starting = sum(not seat.alive for seat in busy)
        if idle and (not busy or self._slots.spare(starting)):
            return idle[0]
        return min(busy, key=lambda seat: seat.load)

    async def watch(self) -> None:
        """Run beside the node: ends children that idle."""
        async with trio.open_nursery() as nursery:
            for seat in self._seats:
                nursery.start_soon(seat.watch)

    async def close(self) -> None:
        """End all of them, also in the midst of their work."""
        for seat in self._seats:
            await seat.close()
