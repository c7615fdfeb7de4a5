"""Model of ``RuleRegistry``: versions within their rails, the guardian, successors."""

from collections.abc import Callable, Sequence

from protocol.rules import Rules
from settlement.models.guardian import Guardian
from settlement.models.ledger import ZERO_ADDRESS, Env, Slot, Table, revert

ALL_BPS = 10_000
MAX_START = 2**64 - 1


class RuleRegistry(Guardian):
    """Append-only rules; version n is the n-th."""

    NAME = "RuleRegistry"

    def __init__(
        self,
        env: Env,
        address: str,
        timelock: str,
        guardian: str,
        windows: tuple[int, int],
        genesis: Rules,
        is_contract: Callable[[str], bool],
    ) -> None:
        super().__init__(env, address, guardian)
        self._timelock = timelock
        self._windows = windows
        self._unit_stake = genesis.unit_stake
        self._is_contract = is_contract
        self._versions: Slot[tuple[tuple[int, Rules], ...]] = Slot(env, ())  # start, rules
        self._successors: Table[str, str] = Table(env, ZERO_ADDRESS)
        self._check(genesis)
        self._append(genesis, env.now)

    def append(self, sender: str, rules: Sequence[int], start: int) -> int:
        self.only_timelock(sender)
        voted = Rules(*rules)
        self._check(voted)
        least = max(self.env.now + 1, self._versions.value[-1][0])
        if not least <= start <= MAX_START:
            raise revert("StartTooEarly", start, least)
        return self._append(voted, start)

    def nameSuccessor(self, sender: str, old: str, next: str) -> None:
        self.only_timelock(sender)
        if next == old or not self._is_contract(next):
            raise revert("BadSuccessor", next)
        if self._successors[old] != ZERO_ADDRESS:
            raise revert("SuccessorExists", old, self._successors[old])
        self._successors[old] = next
        self.emit("SuccessorNamed", {"old": old, "next": next})

    def versionAt(self, time: int) -> int:
        known = sum(start <= time for start, _ in self._versions.value)
        if not known:
            raise revert("BeforeGenesis", time)
        return known

    def rulesOf(self, version: int) -> tuple[int, ...]:
        return self._known(version)[1].astuple()

    def effectiveAt(self, version: int) -> int:
        return self._known(version)[0]

    def lastVersion(self) -> int:
        return len(self._versions.value)

    def timelock(self) -> str:
        return self._timelock

    def minWindow(self) -> int:
        return self._windows[0]

    def maxWindow(self) -> int:
        return self._windows[1]

    def unitStake(self) -> int:
        return self._unit_stake

    def successorOf(self, old: str) -> str:
        return self._successors[old]

    def only_timelock(self, sender: str) -> None:
        if sender != self._timelock:
            raise revert("NotTimelock", sender)

    def _append(self, rules: Rules, start: int) -> int:
        self._versions.value = (*self._versions.value, (start, rules))
        version = self.lastVersion()
        told = {"version": version, "start": start, "rules": rules.astuple()}
        self.emit("RulesAppended", told)
        return version

    def _known(self, version: int) -> tuple[int, Rules]:
        if not 0 < version <= self.lastVersion():
            raise revert("UnknownVersion", version)
        return self._versions.value[version - 1]

    def _check(self, r: Rules) -> None:
        to_model = r.fee_owner_bps + r.fee_lineage_bps
        fee = r.fee_contributors_bps + r.fee_host_bps + to_model + r.fee_treasury_bps
        rails = {
            "contributorsBps": 1_000 <= r.contributors_bps <= 9_000,
            "modelOwnerBps": r.contributors_bps + r.model_owner_bps <= ALL_BPS,
            "privateCapBps": r.private_cap_bps <= r.contributors_bps,
            "feeContributorsBps": 1_000 <= r.fee_contributors_bps <= 9_000,
            "feeTreasuryBps": r.fee_treasury_bps <= 2_000,
            "fee": fee == ALL_BPS,
            "samples": r.samples >= 2,
            "verifiers": r.verifiers >= 2,
            "unitStake": self._unit_stake == r.unit_stake >= 4 * r.unit_pay,
            "slash": r.slash <= r.unit_stake,
            "window": self._windows[0] <= r.window_seconds <= self._windows[1],
        }
        for rail, kept in rails.items():
            if not kept:
                raise revert("OffTheRails", rail)
