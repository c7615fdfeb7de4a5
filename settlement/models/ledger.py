"""What the models stand on: block time, a log, state that rolls back when a call reverts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from protocol.errors import LocalError, OpenLedgerError, Reverted

K = TypeVar("K")
V = TypeVar("V")

ZERO_ADDRESS = "0x" + "0" * 40
ZERO32 = bytes(32)
MAX_UINT = 2**256 - 1
MAX_UINT128 = 2**128 - 1


@dataclass(frozen=True, slots=True)
class Log:
    """One event as a contract emitted it."""

    contract: str
    name: str
    args: dict[str, Any]


class Env:
    """The world of one set of models: unix seconds, block number, chain id, the log, the undo list.

    ``number`` is the block that a call stands in; ``block_hash`` gives the hashes of those before it.
    """

    def __init__(
        self, chain_id: int, now: int, block_hash: Callable[[int], bytes] | None = None
    ) -> None:
        self.chain_id = chain_id
        self.now = now
        self.number = 0
        self.block_hash = block_hash or _no_blocks
        self.logs: list[Log] = []
        self.undo: list[Callable[[], None]] = []
        self.models: dict[str, Model] = {}  # by address

    def attempt(self, call: Callable[[], Any]) -> Any:
        """Run one call; when it fails, state and log are as before and its error (Reverted) is raised."""
        logs, changes = len(self.logs), len(self.undo)
        try:
            return call()
        except OpenLedgerError:
            del self.logs[logs:]
            while len(self.undo) > changes:
                self.undo.pop()()
            raise

    def commit(self) -> list[Log]:
        """End a transaction: forget how to undo it and hand out its log."""
        logs = list(self.logs)
        self.logs.clear()
        self.undo.clear()
        return logs


def _no_blocks(number: int) -> bytes:
    raise LocalError("no-blocks", f"this world has no block {number} to take a seed from")


class Table(Generic[K, V]):
    """A Solidity mapping with a default, every change of which can be undone."""

    def __init__(self, env: Env, default: V) -> None:
        self._env = env
        self._default = default
        self._values: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        return self._values.get(key, self._default)

    def __setitem__(self, key: K, value: V) -> None:
        before = self[key]
        self._env.undo.append(lambda: self._values.__setitem__(key, before))
        self._values[key] = value


class Slot(Generic[V]):
    """One storage variable, every change of which can be undone."""

    def __init__(self, env: Env, value: V) -> None:
        self._env = env
        self._value = value

    @property
    def value(self) -> V:
        return self._value

    @value.setter
    def value(self, value: V) -> None:
        self._env.undo.append(lambda before=self._value: self._put(before))  # type: ignore[misc]
        self._value = value

    def _put(self, value: V) -> None:
        self._value = value


class Model:
    """A contract in a world, at an address."""

    NAME: str

    def __init__(self, env: Env, address: str) -> None:
        self.env = env
        self.address = address
        env.models[address] = self

    def emit(self, name: str, args: dict[str, Any]) -> None:
        """Append an event of this contract to the log."""
        self.env.logs.append(Log(self.NAME, name, args))


def revert(error: str, *values: object) -> Reverted:
    """The exception for a custom error, to be raised."""
    return Reverted(error, f"refused with {error}({', '.join(_shown(v) for v in values)})")


def add(left: int, right: int) -> int:
    """Checked uint256 addition: Solidity panics beyond 256 bits."""
    if left + right > MAX_UINT:
        raise revert("Panic", 0x11)
    return left + right


def at(items: tuple[V, ...], position: int) -> V:
    """A Solidity array element: panics out of bounds."""
    if position >= len(items):
        raise revert("Panic", 0x32)
    return items[position]


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
