"""What ``AttributionPool`` answers: every view of its model, over the pools that it keeps."""

from dataclasses import replace

from settlement.models.ledger import ZERO32, Slot, Table, revert
from settlement.models.pool_state import EMPTY_HEAD, Pool, PoolTerms, Punisher
from settlement.models.pots import PotBook
from settlement.models.registry import AssetRegistry
from settlement.models.rules import RuleRegistry
from settlement.models.sets import AggregatorSets


class PoolViews(PotBook):
    """Pools by number, and their facts."""

    court: Punisher
    proofs: str
    _pools: Slot[tuple[Pool, ...]]
    _claimed: Table[tuple[bytes, int], int]
    _registry: AssetRegistry
    _sets: AggregatorSets
    _rules: RuleRegistry
    _terms: PoolTerms

    def signersOf(self, poolId: bytes, epoch: int) -> tuple[str, ...]:
        at = self._pool(poolId)
        return at.signers if epoch and epoch == at.epoch + at.gone else ()

    def longestWindow(self) -> int:
        return 2 * self._terms.max_window

    def activeEpoch(self, pool: bytes) -> int:
        at = self._pool(pool)
        return at.epoch - (self.env.now < at.activates_at)

    def activeHead(self, pool: bytes) -> tuple[int, bytes]:
        epoch = self.activeEpoch(pool)
        return epoch, self._pool(pool).heads[epoch & 1]

    def pendingHead(self, pool: bytes) -> tuple[int, bytes, int, int]:
        at = self._pool(pool)
        if not self._pending(pool):
            return 0, ZERO32, 0, 0
        return at.epoch, at.heads[at.epoch & 1], at.begun_at, at.activates_at

    def poolOf(self, pool: bytes) -> tuple[int, int, int, int, int]:
        at = self._pool(pool)
        return at.set, at.threshold, at.total, at.funded, at.claimed

    def runningEpoch(self, pool: bytes) -> tuple[int, int, int, int]:
        at = self._known(pool)
        version = self._rules.versionAt(at.begun_at)
        return at.epoch, at.begun_at, at.begun_before, version

    def waits(self, pool: bytes) -> tuple[bool, bool]:
        at = self._pool(pool)
        return at.case, at.voided

    def clockOf(self, pool: bytes) -> int:
        at = self._pool(pool)
        return (at.frozen_at or self.env.now) - at.still

    def windowOf(self, pool: bytes) -> int:
        return self._pool(pool).window

    def stallSeconds(self) -> int:
        return self._terms.stall_seconds

    def claimed(self, pool: bytes, index: int) -> int:
        return self._claimed[pool, index]

    def poolCount(self) -> int:
        return len(self._pools.value)

    def registry(self) -> str:
        return self._registry.address

    def sets(self) -> str:
        return self._sets.address

    def rules(self) -> str:
        return self._rules.address

    def arbiter(self) -> str:
        return self.court.address

    def fraudProofs(self) -> str:
        return self.proofs

    def EMPTY_HEAD(self) -> bytes:
        return EMPTY_HEAD

    def _pool(self, pool: bytes) -> Pool:
        number = int.from_bytes(pool, "big")
        if number < len(self._pools.value):
            return self._pools.value[number]
        return Pool(0, 0, 0, 0, 0, 0, 0)

    def _known(self, pool: bytes) -> Pool:
        at = self._pool(pool)
        if not at.threshold:
            raise revert("UnknownPool", pool)
        return at

    def _put(self, pool: bytes, **changes: object) -> None:
        number, pools = int.from_bytes(pool, "big"), self._pools.value
        changed = replace(pools[number], **changes)  # type: ignore[arg-type]
        self._pools.value = (*pools[:number], changed, *pools[number + 1 :])

    def _pending(self, pool: bytes) -> bool:
        return self.env.now < self._pool(pool).activates_at
