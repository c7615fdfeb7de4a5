"""Model of ``AggregatorSets``: m of n seats, and notices of other seats."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from settlement.models.ledger import ZERO_ADDRESS, Env, Model, Slot, Table, revert

MAX_SEATS = 32


@dataclass(frozen=True, slots=True)
class Notice:
    """An announced set; ``time`` is the pool's clock, 0: no notice."""

    set: int = 0
    epoch: int = 0
    time: int = 0


class Timelock(Protocol):
    """What ``RuleRegistry`` says about governance."""

    def timelock(self) -> str: ...


class Pools(Protocol):
    """What the sets ask of ``AttributionPool``."""

    address: str

    def runningEpoch(self, pool: bytes) -> tuple[int, int, int, int]: ...

    def activeEpoch(self, pool: bytes) -> int: ...

    def clockOf(self, pool: bytes) -> int: ...

    def windowOf(self, pool: bytes) -> int: ...

    def stallSeconds(self) -> int: ...

    def assignSet(self, sender: str, pool: bytes, set: int, threshold: int) -> None: ...


class AggregatorSets(Model):
    """Who may sign for which pool; ``pools`` is set once the pools' model exists."""

    NAME = "AggregatorSets"
    pools: Pools

    def __init__(
        self, env: Env, address: str, rules: Timelock, seats: Sequence[str], threshold: int
    ) -> None:
        super().__init__(env, address)
        self._rules = rules
        self._sets: Slot[tuple[tuple[tuple[str, ...], int], ...]] = Slot(env, ())
        self._controllers: Table[bytes, str] = Table(env, ZERO_ADDRESS)
        self._notices: Table[bytes, Notice] = Table(env, Notice())
        self.openSet(ZERO_ADDRESS, seats, threshold)

    def openSet(self, _sender: str, seats: Sequence[str], threshold: int) -> int:
        numbers = [int(seat, 16) for seat in seats]
        ascending = all(a < b for a, b in zip([0, *numbers], numbers, strict=False))
        if not 0 < threshold <= len(seats) <= MAX_SEATS or not ascending:
            raise revert("BadSeats")
        self._sets.value = (*self._sets.value, (tuple(seats), threshold))
        number = len(self._sets.value) - 1
        self.emit("SetOpened", {"set": number, "seats": tuple(seats), "threshold": threshold})
        return number

    def nameController(self, sender: str, pool: bytes, controller: str) -> None:
        if sender != self.pools.address:
            raise revert("NotPool", sender)
        self._controllers[pool] = controller
        self.emit("ControllerNamed", {"pool": pool, "controller": controller})

    def announceSet(self, sender: str, pool: bytes, set: int) -> None:
        if sender != self.controllerOf(pool):
            raise revert("NotController", pool, sender)
        self.seatsOf(set)
        last = self.pools.runningEpoch(pool)[0]
        self._notices[pool] = Notice(set, last, self.pools.clockOf(pool))
        self.emit("SetAnnounced", {"pool": pool, "set": set})

    def adoptSet(self, _sender: str, pool: bytes) -> None:
        notice = self._notices[pool]
        if not notice.time:
            raise revert("NoNotice", pool)
        waited = self.pools.clockOf(pool) - notice.time
        epoch_passed = self.pools.activeEpoch(pool) > notice.epoch
        passed = epoch_passed and waited >= self.pools.windowOf(pool)
        if not passed and waited < self.pools.stallSeconds():
            raise revert("NoticeRunning", pool)
        self._notices[pool] = Notice()
        self.emit("SetAdopted", {"pool": pool, "set": notice.set})
        threshold = self.seatsOf(notice.set)[1]
        self.pools.assignSet(self.address, pool, notice.set, threshold)

    def seatsOf(self, set: int) -> tuple[tuple[str, ...], int]:
        if set >= len(self._sets.value):
            raise revert("UnknownSet", set)
        return self._sets.value[set]

    def positionOf(self, set: int, signer: str) -> int:
        known = self._sets.value[set][0] if set < len(self._sets.value) else ()
        if signer not in known:
            raise revert("NotSeated", set, signer)
        return known.index(signer)

    def controllerOf(self, poolId: bytes) -> str:
        named = self._controllers[poolId]
        return self._rules.timelock() if named == ZERO_ADDRESS else named

    def noticed(self, poolId: bytes) -> bool:
        return self._notices[poolId].time != 0

    def MAX_SEATS(self) -> int:
        return MAX_SEATS

    def pool(self) -> str:
        return self.pools.address
