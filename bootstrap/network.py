"""The network file: what a node must know to join, and the network id that follows from it.

The genesis part (chain, contracts, parameters, seats) is hashed into the id, so two devnets never
mix; the rest (name, seeds, RPC URLs) is only where to knock first and may differ between copies.
"""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.errors import OperatorError
from protocol.ids import Address, Hash, Name, address_bytes, checksum, value_id
from protocol.params import PRESETS, Params, preset
from protocol.wire import SPOKEN

_SPOKEN = " and ".join(map(str, sorted(SPOKEN)))
MAX_FILE_BYTES = 64 * 1024
REMEDY = "Ask whoever runs the network for its current file."


@dataclass(frozen=True, slots=True)
class Contract:
    """One deployed contract by its Solidity name."""

    name: Name
    address: Address


@dataclass(frozen=True, slots=True)
class Genesis:
    """What all nodes of a network agree on. ``contracts`` are sorted by name."""

    chain_id: int
    genesis_block: int  # first block with events of the contracts
    contracts: tuple[Contract, ...]
    seats: tuple[Address, ...]  # operators of the aggregators
    quorum: int  # of them, to commit an epoch
    committee: tuple[Address, ...]  # operators who rule on disputes
    treasury: Address
    params: Hash  # of the preset


@dataclass(frozen=True, slots=True)
class _Versioned:
    """What the id of a network covers whose wire version is not the first."""

    genesis: Genesis
    wire: int


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """A network file. ``seeds`` are full multiaddrs, ``rpc`` HTTP URLs of the chain; ``wire`` is the
    version of gossip that all nodes write. A file without it is of a network that began with the first.
    """

    name: str
    params: Params
    genesis: Genesis
    seeds: tuple[str, ...]
    rpc: tuple[str, ...]
    wire: int = 1

    @property
    def id(self) -> bytes:
        """32-byte network id; that of a network of the first version is what it always was."""
        covered = self.genesis if self.wire == 1 else _Versioned(self.genesis, self.wire)
        return value_id("network", covered)

    def contract(self, name: str) -> str:
        """Checksum address of a contract. Raises OperatorError."""
        for contract in self.genesis.contracts:
            if contract.name == name:
                return checksum(contract.address)
        raise OperatorError("bad-network-file", f"The network file names no {name}.", REMEDY)


def load_network(path: Path) -> NetworkFile:
    """Read and check a TOML network file. Raises OperatorError that names the faulty entry."""
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_FILE_BYTES:
            raise _bad(path, f"{len(raw)} bytes, limit {MAX_FILE_BYTES}")
        table = tomllib.loads(raw.decode())
    except OSError as error:
        raise OperatorError(
            "no-network-file",
            f"Cannot read the network file {path}: {error.strerror}.",
            "Run `openledger join NETWORK --payout ADDRESS`.",
        ) from error
    except ValueError as error:  # not UTF-8, not TOML
        raise _bad(path, str(error)) from error
    return _Reader(path, table).network()


def save_network(path: Path, network: NetworkFile) -> None:
    """Write the file that ``load_network`` reads back to an equal value."""
    genesis = network.genesis
    values: dict[str, Any] = {
        "name": network.name,
        "preset": network.params.preset,
        "chain_id": genesis.chain_id,
        "genesis_block": genesis.genesis_block,
        "seats": [checksum(seat) for seat in genesis.seats],
        "quorum": genesis.quorum,
        "committee": [checksum(seat) for seat in genesis.committee],
        "treasury": checksum(genesis.treasury),
        "wire": network.wire,
        "seeds": list(network.seeds),
        "rpc": list(network.rpc),
    }
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    lines += ["", "[contracts]"]
    lines += [f'{item.name} = "{checksum(item.address)}"' for item in genesis.contracts]
    path.write_text("\n".join(lines) + "\n")


def _bad(path: Path, what: str) -> OperatorError:
    return OperatorError("bad-network-file", f"The network file {path} is faulty: {what}.", REMEDY)


class _Reader:
    """Takes every entry of the table exactly once."""

    def __init__(self, path: Path, table: dict[str, Any]) -> None:
        self._path = path
        self._table = dict(table)

    def network(self) -> NetworkFile:
        name, params = self._take("name", str), self._preset()
        genesis = Genesis(
            chain_id=self._number("chain_id"),
            genesis_block=self._number("genesis_block"),
            contracts=self._contracts(),
            seats=self._addresses("seats"),
            quorum=self._number("quorum"),
            committee=self._addresses("committee"),
            treasury=self._address("treasury", self._take("treasury", str)),
            params=params.hash,
        )
        if not 1 <= genesis.quorum <= len(genesis.seats):
            raise _bad(self._path, f"quorum = {genesis.quorum} of {len(genesis.seats)} seats")
        seeds, rpc = self._texts("seeds"), self._texts("rpc")
        file = NetworkFile(name, params, genesis, seeds, rpc, self._wire())
        if self._table:
            raise _bad(self._path, f"unknown entry {sorted(self._table)[0]!r}")
        return file

    def _wire(self) -> int:
        version = self._number("wire") if "wire" in self._table else 1
        if version not in SPOKEN:
            raise OperatorError(
                "wire-version",
                f"{self._path}: the network writes wire version {version}, this node speaks {_SPOKEN}.",
                "Update openledger-node." if version > max(SPOKEN) else REMEDY,
            )
        return version

    def _preset(self) -> Params:
        named = self._take("preset", str)
        if named not in PRESETS:
            raise _bad(self._path, f"preset = {named!r}; known: {', '.join(PRESETS)}")
        return preset(named)

    def _take(self, key: str, kind: type[Any]) -> Any:
        if key not in self._table:
            raise _bad(self._path, f"entry {key!r} is missing")
        value = self._table.pop(key)
        if type(value) is not kind:
            raise _bad(self._path, f"{key} must be of type {kind.__name__}")
        return value

    def _number(self, key: str) -> int:
        value: int = self._take(key, int)
        if value < 0:
            raise _bad(self._path, f"{key} is negative")
        return value

    def _texts(self, key: str) -> tuple[str, ...]:
        values = self._take(key, list)
        if not all(isinstance(value, str) for value in values):
            raise _bad(self._path, f"{key} must be a list of strings")
        return tuple(values)

    def _address(self, key: str, text: Any) -> bytes:
        try:
            return address_bytes(text)
        except (ValueError, AttributeError) as error:
            raise _bad(self._path, f"{key}: {text!r} is not an address") from error

    def _addresses(self, key: str) -> tuple[bytes, ...]:
        return tuple(self._address(key, text) for text in self._texts(key))

    def _contracts(self) -> tuple[Contract, ...]:
        table = self._take("contracts", dict)
        items = [Contract(name, self._address(name, text)) for name, text in table.items()]
        if not items:
            raise _bad(self._path, "no contracts")
        return tuple(sorted(items, key=lambda item: item.name))
