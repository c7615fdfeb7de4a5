"""The board's part about governance: the rules version by version, and what was proposed."""

from typing import Any

from protocol.ids import address_bytes
from protocol.rules import Rules
from protocol.seams import Event
from tasks.entries import ProposalEntry, RulesEntry


class RuleBook:
    """Fold of the events of RuleRegistry and OpenGovernor."""

    def __init__(self) -> None:
        self.rules: list[RulesEntry] = []  # version n is the n-th
        self.proposals: dict[int, ProposalEntry] = {}  # in order
        self.successors: dict[
            str, str
        ] = {}  # address of a contract -> of the one that follows on it

    def version_at(self, time: int) -> int:
        """The rule version in force at a unix time; 1 before the registry has spoken."""
        return max(1, sum(entry.start <= time for entry in self.rules))

    def rules_of(self, version: int) -> Rules | None:
        """The rules of a version, in force or not; None for one that was never appended."""
        known = 0 < version <= len(self.rules)
        return self.rules[version - 1].rules if known else None

    def _on_RulesAppended(self, event: Event, time: int, args: dict[str, Any]) -> None:
        assert args["version"] == len(self.rules) + 1, "versions are dense and in order"
        self.rules.append(RulesEntry(args["start"], Rules(*args["rules"])))

    def _on_ProposalCreated(self, event: Event, time: int, args: dict[str, Any]) -> None:
        number = args["proposalId"]
        self.proposals[number] = ProposalEntry(
            number=number,
            proposer=address_bytes(args["proposer"]),
            targets=args["targets"],
            values=args["values"],
            payloads=args["calldatas"],
            start=args["voteStart"],
            end=args["voteEnd"],
            text=args["description"],
            block=event.block,
        )

    def _on_SuccessorNamed(self, event: Event, time: int, args: dict[str, Any]) -> None:
        self.successors[args["old"]] = args["next"]
