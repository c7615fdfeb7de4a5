"""The founder of a local network: deploys the contracts, writes the network file, funds the members.

A user's network has people for this; here it is the runner, and everything it does is a transaction.
"""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from bootstrap.network import NetworkFile, save_network
from node.found import Founding
from node.join import needed_stake
from protocol.ids import checksum
from protocol.params import OPEN, Params
from protocol.seams import Block, Event, TxReceipt
from protocol.typed_data import address_of
from settlement.deploy import Deployment, deploy
from settlement.evm import EvmChain

T = TypeVar("T")
GAS_WEI = 10**18  # one ether of gas money an operator; the chain in a box has a billion


@dataclass(frozen=True, slots=True)
class Seat:
    """A member as the founder sees it."""

    name: str
    operator: str  # checksum address
    roles: tuple[str, ...]


class Treasury:
    """Synchronous door to the chain for the runner, with the founder's key."""

    def __init__(self, url: str, chain_id: int, key: bytes) -> None:
        self.url = url
        self.key = key
        self.address = checksum(address_of(key))
        self._loop = asyncio.SelectorEventLoop()
        self._chain = EvmChain(url, chain_id)
        self._do(self._chain.start())

    def close(self) -> None:
        self._do(self._chain.close())
        self._loop.close()

    def _do(self, act: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(act)

    def found(self, params: Params, seats: Sequence[Seat], seeds: Sequence[str]) -> NetworkFile:
        """Deploy everything; aggregators and verifiers of the cast get the quorum's seats."""
        aggregators = tuple(s.operator for s in seats if "aggregator" in s.roles)
        committee = tuple(s.operator for s in seats if "verifier" in s.roles)
        quorum = len(aggregators) // 2 + 1
        wanted = Founding(
            name="demo",
            params=params,
            seats=aggregators,
            quorum=quorum,
            committee=committee,
            treasury=self.address,
            seeds=tuple(seeds),
            rpc=(self.url,),
        )
        made: Deployment = self._do(deploy(self._chain, self.key, wanted.terms))
        self._chain.use(made.addresses)
        self.write("AssetRegistry", "registerOwner", self.address)
        return wanted.file(made)

    def save(self, path: Path, network: NetworkFile) -> None:
        save_network(path, network)

    def gas(self, operator: str) -> None:
        self._do(self._chain.transfer_eth(self.key, operator, GAS_WEI))

    def approve_stakes(self, params: Params, seats: Sequence[Seat]) -> None:
        total = sum(needed_stake(params, seat.roles) for seat in seats)
        self.write("OpenToken", "approve", self._chain.address("WorkerStake"), total)

    def deposit(self, params: Params, seat: Seat) -> None:
        stake = needed_stake(params, seat.roles)
        self.write("WorkerStake", "deposit", seat.operator, stake)

    def pay(self, operator: str, amount_open: int) -> None:
        self.write("OpenToken", "transfer", operator, amount_open * OPEN)

    def registered(self, operator: str) -> bool:
        return bool(self.read("AssetRegistry", "isRegistered", operator))

    def read(self, contract: str, function: str, *args: Any) -> Any:
        return self._do(self._chain.read(contract, function, *args))

    def write(self, contract: str, function: str, *args: Any) -> TxReceipt:
        return self._do(self._chain.write(self.key, contract, function, *args))

    def head(self) -> Block:
        return self._do(self._chain.head())

    def events(self, from_block: int) -> list[Event]:
        """All events of the network's contracts from a block on."""
        return self._do(self._chain.events(from_block, self.head().number))

    def gas_used(self, tx: str) -> int:
        """Gas of a mined transaction (0x hash), asked from the chain by plain JSON-RPC."""
        link = HTTPConnection(urlsplit(self.url).netloc, timeout=10)
        ask = {"jsonrpc": "2.0", "id": 1, "method": "eth_getTransactionReceipt", "params": [tx]}
        try:
            link.request("POST", "/", json.dumps(ask), {"Content-Type": "application/json"})
            answer = json.loads(link.getresponse().read())
        finally:
            link.close()
        return int(answer["result"]["gasUsed"], 16)

    def address_of(self, contract: str) -> str:
        return self._chain.address(contract)
