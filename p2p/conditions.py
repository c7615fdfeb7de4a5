"""What the wires of a simulated network do to messages, and what went over them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

LATE = 20  # how many times the drawn latency a late message takes at most


@dataclass(slots=True)
class Pending:
    """What is called at a virtual instant: ``wake`` is None once it was cancelled."""

    wake: Callable[[], None] | None


Alarm = Callable[[float, Callable[[], None]], Pending]  # call once monotonic time has come to this


class Draw(Protocol):
    """The part of ``random.Random`` that a network needs; the caller seeds it."""

    def random(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Conditions:
    """What every link does to every message. Seconds one way; the others as a share of messages."""

    min_latency: float = 0.01
    max_latency: float = 0.05
    loss: float = 0.0
    late: float = 0.0  # take up to ``LATE`` times as long, so that later ones overtake them
    twice: float = 0.0  # arrive a second time
    grain: float = 0.0  # seconds: arrivals fall on multiples of it, for fewer instants
    mesh: int = 0  # neighbours to which each node forwards gossip, and they to it; 0: all


@dataclass(slots=True)
class Traffic:
    """What went over the wires so far, lost or not."""

    messages: int = 0
    bytes: int = 0
