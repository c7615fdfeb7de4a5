"""One request in the simulated network: the way there, the answer, the way back, or no answer in time.

The task that asks waits once for all of it. A scope for the time, an event for the answer and a sleep for
each way cost more than everything else that a request does.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import trio

from p2p.conditions import Pending
from protocol.errors import PeerError
from protocol.seams import PeerId

Answered = Callable[[bytes | None], None]  # with the response; None: the server went away


class Server(Protocol):
    """The other side, as a request finds it."""

    def serve(self, peer: PeerId, protocol: str, body: bytes, answered: Answered) -> bool: ...


class Wires(Protocol):
    """The part of the network that a request needs."""

    def send(self, one: PeerId, other: PeerId, size: int, arrive: Callable[[], None]) -> None: ...

    def node(self, peer: PeerId) -> Server | None: ...

    def after(self, seconds: float, call: Callable[[], None]) -> Pending: ...


class Call:
    """Ask once with ``response``."""

    def __init__(
        self, wires: Wires, one: PeerId, other: PeerId, protocol: str, body: bytes
    ) -> None:
        self._wires = wires
        self._one, self._other = one, other
        self._protocol, self._body = protocol, body
        self._task: trio.lowlevel.Task | None = None  # while it waits
        self._result: bytes | PeerError = b""

    async def response(self, timeout: float) -> bytes:
        """Raises PeerError: ``unreachable`` when the peer goes away, ``timeout``."""
        self._task = trio.lowlevel.current_task()
        text = f"{self._other} did not answer {self._protocol} in time"
        late = self._wires.after(timeout, partial(self._end, PeerError("timeout", text)))
        self._wires.send(self._one, self._other, len(self._body), self._arrived)
        await trio.lowlevel.wait_task_rescheduled(self._abort)
        late.wake = None
        if isinstance(self._result, PeerError):
            raise self._result
        return self._result

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _arrived(self) -> None:
        if self._task is None:
            return
        server = self._wires.node(self._other)
        serves = server is not None and server.serve(
            self._one, self._protocol, self._body, self._answered
        )
        if not serves:
            self._end(PeerError("unreachable", f"{self._other} is gone"))

    def _answered(self, response: bytes | None) -> None:
        if self._task is None:
            return
        if response is None:
            self._end(PeerError("unreachable", f"{self._other} went away"))
        else:
            back = partial(self._end, response)
            self._wires.send(self._other, self._one, len(response), back)

    def _end(self, result: bytes | PeerError) -> None:
        if self._task is not None:
            task, self._task = self._task, None
            self._result = result
            trio.lowlevel.reschedule(task)
