"""The simulated side of the Chain seam: the contract models under a clock.

A block stands for every transaction and for every second, computed when somebody looks; hashes
follow from the seed. ``reorganise`` replaces the last blocks. A transaction that would revert is
refused and makes no block, as a client that estimates gas first sees it on a real chain. Gas is not
modelled: ``gas_used`` is 0.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from eth_utils.crypto import keccak

from protocol.errors import ChainError, LocalError, Reverted
from protocol.ids import checksum
from protocol.seams import Block, Clock, Event, TxReceipt
from protocol.typed_data import address_of
from settlement import abi
from settlement.deploy import Deployment, DeployParams
from settlement.models.ledger import Env, Log, Model
from settlement.models.world import build


@dataclass(frozen=True, slots=True)
class SimTx:
    """A transaction as it was mined."""

    block: int
    sender: str
    contract: str
    function: str
    values: tuple[Any, ...]


class SimChain:
    """One chain shared by all simulated nodes; ``deploy`` once before use."""

    def __init__(self, clock: Clock, chain_id: int, seed: bytes) -> None:
        self._clock = clock
        self._chain_id = chain_id
        self._seed = seed
        self._times = [int(clock.now())]  # by block number
        self._forks = [
            0
        ]  # by block: reorganisations before it came; the last entry is all later ones'
        self._mined: list[SimTx] = []
        self._hashes: dict[tuple[bytes, int, int], bytes] = {}
        self._blocks: dict[tuple[int, int, int], Block] = {}
        self._founding: tuple[DeployParams, bytes] | None = None
        self._genesis = 0
        self.watchers: list[Callable[[TxReceipt], None]] = []  # see each transaction as it is mined
        self._env = self._world(self._times[0])
        self._models: dict[str, Model] = {}
        self._events: list[Event] = []

    def deploy(self, params: DeployParams, key: bytes) -> Deployment:
        """Put all contracts on the chain in one block; ``key`` gets the whole supply."""
        genesis = self._mine()
        self._founding, self._genesis = (params, key), genesis
        self._models = build(self._env, params, key)
        self._record(self._env.commit(), genesis)
        addresses = {name: model.address for name, model in self._models.items()}
        return Deployment(self._chain_id, genesis, addresses)

    def reorganise(self, depth: int, keep: Callable[[SimTx], bool] = lambda tx: True) -> None:
        """Replace the last ``depth`` blocks, not the genesis, by a chain that is longer.

        Their transactions that ``keep`` chooses are mined again in their order, as far as the
        contracts still take them; the others are as if they had never been sent.
        """
        self._catch_up()
        head = len(self._times) - 1
        fork = head - depth
        assert self._founding and depth > 0 and fork >= self._genesis, (
            "only blocks after the genesis go"
        )
        before = [tx for tx in self._mined if tx.block <= fork]
        after = [tx for tx in self._mined if tx.block > fork and keep(tx)]
        self._rebuild(before, fork)
        for tx in after:
            self._again(tx)
        self._times.extend([self._times[-1]] * (head + 1 - len(self._times)))
        self._catch_up()
        self._mine()

    def _rebuild(self, before: list[SimTx], fork: int) -> None:
        """Models and log as they were at the end of block ``fork``."""
        assert self._founding
        times = self._times[: fork + 1]
        self._env = self._world(times[self._genesis])
        self._models = build(self._env, *self._founding)
        self._env.commit()
        for tx in before:
            self._env.now = times[tx.block]
            self._apply(tx, tx.block)
            self._env.commit()
        self._mined = list(before)
        self._events = [event for event in self._events if event.block <= fork]
        forks = [self._fork(number) for number in range(fork + 1)]
        self._times, self._forks = times, [*forks, max(self._forks) + 1]

    def _again(self, tx: SimTx) -> None:
        self._catch_up()
        try:
            self._apply(tx, len(self._times))
        except Reverted:
            return  # it was built on what is gone
        number = self._mine()
        self._record(self._env.commit(), number)
        self._mined.append(replace(tx, block=number))

    def _world(self, now: int) -> Env:
        return Env(self._chain_id, now, lambda number: self._block(number).hash)

    def _apply(self, tx: SimTx, number: int) -> None:
        """Run a transaction in the block that it makes."""
        self._env.number = number
        method = self._method(tx.contract, tx.function)
        self._env.attempt(lambda: method(tx.sender, *tx.values))

    @property
    def chain_id(self) -> int:
        return self._chain_id

    @property
    def transactions(self) -> int:
        """How many the chain holds."""
        return len(self._mined)

    @property
    def mined(self) -> tuple[SimTx, ...]:
        """All transactions that the chain holds, in order."""
        return tuple(self._mined)

    def address(self, contract: str) -> str:
        """Checksum address of a contract."""
        return self._model(contract).address

    async def head(self) -> Block:
        """The last block: of this second, or of its last transaction."""
        await self._clock.sleep(0)
        self._catch_up()
        return self._block(len(self._times) - 1)

    async def block(self, number: int) -> Block:
        """Raises ChainError ``no-block`` when it is not there yet.

        Lets nobody else run: nodes ask for many blocks in a row, which would be most of what a world does.
        """
        self._catch_up()
        if not 0 <= number < len(self._times):
            raise ChainError("no-block", f"block {number}, the head is {len(self._times) - 1}")
        return self._block(number)

    async def read(self, contract: str, function: str, *args: Any) -> Any:
        """A view call at the head. Raises Reverted."""
        await self._clock.sleep(0)
        self._catch_up()
        values = abi.typed(abi.function(contract, function, view=True).inputs, args)
        self._env.number = len(self._times) - 1
        return self._method(contract, function)(*values)

    async def write(self, key: bytes, contract: str, function: str, *args: Any) -> TxReceipt:
        """A transaction by ``key`` in a block of its own. Raises Reverted: then nothing changed."""
        await self._clock.sleep(0)
        self._catch_up()
        sender = checksum(address_of(key))
        values = abi.typed(abi.function(contract, function, view=False).inputs, args)
        tx = SimTx(0, sender, contract, function, values)
        self._apply(tx, len(self._times))
        number = self._mine()
        self._mined.append(replace(tx, block=number))
        receipt = self._record(self._env.commit(), number)
        for watcher in self.watchers:
            watcher(receipt)
        return receipt

    @property
    def contracts(self) -> tuple[str, ...]:
        """Names of what is deployed."""
        return tuple(self._models)

    def peek(self, contract: str, function: str, *args: Any) -> Any:
        """A view call from outside of the world: it takes no virtual time."""
        return self._method(contract, function)(*args)

    async def events(self, from_block: int, to_block: int) -> list[Event]:
        """All events in the inclusive range, in order."""
        await self._clock.sleep(0)
        first = bisect_left(self._events, from_block, key=lambda event: event.block)
        last = bisect_left(self._events, to_block + 1, key=lambda event: event.block)
        return self._events[first:last]

    def _catch_up(self) -> None:
        now = int(self._clock.now())
        self._times.extend(range(self._times[-1] + 1, now + 1))
        self._env.now = self._times[-1]

    def _mine(self) -> int:
        self._catch_up()
        self._times.append(self._times[-1])
        return len(self._times) - 1

    def _block(self, number: int) -> Block:
        key = number, self._fork(number), self._times[number]
        if key not in self._blocks:
            self._blocks[key] = Block(number, self._hash(b"block", number), self._times[number])
        return self._blocks[key]

    def _hash(self, purpose: bytes, number: int) -> bytes:
        fork = self._fork(number)
        key = (purpose, number, fork)
        if key not in self._hashes:
            self._hashes[key] = self._hashed(purpose, number, fork)
        return self._hashes[key]

    def _hashed(self, purpose: bytes, number: int, fork: int) -> bytes:
        place = number.to_bytes(8, "big") + (fork.to_bytes(8, "big") if fork else b"")
        return keccak(purpose + self._seed + place)

    def _fork(self, number: int) -> int:
        return self._forks[min(number, len(self._forks) - 1)]

    def _record(self, logs: list[Log], number: int) -> TxReceipt:
        tx = self._hash(b"tx", number)
        found = tuple(
            Event(log.contract, log.name, log.args, number, position, tx)
            for position, log in enumerate(logs)
        )
        self._events.extend(found)
        return TxReceipt(tx, number, 0, found)

    def _model(self, contract: str) -> Model:
        if contract not in self._models:
            raise LocalError("no-contract", f"{contract} is not deployed")
        return self._models[contract]

    def _method(self, contract: str, function: str) -> Any:
        method = getattr(self._model(contract), function, None)
        if method is None:
            raise LocalError("no-function", f"the model of {contract} has no {function}")
        return method
