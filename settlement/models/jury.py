"""Model of ``Jury``: panels drawn by stake, votes committed and then revealed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from eth_utils.crypto import keccak

from protocol.ids import address_bytes
from settlement.models.ledger import ZERO32, Env, Model, Table, at, revert
from settlement.models.registry import AssetRegistry
from settlement.models.stake import WorkerStake
from settlement.models.token import OpenToken

SEED_DELAY, SEED_BLOCKS, TRIES = 2, 200, 4
NO_VOTE, UPHOLD, REJECT, NO_DATA = range(4)
HUNG, UPHELD, REJECTED = range(3)


@dataclass(frozen=True, slots=True)
class Seat:
    """A juror of a panel with its vote."""

    juror: str
    vote: int = NO_VOTE
    commitment: bytes = ZERO32


@dataclass(frozen=True, slots=True)
class Panel:
    """See ``Jury.sol``; ``seed_height`` 0: none, or it is over."""

    seed_height: int = 0
    snapshot: int = 0
    drawn_at: int = 0
    wanted: int = 0
    parties: tuple[str, ...] = ()
    payouts: frozenset[str] = frozenset()  # theirs at the summons
    seats: tuple[Seat, ...] = ()

    def count(self, vote: int) -> int:
        return sum(seat.vote == vote for seat in self.seats)

    @property
    def revealed(self) -> int:
        return len(self.seats) - self.count(NO_VOTE)

    @property
    def committed(self) -> int:
        return sum(seat.commitment != ZERO32 for seat in self.seats)


def vote_commitment(panel: bytes, juror: str, vote: int, salt: bytes) -> bytes:
    """keccak256(abi.encode(panel, juror, vote, salt))."""
    return keccak(panel + address_bytes(juror).rjust(32, b"\x00") + vote.to_bytes(32, "big") + salt)


class Jury(Model):
    """Panels of jurors; the Arbiter summons them and acts on their verdicts."""

    def __init__(
        self,
        env: Env,
        address: str,
        token: OpenToken,
        registry: AssetRegistry,
        stake: WorkerStake,
        vote_seconds: int,
        min_seats: int,
        juror_fee: int,
    ) -> None:
        super().__init__(env, address)
        self._token = token
        self._registry = registry
        self._stake = stake
        self._vote_seconds = vote_seconds
        self._min_seats = min_seats
        self._juror_fee = juror_fee
        self._panels: Table[bytes, Panel] = Table(env, Panel())

    def recordSeed(self, _sender: str, panel: bytes) -> None:
        p = self._sitting(panel)
        if p.drawn_at:
            raise revert("AlreadyDrawn", panel)
        if self.env.number <= p.seed_height:
            raise revert("SeedAhead", p.seed_height)
        if self.env.number - p.seed_height > SEED_BLOCKS:
            height = self.env.number + SEED_DELAY
            self._panels[panel] = replace(p, seed_height=height)
            self.emit("SeedMoved", {"panel": panel, "seedHeight": height})
            return
        jurors = self._draw(panel, p, self.env.block_hash(p.seed_height))
        drawn = replace(p, drawn_at=self.env.now, seats=tuple(Seat(juror) for juror in jurors))
        self._panels[panel] = drawn
        until = self._until(drawn)
        times = {"commitUntil": until[0], "revealUntil": until[1]}
        self.emit("PanelDrawn", {"panel": panel, "jurors": tuple(jurors), **times})

    def commitVote(self, sender: str, panel: bytes, seat: int, commitment: bytes) -> None:
        p, s = self._own_seat(sender, panel, seat)
        commit_until, _ = self._until(p)
        if self.env.now >= commit_until:
            raise revert("VotingOver", commit_until)
        if commitment == ZERO32 or s.commitment != ZERO32:
            raise revert("BadCommitment", panel, seat)
        self._seat(panel, seat, replace(s, commitment=commitment))
        self.emit("VoteCommitted", {"panel": panel, "juror": sender, "commitment": commitment})

    def revealVote(self, sender: str, panel: bytes, seat: int, vote: int, salt: bytes) -> None:
        if vote > NO_DATA:
            raise revert(
                "reverted"
            )  # the ABI decoder refuses what the enum has not, without a name
        p, s = self._own_seat(sender, panel, seat)
        commit_until, reveal_until = self._until(p)
        if self.env.now < commit_until and p.committed < len(p.seats):
            raise revert("VotingOpen", commit_until)
        if self.env.now >= reveal_until:
            raise revert("RevealingOver", reveal_until)
        opened = vote_commitment(panel, sender, vote, salt)
        if vote == NO_VOTE or s.vote != NO_VOTE or s.commitment != opened:
            raise revert("BadReveal", panel, seat)
        self._seat(panel, seat, replace(s, vote=vote))
        self.emit("VoteRevealed", {"panel": panel, "juror": sender, "vote": vote})

    def panelOf(self, panel: bytes) -> tuple[int, int, int, int, int, int]:
        p = self._panels[panel]
        until = self._until(p) if p.drawn_at else (0, 0)
        seats = len(p.seats) if p.drawn_at else p.wanted
        return p.seed_height, p.snapshot, p.drawn_at, *until, seats

    def seatOf(self, panel: bytes, seat: int) -> tuple[str, int, bytes]:
        found = at(self._panels[panel].seats, seat)
        return found.juror, found.vote, found.commitment

    def token(self) -> str:
        return self._token.address

    def registry(self) -> str:
        return self._registry.address

    def stake(self) -> str:
        return self._stake.address

    def voteSeconds(self) -> int:
        return self._vote_seconds

    def jurorFee(self) -> int:
        return self._juror_fee

    def SEED_DELAY(self) -> int:
        return SEED_DELAY

    def SEED_BLOCKS(self) -> int:
        return SEED_BLOCKS

    def minSeats(self) -> int:
        return self._min_seats

    def TRIES(self) -> int:
        return TRIES

    def _summon(self, panel: bytes, wanted: int, parties: Sequence[str]) -> None:
        height, snapshot = self.env.number + SEED_DELAY, self._stake.stakeEpoch() - 1
        payouts = frozenset(map(self._payout, parties))
        self._panels[panel] = Panel(
            height, snapshot, wanted=wanted, parties=tuple(parties), payouts=payouts
        )
        facts = {"panel": panel, "seedHeight": height, "snapshot": snapshot, "seats": wanted}
        self.emit("PanelSummoned", facts)

    def _count(self, panel: bytes) -> int:
        p = self._sitting(panel)
        if not p.drawn_at:
            raise revert("NotDrawn", panel)
        seats = len(p.seats)
        _, reveal_until = self._until(p)
        if self.env.now < reveal_until and p.revealed != seats and seats >= self._min_seats:
            raise revert("PanelSitting", reveal_until)
        self._panels[panel] = replace(p, seed_height=0)
        if seats < self._min_seats:
            return HUNG
        for vote, verdict in ((UPHOLD, UPHELD), (REJECT, REJECTED)):
            if 2 * p.count(vote) > p.revealed and 3 * p.count(vote) > seats:
                return verdict
        return HUNG

    def _fine_missing(self, panel: bytes) -> int:
        seats, fee = self._panels[panel].seats, self._juror_fee
        missing = [seat.juror for seat in seats if seat.vote == NO_VOTE]
        if len(seats) < self._min_seats:
            return 0
        return sum(self._stake.seize(self.address, juror, panel, fee) for juror in missing)

    def _owed(self, panel: bytes, pot: int) -> int:
        """What lacks to a fee for each present juror when there is ``pot``."""
        return max(0, self._panels[panel].revealed * self._juror_fee - pot)

    def _pay_jurors(self, panel: bytes, pot: int) -> None:
        seats = self._panels[panel].seats
        present = [seat.juror for seat in seats if seat.vote != NO_VOTE]
        each = min(pot // len(present), self._juror_fee) if present else 0
        for juror in present if each else ():
            self.emit("JurorPaid", {"panel": panel, "juror": juror, "amount": each})
            payout = self._registry.payoutOfOperator(juror)
            self._token.transfer(self.address, payout, each)
        if pot > each * len(present):
            self._token.burn(self.address, pot - each * len(present))

    def _voters(self, panel: bytes, vote: int) -> tuple[str, ...]:
        return tuple(seat.juror for seat in self._panels[panel].seats if seat.vote == vote)

    def _draw(self, panel: bytes, p: Panel, seed: bytes) -> list[str]:
        """By stake, without replacement: the points of parties and drawn jurors are cut out."""
        cuts = {self._stake.jurorRange(p.snapshot, party) for party in p.parties}
        jurors: list[str] = []
        for draw in range(TRIES * p.wanted):
            left = self._stake.jurorStakeAt(p.snapshot) - sum(weight for _, weight in cuts)
            if len(jurors) == p.wanted or left == 0:
                break
            word = keccak(seed + panel + draw.to_bytes(32, "big"))
            point = int.from_bytes(word, "big") % left
            for start, weight in sorted(cuts):
                point += weight if weight and start <= point else 0
            juror, start, weight = self._stake.jurorAt(p.snapshot, point)
            cuts.add((start, weight))
            if self._registry.payoutOfOperator(juror) not in p.payouts:
                jurors.append(juror)
        return jurors

    def _payout(self, operator: str) -> str:
        known = self._registry.isRegistered(operator)
        return self._registry.payoutOfOperator(operator) if known else operator

    def _sitting(self, panel: bytes) -> Panel:
        p = self._panels[panel]
        if not p.seed_height:
            raise revert("NoPanel", panel)
        return p

    def _own_seat(self, sender: str, panel: bytes, seat: int) -> tuple[Panel, Seat]:
        p = self._sitting(panel)
        if not p.drawn_at:
            raise revert("NotDrawn", panel)
        if seat >= len(p.seats) or p.seats[seat].juror != sender:
            raise revert("NotJuror", panel, seat, sender)
        return p, p.seats[seat]

    def _seat(self, panel: bytes, seat: int, value: Seat) -> None:
        p = self._panels[panel]
        seats = (*p.seats[:seat], value, *p.seats[seat + 1 :])
        self._panels[panel] = replace(p, seats=seats)

    def _until(self, p: Panel) -> tuple[int, int]:
        return p.drawn_at + self._vote_seconds, p.drawn_at + 2 * self._vote_seconds
