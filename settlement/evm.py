"""The only door to web3: the settlement contracts on a real EVM chain.

Method names of the Chain seam, on asyncio (``node/aio.py`` bridges to trio). One lock a key keeps
nonces in order; gas is estimated before anything is signed, so a call that would revert is refused
with the custom error's name and costs nothing. Foreign errors are translated here.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientConnectorError, ClientError
from eth_abi.abi import decode, encode
from hexbytes import HexBytes
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.exceptions import (
    BlockNotFound,
    ContractLogicError,
    TransactionNotFound,
    Web3Exception,
)
from web3.types import LogReceipt, TxParams, Wei

from protocol.errors import ChainError, OperatorError, Reverted
from protocol.ids import checksum
from protocol.seams import Block, Event, TxReceipt
from protocol.typed_data import address_of
from settlement import abi

GAS_MARGIN_PERCENT = 20  # above the estimate: state may change before the transaction is mined
POLL_SECONDS = 0.1
WAIT_SECONDS = 120.0  # for a receipt
REQUEST_SECONDS = 20.0
TIP = 10**9  # wei a gas


class EvmChain:
    """One RPC endpoint and the addresses of one deployment (empty before ``deploy``)."""

    def __init__(self, url: str, chain_id: int, addresses: dict[str, str] | None = None) -> None:
        self._url = url
        self._chain_id = chain_id
        self._addresses = dict(addresses or {})
        timeout = {"timeout": REQUEST_SECONDS}
        self._web3 = AsyncWeb3(AsyncHTTPProvider(url, request_kwargs=timeout))
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def start(self) -> None:
        """Check the endpoint. Raises OperatorError ``wrong-chain``, ChainError ``unreachable``."""
        found = await self.served_chain()
        if found != self._chain_id:
            raise OperatorError(
                "wrong-chain",
                f"{self._url} serves chain {found}, this network is on chain {self._chain_id}.",
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
        return await self._block("latest")

    async def block(self, number: int) -> Block:
        """Raises ChainError ``no-block`` when it is not there yet."""
        return await self._block(number)

    async def read(self, contract: str, function: str, *args: Any) -> Any:
        """A view call at the head. Raises Reverted, ChainError ``unreachable``."""
        known = abi.function(contract, function, view=True)
        call: TxParams = {"to": self.address(contract), "data": known.call_data(args)}
        async with self._translated():
            raw = await self._web3.eth.call(call)
        return abi.unwrap(known.outputs, decode(known.output_types, bytes(raw)))

    async def write(self, key: bytes, contract: str, function: str, *args: Any) -> TxReceipt:
        """Sign, send, wait until mined. Raises Reverted, ChainError."""
        known = abi.function(contract, function, view=False)
        call: TxParams = {"to": self.address(contract), "data": known.call_data(args)}
        return await self._transact(key, call)

    async def events(self, from_block: int, to_block: int) -> list[Event]:
        """All events of our contracts in the inclusive range, in order."""
        async with self._translated():
            logs = await self._web3.eth.get_logs(
                {
                    "fromBlock": from_block,
                    "toBlock": to_block,
                    "address": [
                        self._web3.to_checksum_address(a) for a in self._addresses.values()
                    ],
                }
            )
        return self._decoded(logs)

    async def nonce(self, account: str) -> int:
        """Number of transactions of an account, pending ones included."""
        async with self._translated():
            address = self._web3.to_checksum_address(account)
            return await self._web3.eth.get_transaction_count(address, "pending")

    async def balance(self, account: str) -> int:
        """Wei of an account, for its gas."""
        async with self._translated():
            return await self._web3.eth.get_balance(self._web3.to_checksum_address(account))

    async def code(self, address: str) -> bytes:
        """Bytecode at an address."""
        async with self._translated():
            return bytes(await self._web3.eth.get_code(self._web3.to_checksum_address(address)))

    async def create(self, key: bytes, contract: str, args: tuple[Any, ...]) -> str:
        """Deploy a contract; returns its address. Raises Reverted, ChainError."""
        params = abi.constructor(contract)
        words = encode([param.canonical for param in params], abi.typed(params, args))
        receipt = await self._receipt(
            await self._send(key, {"data": abi.artifact(contract).bytecode + words})
        )
        return str(receipt["contractAddress"])

    async def transfer_eth(self, key: bytes, to: str, wei: int) -> TxReceipt:
        """Send the chain's own coin, for gas."""
        return await self._transact(key, {"to": to, "value": Wei(wei)})

    async def _transact(self, key: bytes, call: TxParams) -> TxReceipt:
        receipt = await self._receipt(await self._send(key, call))
        events = tuple(self._decoded(receipt["logs"]))
        found = bytes(receipt["transactionHash"]), receipt["blockNumber"], receipt["gasUsed"]
        return TxReceipt(*found, events)

    async def _send(self, key: bytes, call: TxParams) -> HexBytes:
        sender = checksum(address_of(key))
        async with self._locks[sender], self._translated():
            address = self._web3.to_checksum_address(sender)
            gas = await self._web3.eth.estimate_gas({**call, "from": address})
            head = await self._web3.eth.get_block("latest")
            unsigned: TxParams = {
                **call,
                "type": 2,
                "chainId": self._chain_id,
                "nonce": await self._web3.eth.get_transaction_count(address, "pending"),
                "gas": gas + gas * GAS_MARGIN_PERCENT // 100,
                "maxPriorityFeePerGas": Wei(TIP),
                "maxFeePerGas": Wei(2 * head["baseFeePerGas"] + TIP),
            }
            signed = self._web3.eth.account.sign_transaction(unsigned, key)
            return await self._web3.eth.send_raw_transaction(signed.raw_transaction)

    async def _receipt(self, tx: HexBytes) -> Any:
        for _ in range(int(WAIT_SECONDS / POLL_SECONDS)):
            async with self._translated():
                try:
                    receipt = await self._web3.eth.get_transaction_receipt(tx)
                except TransactionNotFound:
                    receipt = None
            if receipt is not None:
                return await self._succeeded(receipt)
            await asyncio.sleep(POLL_SECONDS)
        raise ChainError("stalled", f"{tx.to_0x_hex()} was not mined in {WAIT_SECONDS:.0f} s")

    async def _succeeded(self, receipt: Any) -> Any:
        if receipt["status"] == 1:
            return receipt
        async with self._translated():
            sent = await self._web3.eth.get_transaction(receipt["transactionHash"])
            again: TxParams = {"from": sent["from"], "to": sent["to"], "data": sent["input"]}
            await self._web3.eth.call(again, receipt["blockNumber"] - 1)
        raise Reverted("reverted", f"{receipt['transactionHash'].to_0x_hex()} failed, out of gas")

    async def _block(self, number: Any) -> Block:
        async with self._translated():
            found = await self._web3.eth.get_block(number)
            return Block(found["number"], bytes(found["hash"]), found["timestamp"])

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
            raise ChainError("unreachable", f"{self._url}: {_cause(error)}") from error
        except Web3Exception as error:
            raise ChainError("rpc-error", f"{self._url}: {error}") from error


def _cause(error: BaseException) -> str:
    """Why an endpoint gave no answer, without aiohttp's representation of the connection."""
    if isinstance(error, TimeoutError):
        return f"no answer in {REQUEST_SECONDS:.0f} s"
    if isinstance(error, ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    return str(error) or type(error).__name__


def _event(contract: str, log: LogReceipt) -> Event:
    topics = [bytes(topic) for topic in log["topics"]]
    kind = abi.events(contract)[topics[0]]
    args = abi.decode_log(kind, topics, bytes(log["data"]))
    place = log["blockNumber"], log["logIndex"], bytes(log["transactionHash"])
    return Event(contract, kind.name, args, *place)
