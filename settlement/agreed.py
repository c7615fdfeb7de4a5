"""Several endpoints as one chain client: what money rests on counts when two of them say the same.

Heads, blocks (beacons), events (commits), receipts and nonces need two equal answers; a view call and
a gas estimate take the first endpoint that answers; a transaction goes to all. An endpoint that
fails or differs is counted by name in ``faults``; without two that agree nothing is believed.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from protocol.errors import ChainError, Reverted
from protocol.seams import Block, Event, TxReceipt
from settlement.evm import EvmChain
from settlement.transaction import Call, Fees, Unsigned

T = TypeVar("T")
VOICES = 2  # equal answers that make a truth


class AgreedChain:
    """The chain client over at least two endpoints; methods as ``EvmChain`` has them."""

    def __init__(self, endpoints: Sequence[EvmChain]) -> None:
        assert len(endpoints) >= VOICES, "one endpoint has nobody to agree with"
        self._endpoints = tuple(endpoints)
        self.faults: Counter[str] = Counter()
        self.max_fee = endpoints[0].max_fee

    async def start(self) -> None:
        """Check every endpoint. Raises as ``EvmChain.start``."""
        for endpoint in self._endpoints:
            await endpoint.start()

    async def close(self) -> None:
        """Close the connections."""
        for endpoint in self._endpoints:
            await endpoint.close()

    @property
    def chain_id(self) -> int:
        return self._endpoints[0].chain_id

    def address(self, contract: str) -> str:
        """Checksum address of a contract. Raises OperatorError ``no-contract``."""
        return self._endpoints[0].address(contract)

    async def head(self) -> Block:
        """The newest block that two endpoints have."""
        heads = await self._all(lambda endpoint: endpoint.head())
        numbers = sorted(
            (block.number for block in heads if isinstance(block, Block)), reverse=True
        )
        if len(numbers) < VOICES:
            raise self._nobody("head", heads)
        return await self.block(numbers[VOICES - 1])

    async def block(self, number: int) -> Block:
        """Raises ChainError ``no-block``, ``endpoints-disagree``, ``unreachable``."""
        return await self._agreed(f"block {number}", lambda endpoint: endpoint.block(number))

    async def events(self, from_block: int, to_block: int) -> list[Event]:
        """All events of our contracts in the inclusive range, in order."""
        name = f"events of {from_block} to {to_block}"
        return await self._agreed(name, lambda endpoint: endpoint.events(from_block, to_block))

    async def nonce(self, account: str, depth: int = 0) -> int:
        """Number of an account's mined transactions, as it was ``depth`` blocks ago."""
        return await self._agreed("nonce", lambda endpoint: endpoint.nonce(account, depth))

    async def mined(self, tx: bytes) -> TxReceipt | None:
        """The receipt, None while two have none. Raises Reverted for one that failed."""
        return await self._agreed("receipt", lambda endpoint: endpoint.mined(tx))

    async def read(self, contract: str, function: str, *args: Any) -> Any:
        """A view call at the head."""
        return await self._first(lambda endpoint: endpoint.read(contract, function, *args))

    async def code(self, address: str) -> bytes:
        """Bytecode at an address."""
        return await self._agreed("code", lambda endpoint: endpoint.code(address))

    async def balance(self, account: str) -> int:
        """Wei of an account, for its gas."""
        return await self._first(lambda endpoint: endpoint.balance(account))

    def call_of(self, contract: str, function: str, args: tuple[Any, ...]) -> Call:
        """A transaction of one of our contracts."""
        return self._endpoints[0].call_of(contract, function, args)

    async def draft(self, sender: str, call: Call, nonce: int) -> Unsigned:
        """A transaction at today's fees. Raises Reverted when it would fail."""
        return await self._first(lambda endpoint: endpoint.draft(sender, call, nonce))

    async def fees(self) -> Fees:
        """Enough for the next blocks."""
        return await self._first(lambda endpoint: endpoint.fees())

    async def send(self, raw: bytes) -> None:
        """To all; one that takes it is enough. Raises ChainError."""
        answers = await self._all(lambda endpoint: endpoint.send(raw))
        faults = [answer for answer in answers if isinstance(answer, ChainError)]
        if len(faults) == len(answers):
            refused = [fault for fault in faults if fault.code == "refused"]
            raise refused[0] if len(refused) == len(faults) else faults[0]

    # -- several answers to one question ---

    async def _all(self, ask: Callable[[EvmChain], Coroutine[Any, Any, T]]) -> list[T | ChainError]:
        """Every endpoint's answer or fault, asked at once; faults are counted."""
        answers = await asyncio.gather(*(_told(ask(endpoint)) for endpoint in self._endpoints))
        for endpoint, answer in zip(self._endpoints, answers, strict=True):
            if isinstance(answer, ChainError) and not isinstance(answer, Reverted):
                self.faults[f"{endpoint.url} {answer.code}"] += 1
        return answers

    async def _agreed(self, name: str, ask: Callable[[EvmChain], Coroutine[Any, Any, T]]) -> T:
        answers = await self._all(ask)
        keys = [_key(answer) for answer in answers]
        for key, answer in zip(keys, answers, strict=True):
            if keys.count(key) >= VOICES and not _silent(answer):
                self._count_others(answers, keys, key)
                if isinstance(answer, ChainError):
                    raise answer
                return answer
        raise self._nobody(name, answers)

    def _count_others(self, answers: Sequence[object], keys: list[object], truth: object) -> None:
        for endpoint, answer, key in zip(self._endpoints, answers, keys, strict=True):
            if key != truth and not _silent(answer):
                self.faults[f"{endpoint.url} differs"] += 1

    def _nobody(self, name: str, answers: Sequence[object]) -> ChainError:
        """Why nothing is believed: silence is not disagreement."""
        silent = [
            answer for answer in answers if isinstance(answer, ChainError) and _silent(answer)
        ]
        if len(answers) - len(silent) < VOICES:
            return silent[0]
        return ChainError("endpoints-disagree", f"no two endpoints give the same {name}")

    async def _first(self, ask: Callable[[EvmChain], Coroutine[Any, Any, T]]) -> T:
        """The first endpoint that answers; a contract's refusal is an answer."""
        fault: ChainError | None = None
        for endpoint in self._endpoints:
            try:
                return await ask(endpoint)
            except Reverted:
                raise
            except ChainError as error:
                self.faults[f"{endpoint.url} {error.code}"] += 1
                fault = fault or error
        assert fault is not None
        raise fault


async def _told(asked: Coroutine[Any, Any, T]) -> T | ChainError:
    try:
        return await asked
    except ChainError as error:
        return error


def _key(answer: object) -> object:
    """What two answers must share; texts name the endpoint and do not count."""
    return (type(answer), answer.code) if isinstance(answer, ChainError) else (None, answer)


def _silent(answer: object) -> bool:
    """A fault of the endpoint, as against an answer of the chain."""
    said = isinstance(answer, Reverted) or getattr(answer, "code", "") == "no-block"
    return isinstance(answer, ChainError) and not said
