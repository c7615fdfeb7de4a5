"""Random governance on the models and on the bytecode: same results, error names and events."""

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.params import OPEN
from tests.contracts.ballot import GOVERNOR, VOTING, Assembly, Ballot
from tests.settlement.pair import ACCOUNTS, PARAMS

STEPS = "wrap unwrap delegate transfer propose vote vote queue execute enact cancel pause wait wait wait"
AMOUNTS = [0, 1, OPEN, VOTING.threshold, 20_000 * OPEN, 2**256 - 1]


@dataclass(frozen=True)
class Op:
    """One step: what, by whom, on which of a few things, how much."""

    name: str
    who: int
    which: int
    amount: int


OPS = st.builds(
    Op,
    st.sampled_from(STEPS.split()),
    st.integers(0, 4),
    st.integers(0, 5),
    st.sampled_from(AMOUNTS),
)


class Story(Assembly):
    """Turns steps into calls; ``write`` and ``read`` compare both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.ballots = [self.new_ballot(Op("propose", 0, 0, 0))]
        for who in range(1, 4):
            self.done(0, "OpenToken", "transfer", ACCOUNTS[who], 60_000 * OPEN)
            for spender in ("GOpen", GOVERNOR):
                self.done(who, "OpenToken", "approve", self.addresses[spender], 2**256 - 1)

    def new_ballot(self, op: Op) -> Ballot:
        """One of several calls: within the rails, off them, of another kind, of no contract."""
        start = self.now + 60 + op.which
        rules = replace(PARAMS.rules, contributors_bps=(5_000, 3_000, 900)[op.which % 3])
        calls: list[tuple[str, str, Any]] = [
            ("RuleRegistry", "append", (rules.astuple(), start)),
            ("RuleRegistry", "nameGuardian", (ACCOUNTS[op.who],)),
            (GOVERNOR, "setVotingPeriod", (op.which * 7,)),
            ("OpenTimelock", "updateDelay", (op.which,)),
            ("OpenToken", "transfer", (ACCOUNTS[op.who], op.which)),
        ]
        text = f"{op.which}#proposer={ACCOUNTS[op.who % 2]}" if op.amount == 1 else f"{op.which}"
        made = self.ballot(*calls[op.which % 5 :][:2], text=text)
        if op.amount == 0 and op.which == 5:
            targets, values, payloads = made.calls
            return Ballot(((*targets, ACCOUNTS[8]), (*values, 0), (*payloads, b"any")), text)
        return made

    def chosen(self, op: Op) -> Ballot:
        return self.ballots[-1 - op.which % len(self.ballots)]

    def step(self, op: Op) -> None:
        getattr(self, f"do_{op.name}")(op)

    def do_wrap(self, op: Op) -> None:
        to = (*ACCOUNTS[:4], "0x" + "00" * 20, self.addresses["GOpen"])[op.which]
        self.write(op.who, "GOpen", "depositFor", to, op.amount)

    def do_unwrap(self, op: Op) -> None:
        self.write(op.who, "GOpen", "withdrawTo", ACCOUNTS[op.which], op.amount)

    def do_delegate(self, op: Op) -> None:
        to = (*ACCOUNTS[:5], "0x" + "00" * 20)[op.which]
        self.write(op.who, "GOpen", "delegate", to)

    def do_transfer(self, op: Op) -> None:
        self.write(op.who, "GOpen", "transfer", ACCOUNTS[op.which], op.amount)

    def do_propose(self, op: Op) -> None:
        ballot = self.new_ballot(op)
        if self.write(op.who, GOVERNOR, "propose", *ballot.calls, ballot.text):
            self.ballots.append(ballot)

    def do_vote(self, op: Op) -> None:
        support = (0, 1, 1, 1, 2, 3)[(op.which + op.who) % 6]
        self.write(op.who, GOVERNOR, "castVote", self.chosen(op).id, support)

    def do_queue(self, op: Op) -> None:
        ballot = self.chosen(op)
        self.write(op.who, GOVERNOR, "queue", *ballot.calls, ballot.hash)

    def do_execute(self, op: Op) -> None:
        ballot = self.chosen(op)
        self.write(op.who, GOVERNOR, "execute", *ballot.calls, ballot.hash)

    def do_enact(self, op: Op) -> None:
        """The rest of a ballot's way, as far as it goes."""
        self.wait(VOTING.delay + 1)
        self.write(0, GOVERNOR, "castVote", self.chosen(op).id, 1)
        self.wait(VOTING.period)
        self.do_queue(op)
        self.wait(VOTING.timelock)
        self.do_execute(op)

    def do_cancel(self, op: Op) -> None:
        ballot = self.chosen(op)
        self.write(op.who, GOVERNOR, "cancel", *ballot.calls, ballot.hash)

    def do_pause(self, op: Op) -> None:
        self.write((7, op.who)[op.which % 2], "RuleRegistry", "pause", op.which * 200_000)
        self.write((7, op.who)[op.which % 2], "RuleRegistry", "unpause")

    def do_wait(self, op: Op) -> None:
        self.wait((1, VOTING.delay + 1, VOTING.period, VOTING.timelock, 0, 40)[op.which])

    def check(self) -> None:
        """The visible state agrees, also in the past; votes are wrapped coins."""
        for account in ACCOUNTS[:6]:
            for function in ("balanceOf", "getVotes", "delegates", "numCheckpoints"):
                self.read("GOpen", function, account)
            for past in (0, 1, 7, 30):
                self.read("GOpen", "getPastVotes", account, self.now - past)
        self.read("GOpen", "getPastTotalSupply", self.now - 1)
        assert self.read("GOpen", "totalSupply") <= self.balance("GOpen")
        for ballot in self.ballots:
            for function in ("state", "proposalVotes", "proposalEta", "proposalProposer"):
                self.read(GOVERNOR, function, ballot.id)
        for function in ("votingDelay", "votingPeriod", "proposalThreshold"):
            self.read(GOVERNOR, function)
        last = self.read("RuleRegistry", "lastVersion")
        for version in range(last + 2):
            self.read("RuleRegistry", "rulesOf", version)
        for time in (0, self.now, self.now + 50):
            self.read("RuleRegistry", "versionAt", time)
        for function in ("paused", "pausedUntil", "guardian"):
            self.read("RuleRegistry", function)


@given(st.lists(OPS, min_size=20, max_size=60))
@settings(max_examples=6)
def test_models_and_bytecode_agree_on_governance(ops: list[Op]) -> None:
    story = Story()
    for op in ops:
        story.step(op)
    story.check()
