"""The faults of a scenario, done to real processes by signals, without a word to anybody."""

import signal
import time
from collections.abc import Callable, Sequence
from functools import partial

from simnet.processes import Group
from simnet.scenario import Fault


class Strikes:
    """Who is struck when; ``again`` starts a process that was killed, with the same home."""

    def __init__(
        self,
        faults: Sequence[Fault],
        group: Group,
        again: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        self._faults = tuple(faults)
        self._group = group
        self._again = again
        self._say = say
        self._due: list[tuple[float, Callable[[], None]]] = []
        self.frozen: set[str] = set()

    def begin(self, stage: str) -> None:
        """Plan the faults of a stage, and do what is due at once."""
        for fault in self._faults:
            if fault.stage == stage:
                self._later(fault.after, partial(self._strike, fault))
        self.look()

    def look(self) -> None:
        """Do what is due; to be called every few seconds."""
        now = time.monotonic()
        due = [act for at, act in self._due if at <= now]
        self._due = [(at, act) for at, act in self._due if at > now]
        for act in due:
            act()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._due.append((time.monotonic() + seconds, act))

    def _strike(self, fault: Fault) -> None:
        name, frozen = fault.node, fault.does == "freeze"
        number = signal.SIGSTOP if frozen else signal.SIGKILL
        self._say(f"fault: {number.name} of {name}")
        self._group.processes[name].signal(number)
        if frozen:
            self.frozen.add(name)
            self._later(fault.lasts, partial(self._thaw, name))
        elif fault.does == "restart":
            self._later(fault.lasts, partial(self._return, name))

    def _thaw(self, name: str) -> None:
        self._say(f"SIGCONT of {name}")
        self._group.processes[name].signal(signal.SIGCONT)
        self.frozen.discard(name)

    def _return(self, name: str) -> None:
        self._say(f"{name} is started again")
        self._again(name)
