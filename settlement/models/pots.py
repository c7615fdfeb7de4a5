"""Model of ``PotBook``: escrow pots, and units of work that reserve their pay in them."""

from dataclasses import dataclass, replace

from eth_utils.crypto import keccak

from protocol.ids import address_bytes
from settlement.models.ledger import MAX_UINT128, ZERO32, ZERO_ADDRESS, Env, Model, Table, revert
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
    standing: bool = False
    reserved: int = 0
    unit_pay: int = 0


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
        pot = pot_id(sender, salt)
        _fundable(amount)
        if self._pots[pot].touched:
            raise revert("PotExists", pot)
        if unitPay > amount or unitSeconds > YEAR or (unitPay and not unitSeconds):
            raise revert("BadUnitTerms", unitPay, unitSeconds)
        opened = Pot(sender, unitSeconds, amount, touched=self.env.now, unit_pay=unitPay)
        self._pots[pot] = replace(opened, standing=unitPay == 0)
        source = {"pot": pot, "funder": sender, "salt": salt, "amount": amount}
        terms = {"unitPay": unitPay, "unitSeconds": unitSeconds, "spec": spec}
        self.emit("PotFunded", {**source, **terms})
        self._token.transferFrom(self.address, sender, self.address, amount)
        return pot

    def topUp(self, sender: str, pot: bytes, amount: int) -> None:
        _fundable(amount)
        opened = self._open_pot(pot)
        escrow = opened.escrow + amount
        self._pots[pot] = replace(opened, escrow=escrow, touched=self.env.now)
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
        self._pots[pot] = replace(opened, reserved=reserved, touched=self.env.now)
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

    def activeEpoch(self) -> int:
        """The epoch whose root claims are paid from."""
        raise NotImplementedError

    def _draw(self, pot: bytes, amount: int, epoch: int) -> None:
        opened = self._open_pot(pot)
        if amount > opened.escrow:
            raise revert("DrawAboveEscrow", pot, amount, opened.escrow)
        drawn = 0 if opened.standing else epoch
        self._pots[pot] = replace(opened, escrow=opened.escrow - amount, drawn_epoch=drawn)
        self.emit("PotDrawn", {"pot": pot, "epoch": epoch, "amount": amount})

    def _release(self, unit: bytes, held: Unit, state: int, reason: int) -> None:
        pot = self._pots[held.pot]
        reserved = pot.reserved - pot.unit_pay
        self._pots[held.pot] = replace(pot, reserved=reserved, touched=self.env.now)
        facts = {"pot": held.pot, "unit": unit, "operator": held.operator, "reason": reason}
        self.emit("UnitReleased", facts)
        self._units[unit] = Unit() if state == NONE else replace(held, state=state)

    def _check_reclaim(self, pot: bytes, closed: Pot) -> None:
        if closed.drawn_epoch:
            if not self._settled(closed):
                raise revert("NotSettled", pot)
            return
        idle_at = closed.touched + self._reclaim_seconds
        if closed.reserved or self.env.now < idle_at:
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
        return 0 < pot.drawn_epoch <= self.activeEpoch()


def _bound(account: str, name: bytes) -> bytes:
    return keccak(address_bytes(account).rjust(32, b"\x00") + name)


def _fundable(amount: int) -> None:
    if not 0 < amount <= MAX_UINT128:
        raise revert("EmptyPot")
