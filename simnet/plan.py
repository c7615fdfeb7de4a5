"""A plan is a whole simulated run as data: who takes part, what is asked of them, and what goes wrong when.

``simnet/draw_plan.py`` makes one from a seed; the shrinker (``simnet/shrink.py``) takes parts of one away.
Times are virtual seconds from the moment at which every member has registered.
"""

from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3
from pydantic import TypeAdapter, ValidationError

from protocol.errors import OperatorError

HARMLESS = ("slow",)  # actors that keep every rule


@dataclass(frozen=True)
class Player:
    """One node. ``actor`` names a behaviour of ``simnet/actors.py``; '' is honest."""

    name: str
    roles: tuple[str, ...]
    actor: str = ""
    open_tokens: int = 0  # OPEN that its operator holds at the start
    units: int = 0  # open units that its stake backs beyond those that a node must back


@dataclass(frozen=True)
class Shard:
    """Rows ``skip`` to ``skip + records`` of a part of a text source (``simnet/texts.py``)."""

    owner: str
    datanet: str
    source: str
    part: int
    parts: int
    skip: int
    records: int
    at: float = 0.0


@dataclass(frozen=True)
class Posting:
    """A job; once it is attributed its builder asks ``questions``, one after the other."""

    at: float
    builder: str
    datanets: tuple[str, ...]
    escrow: int  # OPEN
    questions: int = 0


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong at a time and is over after ``lasts`` seconds (``simnet/faults.py``)."""

    kind: str
    at: float
    lasts: float = 0.0
    who: tuple[str, ...] = ()
    amount: float = 0.0


@dataclass(frozen=True)
class Plan:
    """``params``: what departs from the preset ``simnet``. ``until``: when the run ends at the latest."""

    scenario: str
    seed: int
    until: float
    players: tuple[Player, ...]
    shards: tuple[Shard, ...]
    postings: tuple[Posting, ...]
    faults: tuple[Fault, ...] = ()
    params: dict[str, int] = field(default_factory=dict)
    pace: dict[str, float] = field(default_factory=dict)
    wires: dict[str, int | float] = field(default_factory=dict)  # a mesh has whole links
    mutant: str = ""  # a protection that is removed (``simnet/mutants.py``)

    @property
    def datanets(self) -> tuple[str, ...]:
        """In order of their first shard; whose owner is the founder."""
        return tuple(dict.fromkeys(shard.datanet for shard in self.shards))

    @property
    def honest(self) -> frozenset[str]:
        """Who does nothing wrong, whatever happens to it."""
        return frozenset(p.name for p in self.players if p.actor in ("", *HARMLESS))


class Dice:
    """Draws by label from a seed: what one part of a plan draws does not move the others."""

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()

    def number(self, label: str, below: int) -> int:
        """Uniform in [0, below)."""
        drawn = blake3(label.encode(), key=blake3(self._seed).digest()).digest(length=16)
        return int.from_bytes(drawn, "big") % below

    def share(self, label: str) -> float:
        """Uniform in [0, 1)."""
        return self.number(label, 1 << 32) / (1 << 32)

    def order(self, label: str, things: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(things, key=lambda thing: self.number(f"{label}/{thing}", 1 << 64)))


_PLAN = TypeAdapter(Plan)


def to_json(plan: Plan) -> str:
    return _PLAN.dump_json(plan, indent=1).decode()


def read_plan(path: Path) -> Plan:
    """Raises OperatorError ``bad-plan``."""
    try:
        return _PLAN.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise OperatorError(
            "bad-plan", f"{path}: {error}.", "Give a file that sim wrote."
        ) from error
