"""How many compute children may live on this machine: flock'ed files in one folder.

The kernel frees the lock of a process that dies. Whoever waits holds a shared lock on a further
file, so that the owner of an idle child sees that its slot is wanted.
"""

import fcntl
import os
from pathlib import Path

from protocol.errors import OperatorError
from protocol.seams import Clock

POLL_SECONDS = 0.1
WAITING = "waiting"


class Slot:
    """One held place; a process that inherits ``descriptor`` holds it too, until both let go."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def release(self) -> None:
        """Give it back; once."""
        os.close(self.descriptor)


class FileSlots:
    """``count`` places for all processes that name the same ``folder``."""

    def __init__(self, folder: Path, count: int, clock: Clock) -> None:
        self._folder = folder
        self._count = count
        self._clock = clock

    async def acquire(self) -> Slot:
        """A place, as soon as one is free."""
        slot = self._free()
        if slot is not None:
            return slot
        waiting = _open(self._folder / WAITING)
        try:
            while (slot := self._free()) is None:
                _lock(waiting, fcntl.LOCK_SH)  # fails while an owner looks; the next round has it
                await self._clock.sleep(POLL_SECONDS)
            return slot
        finally:
            os.close(waiting)

    def held(self) -> int:
        """How many places are taken now, ours included."""
        return sum(not self._try(number) for number in range(self._count))

    def spare(self, claimed: int) -> bool:
        """Whether a place is free beside ``claimed`` that are about to be taken, and nobody waits for it."""
        return self.held() + claimed < self._count and not self.wanted()

    def wanted(self) -> bool:
        """Whether somebody waits for a place."""
        waiting = _open(self._folder / WAITING)
        alone = _lock(waiting, fcntl.LOCK_EX)
        os.close(waiting)
        return not alone

    def _free(self) -> Slot | None:
        for number in range(self._count):
            descriptor = _open(self._folder / f"slot-{number}")
            if _lock(descriptor, fcntl.LOCK_EX):
                return Slot(descriptor)
            os.close(descriptor)
        return None

    def _try(self, number: int) -> bool:
        descriptor = _open(self._folder / f"slot-{number}")
        free = _lock(descriptor, fcntl.LOCK_SH)  # two that look at once do not count each other
        os.close(descriptor)
        return free


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OperatorError(
            "slots-unusable",
            f"Cannot open {path}: {error.strerror}.",
            "Make the folder writable, or name another with [compute] slots in the config.",
        ) from error


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
