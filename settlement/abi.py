"""The committed artifacts, and the ABI as Python needs it: functions, arguments, events, errors.

Arguments are held to their Solidity types before anything is sent or simulated, so both chains
refuse the same values; addresses come out as EIP-55 text, fixed bytes as ``bytes``.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.address import is_address, to_checksum_address
from eth_utils.crypto import keccak

from protocol.errors import LocalError

ARTIFACTS = Path(__file__).parent / "artifacts"
CONTRACTS = (
    "OpenToken",
    "AssetRegistry",
    "CommitLog",
    "WorkerStake",
    "RuleRegistry",
    "AggregatorSets",
    "AttributionPool",
    "FraudProofs",
    "Arbiter",
    "InferenceChannels",
    "GOpen",
    "OpenTimelock",
    "OpenGovernor",
)
PANIC = keccak(b"Panic(uint256)")[:4]
ERROR_STRING = keccak(b"Error(string)")[:4]


@dataclass(frozen=True, slots=True)
class Param:
    """One ABI parameter: name, canonical type, components of a struct, whether indexed."""

    name: str
    type: str
    parts: tuple["Param", ...] = ()
    indexed: bool = False

    @property
    def canonical(self) -> str:
        """The type with structs spelt out, as selectors and codecs need it."""
        if not self.parts:
            return self.type
        return self.type.replace("tuple", f"({_signature(self.parts)})", 1)


@dataclass(frozen=True, slots=True)
class Function:
    """One function: name, parameters, results, whether it only reads."""

    name: str
    inputs: tuple[Param, ...]
    outputs: tuple[Param, ...]
    view: bool

    @property
    def output_types(self) -> list[str]:
        """Canonical types of the results."""
        return [param.canonical for param in self.outputs]

    def call_data(self, args: Sequence[Any]) -> bytes:
        """Selector and encoded arguments. Raises LocalError ``bad-argument``."""
        selector = keccak(f"{self.name}({_signature(self.inputs)})".encode())[:4]
        types = [param.canonical for param in self.inputs]
        return selector + encode(types, typed(self.inputs, args))

    def arguments(self, data: bytes) -> tuple[Any, ...]:
        """The arguments behind the selector of call data. Raises LocalError ``bad-argument``."""
        try:
            raw = decode([param.canonical for param in self.inputs], data)
        except (DecodingError, ValueError) as error:
            raise LocalError("bad-argument", f"{self.name}: {error}") from error
        return plain(self.inputs, raw)


@dataclass(frozen=True, slots=True)
class EventType:
    """One event: name, parameters, first topic."""

    name: str
    inputs: tuple[Param, ...]
    topic: bytes


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract: ABI, creation code, runtime code with its immutable ranges."""

    contract: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime: bytes
    immutables: tuple[tuple[int, int], ...]

    def same_code(self, deployed: bytes) -> bool:
        """Whether deployed code is this contract's, whatever its immutable values."""
        masked = bytearray(deployed)
        for start, length in self.immutables:
            masked[start : start + length] = bytes(length)
        return bytes(masked) == self.runtime


@functools.cache
def artifact(contract: str) -> Artifact:
    """The committed artifact of a contract. Raises LocalError ``no-contract``."""
    if contract not in CONTRACTS:
        raise LocalError("no-contract", f"{contract} is not one of {', '.join(CONTRACTS)}")
    raw = json.loads((ARTIFACTS / f"{contract}.json").read_text())
    return Artifact(
        contract,
        raw["abi"],
        bytes.fromhex(raw["bytecode"][2:]),
        bytes.fromhex(raw["runtime"][2:]),
        tuple((start, length) for start, length in raw["immutables"]),
    )


@functools.cache
def functions(contract: str) -> dict[str, Function]:
    """Functions by name (no contract of ours overloads one)."""
    items = [item for item in artifact(contract).abi if item["type"] == "function"]
    return {item["name"]: _function(item) for item in items}


@functools.cache
def constructor(contract: str) -> tuple[Param, ...]:
    """Constructor parameters."""
    items = [item for item in artifact(contract).abi if item["type"] == "constructor"]
    return _params(items[0]["inputs"]) if items else ()


@functools.cache
def events(contract: str) -> dict[bytes, EventType]:
    """Events by first topic."""
    items = [item for item in artifact(contract).abi if item["type"] == "event"]
    found = [_event(item["name"], _params(item["inputs"])) for item in items]
    return {event.topic: event for event in found}


@functools.cache
def errors() -> dict[bytes, str]:
    """Names of all custom errors of all contracts by selector."""
    return {
        keccak(f"{item['name']}({_signature(_params(item['inputs']))})".encode())[:4]: item["name"]
        for contract in CONTRACTS
        for item in artifact(contract).abi
        if item["type"] == "error"
    }


@functools.cache
def selectors(contract: str) -> dict[bytes, Function]:
    """Functions by the first four bytes of their call data."""
    known = functions(contract).values()
    return {keccak(f"{f.name}({_signature(f.inputs)})".encode())[:4]: f for f in known}


def function(contract: str, name: str, *, view: bool) -> Function:
    """A function that reads (or writes). Raises LocalError ``no-function``."""
    found = functions(contract).get(name)
    if found is None or found.view is not view:
        kind = "view" if view else "transaction"
        raise LocalError("no-function", f"{contract}.{name} is no {kind} of this contract")
    return found


def error_name(data: bytes) -> str:
    """The code of a revert: a custom error's name, ``Panic``, or ``reverted`` without data."""
    if data[:4] == PANIC:
        return "Panic"
    return errors().get(data[:4], "reverted")


def typed(params: Sequence[Param], values: Sequence[Any]) -> tuple[Any, ...]:
    """The values held to their types. Raises LocalError ``bad-argument`` naming the parameter."""
    if len(params) != len(values):
        names = ", ".join(param.name for param in params)
        raise LocalError("bad-argument", f"{len(values)} arguments given, needed: ({names})")
    return tuple(
        _typed(param, param.type, value) for param, value in zip(params, values, strict=True)
    )


def unwrap(params: Sequence[Param], values: Sequence[Any]) -> Any:
    """Decoded results as the seam returns them: one bare value, or a tuple of several."""
    results = plain(params, values)
    return results[0] if len(results) == 1 else results


def plain(params: Sequence[Param], values: Sequence[Any]) -> tuple[Any, ...]:
    """Decoded values with addresses as EIP-55 text, arrays and structs as tuples."""
    pairs = zip(params, values, strict=True)
    return tuple(_plain(param, param.type, value) for param, value in pairs)


def decode_log(event: EventType, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
    """Arguments of a log by name, in Solidity order. Raises LocalError ``bad-log``."""
    body = [param for param in event.inputs if not param.indexed]
    heads = [param for param in event.inputs if param.indexed]
    try:
        values = dict(
            zip([p.name for p in body], decode([p.canonical for p in body], data), strict=True)
        )
        for param, topic in zip(heads, topics[1:], strict=True):
            values[param.name] = decode([param.canonical], topic)[0]
    except (DecodingError, ValueError) as error:
        raise LocalError("bad-log", f"{event.name}: {error}") from error
    return {param.name: _plain(param, param.type, values[param.name]) for param in event.inputs}


def _function(item: dict[str, Any]) -> Function:
    view = item["stateMutability"] in ("view", "pure")
    return Function(item["name"], _params(item["inputs"]), _params(item["outputs"]), view)


def _event(name: str, params: tuple[Param, ...]) -> EventType:
    return EventType(name, params, keccak(f"{name}({_signature(params)})".encode()))


def _params(items: Sequence[dict[str, Any]]) -> tuple[Param, ...]:
    return tuple(
        Param(
            item["name"],
            item["type"],
            _params(item.get("components", ())),
            bool(item.get("indexed", False)),
        )
        for item in items
    )


def _signature(params: Sequence[Param]) -> str:
    return ",".join(param.canonical for param in params)


def _typed(param: Param, kind: str, value: Any) -> Any:
    if kind.endswith("[]") and isinstance(value, (list, tuple)):
        return tuple(_typed(param, kind[:-2], item) for item in value)
    if kind == "tuple" and isinstance(value, (list, tuple)):
        return typed(param.parts, value)
    if not _fits(kind, value):
        raise LocalError("bad-argument", f"{param.name}: {value!r} is no {kind}")
    return str(to_checksum_address(value)) if kind == "address" else value


def _fits(kind: str, value: Any) -> bool:
    if kind.startswith("uint"):
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and 0 <= value < 1 << int(kind[4:])
    if kind.startswith("bytes"):
        size = kind[5:]
        return isinstance(value, bytes) and (not size or len(value) == int(size))
    if kind == "address":
        return isinstance(value, str) and is_address(value)
    return isinstance(value, {"bool": bool, "string": str}.get(kind, ()))


def _plain(param: Param, kind: str, value: Any) -> Any:
    if kind.endswith("[]"):
        return tuple(_plain(param, kind[:-2], item) for item in value)
    if kind == "tuple":
        pairs = zip(param.parts, value, strict=True)
        return tuple(_plain(part, part.type, item) for part, item in pairs)
    if kind == "address":
        return str(to_checksum_address(value))
    return bytes(value) if kind.startswith("bytes") else value
