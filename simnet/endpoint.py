"""A node's way to the chain in a simulation: its endpoints may stall, or lie to it.

Real nodes believe blocks and events when two endpoints agree (``settlement/agreed.py``). One that lies
beside an honest one leaves nothing to believe; so does one that is silent.
"""

from typing import Any

from protocol.errors import ChainError
from protocol.seams import Block, Event, TxReceipt
from settlement.simchain import SimChain


class Endpoint:
    """The Chain seam over the one simulated chain. ``fault``: '', ``stall`` or ``lie``."""

    def __init__(self, chain: SimChain) -> None:
        self._chain = chain
        self.fault = ""

    @property
    def chain_id(self) -> int:
        return self._chain.chain_id

    def address(self, contract: str) -> str:
        return self._chain.address(contract)

    async def head(self) -> Block:
        block = await self._chain.head()
        self._believe()
        return block

    async def block(self, number: int) -> Block:
        block = await self._chain.block(number)
        self._believe()
        return block

    async def events(self, from_block: int, to_block: int) -> list[Event]:
        events = await self._chain.events(from_block, to_block)
        self._believe()
        return events

    async def read(self, contract: str, function: str, *args: Any) -> Any:
        value = await self._chain.read(contract, function, *args)
        self._answer()
        return value

    async def write(self, key: bytes, contract: str, function: str, *args: Any) -> TxReceipt:
        self._answer()
        return await self._chain.write(key, contract, function, *args)

    def _answer(self) -> None:
        if self.fault == "stall":
            raise ChainError("unreachable", "the endpoint does not answer")

    def _believe(self) -> None:
        self._answer()
        if self.fault == "lie":
            raise ChainError("endpoints-disagree", "no two endpoints give the same block")
