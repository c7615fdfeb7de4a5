"""Model of ``AttributionPool``: epochs committed by a quorum, and claims on the active root."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from protocol import typed_data
from protocol.errors import Reverted
from protocol.ids import address_bytes
from settlement import sumtree
from settlement.models.ledger import MAX_UINT128, ZERO32, Env, Slot, Table, revert
from settlement.models.pots import PotBook
from settlement.models.quorum import Quorum
from settlement.models.registry import AssetRegistry
from settlement.models.stake import WorkerStake
from settlement.models.token import OpenToken

CommitTuple = tuple[int, bytes, bytes, int, int, bytes, int]
DrawTuple = tuple[bytes, int]
Proof = Sequence[tuple[bytes, int]]


@dataclass(frozen=True, slots=True)
class Epoch:
    """A committed root with its cumulative total and its number of leaves."""

    root: bytes = ZERO32
    total: int = 0
    leaf_count: int = 0


@dataclass(frozen=True, slots=True)
class PoolTerms:
    """Constructor parameters: seats, signatures needed, and three durations or amounts."""

    aggregators: tuple[str, ...]
    threshold: int
    window: int
    unit_stake: int
    reclaim_seconds: int


class AttributionPool(Quorum, PotBook):
    """Draws on pots, a cumulative merkle-sum root each epoch, claims."""

    NAME = "AttributionPool"

    def __init__(
        self,
        env: Env,
        address: str,
        token: OpenToken,
        registry: AssetRegistry,
        stake: WorkerStake,
        terms: PoolTerms,
    ) -> None:
        PotBook.__init__(self, env, address, token, stake, terms.unit_stake, terms.reclaim_seconds)
        Quorum.__init__(self, terms.aggregators, terms.threshold)
        self._registry = registry
        self._window = terms.window
        self._last: Slot[tuple[int, int]] = Slot(env, (0, 0))  # epoch, activatesAt
        self._epochs: Slot[tuple[Epoch, Epoch]] = Slot(env, (Epoch(), Epoch()))  # before, last
        self._claimed_total = Slot(env, 0)
        self._claimed: Table[int, int] = Table(env, 0)

    def commit(
        self,
        _sender: str,
        epoch: CommitTuple,
        draws: Sequence[DrawTuple],
        signatures: Sequence[bytes],
    ) -> None:
        number, previous, root, total, leaf_count, evidence, rule_version = epoch
        last = self._check_succession(epoch)
        signers = self.signers(self._digest(epoch, draws), signatures)
        added = self._draw_all(draws, number)
        if total != last.total + added or total > MAX_UINT128:
            raise revert("WrongTotal", total, last.total + added)
        self._check_stake(signers, added)
        activates_at = self.env.now + self._window
        self._epochs.value = (last, Epoch(root, total, leaf_count))
        self._last.value = (number, activates_at)
        roots = {"epoch": number, "root": root, "previousRoot": previous, "total": total}
        facts = {"leafCount": leaf_count, "evidence": evidence, "ruleVersion": rule_version}
        self.emit("EpochCommitted", {**roots, **facts, "activatesAt": activates_at})

    def claim(
        self, _sender: str, index: int, ownerId: bytes, cumulative: int, proof: Proof
    ) -> None:
        active = self._active()
        if index >= active.leaf_count:
            raise revert("NoLeaf", index, active.leaf_count)
        operator, payout = self._registry.ownerAt(index)
        if ownerId != address_bytes(operator).rjust(32, b"\x00"):
            raise revert("WrongOwner", index, ownerId)
        paid = self._claimed[index]
        if cumulative <= paid:
            raise revert("NothingToClaim", index)
        leaf = sumtree.SumLeaf(index, ownerId, cumulative)
        nodes = [sumtree.SumNode(*node) for node in proof]
        if not sumtree.verify(active.root, active.total, active.leaf_count, leaf, nodes):
            raise revert("BadProof", index)
        self._pay(index, payout, cumulative - paid, active.total)

    def claimBatch(self, _sender: str, items: Sequence[tuple[int, bytes, int, Proof]]) -> None:
        for item in items:
            try:
                self.env.attempt(partial(self.claim, self.address, *item))
            except Reverted:
                self.emit("ClaimSkipped", {"index": item[0]})

    def registry(self) -> str:
        return self._registry.address

    def window(self) -> int:
        return self._window

    def longestWindow(self) -> int:
        return self._window

    def lastEpoch(self) -> int:
        return self._last.value[0]

    def activatesAt(self) -> int:
        return self._last.value[1]

    def claimedTotal(self) -> int:
        return self._claimed_total.value

    def claimed(self, index: int) -> int:
        return self._claimed[index]

    def activeEpoch(self) -> int:
        return self.lastEpoch() - (self.env.now < self.activatesAt())

    def activeRoot(self) -> tuple[int, bytes, int, int]:
        active = self._active()
        return self.activeEpoch(), active.root, active.total, active.leaf_count

    def lastRoot(self) -> tuple[int, bytes, int, int]:
        last = self._epochs.value[1]
        return self.lastEpoch(), last.root, last.total, last.leaf_count

    def _active(self) -> Epoch:
        return self._epochs.value[1 if self.activeEpoch() == self.lastEpoch() else 0]

    def _check_succession(self, epoch: CommitTuple) -> Epoch:
        number, previous, _, _, leaf_count, _, _ = epoch
        if self.env.now < self.activatesAt():
            raise revert("EpochPending", self.activatesAt())
        if number != self.lastEpoch() + 1:
            raise revert("WrongEpoch", number, self.lastEpoch() + 1)
        last = self._epochs.value[1]
        if previous != last.root:
            raise revert("WrongPreviousRoot", previous, last.root)
        if leaf_count < max(1, last.leaf_count):
            raise revert("WrongLeafCount", leaf_count, max(1, last.leaf_count))
        return last

    def _digest(self, epoch: CommitTuple, draws: Sequence[DrawTuple]) -> bytes:
        listed = tuple(typed_data.Draw(*draw) for draw in draws)
        domain = typed_data.Domain(self.NAME, self.env.chain_id, address_bytes(self.address))
        return typed_data.EpochCommit(*epoch, listed).digest(domain)

    def _draw_all(self, draws: Sequence[DrawTuple], epoch: int) -> int:
        for pot, amount in draws:
            self._draw(pot, amount, epoch)
        return sum(amount for _, amount in draws)

    def _check_stake(self, signers: Sequence[str], added: int) -> None:
        limit = sum(self._stake.stakeOf(signer) for signer in signers) // 2
        if added > limit:
            raise revert("AboveStakeLimit", added, limit)

    def _pay(self, index: int, payout: str, amount: int, total: int) -> None:
        claimed = self._claimed_total.value + amount
        if claimed > total:
            raise revert("ClaimAboveTotal", claimed, total)
        self._claimed[index] += amount
        self._claimed_total.value = claimed
        self.emit("Claimed", {"index": index, "payout": payout, "amount": amount})
        self._token.transfer(self.address, payout, amount)
