"""From cumulative amounts to an epoch's tree, its signed commit, and each owner's claim."""

from collections.abc import Mapping, Sequence
from typing import Any

from protocol import typed_data
from protocol.errors import LocalError
from protocol.ids import address_bytes
from settlement.models.arbiter import accusation_id, order_id
from settlement.models.jury import vote_commitment
from settlement.models.pool_state import EMPTY_HEAD, RootTuple, head_of
from settlement.models.pots import pot_id
from settlement.sumtree import SumLeaf, SumTree, pack_proof

__all__ = [
    "EMPTY_HEAD",
    "GENESIS_POOL",
    "RootTuple",
    "accusation_id",
    "claim_args",
    "commit_args",
    "contract_domain",
    "fallback_args",
    "head_of",
    "order_id",
    "owner_id",
    "pot_id",
    "root_args",
    "slash_args",
    "tree_of",
    "vote_commitment",
]

ClaimArgs = tuple[int, bytes, int, bytes]
GENESIS_POOL = bytes(32)


def contract_domain(contract: str, chain_id: int, address: str) -> typed_data.Domain:
    """The EIP-712 domain of a deployed contract."""
    return typed_data.Domain(contract, chain_id, address_bytes(address))


def owner_id(operator: str) -> bytes:
    """bytes32(uint256(uint160(operator)))."""
    return typed_data.address(address_bytes(operator))


def tree_of(operators: Sequence[str], cumulative: Mapping[int, int]) -> SumTree:
    """The tree with one leaf for each registered operator, in order of index.

    ``cumulative`` maps an owner index to base units ever earned; who is missing has earned nothing.
    Raises LocalError ``unknown-owner`` for an amount of an index that is not registered.
    """
    strangers = [index for index in cumulative if not 0 <= index < len(operators)]
    if strangers:
        raise LocalError("unknown-owner", f"amounts for indices {strangers} without an owner")
    leaves = [
        SumLeaf(index, owner_id(operator), cumulative.get(index, 0))
        for index, operator in enumerate(operators)
    ]
    return sum_tree(tuple(leaves))


def sum_tree(leaves: tuple[SumLeaf, ...]) -> SumTree:
    """The tree over leaves; pure, so a simulation may share what it returns."""
    return SumTree(leaves)


def claim_args(tree: SumTree, index: int) -> ClaimArgs:
    """One item of ``AttributionPool.claimBatch``; ``claim`` takes pool and root before it."""
    leaf = tree.leaves[index]
    return index, leaf.owner_id, leaf.cumulative, pack_proof(tree.proof(index))


def root_args(commit: typed_data.EpochCommit) -> RootTuple:
    """A committed root with its facts, as claims, proofs and ``restore`` name it."""
    draws = typed_data.draws_hash(commit.draws)
    return commit.root, commit.total, commit.leaf_count, draws


def commit_args(
    commit: typed_data.EpochCommit, domain: typed_data.Domain, signatures: Sequence[bytes]
) -> tuple[Any, ...]:
    """Arguments of ``AttributionPool.commit``; pass exactly as many signatures as its threshold."""
    return (*fallback_args(commit), b"".join(_sorted(commit.digest(domain), signatures)))


def fallback_args(commit: typed_data.EpochCommit) -> tuple[Any, ...]:
    """Arguments of ``AttributionPool.commitFallback``."""
    struct = (commit.pool, commit.epoch, commit.previous, commit.root, commit.total)
    facts = (commit.leaf_count, commit.evidence, commit.rule_version)
    return (*struct, *facts), tuple((draw.pot, draw.amount) for draw in commit.draws)


def slash_args(
    slash: typed_data.Slash, domain: typed_data.Domain, signatures: Sequence[bytes]
) -> tuple[Any, ...]:
    """Arguments of ``Arbiter.order``; exactly as many signatures as its threshold."""
    operator, reporter = "0x" + slash.operator.hex(), "0x" + slash.reporter.hex()
    order = (operator, slash.unit, slash.amount, slash.evidence, reporter)
    return order, _sorted(slash.digest(domain), signatures)


def _sorted(digest: bytes, signatures: Sequence[bytes]) -> tuple[bytes, ...]:
    """In ascending order of the signers' addresses. Raises PeerError ``bad-signature``."""
    return tuple(sorted(signatures, key=lambda each: typed_data.recover(digest, each)))
