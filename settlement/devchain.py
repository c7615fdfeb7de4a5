"""The chain in a box: eth-tester's EVM in a process of its own, behind spec-conformant JSON-RPC.

``python -m settlement.devchain --port 0 --chain-id N --accounts-seed S`` prints one JSON line when
it is ready (``url``, ``chain_id``, ``funded_key``) and stops at SIGTERM or when its stdin closes.
Every transaction is mined at once in a block of its own, and an empty block every second. For tests
of clients ``evm_setAutomine`` holds transactions back until ``evm_mine``, and ``evm_snapshot`` with
``evm_revert`` takes blocks back: what follows are others, a reorganised chain. Block time is the wall
clock's second, never ahead of it: several blocks may share a second. eth-tester serves as the EVM
only: its own look-ups walk back through all blocks, so blocks, transactions and logs are indexed
here. One lock guards it, it is not thread-safe.
"""

import argparse
import json
import logging
import signal
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from eth.abc import BlockHeaderAPI
from eth.constants import GENESIS_PARENT_HASH
from eth.exceptions import PyEVMError
from eth.vm.forks.cancun import CancunVM
from eth.vm.spoof import SpoofTransaction
from eth_tester.backends.pyevm.main import PyEVMBackend, get_default_genesis_params
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException  # type: ignore[import-untyped]

from protocol.typed_data import address_of
from settlement.devjson import Call, Log, Mined, RpcError
from settlement.devrpc import server

WEALTH = 10**27  # wei of a funded account: 10^9 ether
GAS_LIMIT = 30_000_000  # of a block, and of a call that names none
GAS_MARGIN = 4  # an estimate adds a quarter: calls keep a 64th back, and refunds come last


class BoxVM(CancunVM):
    """Cancun, but a block may carry its parent's timestamp."""

    @classmethod
    def validate_header(cls, header: BlockHeaderAPI, parent_header: BlockHeaderAPI) -> None:
        if header.timestamp == parent_header.timestamp:
            header = header.copy(timestamp=header.timestamp + 1)
        super().validate_header(header, parent_header)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A call's result: returned or revert data, whether it failed, gas used before refunds."""

    data: bytes
    failed: bool
    gas: int


class DevChain:
    """An EVM with its history. Every public method may be called from any thread."""

    def __init__(
        self, chain_id: int, funded: Sequence[bytes], now: Callable[[], float] = time.time
    ) -> None:
        wealth = {"balance": WEALTH, "nonce": 0, "code": b"", "storage": {}}
        state = dict.fromkeys(funded, wealth)
        genesis = get_default_genesis_params({"timestamp": int(now())})
        backend = PyEVMBackend(genesis, state, ((0, BoxVM),))
        self.chain_id = chain_id
        self._now = now
        self._chain = backend.chain
        self._chain.chain_id = chain_id
        self._lock = threading.Lock()
        self._headers: list[Any] = [self._chain.get_canonical_block_header_by_number(0)]
        self._numbers: dict[bytes, int] = {self._headers[0].hash: 0}
        self._in_block: list[list[Mined]] = [[]]
        self._by_hash: dict[bytes, Mined] = {}
        self._logs: list[Log] = []
        self._automine = True
        self._pool: dict[tuple[bytes, int], Any] = {}  # by sender and nonce
        self._snapshots: list[int] = []  # block numbers
        self._reverts = 0

    def tick(self) -> None:
        """Mine an empty block when the last one is of an earlier second."""
        with self._lock:
            if self._headers[-1].timestamp < int(self._now()):
                self._stamp()
                self._mine()

    def send(self, raw: bytes) -> bytes:
        """Take a signed transaction, mined at once but for ``automine(False)``; its hash. Raises RpcError."""
        with self._lock:
            try:
                transaction = self._chain.get_vm().get_transaction_builder().decode(raw)
                if getattr(transaction, "chain_id", self.chain_id) != self.chain_id:
                    raise RpcError(-32000, f"invalid chain id, this is {self.chain_id}")
                if self._automine:
                    self._include(transaction)
                else:
                    self._hold(transaction)
            except (ValidationError, PyEVMError, RLPException) as error:
                raise RpcError(-32000, str(error)) from error
            return bytes(transaction.hash)

    def automine(self, on: bool) -> None:
        """Whether transactions are mined as they come."""
        with self._lock:
            self._automine = on

    def mine(self) -> None:
        """Mine what is held back, each in a block of its own; without any an empty block."""
        with self._lock:
            held = sorted(self._pool.items())
            self._pool.clear()
            for _, transaction in held:
                try:
                    self._include(transaction)
                except (ValidationError, PyEVMError) as error:
                    logging.getLogger(__name__).warning("dropped a held transaction: %s", error)
            if not held:
                self._stamp()
                self._mine()

    def snapshot(self) -> int:
        """Remember this block; returns what ``revert`` takes."""
        with self._lock:
            self._snapshots.append(len(self._headers) - 1)
            return len(self._snapshots)

    def revert(self, snapshot: int) -> bool:
        """Take back all blocks after a snapshot's, and the snapshot with all later ones."""
        with self._lock:
            if not 1 <= snapshot <= len(self._snapshots):
                return False
            number = self._snapshots[snapshot - 1]
            del self._snapshots[snapshot - 1 :]
            header, database = self._headers[number], self._chain.chaindb
            database._set_as_canonical_chain_head(database.db, header, GENESIS_PARENT_HASH)
            self._chain.header = self._chain.create_header_from_parent(header)
            self._reverts += 1
            self._pool.clear()
            self._cut(number)
            return True

    def _cut(self, number: int) -> None:
        for gone in self._in_block[number + 1 :]:
            for mined in gone:
                del self._by_hash[mined.transaction.hash]
        for header in self._headers[number + 1 :]:
            del self._numbers[header.hash]
        del self._in_block[number + 1 :], self._headers[number + 1 :]
        self._logs = [log for log in self._logs if log.block <= number]

    def _include(self, transaction: Any) -> None:
        self._stamp()
        _, receipt, _ = self._chain.apply_transaction(transaction)
        self._mine()
        self._index(transaction, receipt)

    def _hold(self, transaction: Any) -> None:
        """The rules by which Ethereum nodes pool: one transaction a nonce, a dearer one replaces it."""
        sender, nonce = bytes(transaction.sender), int(transaction.nonce)
        state = self._chain.get_vm(at_header=self._headers[-1]).state
        if nonce < state.get_nonce(sender):
            raise RpcError(-32000, "nonce too low")
        held = self._pool.get((sender, nonce))
        if held is not None and held.hash == transaction.hash:
            raise RpcError(-32000, "already known")
        if held is not None and 10 * transaction.max_fee_per_gas < 11 * held.max_fee_per_gas:
            raise RpcError(-32000, "replacement transaction underpriced")
        self._pool[sender, nonce] = transaction

    def call(self, call: Call, number: int) -> bytes:
        """Run a call on the state of a block. Raises RpcError 3 with the revert data."""
        return _returned(self._run(call, number)).data

    def estimate(self, call: Call, number: int) -> int:
        """Gas for a transaction, a quarter above what it uses. Raises RpcError 3."""
        outcome = _returned(self._run(call, number))
        return min(outcome.gas + outcome.gas // GAS_MARGIN, GAS_LIMIT)

    def head(self) -> int:
        """Number of the last block."""
        return len(self._headers) - 1

    def header(self, number: int) -> Any:
        """A block's header. Raises IndexError."""
        return self._headers[number]

    def number_of(self, block_hash: bytes) -> int | None:
        """Number of the block with this hash."""
        return self._numbers.get(block_hash)

    def transactions(self, number: int) -> Sequence[Mined]:
        """What was mined in a block."""
        return self._in_block[number]

    def transaction(self, tx: bytes) -> Mined | None:
        """A mined transaction by its hash."""
        return self._by_hash.get(tx)

    def logs(self, first: int, last: int) -> Sequence[Log]:
        """All logs of an inclusive range of blocks, in order."""
        with self._lock:
            start = bisect_left(self._logs, first, key=lambda log: log.block)
            end = bisect_left(self._logs, last + 1, key=lambda log: log.block)
            return self._logs[start:end]

    def account(self, address: bytes, number: int) -> tuple[int, int, bytes]:
        """Balance in wei, nonce and code of an account after a block."""
        with self._lock:
            state = self._chain.get_vm(at_header=self._headers[number]).state
            balance, nonce = state.get_balance(address), state.get_nonce(address)
            return balance, nonce, bytes(state.get_code(address))

    def storage(self, address: bytes, slot: int, number: int) -> int:
        """One storage word after a block."""
        with self._lock:
            state = self._chain.get_vm(at_header=self._headers[number]).state
            return int(state.get_storage(address, slot))

    def _stamp(self) -> None:
        second = max(int(self._now()), self._headers[-1].timestamp)
        self._chain.set_header_timestamp(second)

    def _mine(self) -> None:
        # prevrandao: any value nobody chose serves; the parent's hash commits to all before it
        salt = self._headers[-1].hash + bytes(self._reverts)
        block = self._chain.mine_block(mix_hash=keccak(salt))
        self._in_block.append([])
        self._numbers[block.hash] = block.number
        self._headers.append(block.header)

    def _index(self, transaction: Any, receipt: Any) -> None:
        header = self._headers[-1]
        first = Mined(transaction, receipt, header.hash, header.block_number, 0)
        self._in_block[-1].append(first)
        self._by_hash[transaction.hash] = first
        for position, log in enumerate(receipt.logs):
            topics = tuple(topic.to_bytes(32, "big") for topic in log.topics)
            place = (header.block_number, header.hash, transaction.hash, position)
            self._logs.append(Log(log.address, topics, log.data, *place))

    def _run(self, call: Call, number: int) -> Outcome:
        with self._lock:
            # py-evm's own in_costless_state() would run in a later block, ahead of the clock
            vm = self._chain.get_vm(at_header=self._headers[number].copy(base_fee_per_gas=0))
            plain = vm.create_unsigned_transaction(
                nonce=vm.state.get_nonce(call.sender),
                gas_price=0,
                gas=min(call.gas or GAS_LIMIT, GAS_LIMIT),
                to=call.to,
                value=call.value,
                data=call.data,
            )
            try:
                done = vm.state.apply_transaction(SpoofTransaction(plain, from_=call.sender))
            except ValidationError as error:
                raise RpcError(-32000, str(error)) from error
        used = plain.gas - done.get_gas_remaining()
        return Outcome(bytes(done.output), bool(done.is_error), used)


def _returned(outcome: Outcome) -> Outcome:
    if outcome.failed:
        raise RpcError(3, "execution reverted", "0x" + outcome.data.hex())
    return outcome


def _stop_at_end_of_input(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def main() -> None:
    """The process: mine every second until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m settlement.devchain", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--chain-id", type=int, default=31337)
    parser.add_argument("--accounts-seed", default="openledger", help="makes the funded key")
    options = parser.parse_args()
    logging.getLogger("eth").setLevel(logging.ERROR)
    key = keccak(b"openledger devchain account\x00" + options.accounts_seed.encode())
    chain = DevChain(options.chain_id, [address_of(key)])
    http = server(chain, options.port)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    signal.signal(signal.SIGINT, lambda _number, _frame: stop.set())
    threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    url = f"http://127.0.0.1:{http.server_address[1]}"
    ready = {"url": url, "chain_id": options.chain_id, "funded_key": "0x" + key.hex()}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    while not stop.wait(1.0 - time.time() % 1.0):
        chain.tick()
    http.shutdown()


if __name__ == "__main__":
    main()
