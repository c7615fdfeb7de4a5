"""Model of ``WorkerStake``."""

from dataclasses import dataclass, replace

from settlement.models.history import StakeHistory
from settlement.models.ledger import ZERO_ADDRESS, Env, Slot, Table, at, revert
from settlement.models.registry import AssetRegistry
from settlement.models.token import OpenToken

REWARD_PARTS = 10


@dataclass(frozen=True, slots=True)
class Account:
    """An operator's stake in base units; ``bonded`` includes ``locked``."""

    bonded: int = 0
    locked: int = 0
    unbonding: int = 0
    release_at: int = 0


@dataclass(frozen=True, slots=True)
class Lock:
    """Stake held under one unit."""

    operator: str = ZERO_ADDRESS
    amount: int = 0
    held: bool = False


@dataclass(frozen=True, slots=True)
class StakeTerms:
    """Constructor parameters: who may touch stake, two durations (seconds), the most of a reward."""

    slasher: str
    pool: str
    unbonding_seconds: int
    epoch_seconds: int
    reward_cap: int


class WorkerStake(StakeHistory):
    """What an operator key can lose."""

    NAME = "WorkerStake"

    def __init__(
        self,
        env: Env,
        address: str,
        token: OpenToken,
        registry: AssetRegistry,
        terms: StakeTerms,
    ) -> None:
        super().__init__(env, address, terms.epoch_seconds)
        self._token = token
        self._registry = registry
        self._slasher = terms.slasher
        self._pool = terms.pool
        self._seconds = terms.unbonding_seconds
        self._reward_cap = terms.reward_cap
        self._accounts: Table[str, Account] = Table(env, Account())
        self._locks: Table[bytes, Lock] = Table(env, Lock())
        self._slashed: Table[tuple[str, bytes], bool] = Table(env, False)
        self._stakers: Slot[tuple[str, ...]] = Slot(env, ())

    def deposit(self, sender: str, operator: str, amount: int) -> None:
        _positive(amount)
        self._registry.ownerIndex(operator)
        self._token.transferFrom(self.address, sender, self.address, amount)
        account = self._accounts[operator]
        bonded = account.bonded + amount
        self._accounts[operator] = replace(account, bonded=bonded)
        if operator not in self._stakers.value:
            self._stakers.value = (*self._stakers.value, operator)
        self.emit("StakeDeposited", {"operator": operator, "source": sender, "amount": amount})
        self._record(operator, bonded)

    def unbond(self, sender: str, operator: str, amount: int) -> None:
        _positive(amount)
        if sender != operator and sender != self._registry.payoutOfOperator(operator):
            raise revert("NotStaker", operator, sender)
        account = self._accounts[operator]
        _enough(operator, account, amount)
        release_at = self.env.now + self._seconds
        bonded, unbonding = account.bonded - amount, account.unbonding + amount
        self._accounts[operator] = Account(bonded, account.locked, unbonding, release_at)
        facts = {"operator": operator, "amount": amount, "releaseAt": release_at}
        self.emit("StakeUnbonded", facts)
        self._record(operator, bonded)

    def withdraw(self, _sender: str, operator: str) -> None:
        account = self._accounts[operator]
        amount = account.unbonding
        if amount == 0:
            raise revert("NothingUnbonding", operator)
        if self.env.now < account.release_at:
            raise revert("StillUnbonding", account.release_at)
        payout = self._registry.payoutOfOperator(operator)
        self._accounts[operator] = replace(account, unbonding=0)
        self.emit("StakeWithdrawn", {"operator": operator, "payout": payout, "amount": amount})
        self._token.transfer(self.address, payout, amount)

    def enlist(self, sender: str, enlisted: bool) -> None:
        self._registry.ownerIndex(sender)
        self.emit("JurorEnlisted", {"operator": sender, "enlisted": enlisted})
        self._enlist(sender, enlisted, self._accounts[sender].bonded)

    def lock(self, sender: str, operator: str, unit: bytes, amount: int) -> None:
        self._keeper(sender)
        if self._locks[unit].operator != ZERO_ADDRESS:
            raise revert("AlreadyLocked", unit)
        account = self._accounts[operator]
        _enough(operator, account, amount)
        self._accounts[operator] = replace(account, locked=account.locked + amount)
        self._locks[unit] = Lock(operator, amount)
        self.emit("StakeLocked", {"operator": operator, "unit": unit, "amount": amount})

    def unlock(self, sender: str, operator: str, unit: bytes) -> None:
        self._keeper(sender)
        lock = self._own_lock(operator, unit)
        if lock.held:
            raise revert("UnitHeld", unit)
        self._free(operator, unit)
        self.emit("StakeUnlocked", {"operator": operator, "unit": unit, "amount": lock.amount})

    def hold(self, sender: str, operator: str, unit: bytes, held: bool) -> None:
        self._only_slasher(sender)
        self._locks[unit] = replace(self._own_lock(operator, unit), held=held)
        self.emit("LockHeld", {"operator": operator, "unit": unit, "held": held})

    def slash(
        self, sender: str, operator: str, unit: bytes, amount: int, evidence: bytes, reporter: str
    ) -> None:
        self._only_slasher(sender)
        if self._slashed[operator, unit]:
            raise revert("AlreadySlashed", operator, unit)
        self._slashed[operator, unit] = True
        taken = self._take(operator, unit, amount)
        reward = 0 if reporter == ZERO_ADDRESS else min(taken // REWARD_PARTS, self._reward_cap)
        facts = {"operator": operator, "unit": unit, "amount": taken, "evidence": evidence}
        parts = {"reporter": reporter, "reward": reward, "burnt": taken - reward}
        self.emit("Slashed", {**facts, **parts})
        self._token.burn(self.address, taken - reward)
        if reward:
            self._token.transfer(self.address, reporter, reward)

    def seize(self, sender: str, operator: str, unit: bytes, amount: int) -> int:
        self._only_slasher(sender)
        taken = self._take(operator, unit, amount)
        self.emit("Seized", {"operator": operator, "unit": unit, "amount": taken})
        self._token.transfer(self.address, self._slasher, taken)
        return taken

    def token(self) -> str:
        return self._token.address

    def registry(self) -> str:
        return self._registry.address

    def slasher(self) -> str:
        return self._slasher

    def pool(self) -> str:
        return self._pool

    def unbondingSeconds(self) -> int:
        return self._seconds

    def rewardCap(self) -> int:
        return self._reward_cap

    def REWARD_PARTS(self) -> int:
        return REWARD_PARTS

    def stakeOf(self, operator: str) -> int:
        return self._accounts[operator].bonded

    def lockedOf(self, operator: str) -> int:
        return self._accounts[operator].locked

    def unbondingOf(self, operator: str) -> tuple[int, int]:
        account = self._accounts[operator]
        return account.unbonding, account.release_at

    def lockOf(self, unit: bytes) -> tuple[str, int]:
        held = self._locks[unit]
        return held.operator, held.amount

    def isSlashed(self, operator: str, unit: bytes) -> bool:
        return self._slashed[operator, unit]

    def stakerCount(self) -> int:
        return len(self._stakers.value)

    def stakerAt(self, position: int) -> str:
        return at(self._stakers.value, position)

    def _keeper(self, sender: str) -> None:
        if sender not in (self._pool, self._slasher):
            raise revert("NotKeeper", sender)

    def _only_slasher(self, sender: str) -> None:
        if sender != self._slasher:
            raise revert("NotSlasher", sender)

    def _own_lock(self, operator: str, unit: bytes) -> Lock:
        lock = self._locks[unit]
        if lock.operator != operator:
            raise revert("NotLocked", operator, unit)
        return lock

    def _free(self, operator: str, unit: bytes) -> None:
        account = self._accounts[operator]
        left = max(0, account.locked - self._locks[unit].amount)
        self._accounts[operator] = replace(account, locked=left)
        self._locks[unit] = Lock()

    def _take(self, operator: str, unit: bytes, amount: int) -> int:
        if self._locks[unit].operator == operator:
            self._free(operator, unit)
        account = self._accounts[operator]
        free = min(amount, account.bonded - account.locked)
        unbonding = min(amount - free, account.unbonding)
        locked = min(amount - free - unbonding, account.locked)
        self._accounts[operator] = replace(
            account,
            bonded=account.bonded - free - locked,
            locked=account.locked - locked,
            unbonding=account.unbonding - unbonding,
        )
        self._record(operator, account.bonded - free - locked)
        return free + unbonding + locked


def _positive(amount: int) -> None:
    if amount == 0:
        raise revert("ZeroAmount")


def _enough(operator: str, account: Account, amount: int) -> None:
    free = account.bonded - account.locked
    if amount > free:
        raise revert("InsufficientStake", operator, free, amount)
