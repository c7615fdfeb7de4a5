"""Models of ``WorkerStake`` and ``CommitteeSlasher``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from protocol import typed_data
from protocol.ids import address_bytes
from settlement.models.ledger import ZERO_ADDRESS, Env, Model, Slot, Table, add, at, revert
from settlement.models.quorum import Quorum
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


class WorkerStake(Model):
    """What an operator key can lose."""

    NAME = "WorkerStake"

    def __init__(
        self,
        env: Env,
        address: str,
        token: OpenToken,
        registry: AssetRegistry,
        slasher: str,
        pool: str,
        unbonding_seconds: int,
    ) -> None:
        super().__init__(env, address)
        self._token = token
        self._registry = registry
        self._slasher = slasher
        self._pool = pool
        self._seconds = unbonding_seconds
        self._accounts: Table[str, Account] = Table(env, Account())
        self._locks: Table[bytes, Lock] = Table(env, Lock())
        self._slashed: Table[tuple[str, bytes], bool] = Table(env, False)
        self._stakers: Slot[tuple[str, ...]] = Slot(env, ())

    def deposit(self, sender: str, operator: str, amount: int) -> None:
        _positive(amount)
        self._registry.ownerIndex(operator)
        account = self._accounts[operator]
        self._accounts[operator] = replace(account, bonded=add(account.bonded, amount))
        if operator not in self._stakers.value:
            self._stakers.value = (*self._stakers.value, operator)
        self.emit("StakeDeposited", {"operator": operator, "source": sender, "amount": amount})
        self._token.transferFrom(self.address, sender, self.address, amount)

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

    def lock(self, sender: str, operator: str, unit: bytes, amount: int) -> None:
        if sender != self._pool:
            raise revert("NotPool", sender)
        if self._locks[unit].operator != ZERO_ADDRESS:
            raise revert("AlreadyLocked", unit)
        account = self._accounts[operator]
        _enough(operator, account, amount)
        self._accounts[operator] = replace(account, locked=account.locked + amount)
        self._locks[unit] = Lock(operator, amount)
        self.emit("StakeLocked", {"operator": operator, "unit": unit, "amount": amount})

    def unlock(self, sender: str, operator: str, unit: bytes) -> None:
        if sender != self._pool:
            raise revert("NotPool", sender)
        held = self._locks[unit]
        if held.operator != operator:
            raise revert("NotLocked", operator, unit)
        self._free(operator, unit)
        self.emit("StakeUnlocked", {"operator": operator, "unit": unit, "amount": held.amount})

    def slash(
        self, sender: str, operator: str, unit: bytes, amount: int, evidence: bytes, reporter: str
    ) -> None:
        if sender != self._slasher:
            raise revert("NotSlasher", sender)
        if self._slashed[operator, unit]:
            raise revert("AlreadySlashed", operator, unit)
        if self._locks[unit].operator == operator:
            self._free(operator, unit)
        taken = self._take(operator, amount)
        if taken == 0:
            raise revert("NothingToSlash", operator)
        self._slashed[operator, unit] = True
        reward = 0 if reporter == ZERO_ADDRESS else taken // REWARD_PARTS
        facts = {"operator": operator, "unit": unit, "amount": taken, "evidence": evidence}
        parts = {"reporter": reporter, "reward": reward, "burnt": taken - reward}
        self.emit("Slashed", {**facts, **parts})
        self._token.burn(self.address, taken - reward)
        if reward:
            self._token.transfer(self.address, reporter, reward)

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

    def _free(self, operator: str, unit: bytes) -> None:
        account = self._accounts[operator]
        left = account.locked - self._locks[unit].amount
        self._accounts[operator] = replace(account, locked=left)
        self._locks[unit] = Lock()

    def _take(self, operator: str, amount: int) -> int:
        account = self._accounts[operator]
        bonded = min(amount, account.bonded - account.locked)
        unbonding = min(amount - bonded, account.unbonding)
        self._accounts[operator] = replace(
            account, bonded=account.bonded - bonded, unbonding=account.unbonding - unbonding
        )
        return bonded + unbonding


class CommitteeSlasher(Quorum, Model):
    """The committee that orders slashes."""

    NAME = "CommitteeSlasher"

    def __init__(
        self, env: Env, address: str, stake: WorkerStake, seats: Sequence[str], threshold: int
    ) -> None:
        Model.__init__(self, env, address)
        Quorum.__init__(self, seats, threshold)
        self._stake = stake

    def execute(
        self,
        _sender: str,
        order: tuple[str, bytes, int, bytes, str],
        signatures: Sequence[bytes],
    ) -> None:
        operator, unit, amount, evidence, reporter = order
        keys = address_bytes(operator), address_bytes(reporter)
        slash = typed_data.Slash(keys[0], unit, amount, evidence, keys[1])
        domain = typed_data.Domain(self.NAME, self.env.chain_id, address_bytes(self.address))
        self.signers(slash.digest(domain), signatures)
        self.emit("SlashExecuted", {"operator": operator, "unit": unit, "evidence": evidence})
        self._stake.slash(self.address, operator, unit, amount, evidence, reporter)

    def stake(self) -> str:
        return self._stake.address


def _positive(amount: int) -> None:
    if amount == 0:
        raise revert("ZeroAmount")


def _enough(operator: str, account: Account, amount: int) -> None:
    free = account.bonded - account.locked
    if amount > free:
        raise revert("InsufficientStake", operator, free, amount)
