"""The Arbiter's cases folded from its events: who is accused of what, before whom, until when, and the end.

A case is an order of the committee against one operator under one unit (or under its own accusation), or
a challenge of an epoch. Times are chain times in seconds, heights block numbers.
"""

from dataclasses import dataclass, field
from typing import Any

from protocol.ids import address_bytes
from protocol.seams import Event
from tasks.entries import POOL

APPEALABLE, JURY, CLOSED = "appealable", "jury", "closed"
UPHOLD, REJECT, NO_DATA = 1, 2, 3  # votes; as in Jury.sol


@dataclass(slots=True)
class Panel:
    """One jury: drawn once its seed is recorded."""

    panel: bytes
    case: bytes
    seed_height: int = 0
    drawn: bool = False
    jurors: tuple[bytes, ...] = ()  # by seat
    commit_until: int = 0
    reveal_until: int = 0
    sealed: set[bytes] = field(default_factory=set)  # jurors who have committed
    votes: dict[bytes, int] = field(default_factory=dict)  # as revealed

    def may_reveal(self, now: int) -> bool:
        voted = len(self.sealed) == len(self.jurors) or now >= self.commit_until
        return self.drawn and voted and now < self.reveal_until

    def over(self, now: int) -> bool:
        return self.drawn and (now >= self.reveal_until or len(self.votes) == len(self.jurors))


@dataclass(slots=True)
class Case:
    """An order or a challenge, as far as it got. ``unit`` is empty for an epoch's, whose accused are the
    signers: the pool knows them.
    """

    case: bytes
    block: int
    accused: tuple[bytes, ...]
    unit: bytes
    amount: int
    evidence: bytes
    judges: tuple[bytes, ...]  # who signed the order
    stage: str = APPEALABLE
    until: int = 0  # end of the appeal time while appealable
    panel: Panel | None = None
    appellant: bytes = b""
    epoch: int = 0  # of a challenge
    foreign: bool = False  # it is of a pool that nodes do not follow
    ended: int = 0  # block of its end; 0: open
    slashed: bool = False


@dataclass(frozen=True, slots=True)
class Accusation:
    """An accuser's stake is locked under ``unit`` until then."""

    unit: bytes
    accuser: bytes
    evidence: bytes
    until: int


@dataclass(slots=True)
class Court:
    """All cases, panels and accusations by their ids; folded by the board."""

    cases: dict[bytes, Case] = field(default_factory=dict)
    panels: dict[bytes, Panel] = field(default_factory=dict)
    accusations: list[Accusation] = field(default_factory=list)
    enlisted: dict[bytes, bool] = field(default_factory=dict)

    def of_unit(self, unit: bytes) -> Case | None:
        """The case under a lock; an operator stands trial for a unit once."""
        return next((c for c in self.cases.values() if c.unit == unit and unit), None)

    def of_epoch(self, epoch: int, block: int) -> Case | None:
        """The last challenge of the commit of an epoch that was made in a block."""
        found = [c for c in self.cases.values() if c.epoch == epoch and c.block >= block]
        return next((case for case in reversed(found) if not case.foreign), None)

    def open(self) -> list[Case]:
        return [case for case in self.cases.values() if case.stage != CLOSED]

    def suspended(self, block: int) -> set[bytes]:
        """Operators with an order against them that had not failed by the end of a block."""
        return {
            operator
            for case in self.cases.values()
            if case.unit and case.block <= block
            if case.slashed or not 0 < case.ended <= block
            for operator in case.accused
        }

    def apply(self, event: Event) -> bool:
        """Fold one event; False for one that is none of ours. Raises LookupError for an unknown case."""
        handler = getattr(self, f"_on_{event.name}", None)
        if handler is None:
            return False
        handler(event, event.args)
        return True

    def _on_Accused(self, event: Event, args: dict[str, Any]) -> None:
        accuser = address_bytes(args["accuser"])
        told = args["unit"], accuser, args["evidence"], args["lockedUntil"]
        self.accusations.append(Accusation(*told))

    def _on_JurorEnlisted(self, event: Event, args: dict[str, Any]) -> None:
        self.enlisted[address_bytes(args["operator"])] = args["enlisted"]

    def _on_SlashOrdered(self, event: Event, args: dict[str, Any]) -> None:
        self.cases[args["caseId"]] = Case(
            case=args["caseId"],
            block=event.block,
            accused=(address_bytes(args["operator"]),),
            unit=args["unit"],
            amount=args["amount"],
            evidence=args["evidence"],
            judges=tuple(map(address_bytes, args["signers"])),
            until=args["appealUntil"],
        )

    def _on_EpochChallenged(self, event: Event, args: dict[str, Any]) -> None:
        told = args["caseId"], event.block, (), b"", 0, args["evidence"], ()
        foreign = args["poolId"] != POOL
        self.cases[args["caseId"]] = Case(*told, epoch=args["epoch"], foreign=foreign)

    def _on_Appealed(self, event: Event, args: dict[str, Any]) -> None:
        case = self.cases[args["caseId"]]
        panel = self.panels.setdefault(args["panel"], Panel(args["panel"], case.case))
        panel.case = case.case
        case.stage, case.panel = JURY, panel
        case.appellant = address_bytes(args["appellant"])

    def _on_PanelSummoned(self, event: Event, args: dict[str, Any]) -> None:
        self.panels[args["panel"]].seed_height = args["seedHeight"]

    def _on_SeedMoved(self, event: Event, args: dict[str, Any]) -> None:
        self.panels[args["panel"]].seed_height = args["seedHeight"]

    def _on_PanelDrawn(self, event: Event, args: dict[str, Any]) -> None:
        panel = self.panels[args["panel"]]
        panel.drawn, panel.jurors = True, tuple(map(address_bytes, args["jurors"]))
        panel.commit_until, panel.reveal_until = args["commitUntil"], args["revealUntil"]

    def _on_VoteCommitted(self, event: Event, args: dict[str, Any]) -> None:
        self.panels[args["panel"]].sealed.add(address_bytes(args["juror"]))

    def _on_VoteRevealed(self, event: Event, args: dict[str, Any]) -> None:
        self.panels[args["panel"]].votes[address_bytes(args["juror"])] = args["vote"]

    def _on_CaseDecided(self, event: Event, args: dict[str, Any]) -> None:
        case = self.cases[args["caseId"]]
        case.stage, case.until = APPEALABLE, args["appealUntil"]

    def _on_CaseClosed(self, event: Event, args: dict[str, Any]) -> None:
        case = self.cases[args["caseId"]]
        case.stage, case.ended, case.slashed = CLOSED, event.block, args["slashed"]
