"""Model of ``FraudProofs``: objective proofs and forced openings against pending commits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from protocol.ids import address_bytes
from settlement import sumtree
from settlement.models.ledger import (
    MAX_UINT128,
    ZERO32,
    ZERO_ADDRESS,
    Env,
    Model,
    Table,
    revert,
)
from settlement.models.pool import AttributionPool
from settlement.models.pool_state import RootTuple, head_of
from settlement.models.registry import AssetRegistry
from settlement.models.token import OpenToken

DECREASE, WRONG_OWNER, WRONG_SUM, UNOPENED, OMISSION, STRANGER = range(6)
LeafTuple = tuple[bytes, int, bytes]
ChildrenTuple = tuple[bytes, int, bytes, int]
StepTuple = tuple[int, bytes, int, bool]


@dataclass(frozen=True, slots=True)
class Demand:
    """A forced opening; ``deadline`` in Unix seconds, 0: never demanded."""

    demander: str = ZERO_ADDRESS
    deadline: int = 0
    open: bool = False
    pool: bytes = ZERO32
    commit: bytes = b""


class FraudProofs(Model):
    """What anybody can prove against a pending commit."""

    NAME = "FraudProofs"

    def __init__(
        self,
        env: Env,
        address: str,
        token: OpenToken,
        registry: AssetRegistry,
        pool: AttributionPool,
        bond: int,
        fine: int,
    ) -> None:
        super().__init__(env, address)
        self._token = token
        self._registry = registry
        self._pool = pool
        self._bond = bond
        self._fine = fine
        self._demands: Table[bytes, Demand] = Table(env, Demand())

    def proveDecrease(
        self,
        sender: str,
        poolId: bytes,
        active: RootTuple,
        pending: RootTuple,
        index: int,
        good: LeafTuple,
        bad: LeafTuple,
    ) -> None:
        head = self._pool.activeHead(poolId)[1]
        if head_of(*active) != head:
            raise revert("NotActiveRoot", head_of(*active), head)
        self._check_pending(poolId, pending)
        _check_leaf(active, index, good)
        _check_leaf(pending, index, bad)
        if bad[1] >= good[1]:
            raise revert("NoFraud")
        self._condemn(sender, poolId, DECREASE)

    def proveOwner(
        self, sender: str, poolId: bytes, pending: RootTuple, index: int, leaf: LeafTuple
    ) -> None:
        self._check_pending(poolId, pending)
        _check_leaf(pending, index, leaf)
        if leaf[0] == self._owner_id(index):
            raise revert("NoFraud")
        self._condemn(sender, poolId, WRONG_OWNER)

    def proveOmission(self, sender: str, poolId: bytes, pending: RootTuple, index: int) -> None:
        self._check_pending(poolId, pending)
        begun_at = self._pool.runningEpoch(poolId)[2]
        due = self._registry.registeredAt(index) < begun_at
        if index < pending[2] or not due:
            raise revert("NoFraud")
        self._condemn(sender, poolId, OMISSION)

    def proveStranger(self, sender: str, poolId: bytes, pending: RootTuple) -> None:
        self._check_pending(poolId, pending)
        if pending[2] <= self._registry.ownerCount():
            raise revert("NoFraud")
        self._condemn(sender, poolId, STRANGER)

    def proveSum(
        self,
        sender: str,
        poolId: bytes,
        pending: RootTuple,
        node: ChildrenTuple,
        path: Sequence[StepTuple],
    ) -> None:
        self._check_pending(poolId, pending)
        left, right = sumtree.SumNode(*node[:2]), sumtree.SumNode(*node[2:])
        hash_ = sumtree.parent(left, right).hash
        for stated, sibling, sibling_sum, is_right in path:
            own, other = sumtree.SumNode(hash_, stated), sumtree.SumNode(sibling, sibling_sum)
            hash_ = sumtree.parent(*((other, own) if is_right else (own, other))).hash
        said = path[0][0] if path else pending[1]
        if hash_ != pending[0] or left.sum + right.sum == said:
            raise revert("NoFraud")
        self._condemn(sender, poolId, WRONG_SUM)

    def demand(self, sender: str, poolId: bytes, pending: RootTuple, index: int) -> bytes:
        self._check_pending(poolId, pending)
        if index >= pending[2]:
            raise revert("IndexOutside", index, pending[2])
        epoch, _, _, activates_at = self._pool.pendingHead(poolId)
        quarter = self._pool.windowOf(poolId) // 4
        if self.env.now + 2 * quarter > activates_at:
            raise revert("TooLate", activates_at)
        commit = self._commit_of(poolId)
        id_ = _id_of(commit, index)
        if self._demands[id_].deadline:
            raise revert("AlreadyDemanded", id_)
        deadline = self.env.now + quarter
        self._demands[id_] = Demand(sender, deadline, True, poolId, commit)
        place = {"pool": poolId, "epoch": epoch, "index": index, "id": id_}
        self.emit("OpeningDemanded", {**place, "demander": sender, "deadline": deadline})
        self._token.transferFrom(self.address, sender, self.address, self._bond)
        return id_

    def answer(
        self,
        sender: str,
        poolId: bytes,
        pending: RootTuple,
        index: int,
        cumulative: int,
        proof: bytes,
    ) -> None:
        self._check_pending(poolId, pending)
        id_ = _id_of(self._commit_of(poolId), index)
        if not self._demands[id_].open:
            raise revert("NotDemanded", id_)
        if not _verify(pending, index, (self._owner_id(index), cumulative, proof)):
            raise revert("BadLeaf", index)
        self._demands[id_] = replace(self._demands[id_], open=False)
        facts = {"id": id_, "answerer": sender, "cumulative": cumulative, "proof": proof}
        self.emit("OpeningAnswered", facts)
        self._token.transfer(self.address, sender, self._bond)

    def close(self, _sender: str, id: bytes) -> None:
        demanded = self._demands[id]
        if not demanded.open:
            raise revert("NotDemanded", id)
        pending = self._commit_of(demanded.pool) == demanded.commit
        if pending and self.env.now <= demanded.deadline:
            raise revert("AnswerOpen", demanded.deadline)
        self._demands[id] = replace(demanded, open=False)
        self.emit("OpeningClosed", {"id": id})
        if pending:
            self._punish(demanded.pool, UNOPENED, self._fine, demanded.demander)
        self._token.transfer(self.address, demanded.demander, self._bond)

    def demandOf(self, id: bytes) -> tuple[bytes, str, int, bool]:
        d = self._demands[id]
        return d.pool, d.demander, d.deadline, d.open

    def openingBond(self) -> int:
        return self._bond

    def openingFine(self) -> int:
        return self._fine

    def _condemn(self, reporter: str, pool: bytes, fraud: int) -> None:
        self._punish(pool, fraud, MAX_UINT128, reporter)

    def _punish(self, pool: bytes, fraud: int, amount_each: int, reporter: str) -> None:
        epoch, head, _, _ = self._pool.pendingHead(pool)
        facts = {"pool": pool, "epoch": epoch, "fraud": fraud, "reporter": reporter}
        self.emit("FraudProven", facts)
        evidence = keccak(encode(["bytes32", "uint8"], [head, fraud]))
        self._pool.condemn(self.address, pool, amount_each, evidence, reporter)

    def _check_pending(self, pool: bytes, pending: RootTuple) -> None:
        head, given = self._pool.pendingHead(pool)[1], head_of(*pending)
        if given != head:
            raise revert("NotPendingRoot", given, head)

    def _owner_id(self, index: int) -> bytes:
        return address_bytes(self._registry.operatorOf(index)).rjust(32, b"\x00")

    def _commit_of(self, pool: bytes) -> bytes:
        epoch, head, committed_at, _ = self._pool.pendingHead(pool)
        return keccak(
            encode(["bytes32", "uint64", "bytes32", "uint256"], [pool, epoch, head, committed_at])
        )


def _check_leaf(root: RootTuple, index: int, leaf: LeafTuple) -> None:
    if index >= root[2]:
        raise revert("IndexOutside", index, root[2])
    if not _verify(root, index, leaf):
        raise revert("BadLeaf", index)


def _verify(root: RootTuple, index: int, leaf: LeafTuple) -> bool:
    nodes = sumtree.unpack_proof(leaf[2])
    known = sumtree.SumLeaf(index, leaf[0], leaf[1])
    return nodes is not None and sumtree.verify(*root[:3], known, nodes)


def _id_of(commit: bytes, index: int) -> bytes:
    return keccak(encode(["bytes32", "uint256"], [commit, index]))
