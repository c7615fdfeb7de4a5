"""Models of OpenZeppelin's ERC-20 with permit, and of ``OpenToken``, to the error and event."""

from dataclasses import dataclass
from typing import ClassVar

from protocol import typed_data
from protocol.ids import address_bytes
from settlement.models.ledger import (
    MAX_UINT,
    MAX_UINT128,
    ZERO_ADDRESS,
    Env,
    Model,
    Slot,
    Table,
    revert,
)
from settlement.models.quorum import recover


@dataclass(frozen=True, slots=True)
class Permit(typed_data.Typed):
    """ERC-2612."""

    TYPE: ClassVar[str] = (
        "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
    )
    owner: str
    spender: str
    value: int
    nonce: int
    deadline: int

    def words(self) -> bytes:
        owner = typed_data.address(address_bytes(self.owner))
        spender = typed_data.address(address_bytes(self.spender))
        numbers = (self.value, self.nonce, self.deadline)
        return owner + spender + b"".join(map(typed_data.uint, numbers))


class Erc20(Model):
    """A coin with permits; ``COIN`` is its name, symbol and signing domain."""

    COIN: str

    def __init__(self, env: Env, address: str) -> None:
        super().__init__(env, address)
        self._balances: Table[str, int] = Table(env, 0)
        self._allowances: Table[tuple[str, str], int] = Table(env, 0)
        self._nonces: Table[str, int] = Table(env, 0)
        self._supply = Slot(env, 0)

    def name(self) -> str:
        return self.COIN

    def symbol(self) -> str:
        return self.COIN

    def decimals(self) -> int:
        return 18

    def totalSupply(self) -> int:
        return self._supply.value

    def balanceOf(self, account: str) -> int:
        return self._balances[account]

    def allowance(self, owner: str, spender: str) -> int:
        return self._allowances[owner, spender]

    def nonces(self, owner: str) -> int:
        return self._nonces[owner]

    def transfer(self, sender: str, to: str, value: int) -> bool:
        self._transfer(sender, to, value)
        return True

    def transferFrom(self, sender: str, owner: str, to: str, value: int) -> bool:
        self._spend(owner, sender, value)
        self._transfer(owner, to, value)
        return True

    def approve(self, sender: str, spender: str, value: int) -> bool:
        self._approve(sender, spender, value)
        return True

    def permit(
        self,
        _sender: str,
        owner: str,
        spender: str,
        value: int,
        deadline: int,
        v: int,
        r: bytes,
        s: bytes,
    ) -> None:
        if self.env.now > deadline:
            raise revert("ERC2612ExpiredSignature", deadline)
        permit = Permit(owner, spender, value, self._nonces[owner], deadline)
        self._nonces[owner] += 1
        domain = typed_data.Domain(self.COIN, self.env.chain_id, address_bytes(self.address))
        signer = recover(permit.digest(domain), r + s + bytes([v]))
        if signer != owner:
            raise revert("ERC2612InvalidSigner", signer, owner)
        self._approve(owner, spender, value)

    def _approve(self, owner: str, spender: str, value: int) -> None:
        if spender == ZERO_ADDRESS:
            raise revert("ERC20InvalidSpender", spender)
        self._allowances[owner, spender] = value
        self.emit("Approval", {"owner": owner, "spender": spender, "value": value})

    def _spend(self, owner: str, spender: str, value: int) -> None:
        allowed = self._allowances[owner, spender]
        if allowed == MAX_UINT:
            return
        if allowed < value:
            raise revert("ERC20InsufficientAllowance", spender, allowed, value)
        if owner == ZERO_ADDRESS:
            raise revert("ERC20InvalidApprover", owner)
        self._allowances[owner, spender] = allowed - value

    def _transfer(self, source: str, to: str, value: int) -> None:
        if source == ZERO_ADDRESS:
            raise revert("ERC20InvalidSender", source)
        if to == ZERO_ADDRESS:
            raise revert("ERC20InvalidReceiver", to)
        self._update(source, to, value)

    def _update(self, source: str, to: str, value: int) -> None:
        if source == ZERO_ADDRESS:
            self._supply.value += value
        else:
            balance = self._balances[source]
            if balance < value:
                raise revert("ERC20InsufficientBalance", source, balance, value)
            self._balances[source] = balance - value
        if to == ZERO_ADDRESS:
            self._supply.value -= value
        else:
            self._balances[to] += value
        self.emit("Transfer", {"from": source, "to": to, "value": value})


class OpenToken(Erc20):
    """OPEN: the whole supply to the deployer, nobody mints."""

    NAME = "OpenToken"
    COIN = "OPEN"

    def __init__(self, env: Env, address: str, deployer: str, supply: int) -> None:
        super().__init__(env, address)
        if supply > MAX_UINT128:
            raise revert("SupplyTooLarge", supply)
        self._update(ZERO_ADDRESS, deployer, supply)

    def burn(self, sender: str, value: int) -> None:
        self._update(sender, ZERO_ADDRESS, value)

    def burnFrom(self, sender: str, account: str, value: int) -> None:
        self._spend(account, sender, value)
        if account == ZERO_ADDRESS:
            raise revert("ERC20InvalidSender", account)
        self._update(account, ZERO_ADDRESS, value)
