"""Model of ``Arbiter``: the committee's orders, appeals to juries, challenges of epochs, the pool's proofs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from protocol import typed_data
from protocol.ids import address_bytes
from settlement.models.jury import HUNG, REJECTED, UPHELD, UPHOLD, Jury
from settlement.models.ledger import ZERO32, ZERO_ADDRESS, Env, Table, revert
from settlement.models.quorum import Quorum
from settlement.models.registry import AssetRegistry
from settlement.models.stake import WorkerStake
from settlement.models.token import OpenToken

NONE, ORDER, EPOCH = range(3)  # kinds
APPEALABLE, JURY, CLOSED = 1, 2, 3  # stages
ANCHORED = 2  # the pool's state of a unit
MAX_CHALLENGES = 64

OrderTuple = tuple[str, bytes, int, bytes, str]


@dataclass(frozen=True, slots=True)
class ArbiterTerms:
    """Constructor parameters; see ``Arbiter.sol`` Terms. Seconds, base units."""

    committee: tuple[str, ...]
    threshold: int
    appeal_seconds: int
    vote_seconds: int
    accusation_seconds: int
    seats: int
    min_seats: int
    bond: int
    accuser_stake: int
    signer_slash: int
    juror_fee: int


@dataclass(frozen=True, slots=True)
class Accusation:
    """What an accuser stands by; ``locked_until`` 0: none."""

    evidence: bytes = ZERO32
    locked_until: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """See ``Arbiter.sol``."""

    kind: int = NONE
    stage: int = 0
    instance: int = 0
    until: int = 0
    epoch: int = 0
    appellant: str = ZERO_ADDRESS
    amount: int = 0
    subject: bytes = ZERO32
    evidence: bytes = ZERO32
    reporter: str = ZERO_ADDRESS
    accused: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()


class Pool(Protocol):
    """What the Arbiter asks of the pool: ``IUnitBook`` and ``IChallengeable``."""

    address: str

    def longestWindow(self) -> int: ...

    def unitOf(self, unit: bytes) -> tuple[bytes, str, int, int]: ...

    def freeze(self, sender: str, poolId: bytes, epoch: int) -> None: ...

    def resolve(self, sender: str, poolId: bytes, epoch: int, voided: bool) -> None: ...

    def signersOf(self, poolId: bytes, epoch: int) -> Sequence[str]: ...


class Arbiter(Quorum, Jury):
    """The one slasher."""

    NAME = "Arbiter"

    def __init__(
        self,
        env: Env,
        address: str,
        token: OpenToken,
        registry: AssetRegistry,
        stake: WorkerStake,
        pool: Pool,
        terms: ArbiterTerms,
    ) -> None:
        Jury.__init__(
            self,
            env,
            address,
            token,
            registry,
            stake,
            terms.vote_seconds,
            terms.min_seats,
            terms.juror_fee,
        )
        Quorum.__init__(self, terms.committee, terms.threshold)
        self._pool = pool
        self._terms = terms
        needed = pool.longestWindow() + terms.appeal_seconds + 4 * terms.vote_seconds
        if stake.unbondingSeconds() <= needed:
            raise revert("UnbondingTooShort", stake.unbondingSeconds(), needed)
        self._accusations: Table[bytes, Accusation] = Table(env, Accusation())
        self._cases: Table[bytes, Case] = Table(env, Case())
        self._challenges: Table[tuple[bytes, int], int] = Table(env, 0)

    def punish(
        self, sender: str, signers: Sequence[str], amountEach: int, evidence: bytes, reporter: str
    ) -> None:
        if sender != self._pool.address:
            raise revert("NotPool", sender)
        for signer in signers:
            self._slash(signer, evidence, amountEach, evidence, reporter)

    def accuse(self, sender: str, unit: bytes, finding: bytes, evidence: bytes) -> None:
        accusation = self.accusationId(unit, sender)
        if self._accusations[accusation].locked_until:
            raise revert("AlreadyAccused", unit, sender)
        if not self._anchored(unit):
            raise revert("UnitNotAnchored", unit)
        until = self.env.now + self._terms.accusation_seconds
        self._accusations[accusation] = Accusation(evidence, until)
        told = {"unit": unit, "accuser": sender, "finding": finding, "evidence": evidence}
        self.emit("Accused", {**told, "lockedUntil": until})
        self._stake.lock(self.address, sender, accusation, self._terms.accuser_stake)

    def release(self, _sender: str, unit: bytes, accuser: str) -> None:
        accusation = self.accusationId(unit, accuser)
        until = self._accusations[accusation].locked_until
        if not until:
            raise revert("NotAccused", unit, accuser)
        if self.env.now < until:
            raise revert("AccusationOpen", until)
        self._stake.unlock(self.address, accuser, accusation)

    def order(self, _sender: str, slash: OrderTuple, signatures: Sequence[bytes]) -> None:
        operator, unit, amount, evidence, reporter = slash
        keys = address_bytes(operator), address_bytes(reporter)
        value = typed_data.Slash(keys[0], unit, amount, evidence, keys[1])
        domain = typed_data.Domain(self.NAME, self.env.chain_id, address_bytes(self.address))
        signers = tuple(self.signers(value.digest(domain), signatures))
        case = self.orderId(operator, unit)
        if self._cases[case].kind != NONE:
            raise revert("AlreadyOrdered", case)
        self._check_order(slash)
        until = self.env.now + self._terms.appeal_seconds
        self._cases[case] = Case(
            kind=ORDER,
            stage=APPEALABLE,
            until=until,
            amount=amount,
            subject=unit,
            evidence=evidence,
            reporter=reporter,
            accused=(operator,),
            judges=signers,
        )
        told = {"caseId": case, "operator": operator, "unit": unit, "amount": amount}
        facts = {"evidence": evidence, "reporter": reporter, "signers": signers}
        self.emit("SlashOrdered", {**told, **facts, "appealUntil": until})
        self._stake.hold(self.address, operator, unit, True)

    def challenge(self, sender: str, poolId: bytes, epoch: int, evidence: bytes) -> None:
        number = self._challenges[poolId, epoch]
        case = self.challengeId(poolId, epoch, number)
        if number == MAX_CHALLENGES:
            raise revert("BadChallenge", poolId, epoch)
        amount = self.bondFor(poolId, epoch)
        self._challenges[poolId, epoch] = number + 1
        self._cases[case] = Case(
            kind=EPOCH,
            epoch=epoch,
            amount=self._terms.signer_slash,
            subject=poolId,
            evidence=evidence,
            reporter=sender,
            accused=tuple(self._pool.signersOf(poolId, epoch)),
        )
        place = {"caseId": case, "poolId": poolId, "epoch": epoch, "challenger": sender}
        self.emit("EpochChallenged", {**place, "bond": amount, "evidence": evidence})
        self._pool.freeze(self.address, poolId, epoch)
        self._bring_to_jury(sender, case, amount)

    def appeal(self, sender: str, caseId: bytes) -> None:
        c = self._appealable(caseId)
        if self.env.now >= c.until:
            raise revert("AppealOver", c.until)
        bond = self._terms.bond
        self._bring_to_jury(sender, caseId, bond if c.kind == ORDER else 2 * bond)

    def execute(self, _sender: str, caseId: bytes) -> None:
        c = self._appealable(caseId)
        if self.env.now < c.until:
            raise revert("AppealOpen", c.until)
        self._close(caseId, c, slashed=True)

    def decide(self, _sender: str, caseId: bytes) -> None:
        c = self._cases[caseId]
        if c.stage != JURY:
            raise revert("WrongStage", caseId, c.stage)
        panel = self.panelId(caseId, c.instance)
        verdict = self._count(panel)
        first = c.kind == EPOCH and c.instance == 1
        voided = first and verdict == UPHELD
        lost = verdict == (REJECTED if first else UPHELD)
        until = self.env.now + self._terms.appeal_seconds if voided else 0
        c = replace(c, until=until)
        told = {"caseId": caseId, "instance": c.instance, "verdict": verdict}
        self.emit("CaseDecided", {**told, "appealUntil": until})
        pot = self._fine_missing(panel)
        price = self._owed(panel, pot) if first and verdict == HUNG else 0
        pot += self._settle_bond(panel, c.appellant, price=None if lost else price)
        if not first and verdict == REJECTED:
            pot += self._overturn(panel, c)
        self._pay_jurors(panel, pot)
        if voided:
            self._cases[caseId] = replace(c, stage=APPEALABLE, judges=self._voters(panel, UPHOLD))
        else:
            self._close(caseId, c, slashed=not first and verdict == UPHELD)
        if first:
            self._pool.resolve(self.address, c.subject, c.epoch, voided)

    def accusationId(self, unit: bytes, accuser: str) -> bytes:
        return accusation_id(unit, accuser)

    def orderId(self, operator: str, unit: bytes) -> bytes:
        return order_id(operator, unit)

    def challengeId(self, poolId: bytes, epoch: int, number: int) -> bytes:
        return challenge_id(poolId, epoch, number)

    def panelId(self, caseId: bytes, instance: int) -> bytes:
        return panel_id(caseId, instance)

    def bondFor(self, poolId: bytes, epoch: int) -> int:
        return self._terms.bond << self._challenges[poolId, epoch]

    def challenges(self, poolId: bytes, epoch: int) -> int:
        return self._challenges[poolId, epoch]

    def caseOf(self, caseId: bytes) -> tuple[int, int, int, int, str, int, tuple[str, ...]]:
        c = self._cases[caseId]
        return c.kind, c.stage, c.instance, c.until, c.appellant, c.amount, c.accused

    def pool(self) -> str:
        return self._pool.address

    def appealSeconds(self) -> int:
        return self._terms.appeal_seconds

    def accusationSeconds(self) -> int:
        return self._terms.accusation_seconds

    def seats(self) -> int:
        return self._terms.seats

    def bond(self) -> int:
        return self._terms.bond

    def accuserStake(self) -> int:
        return self._terms.accuser_stake

    def signerSlash(self) -> int:
        return self._terms.signer_slash

    def MAX_CHALLENGES(self) -> int:
        return MAX_CHALLENGES

    def _check_order(self, slash: OrderTuple) -> None:
        operator, unit, amount, evidence, reporter = slash
        holder, locked = self._stake.lockOf(unit)
        if not self._accusations[unit].locked_until:
            if not self._anchored(unit):
                raise revert("UnitNotAnchored", unit)
            told = self._accusations[self.accusationId(unit, reporter)]
            backed = told.locked_until != 0 and told.evidence == evidence
            if reporter != ZERO_ADDRESS and not backed:
                raise revert("NotReporter", reporter)
        elif reporter != ZERO_ADDRESS:
            raise revert("NotReporter", reporter)
        if holder != operator or not 0 < amount <= locked:
            raise revert("AboveLock", amount, locked if holder == operator else 0)

    def _bring_to_jury(self, sender: str, case: bytes, amount: int) -> None:
        before = self._cases[case]
        c = replace(before, stage=JURY, until=0, appellant=sender, instance=before.instance + 1)
        self._cases[case] = c
        panel = self.panelId(case, c.instance)
        told = {"caseId": case, "appellant": sender, "bond": amount}
        self.emit("Appealed", {**told, "instance": c.instance, "panel": panel})
        self._stake.lock(self.address, sender, panel, amount)
        wanted = self._terms.seats if c.instance == 1 else 2 * self._terms.seats + 1
        self._summon(panel, wanted, (*c.accused, *c.judges, c.appellant, c.reporter))

    def _settle_bond(self, panel: bytes, holder: str, *, price: int | None) -> int:
        """The bond ends: ``price`` of it, at most all (None), is taken, and the rest is free again."""
        _, amount = self._stake.lockOf(panel)
        if price is None or price:
            taken = amount if price is None else min(price, amount)
            return self._stake.seize(self.address, holder, panel, taken)
        self._stake.unlock(self.address, holder, panel)
        return 0

    def _overturn(self, panel: bytes, c: Case) -> int:
        each = self._terms.accuser_stake if c.kind == ORDER else self._juror_fee
        return sum(self._stake.seize(self.address, judge, panel, each) for judge in c.judges)

    def _close(self, case: bytes, c: Case, *, slashed: bool) -> None:
        self._cases[case] = replace(c, stage=CLOSED)
        self.emit("CaseClosed", {"caseId": case, "slashed": slashed})
        if c.kind == ORDER:
            self._stake.hold(self.address, c.accused[0], c.subject, False)
            if slashed:
                self._slash(c.accused[0], c.subject, c.amount, c.evidence, c.reporter)
        elif slashed:
            for signer in c.accused:
                self._slash(signer, case, c.amount, c.evidence, c.reporter)

    def _slash(
        self, operator: str, unit: bytes, amount: int, evidence: bytes, reporter: str
    ) -> None:
        if not self._stake.isSlashed(operator, unit):
            self._stake.slash(self.address, operator, unit, amount, evidence, reporter)

    def _appealable(self, case: bytes) -> Case:
        c = self._cases[case]
        if c.stage != APPEALABLE:
            raise revert("WrongStage", case, c.stage)
        return c

    def _anchored(self, unit: bytes) -> bool:
        return self._pool.unitOf(unit)[3] == ANCHORED


def accusation_id(unit: bytes, accuser: str) -> bytes:
    """The lock of an accusation, and the unit of an order against the accuser."""
    return keccak(encode(["string", "bytes32", "address"], ["accusation", unit, accuser]))


def order_id(operator: str, unit: bytes) -> bytes:
    """The case of an order."""
    return keccak(encode(["string", "address", "bytes32"], ["order", operator, unit]))


def challenge_id(pool: bytes, epoch: int, number: int) -> bytes:
    """The case of the n-th challenge of an epoch."""
    types = ["string", "bytes32", "uint64", "uint256"]
    return keccak(encode(types, ["challenge", pool, epoch, number]))


def panel_id(case: bytes, instance: int) -> bytes:
    """The panel of an instance of a case."""
    return keccak(encode(["string", "bytes32", "uint256"], ["panel", case, instance]))
