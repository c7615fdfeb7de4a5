"""What a pool holds and what is hashed of it; the model of ``AttributionPool`` stands beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from protocol import typed_data
from settlement import sumtree
from settlement.models.ledger import MAX_UINT128, ZERO32

CommitTuple = tuple[bytes, int, bytes, bytes, int, int, bytes, int]
DrawTuple = tuple[bytes, int]
RootTuple = tuple[bytes, int, int, bytes]
ClaimTuple = tuple[int, bytes, int, bytes]
NEVER = 2**32 - 1
MOST_WINDOW = 2**24 - 1
FALLBACK = -1


class Punisher(Protocol):
    """What the pool asks of the Arbiter."""

    address: str

    def punish(
        self, sender: str, signers: Sequence[str], amountEach: int, evidence: bytes, reporter: str
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool's state; see ``AttributionPool.sol`` for the fields."""

    set: int
    threshold: int
    begun_at: int
    begun_before: int
    activates_at: int
    window: int
    rule_version: int
    total: int = 0
    funded: int = 0
    claimed: int = 0
    epoch: int = 0
    signers: tuple[str, ...] = ()
    frozen: bool = False  # the pending commit waits for a verdict
    case: bool = False  # a challenge is undecided
    voided: bool = False  # draws wait for restore
    gone: bool = False  # the last commit was voided
    frozen_at: int = 0
    still: int = 0
    left: int = 0
    condemned: int = 0
    heads: tuple[bytes, bytes] = field(default=(ZERO32, ZERO32))


@dataclass(frozen=True, slots=True)
class PoolTerms:
    """Constructor parameters: durations in seconds, amounts in base units."""

    window: int
    max_window: int
    unit_stake: int
    reclaim_seconds: int
    stall_seconds: int


def head_of(root: bytes, total: int, leaf_count: int, draws: bytes) -> bytes:
    """What the contract stores of a committed root."""
    return keccak(
        encode(["bytes32", "uint256", "uint256", "bytes32"], [root, total, leaf_count, draws])
    )


EMPTY_HEAD = head_of(ZERO32, 0, 0, ZERO32)


def draws_hash(draws: Sequence[DrawTuple]) -> bytes:
    return typed_data.draws_hash(tuple(typed_data.Draw(*draw) for draw in draws))


def climb(head: bytes, leaf_count: int, draws: bytes, item: ClaimTuple) -> int | None:
    """The total of the root with this head, to which the item's proof leads; None when not."""
    index, owner_id, cumulative, proof = item
    nodes = sumtree.unpack_proof(proof)
    if nodes is None or len(nodes) != sumtree.depth(leaf_count) or cumulative > MAX_UINT128:
        return None
    top = sumtree.climb(sumtree.SumLeaf(index, owner_id, cumulative), nodes)
    return top.sum if head_of(top.hash, top.sum, leaf_count, draws) == head else None


def verify(active: RootTuple, index: int, owner_id: bytes, cumulative: int, proof: bytes) -> bool:
    leaf = sumtree.SumLeaf(index, owner_id, cumulative)
    nodes = sumtree.unpack_proof(proof)
    root, total, leaf_count, _ = active
    return nodes is not None and sumtree.verify(root, total, leaf_count, leaf, nodes)
