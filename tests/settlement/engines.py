"""Two EVMs under one interface: revm, fast, and py-evm as the chain in a box runs it.

A transaction is a block of its own on both. ``tests/settlement/test_engines.py`` holds them to the
same results and logs; gas is measured in the box only.
"""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from eth_account import Account

from protocol.ids import address_bytes
from settlement.devchain import DevChain
from settlement.devjson import Call, RpcError

BLOCK_GAS = 30_000_000
# pyrevm has no wheel for some platforms (pyproject.toml); there the slow engine serves.
HAS_REVM = importlib.util.find_spec("pyrevm") is not None

RawLog = tuple[bytes, tuple[bytes, ...], bytes]  # address, topics, data


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one call did: its data, whether that is a revert's, logs in order, gas if measured."""

    data: bytes
    failed: bool
    logs: tuple[RawLog, ...] = ()
    gas: int | None = None


class Engine(Protocol):
    """An EVM with one clock: ``now`` unix seconds.

    ``at`` is the number of the block in which the last call or transaction stood.
    """

    at: int

    def next(self) -> int:
        """The block that the next transaction makes."""

    def block_hash(self, number: int) -> bytes:
        """What BLOCKHASH gives for an earlier block."""

    def create(self, key: bytes, sender: str, code: bytes) -> None:
        """Run creation code in a transaction; the address follows from sender and nonce."""

    def send(self, key: bytes, sender: str, to: str, data: bytes) -> Receipt:
        """A transaction; one that reverts changes nothing."""

    def view(self, to: str, data: bytes) -> Receipt:
        """A call that changes nothing, in the time of the last block."""

    def code(self, address: str) -> bytes:
        """The code at an address."""

    def tick(self) -> None:
        """The clock moved on: an empty block."""


class Box:
    """py-evm as ``settlement.devchain`` runs it: signed transactions, real nonces and blocks."""

    def __init__(self, chain_id: int, now: Callable[[], int], accounts: Sequence[str]) -> None:
        funded = [address_bytes(account) for account in accounts]
        self.chain = DevChain(chain_id, funded, now)
        self._nonces = dict.fromkeys(accounts, 0)
        self.at = 0

    def next(self) -> int:
        return self.chain.head() + 1

    def block_hash(self, number: int) -> bytes:
        return bytes(self.chain.header(number).hash)

    def create(self, key: bytes, sender: str, code: bytes) -> None:
        self._send(key, sender, "", code)

    def send(self, key: bytes, sender: str, to: str, data: bytes) -> Receipt:
        call = Call(address_bytes(sender), address_bytes(to), 0, data, BLOCK_GAS)
        tried = self._tried(call)
        if tried.failed:
            return tried
        mined = self.chain.transaction(self._send(key, sender, to, data))
        assert mined is not None
        assert mined.receipt.state_root == b"\x01"
        self.at = mined.block
        found = self.chain.logs(mined.block, mined.block)
        logs = tuple((log.address, log.topics, log.data) for log in found)
        return Receipt(tried.data, False, logs, mined.receipt.gas_used)

    def view(self, to: str, data: bytes) -> Receipt:
        return self._tried(Call(bytes(20), address_bytes(to), 0, data, 0))

    def attempt(self, sender: str, to: str, data: bytes) -> Receipt:
        """A call by any address, of which nothing stays. revm lets no contract begin a transaction."""
        return self._tried(Call(address_bytes(sender), address_bytes(to), 0, data, BLOCK_GAS))

    def code(self, address: str) -> bytes:
        return self.chain.account(address_bytes(address), self.chain.head())[2]

    def tick(self) -> None:
        self.chain.tick()

    def _tried(self, call: Call) -> Receipt:
        self.at = self.chain.head()
        try:
            return Receipt(self.chain.call(call, self.chain.head()), False)
        except RpcError as error:
            assert error.code == 3, error
            return Receipt(bytes.fromhex((error.data or "0x")[2:]), True)

    def _send(self, key: bytes, sender: str, to: str, data: bytes) -> bytes:
        unsigned = {
            "chainId": self.chain.chain_id,
            "type": 2,
            "nonce": self._nonces[sender],
            "gas": BLOCK_GAS // 2,
            "maxFeePerGas": 4 * 10**9,
            "maxPriorityFeePerGas": 10**9,
            "to": to,
            "value": 0,
            "data": data,
        }
        self._nonces[sender] += 1
        return self.chain.send(bytes(Account.sign_transaction(unsigned, key).raw_transaction))


def fastest(chain_id: int, now: Callable[[], int], accounts: Sequence[str]) -> Engine:
    """revm where it is installed."""
    if not HAS_REVM:
        return Box(chain_id, now, accounts)
    from tests.settlement.revm import Revm

    return Revm(chain_id, now)
