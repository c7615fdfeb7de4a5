"""The simulated side of the Chain seam: the contract models under a clock.

A block stands for every transaction and for every second, computed when somebody looks; hashes
follow from the seed. A transaction that would revert is refused and makes no block, as a client
that estimates gas first sees it on a real chain. Gas is not modelled: ``gas_used`` is 0.
"""

from bisect import bisect_left
from typing import Any

from eth_utils.crypto import keccak

from protocol.errors import ChainError, LocalError
from protocol.ids import checksum
from protocol.seams import Block, Clock, Event, TxReceipt
from protocol.typed_data import address_of
from settlement import abi
from settlement.deploy import Deployment, DeployParams
from settlement.models.ledger import Env, Log, Model
from settlement.models.world import build


class SimChain:
    """One chain shared by all simulated nodes; ``deploy`` once before use."""

    def __init__(self, clock: Clock, chain_id: int, seed: bytes) -> None:
        self._clock = clock
        self._chain_id = chain_id
        self._seed = seed
        self._times = [int(clock.now())]  # by block number
        self._env = Env(chain_id, self._times[0])
        self._models: dict[str, Model] = {}
        self._events: list[Event] = []

    def deploy(self, params: DeployParams, key: bytes) -> Deployment:
        """Put all contracts on the chain in one block; ``key`` gets the whole supply."""
        genesis = self._mine()
        self._models = build(self._env, params, key)
        self._record(self._env.commit(), genesis)
        addresses = {name: model.address for name, model in self._models.items()}
        return Deployment(self._chain_id, genesis, addresses)

    @property
    def chain_id(self) -> int:
        return self._chain_id

    def address(self, contract: str) -> str:
        """Checksum address of a contract."""
        return self._model(contract).address

    async def head(self) -> Block:
        """The last block: of this second, or of its last transaction."""
        await self._clock.sleep(0)
        self._catch_up()
        return self._block(len(self._times) - 1)

    async def block(self, number: int) -> Block:
        """Raises ChainError ``no-block`` when it is not there yet."""
        await self._clock.sleep(0)
        self._catch_up()
        if not 0 <= number < len(self._times):
            raise ChainError("no-block", f"block {number}, the head is {len(self._times) - 1}")
        return self._block(number)

    async def read(self, contract: str, function: str, *args: Any) -> Any:
        """A view call at the head. Raises Reverted."""
        await self._clock.sleep(0)
        self._catch_up()
        values = abi.typed(abi.function(contract, function, view=True).inputs, args)
        return self._method(contract, function)(*values)

    async def write(self, key: bytes, contract: str, function: str, *args: Any) -> TxReceipt:
        """A transaction by ``key`` in a block of its own. Raises Reverted: then nothing changed."""
        await self._clock.sleep(0)
        self._catch_up()
        sender = checksum(address_of(key))
        values = abi.typed(abi.function(contract, function, view=False).inputs, args)
        method = self._method(contract, function)
        self._env.attempt(lambda: method(sender, *values))
        number = self._mine()
        return self._record(self._env.commit(), number)

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
        return Block(number, self._hash(b"block", number), self._times[number])

    def _hash(self, purpose: bytes, number: int) -> bytes:
        return keccak(purpose + self._seed + number.to_bytes(8, "big"))

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
