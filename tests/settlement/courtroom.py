"""The Arbiter's part of the differential test: orders, challenges, votes, appeals, as the chain stands."""

from dataclasses import replace
from typing import Any

from protocol import typed_data
from protocol.ids import address_bytes
from protocol.params import OPEN
from settlement import claims
from settlement.models.arbiter import APPEALABLE, JURY, challenge_id, order_id, panel_id
from settlement.models.jury import vote_commitment
from tests.settlement.operations import Op
from tests.settlement.pair import ACCOUNTS, KEYS, PARAMS, Pair

# One juror decides: of the four operators two have signed and one accuses.
SMALL_COURT = replace(PARAMS, court=replace(PARAMS.court, seats=1, min_seats=1))
SALT = b"s" * 32


class Courtroom:
    """What a story does with the court. Cases that it knows of are tried in any order."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.cases = [b"?" * 32]

    def arbiter(self, who: int, function: str, *args: Any) -> Any:
        return self.pair.write(who, "Arbiter", function, *args)

    def accuse(self, op: Op, unit: bytes) -> None:
        self.arbiter(op.who, "accuse", unit, b"B" * 32, b"e" * 32)
        if op.other == 0:
            self.arbiter(op.who, "release", unit, ACCOUNTS[op.which])

    def order(self, op: Op, unit: bytes, domain: typed_data.Domain) -> None:
        reporter = bytes(20) if op.other % 2 else address_bytes(ACCOUNTS[op.other])
        amount = op.amount if op.other == 5 else min(op.amount, 3 * OPEN)
        operator = ACCOUNTS[op.who]
        order = typed_data.Slash(address_bytes(operator), unit, amount, b"e" * 32, reporter)
        signatures = [typed_data.sign(key, order.digest(domain)) for key in KEYS[2:4]]
        if self.arbiter(op.who, "order", *claims.slash_args(order, domain, signatures)):
            self.cases.append(order_id(operator, unit))

    def challenge(self, op: Op, pool: bytes) -> None:
        """The pending epoch, now and then another."""
        epoch = self.pair.read("AttributionPool", "pendingHead", pool)[0] + (op.amount == 7)
        number = self.pair.read("Arbiter", "challenges", pool, epoch)
        if self.arbiter(op.who, "challenge", pool, epoch, b"e" * 32):
            self.cases.append(challenge_id(pool, epoch, number))

    def judge(self, op: Op) -> None:
        """One step of a case: its appeal or its end, its seed, its juror's vote."""
        case = self.cases[-1 - op.which % len(self.cases)]
        _, stage, instance, *_ = self.pair.read("Arbiter", "caseOf", case)
        panel = panel_id(case, instance)
        if stage == APPEALABLE:
            self.arbiter(op.who, "appeal" if op.other == 0 else "execute", case)
        elif stage != JURY:
            self.arbiter(op.who, ("decide", "appeal", "execute")[op.other % 3], case)
        elif not self.pair.read("Arbiter", "panelOf", panel)[2]:
            self.arbiter(op.who, "recordSeed", panel)
        else:
            self.vote(op, panel)
            self.arbiter(op.who, "decide", case)

    def vote(self, op: Op, panel: bytes) -> None:
        """The first seat's whole vote; it may be late, missing or wrongly opened."""
        if not self.pair.read("Arbiter", "panelOf", panel)[5]:
            return
        juror = self.pair.read("Arbiter", "seatOf", panel, 0)[0]
        who, vote = ACCOUNTS.index(juror), 1 + op.other % 3
        sealed = vote_commitment(panel, juror, vote, SALT)
        self.arbiter(who, "commitVote", panel, 0, sealed)
        opened = 1 if op.amount == 7 else vote
        self.arbiter(who, "revealVote", panel, 0, opened, SALT)
