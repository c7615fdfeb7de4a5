"""The only door to web3: the settlement contracts on a real EVM chain.

Method names of the Chain seam, on asyncio (``node/aio.py`` bridges to trio). One lock a key keeps
nonces in order; gas is estimated before anything is signed, so a call that would revert is refused
with the custom error's name and costs nothing. Foreign errors are translated here.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any, NoReturn, cast

from aiohttp import ClientConnectorError, ClientError
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from hexbytes import HexBytes
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.exceptions import (
    BadResponseFormat,
    BlockNotFound,
    ContractLogicError,
    TransactionNotFound,
    Web3Exception,
)
from web3.types import BlockIdentifier, LogReceipt, TxParams, Wei

from protocol.errors import ChainError, LocalError, OperatorError, Reverted
from protocol.ids import address_bytes, checksum
from protocol.seams import Block, Event, TxReceipt
from settlement import abi
from settlement.deploy import create_address
from settlement.outbox import BUMP_SECONDS, GWEI, WAIT_SECONDS, bumped, next_nonce
from settlement.signer import LocalSigner, Signer
from settlement.transaction import Call, Fees, Signed, Unsigned

GAS_MARGIN_PERCENT = 20  # above the estimate: state may change before the transaction is mined
MAX_GAS = 30_000_000  # of one transaction, as blocks are limited
POLL_SECONDS = 0.1
REQUEST_SECONDS = 20.0
TIP = GWEI  # wei a gas
MAX_FEE = 500 * GWEI  # wei a gas
KNOWN = ("already known", "already imported", "known transaction")
# What web3 raises when an endpoint answers something of another shape than it expects.
MALFORMED = (ValueError, TypeError, AttributeError, LookupError, OverflowError)


class EvmChain:
    """One RPC endpoint and the addresses of one deployment (empty before ``deploy``)."""

    def __init__(
        self,
        url: str,
        chain_id: int,
        addresses: dict[str, str] | None = None,
        max_fee: int = MAX_FEE,
        seconds: float = REQUEST_SECONDS,
    ) -> None:
        """``max_fee``: the most this client signs, wei a gas; ``seconds``: of one request."""
        self.url = url
        self.max_fee = max_fee
        self.faults: Counter[str] = Counter()  # what endpoints did wrong beside what they answered
        self._chain_id = chain_id
        self._addresses = dict(addresses or {})
        # one try a call: who asks again is the caller, within its own deadline
        provider = AsyncHTTPProvider(
            url, request_kwargs={"timeout": seconds}, exception_retry_configuration=None
        )
        self._web3 = AsyncWeb3(provider)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._sent: defaultdict[str, list[int]] = defaultdict(list)

    async def start(self) -> None:
        """Check the endpoint. Raises OperatorError ``wrong-chain``, ChainError ``unreachable``."""
        found = await self.served_chain()
        if found != self._chain_id:
            raise OperatorError(
                "wrong-chain",
                f"{self.url} serves chain {found}, this network is on chain {self._chain_id}.",
                "Set the RPC URL of the network's chain.",
            )

    async def served_chain(self) -> int:
        """The chain id that the endpoint names. Raises ChainError ``unreachable``."""
        async with self._translated():
            return int(await self._web3.eth.chain_id)

    async def close(self) -> None:
        """Close the connections."""
        await self._web3.provider.disconnect()

    @property
    def chain_id(self) -> int:
        return self._chain_id

    def address(self, contract: str) -> str:
        """Checksum address of a contract. Raises OperatorError ``no-contract``."""
        if contract not in self._addresses:
            raise OperatorError(
                "no-contract",
                f"the network file names no {contract}.",
                "Fetch the network file again, or deploy.",
            )
        return self._addresses[contract]

    def use(self, addresses: dict[str, str]) -> None:
        """Take the addresses of a deployment that was just made."""
        self._addresses = dict(addresses)

    async def head(self) -> Block:
        """The last block."""
        return await self._block(None)

    async def block(self, number: int) -> Block:
        """Raises ChainError ``no-block`` when it is not there yet."""
        return await self._block(number)

    async def read(self, contract: str, function: str, *args: Any) -> Any:
        """A view call at the head. Raises Reverted, ChainError ``unreachable``."""
        known = abi.function(contract, function, view=True)
        call: TxParams = {"to": self.address(contract), "data": HexBytes(known.call_data(args))}
        async with self._translated():
            raw = bytes(await self._web3.eth.call(call))
            return abi.unwrap(known.outputs, decode(known.output_types, raw))

    async def write(self, key: bytes, contract: str, function: str, *args: Any) -> TxReceipt:
        """Sign, send, wait until mined. Raises Reverted, ChainError."""
        return await self.transact(LocalSigner(key), self.call_of(contract, function, args))

    async def events(self, from_block: int, to_block: int) -> list[Event]:
        """All events of our contracts in the inclusive range, in order.

        Raises ChainError ``bad-answer`` for logs that were not asked for.
        """
        addresses = [self._web3.to_checksum_address(a) for a in self._addresses.values()]
        async with self._translated():
            logs = await self._web3.eth.get_logs(
                {"fromBlock": from_block, "toBlock": to_block, "address": addresses}
            )
            found = self._decoded(logs)
            places = [(event.block, event.log_index) for event in found]
            inside = all(from_block <= block <= to_block for block, _ in places)
        if len(found) != len(logs) or not inside or any(a >= b for a, b in pairwise(places)):
            raise ChainError("bad-answer", f"{self.url}: logs that were not asked for")
        return found

    async def nonce(self, account: str, depth: int = 0) -> int:
        """Number of an account's mined transactions, as it was ``depth`` blocks ago."""
        at: BlockIdentifier = "latest"
        if depth:
            at = _at(max(0, (await self.head()).number - depth))
        async with self._translated():
            address = self._web3.to_checksum_address(account)
            return int(await self._web3.eth.get_transaction_count(address, at))

    async def balance(self, account: str) -> int:
        """Wei of an account, for its gas."""
        async with self._translated():
            return await self._web3.eth.get_balance(self._web3.to_checksum_address(account))

    async def code(self, address: str) -> bytes:
        """Bytecode at an address."""
        async with self._translated():
            return bytes(await self._web3.eth.get_code(self._web3.to_checksum_address(address)))

    async def create(self, signer: Signer, contract: str, args: tuple[Any, ...]) -> str:
        """Deploy a contract; returns its address. Raises Reverted, ChainError."""
        nonce = await self.nonce(signer.address)
        await self.transact(signer, creation(contract, args))
        return create_address(signer.address, nonce)

    async def transfer_eth(self, key: bytes, to: str, wei: int) -> TxReceipt:
        """Send the chain's own coin, for gas."""
        return await self.transact(LocalSigner(key), Call(address_bytes(to), wei, b""))

    # -- sending, step by step ---

    def call_of(self, contract: str, function: str, args: tuple[Any, ...]) -> Call:
        """A transaction of one of our contracts. Raises LocalError for wrong arguments."""
        known = abi.function(contract, function, view=False)
        return Call(address_bytes(self.address(contract)), 0, known.call_data(args))

    async def draft(self, sender: str, call: Call, nonce: int) -> Unsigned:
        """A transaction at today's fees. Raises Reverted when it would fail: it costs nothing then."""
        params: TxParams = {"from": self._web3.to_checksum_address(sender), **_plain(call)}
        async with self._translated():
            gas = int(await self._web3.eth.estimate_gas(params))
        gas += gas * GAS_MARGIN_PERCENT // 100
        if not 0 < gas <= MAX_GAS:
            raise ChainError("bad-answer", f"{self.url}: an estimate of {gas} gas")
        return Unsigned(self._chain_id, nonce, await self.fees(), gas, call)

    async def fees(self) -> Fees:
        """Enough for the next blocks. Raises ChainError ``too-expensive`` above the ceiling."""
        async with self._translated():
            head = await self._web3.eth.get_block("latest")
            most = 2 * int(head["baseFeePerGas"]) + TIP
        if most > self.max_fee:
            text = f"{most} wei a gas, this node pays at most {self.max_fee}"
            raise ChainError("too-expensive", text)
        return Fees(most, TIP)

    async def send(self, raw: bytes) -> None:
        """Hand a signed transaction to the endpoint; one that it knows already is fine.

        Raises ChainError ``refused`` when the endpoint does not want it.
        """
        try:
            async with self._translated():
                await self._web3.eth.send_raw_transaction(HexBytes(raw))
        except ChainError as error:
            if error.code == "rpc-error" and any(w in error.text.lower() for w in KNOWN):
                return
            code = "refused" if error.code == "rpc-error" else error.code
            raise ChainError(code, error.text) from error

    async def mined(self, tx: bytes) -> TxReceipt | None:
        """The receipt, None while there is none. Raises Reverted for one that failed."""
        async with self._translated():
            try:
                found = await self._web3.eth.get_transaction_receipt(HexBytes(tx))
                block, status, used = found["blockNumber"], found["status"], found["gasUsed"]
                same = bytes(found["transactionHash"]) == tx
                events = tuple(self._decoded(found["logs"]))
            except TransactionNotFound:
                return None
        if not same or not all(isinstance(value, int) for value in (block, status, used)):
            raise ChainError("bad-answer", f"{self.url}: another transaction's receipt")
        if status != 1:
            await self._why(tx, block)
        return TxReceipt(tx, block, used, events)

    async def transact(self, signer: Signer, call: Call) -> TxReceipt:
        """Sign, send, wait until mined; nothing is stored. Raises Reverted, ChainError.

        For programs that live as long as their transactions; a daemon has ``node/outbox.py``.
        """
        async with self._locks[signer.address]:
            nonce = next_nonce(await self.nonce(signer.address), self._sent[signer.address])
            first = await signer.sign(await self.draft(signer.address, call, nonce))
            await self.send(first.raw)
            self._sent[signer.address] = [nonce]
        try:
            return await self._arrival(signer, [first])
        finally:
            if nonce in self._sent[signer.address]:
                self._sent[signer.address] = []

    async def _arrival(self, signer: Signer, forms: list[Signed]) -> TxReceipt:
        last = bumps = 0
        for waited in range(int(WAIT_SECONDS / POLL_SECONDS)):
            for form in reversed(forms):
                receipt = await self.mined(form.hash)
                if receipt is not None:
                    return receipt
            if (waited - last) * POLL_SECONDS >= BUMP_SECONDS:
                last, bumps = waited, bumps + 1
                fees = bumped(forms[-1].unsigned.fees, await self.fees(), self.max_fee)
                if fees is not None:
                    forms.append(await signer.sign(replace(forms[-1].unsigned, fees=fees)))
                await self.send(forms[-1].raw)
            await asyncio.sleep(POLL_SECONDS)
        text = (
            f"0x{forms[-1].hash.hex()} was not mined in {WAIT_SECONDS:.0f} s, fee raised {bumps} x"
        )
        raise ChainError("stalled", text)

    async def _why(self, tx: bytes, block: int) -> NoReturn:
        """Raise what made a mined transaction fail, as far as running it again shows it."""
        async with self._translated():
            sent = await self._web3.eth.get_transaction(HexBytes(tx))
            again: TxParams = {"from": sent["from"], "to": sent["to"], "data": sent["input"]}
            await self._web3.eth.call(again, _at(block - 1))
        raise Reverted("reverted", f"0x{tx.hex()} failed, out of gas")

    async def _block(self, number: int | None) -> Block:
        async with self._translated():
            which: BlockIdentifier = "latest" if number is None else _at(number)
            found = await self._web3.eth.get_block(which)
            block = Block(int(found["number"]), bytes(found["hash"]), int(found["timestamp"]))
        if number not in (None, block.number) or len(block.hash) != 32:
            raise ChainError("bad-answer", f"{self.url}: block {block.number} for {number}")
        return block

    def _decoded(self, logs: Any) -> list[Event]:
        ours = {address: contract for contract, address in self._addresses.items()}
        return [_event(ours[log["address"]], log) for log in logs if log["address"] in ours]

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            yield
        except ContractLogicError as error:
            data = error.data if isinstance(error.data, str) else "0x"
            name = abi.error_name(bytes.fromhex(data[2:]))
            raise Reverted(name, f"refused with {name}") from error
        except BlockNotFound as error:
            raise ChainError("no-block", str(error)) from error
        except (ClientError, OSError, TimeoutError) as error:
            raise ChainError("unreachable", f"{self.url}: {_cause(error)}") from error
        except (BadResponseFormat, DecodingError, LocalError, *MALFORMED) as error:
            raise ChainError("bad-answer", f"{self.url}: {error!r:.200}") from error
        except Web3Exception as error:
            raise ChainError("rpc-error", f"{self.url}: {error}") from error


async def connect(url: str, max_fee: int = MAX_FEE) -> EvmChain:
    """A client of whatever chain the endpoint serves; ``use`` tells it the contracts.

    Raises ChainError ``unreachable``.
    """
    first = EvmChain(url, 0)
    try:
        served = await first.served_chain()
    finally:
        await first.close()
    return EvmChain(url, served, max_fee=max_fee)


def creation(contract: str, args: tuple[Any, ...]) -> Call:
    """The transaction that deploys a contract."""
    params = abi.constructor(contract)
    words = encode([param.canonical for param in params], abi.typed(params, args))
    return Call(b"", 0, abi.artifact(contract).bytecode + words)


def _at(block: int) -> BlockIdentifier:
    return cast(BlockIdentifier, block)


def _plain(call: Call) -> TxParams:
    to: TxParams = {"to": checksum(call.to)} if call.to else {}
    return {**to, "value": Wei(call.value), "data": HexBytes(call.data)}


def _cause(error: BaseException) -> str:
    """Why an endpoint gave no answer, without aiohttp's representation of the connection."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    return str(error) or type(error).__name__


def _event(contract: str, log: LogReceipt) -> Event:
    topics = [bytes(topic) for topic in log["topics"]]
    kind = abi.events(contract)[topics[0]]
    args = abi.decode_log(kind, topics, bytes(log["data"]))
    place = log["blockNumber"], log["logIndex"], bytes(log["transactionHash"])
    return Event(contract, kind.name, args, *place)
