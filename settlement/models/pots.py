"""Model of ``PotBook``: escrow pots, and units of work that reserve their pay in them."""

from dataclasses import dataclass, replace

from eth_utils.crypto import keccak

from protocol.ids import address_bytes
from settlement.models.ledger import (
    MAX_UINT128,
    ZERO32,
    ZERO_ADDRESS,
    Env,
    Model,
    Table,
    revert,
)
from settlement.models.stake import WorkerStake
from settlement.models.token import OpenToken

NONE, RESERVED, ANCHORED, SETTLED, SLASHED = range(5)  # unit states
HANDED_BACK, EXPIRED, RELEASE_SLASHED, RELEASE_SETTLED = range(4)  # reasons of a release
YEAR = 365 * 86_400  # seconds


@dataclass(frozen=True, slots=True)
class Pot:
    """Coins with one rule of division; see ``PotBook.sol`` for the fields."""

    funder: str = ZERO_ADDRESS
    unit_seconds: int = 0
    escrow: int = 0
    drawn_epoch: int = 0
    touched: int = 0
    reserved: int = 0
    unit_pay: int = 0
    pool: bytes = ZERO32

    @property
    def standing(self) -> bool:
        """A fee pot: draws leave it open."""
        return self.unit_seconds == 0


@dataclass(frozen=True, slots=True)
class Unit:
    """One worker's unit; a released unit is all defaults again."""

    pot: bytes = ZERO32
    operator: str = ZERO_ADDRESS
    deadline: int = 0
    state: int = NONE


def pot_id(funder: str, salt: bytes) -> bytes:
    """keccak256(abi.encode(funder, salt)): a pot's id binds its funder."""
    return _bound(funder, salt)


def unit_id(operator: str, task: bytes) -> bytes:
    """keccak256(abi.encode(operator, task)): a unit's id binds its operator."""
    return _bound(operator, task)


class PotBook(Model):
    """Pots and units; the pool adds epochs and claims."""

    def __init__(
        self,
        env: Env,
        address: str,
        token: OpenToken,
        stake: WorkerStake,
        unit_stake: int,
        reclaim_seconds: int,
    ) -> None:
        super().__init__(env, address)
        self._token = token
        self._stake = stake
        self._unit_stake = unit_stake
        self._reclaim_seconds = reclaim_seconds
        self._pots: Table[bytes, Pot] = Table(env, Pot())
        self._units: Table[bytes, Unit] = Table(env, Unit())

    def fund(
        self, sender: str, salt: bytes, amount: int, unitPay: int, unitSeconds: int, spec: bytes
    ) -> bytes:
        return self.fundIn(sender, ZERO32, salt, amount, unitPay, unitSeconds, spec)

    def fundIn(
        self,
        sender: str,
        pool: bytes,
        salt: bytes,
        amount: int,
        unitPay: int,
        unitSeconds: int,
        spec: bytes,
    ) -> bytes:
        pot = pot_id(sender, salt)
        _fundable(amount)
        if self._pots[pot].touched:
            raise revert("PotExists", pot)
        if unitPay > amount or unitSeconds > YEAR or (unitPay and not unitSeconds):
            raise revert("BadUnitTerms", unitPay, unitSeconds)
        if unitPay:
            self._check_successor()
        seconds = unitSeconds if unitPay else 0
        clock = self._paid_in(pool, amount)
        opened = Pot(sender, seconds, amount, touched=clock, unit_pay=unitPay, pool=pool)
        self._pots[pot] = opened
        source = {"pot": pot, "funder": sender, "salt": salt, "pool": pool, "amount": amount}
        terms = {"unitPay": unitPay, "unitSeconds": seconds, "spec": spec}
        self.emit("PotFunded", {**source, **terms})
        self._token.transferFrom(self.address, sender, self.address, amount)
        return pot

    def topUp(self, sender: str, pot: bytes, amount: int) -> None:
        _fundable(amount)
        opened = self._open_pot(pot)
        escrow = opened.escrow + amount
        clock = self._paid_in(opened.pool, amount)
        self._pots[pot] = replace(opened, escrow=escrow, touched=clock)
        self.emit("PotToppedUp", {"pot": pot, "source": sender, "amount": amount})
        self._token.transferFrom(self.address, sender, self.address, amount)

    def reserve(self, sender: str, pot: bytes, task: bytes) -> bytes:
        unit = unit_id(sender, task)
        opened = self._open_pot(pot)
        if opened.standing:
            raise revert("NoUnits", pot)
        self._in_state(unit, NONE)
        free = opened.escrow - opened.reserved
        if free < opened.unit_pay:
            raise revert("PotExhausted", pot, free, opened.unit_pay)
        reserved = opened.reserved + opened.unit_pay
        self._pots[pot] = replace(opened, reserved=reserved, touched=self.clockOf(opened.pool))
        deadline = self.env.now + opened.unit_seconds
        self._units[unit] = Unit(pot, sender, deadline, RESERVED)
        facts = {"pot": pot, "unit": unit, "operator": sender, "deadline": deadline}
        self.emit("UnitReserved", facts)
        self._stake.lock(self.address, sender, unit, self._unit_stake)
        return unit

    def handBack(self, sender: str, unit: bytes) -> None:
        held = self._own_unit(sender, unit)
        self._release(unit, held, NONE, HANDED_BACK)
        self._stake.unlock(self.address, sender, unit)

    def anchor(self, sender: str, unit: bytes, root: bytes, adapter: bytes) -> None:
        held = self._own_unit(sender, unit)
        if self.env.now > held.deadline:
            raise revert("DeadlinePassed", unit, held.deadline)
        self._open_pot(held.pot)
        self._units[unit] = replace(held, state=ANCHORED)
        facts = {"pot": held.pot, "unit": unit, "operator": sender}
        self.emit("UnitAnchored", {**facts, "root": root, "adapter": adapter})

    def expire(self, _sender: str, unit: bytes) -> None:
        held = self._in_state(unit, RESERVED, ANCHORED)
        if self._stake.isSlashed(held.operator, unit):
            self._release(unit, held, SLASHED, RELEASE_SLASHED)
            return
        self._in_state(unit, RESERVED)
        if self.env.now <= held.deadline:
            raise revert("DeadlineAhead", unit, held.deadline)
        self._release(unit, held, NONE, EXPIRED)
        self._stake.unlock(self.address, held.operator, unit)

    def settleUnit(self, _sender: str, unit: bytes) -> None:
        held = self._in_state(unit, ANCHORED)
        if self._stake.isSlashed(held.operator, unit):
            raise revert("UnitSlashed", unit)
        if not self._settled(self._pots[held.pot]):
            raise revert("NotSettled", held.pot)
        self._release(unit, held, SETTLED, RELEASE_SETTLED)
        self._stake.unlock(self.address, held.operator, unit)

    def reclaim(self, sender: str, pot: bytes) -> None:
        closed = self._pots[pot]
        if not closed.touched:
            raise revert("UnknownPot", pot)
        if sender != closed.funder or closed.standing:
            raise revert("NotFunder", pot, sender)
        if closed.escrow == 0:
            raise revert("EmptyPot")
        self._check_reclaim(pot, closed)
        self._pots[pot] = replace(closed, escrow=0)
        self._paid_back(closed.pool, closed.escrow)
        facts = {"pot": pot, "funder": sender, "amount": closed.escrow}
        self.emit("PotReclaimed", facts)
        self._token.transfer(self.address, sender, closed.escrow)

    def token(self) -> str:
        return self._token.address

    def stake(self) -> str:
        return self._stake.address

    def unitStake(self) -> int:
        return self._unit_stake

    def reclaimSeconds(self) -> int:
        return self._reclaim_seconds

    def potId(self, funder: str, salt: bytes) -> bytes:
        return pot_id(funder, salt)

    def unitId(self, operator: str, task: bytes) -> bytes:
        return unit_id(operator, task)

    def potOf(self, pot: bytes) -> tuple[str, int, int, int, int, int, int]:
        p = self._pots[pot]
        facts = (p.funder, p.escrow, p.reserved, p.unit_pay, p.unit_seconds)
        return (*facts, p.drawn_epoch, p.touched)

    def unitOf(self, unit: bytes) -> tuple[bytes, str, int, int]:
        u = self._units[unit]
        return u.pot, u.operator, u.deadline, u.state

    def poolOfPot(self, pot: bytes) -> bytes:
        if not self._pots[pot].touched:
            raise revert("UnknownPot", pot)
        return self._pots[pot].pool

    def activeEpoch(self, pool: bytes) -> int:
        """The epoch of a pool whose root claims are paid from."""
        raise NotImplementedError

    def clockOf(self, pool: bytes) -> int:
        """Seconds of the pool's clock."""
        raise NotImplementedError

    def _noticed(self, pool: bytes) -> bool:
        """Whether another set of aggregators is announced for the pool."""
        raise NotImplementedError

    def _paid_in(self, pool: bytes, amount: int) -> int:
        """Coins enter a pool; its clock."""
        raise NotImplementedError

    def _paid_back(self, pool: bytes, amount: int) -> None:
        """Coins return to a funder."""
        raise NotImplementedError

    def _check_successor(self) -> None:
        """Reverts when new jobs belong to another contract."""
        raise NotImplementedError

    def _check_stalled(self, pot: bytes, stall_seconds: int) -> None:
        at = self._pots[pot]
        stalled_at = at.touched + stall_seconds
        if not at.standing and self.clockOf(at.pool) < stalled_at:
            raise revert("PotNotStalled", pot, stalled_at)

    def _undraw(self, pot: bytes, amount: int, epoch: int) -> None:
        drawn = self._pots[pot]
        clock = self.clockOf(drawn.pool)
        escrow = drawn.escrow + amount
        self._pots[pot] = replace(drawn, escrow=escrow, drawn_epoch=0, touched=clock)
        self.emit("PotRestored", {"pot": pot, "epoch": epoch, "amount": amount})

    def _draw(self, pool: bytes, pot: bytes, amount: int, epoch: int) -> None:
        opened = self._open_pot(pot)
        if opened.pool != pool:
            raise revert("PotElsewhere", pot, opened.pool)
        if amount > opened.escrow:
            raise revert("DrawAboveEscrow", pot, amount, opened.escrow)
        drawn = 0 if opened.standing else epoch
        self._pots[pot] = replace(opened, escrow=opened.escrow - amount, drawn_epoch=drawn)
        self.emit("PotDrawn", {"pot": pot, "epoch": epoch, "amount": amount})

    def _release(self, unit: bytes, held: Unit, state: int, reason: int) -> None:
        pot = self._pots[held.pot]
        reserved = pot.reserved - pot.unit_pay
        self._pots[held.pot] = replace(pot, reserved=reserved, touched=self.clockOf(pot.pool))
        facts = {"pot": held.pot, "unit": unit, "operator": held.operator, "reason": reason}
        self.emit("UnitReleased", facts)
        self._units[unit] = Unit() if state == NONE else replace(held, state=state)

    def _check_reclaim(self, pot: bytes, closed: Pot) -> None:
        if closed.drawn_epoch:
            if not self._settled(closed):
                raise revert("NotSettled", pot)
            return
        idle_at = closed.touched + self._reclaim_seconds
        idle = self.clockOf(closed.pool) >= idle_at or self._noticed(closed.pool)
        if closed.reserved or not idle:
            raise revert("NotIdle", pot, closed.reserved, idle_at)

    def _open_pot(self, pot: bytes) -> Pot:
        opened = self._pots[pot]
        if not opened.touched:
            raise revert("UnknownPot", pot)
        if opened.drawn_epoch:
            raise revert("PotClosed", pot)
        return opened

    def _in_state(self, unit: bytes, *states: int) -> Unit:
        held = self._units[unit]
        if held.state not in states:
            raise revert("WrongUnitState", unit, held.state)
        return held

    def _own_unit(self, sender: str, unit: bytes) -> Unit:
        held = self._in_state(unit, RESERVED)
        if held.operator != sender:
            raise revert("NotUnitOperator", unit, sender)
        return held

    def _settled(self, pot: Pot) -> bool:
        return 0 < pot.drawn_epoch <= self.activeEpoch(pot.pool)


def _bound(account: str, name: bytes) -> bytes:
    return keccak(address_bytes(account).rjust(32, b"\x00") + name)


def _fundable(amount: int) -> None:
    if not 0 < amount <= MAX_UINT128:
        raise revert("EmptyPot")
