"""Values of the chain in a box and their JSON forms, as the Ethereum execution API writes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protocol.ids import checksum
from settlement.deploy import create_address


class RpcError(Exception):
    """A JSON-RPC error: code, message, optional data."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


@dataclass(frozen=True, slots=True)
class Call:
    """The transaction object of eth_call and eth_estimateGas; an empty ``to`` creates."""

    sender: bytes
    to: bytes
    value: int
    data: bytes
    gas: int


@dataclass(frozen=True, slots=True)
class Mined:
    """A mined transaction with its receipt; alone in its block."""

    transaction: Any
    receipt: Any
    block_hash: bytes
    block: int
    index: int


@dataclass(frozen=True, slots=True)
class Log:
    """One log entry and where it stands."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block: int
    block_hash: bytes
    tx: bytes
    index: int


def to_int(value: str) -> int:
    if not value.startswith("0x"):
        raise ValueError(f"{value!r} is no hex quantity")
    return int(value, 16)


def to_bytes(value: str, size: int | None = None) -> bytes:
    if not value.startswith("0x"):
        raise ValueError(f"{value!r} is no hex data")
    raw = bytes.fromhex(value[2:])
    if size is not None and len(raw) != size:
        raise ValueError(f"{value!r} has {len(raw)} bytes, not {size}")
    return raw


def to_hex(value: bytes) -> str:
    return "0x" + value.hex()


def call_of(call: Mapping[str, str]) -> Call:
    return Call(
        to_bytes(call.get("from", "0x" + "00" * 20), 20),
        to_bytes(call.get("to") or "0x"),
        to_int(call.get("value", "0x0")),
        to_bytes(call.get("input", call.get("data", "0x"))),
        to_int(call.get("gas", "0x0")),
    )


def header_json(header: Any) -> dict[str, Any]:
    quantities = {
        "number": header.block_number,
        "timestamp": header.timestamp,
        "gasLimit": header.gas_limit,
        "gasUsed": header.gas_used,
        "baseFeePerGas": header.base_fee_per_gas,
        "difficulty": header.difficulty,
        "size": 0,
        "blobGasUsed": header.blob_gas_used,
        "excessBlobGas": header.excess_blob_gas,
    }
    data = {
        "hash": header.hash,
        "parentHash": header.parent_hash,
        "sha3Uncles": header.uncles_hash,
        "miner": header.coinbase,
        "stateRoot": header.state_root,
        "transactionsRoot": header.transaction_root,
        "receiptsRoot": header.receipt_root,
        "withdrawalsRoot": header.withdrawals_root,
        "parentBeaconBlockRoot": header.parent_beacon_block_root,
        "logsBloom": header.bloom.to_bytes(256, "big"),
        "extraData": header.extra_data,
        "mixHash": header.mix_hash,
        "nonce": header.nonce,
    }
    return {k: hex(v) for k, v in quantities.items()} | {k: to_hex(v) for k, v in data.items()}


def _place(mined: Mined) -> dict[str, Any]:
    place = {"blockHash": to_hex(mined.block_hash), "blockNumber": hex(mined.block)}
    return {**place, "transactionIndex": hex(mined.index)}


def _price(transaction: Any, base_fee: int) -> int:
    if not getattr(transaction, "type_id", 0):
        return int(transaction.gas_price)
    tip = base_fee + transaction.max_priority_fee_per_gas
    return int(min(transaction.max_fee_per_gas, tip))


def _kind(transaction: Any) -> int:
    return int(getattr(transaction, "type_id", 0))


def transaction_json(mined: Mined, base_fee: int) -> dict[str, Any]:
    tx, kind = mined.transaction, _kind(mined.transaction)
    facts: dict[str, Any] = {
        "hash": to_hex(tx.hash),
        "type": hex(kind),
        "nonce": hex(tx.nonce),
        "from": to_hex(tx.sender),
        "to": to_hex(tx.to) if tx.to else None,
        "value": hex(tx.value),
        "gas": hex(tx.gas),
        "gasPrice": hex(_price(tx, base_fee)),
        "input": to_hex(tx.data),
        "r": hex(tx.r),
        "s": hex(tx.s),
        "v": hex(tx.y_parity if kind else tx.v),
    }
    if kind == 2:
        fees = (tx.max_fee_per_gas, tx.max_priority_fee_per_gas)
        facts["maxFeePerGas"], facts["maxPriorityFeePerGas"] = map(hex, fees)
        facts |= {"chainId": hex(tx.chain_id), "accessList": [], "yParity": facts["v"]}
    return {**facts, **_place(mined)}


def receipt_json(mined: Mined, base_fee: int, logs: Sequence[Log]) -> dict[str, Any]:
    tx, receipt = mined.transaction, mined.receipt
    sender = checksum(tx.sender)
    created = None if tx.to else create_address(sender, tx.nonce).lower()
    return {
        **_place(mined),
        "transactionHash": to_hex(tx.hash),
        "type": hex(_kind(tx)),
        "from": to_hex(tx.sender),
        "to": to_hex(tx.to) if tx.to else None,
        "contractAddress": created,
        "status": hex(int.from_bytes(receipt.state_root, "big")),
        "gasUsed": hex(receipt.gas_used),
        "cumulativeGasUsed": hex(receipt.gas_used),
        "effectiveGasPrice": hex(_price(tx, base_fee)),
        "logs": [log_json(log) for log in logs],
        "logsBloom": to_hex(receipt.bloom.to_bytes(256, "big")),
    }


def log_json(log: Log) -> dict[str, Any]:
    return {
        "address": to_hex(log.address),
        "topics": [to_hex(topic) for topic in log.topics],
        "data": to_hex(log.data),
        "blockNumber": hex(log.block),
        "blockHash": to_hex(log.block_hash),
        "transactionHash": to_hex(log.tx),
        "transactionIndex": "0x0",
        "logIndex": hex(log.index),
        "removed": False,
    }
