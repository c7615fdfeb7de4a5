"""Epochs before juries, followed from the chain's events alone: who challenged with what, and what juries said."""

from collections import Counter
from dataclasses import dataclass, field

from protocol.seams import Event
from tasks.court import UPHOLD


@dataclass(slots=True)
class Trials:
    """Challenges by their evidence; votes are those of a case's last panel."""

    committed: dict[int, bytes] = field(
        default_factory=dict
    )  # epoch -> evidence of its last commit
    _cases: dict[bytes, bytes] = field(default_factory=dict)  # evidence -> case
    _panels: dict[bytes, bytes] = field(default_factory=dict)  # panel -> case
    _votes: dict[bytes, Counter[int]] = field(default_factory=dict)  # by case

    def hear(self, event: Event) -> None:
        """Take in one event, in chain order."""
        args = event.args
        match event.name:
            case "EpochCommitted":
                self.committed[args["epoch"]] = args["evidence"]
            case "EpochChallenged":
                self._cases[args["evidence"]] = args["caseId"]
            case "Appealed":
                self._panels[args["panel"]] = args["caseId"]
                self._votes[args["caseId"]] = Counter()
            case "VoteRevealed":
                self._votes[self._panels[args["panel"]]][args["vote"]] += 1

    def upheld(self, evidence: bytes) -> bool | None:
        """Whether more than half of a jury found a challenge right; None: no challenge has this evidence."""
        if evidence not in self._cases:
            return None
        votes = self._votes[self._cases[evidence]]
        return 2 * votes[UPHOLD] > votes.total()
