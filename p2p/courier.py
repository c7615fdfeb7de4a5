"""A node's courier in the simulated network: gossip on its way to the node, handed over when it is due."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from heapq import heappop, heappush
from typing import NamedTuple

import trio

from p2p.conditions import Alarm
from protocol.seams import PeerId

PROMISED = 8_192  # bodies on their way to one node that it keeps in mind


class Parcel(NamedTuple):
    """A gossip body on its way to one node; by the hundred thousand, and a tuple is made and compared fastest."""

    due: float
    forwarder: PeerId
    topic: str
    body: bytes


class Courier:
    """One task a node, which rests until the next parcel is due. A scope and an event for each parcel
    cost more than handing it over.
    """

    def __init__(self, now: Callable[[], float], call_at: Alarm) -> None:
        self._now = now
        self._call_at = call_at
        self._arrivals: list[Parcel] = []  # a heap
        self._promised: OrderedDict[tuple[str, bytes], float] = OrderedDict()
        self._idle: trio.lowlevel.Task | None = None  # while nothing is due

    def promise(self, parcel: Parcel) -> bool:
        """Let a parcel arrive; False when the same body arrives before it."""
        key = (parcel.topic, parcel.body)
        if self._promised.get(key, parcel.due + 1) <= parcel.due:
            return False
        self._promised[key] = parcel.due
        if len(self._promised) > PROMISED:
            self._promised.popitem(last=False)
        heappush(self._arrivals, parcel)
        if self._arrivals[0] is parcel:
            self._call_at(parcel.due, self._wake)
        return True

    async def run(self, deliver: Callable[[Parcel], Awaitable[None]]) -> None:
        """Hand over one after the other, until cancelled."""
        while True:
            while self._arrivals and self._arrivals[0].due <= self._now():
                await deliver(heappop(self._arrivals))
            if self._arrivals:
                self._call_at(self._arrivals[0].due, self._wake)
            await self._rest()

    def clear(self) -> None:
        """Nothing is on its way any more."""
        self._arrivals.clear()
        self._promised.clear()

    async def _rest(self) -> None:
        self._idle = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._idle = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _wake(self) -> None:
        """Something may be due."""
        if self._idle is not None:
            task, self._idle = self._idle, None
            trio.lowlevel.reschedule(task)
