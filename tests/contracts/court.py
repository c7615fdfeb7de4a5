"""A scene with an anchored, accused unit and enough enlisted jurors who have had no part in it."""

from collections.abc import Mapping, Sequence

from protocol import typed_data
from settlement import claims
from settlement.models.arbiter import accusation_id, challenge_id, order_id, panel_id
from settlement.models.jury import vote_commitment
from tests.contracts.scene import EVIDENCE, GENESIS, STAKE, UNIT, Scene
from tests.settlement.pair import ACCOUNTS, KEYS, PARAMS, Outcome

ARBITER = "Arbiter"
JURORS = range(9, 13)  # enlisted operators beside the parties
CHALLENGER = 4  # of an epoch that 1 and 2 signed
COURT = PARAMS.court
FINDING = b"B".ljust(32, b"\x00")
CASE = order_id(ACCOUNTS[4], UNIT)
PANEL = panel_id(CASE, 1)
SALT = b"s" * 32
UPHOLD, REJECT, NO_DATA = 1, 2, 3


class Court(Scene):
    """Account 4 is accused by 1; 2 and 3 sign; 9..12 and the parties are enlisted as jurors."""

    def __init__(self) -> None:
        super().__init__()
        for juror in range(1, 5):
            self.done(juror, "WorkerStake", "enlist", True)
        self.enlisted(*JURORS)
        self.anchor()

    def accuse(self, who: int = 1) -> bytes:
        """The accusation's lock."""
        self.done(who, ARBITER, "accuse", UNIT, FINDING, EVIDENCE)
        return accusation_id(UNIT, ACCOUNTS[who])

    def order(self, amount: int = PARAMS.unit_stake, reporter: int | None = None) -> Outcome:
        return self.done(8, ARBITER, "order", *self.slash_args(4, amount, reporter))

    def challenged(self, epoch: int, number: int = 0, who: int = CHALLENGER) -> bytes:
        """A pending epoch of the genesis pool brought before a jury; the case."""
        self.done(who, ARBITER, "challenge", GENESIS, epoch, EVIDENCE)
        return challenge_id(GENESIS, epoch, number)

    def enlisted(self, *who: int) -> None:
        """Further jurors, who count from the next stake epoch on."""
        for juror in who:
            self.done(juror, "AssetRegistry", "registerOwner", ACCOUNTS[juror])
            self.done(0, "WorkerStake", "deposit", ACCOUNTS[juror], STAKE)
            self.done(juror, "WorkerStake", "enlist", True)
        self.wait(2 * COURT.epoch_seconds)

    def seat(self, panel: bytes = PANEL) -> list[int]:
        """Wait for the seed and draw; accounts of the jurors by seat."""
        for _ in range(3):
            self.mine()
        events = self.done(8, ARBITER, "recordSeed", panel).events
        (jurors,) = [args["jurors"] for _, name, args in events if name == "PanelDrawn"]
        return [ACCOUNTS.index(juror) for juror in jurors]

    def mine(self, blocks: int = 1) -> None:
        """Blocks without a second passing."""
        for _ in range(blocks):
            self.done(8, "CommitLog", "commit", b"t" * 32, b"s" * 32, b"v" * 32)

    def vote(self, votes: Mapping[int, int], seats: Sequence[int], panel: bytes = PANEL) -> None:
        """Commit and, when every seat has, reveal at once; otherwise after the time of voting."""
        for juror, vote in votes.items():
            sealed = vote_commitment(panel, ACCOUNTS[juror], vote, SALT)
            self.done(juror, ARBITER, "commitVote", panel, seats.index(juror), sealed)
        if len(votes) < len(seats):
            self.wait(COURT.vote_seconds)
        for juror, vote in votes.items():
            self.done(juror, ARBITER, "revealVote", panel, seats.index(juror), vote, SALT)

    def judged(self, *votes: int, case: bytes = CASE, instance: int = 1) -> Outcome:
        """A whole jury that votes so, in order of seats; who has no vote is missing."""
        panel = panel_id(case, instance)
        seats = self.seat(panel)
        self.vote(dict(zip(seats, votes, strict=False)), seats, panel)
        if len(votes) < len(seats):
            self.wait(COURT.vote_seconds)
        return self.done(8, ARBITER, "decide", case)

    def stakes(self, *who: int) -> list[int]:
        """Bonded stake beyond what everybody started with."""
        return [self.read("WorkerStake", "stakeOf", ACCOUNTS[each]) - STAKE for each in who]

    def refutation(self, accuser: int) -> tuple[object, ...]:
        """The committee's order against an accuser."""
        unit = accusation_id(UNIT, ACCOUNTS[accuser])
        return self.slash_args(accuser, COURT.accuser_stake, unit=unit)


def signed(scene: Scene, order: typed_data.Slash, signers: Sequence[int]) -> tuple[object, ...]:
    domain = scene.domain(ARBITER)
    signatures = [typed_data.sign(KEYS[who], order.digest(domain)) for who in signers]
    return claims.slash_args(order, domain, signatures)
