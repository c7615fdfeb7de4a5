"""The merkle-sum tree of one epoch: the same bytes as ``contracts/SumTree.sol``.

A leaf is (index, owner id, cumulative amount) at the position of its index. Every node hash takes
in both children's sums, so the root binds the total and provable leaves can never exceed it.
Positions beyond the last leaf, up to the next power of two, hold the empty leaf: 32 zero bytes,
sum 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eth_utils.crypto import keccak

from protocol.errors import LocalError

EMPTY = bytes(32)
MAX_SUM = 2**128 - 1
LEAF = b"\x00"
NODE = b"\x01"
PROOF_NODE = 48  # bytes of a packed sibling: hash and sum


@dataclass(frozen=True, slots=True)
class SumNode:
    """A hash with the sum of all leaves below it, in base units."""

    hash: bytes
    sum: int


@dataclass(frozen=True, slots=True)
class SumLeaf:
    """One owner's cumulative amount; ``owner_id`` is the operator's address as a 32-byte word."""

    index: int
    owner_id: bytes
    cumulative: int

    def node(self) -> SumNode:
        """The leaf's hash and sum."""
        body = _word(self.index) + self.owner_id + _word(self.cumulative)
        return SumNode(keccak(LEAF + body), self.cumulative)


def depth(leaf_count: int) -> int:
    """Proof length of a tree with ``leaf_count`` leaves: ceil(log2)."""
    return (leaf_count - 1).bit_length()


def parent(left: SumNode, right: SumNode) -> SumNode:
    """The node above two siblings."""
    body = left.hash + _word(left.sum) + right.hash + _word(right.sum)
    return SumNode(keccak(NODE + body), left.sum + right.sum)


class SumTree:
    """The tree over leaves whose indices are 0, 1, 2, ... Raises LocalError ``bad-leaves``."""

    def __init__(self, leaves: Sequence[SumLeaf]) -> None:
        if not leaves or any(leaf.index != at for at, leaf in enumerate(leaves)):
            raise LocalError("bad-leaves", "leaves must be indexed 0, 1, 2, ... without a gap")
        if any(leaf.cumulative < 0 for leaf in leaves):
            raise LocalError("bad-leaves", "no amount is negative")
        if sum(leaf.cumulative for leaf in leaves) > MAX_SUM:
            raise LocalError("bad-leaves", "the total does not fit 128 bits")
        self.leaves = tuple(leaves)
        self._levels = [[leaf.node() for leaf in leaves]]
        # padding[i]: the empty subtree of height i, shared by the whole right edge
        self._padding = [SumNode(EMPTY, 0)]
        for _ in range(depth(len(leaves))):
            self._levels.append(self._next(self._levels[-1], self._padding[-1]))
            self._padding.append(parent(self._padding[-1], self._padding[-1]))

    @property
    def root(self) -> bytes:
        """The 32-byte root that an epoch commits."""
        return self._levels[-1][0].hash

    @property
    def total(self) -> int:
        """Sum of all leaves in base units."""
        return self._levels[-1][0].sum

    def top(self) -> tuple[bytes, int, bytes, int]:
        """Both children of the root, as a proof about its sum names them; of a single leaf zeros."""
        if len(self._levels) == 1:
            return EMPTY, 0, EMPTY, 0
        left, right = self._levels[-2]
        return left.hash, left.sum, right.hash, right.sum

    def proof(self, index: int) -> tuple[SumNode, ...]:
        """Siblings from the leaf to the root. Raises LocalError ``no-leaf``."""
        if not 0 <= index < len(self.leaves):
            raise LocalError("no-leaf", f"leaf {index} of {len(self.leaves)}")
        siblings = []
        for level, padding in zip(self._levels[:-1], self._padding, strict=False):
            siblings.append(level[index ^ 1] if index ^ 1 < len(level) else padding)
            index >>= 1
        return tuple(siblings)

    @staticmethod
    def _next(level: list[SumNode], padding: SumNode) -> list[SumNode]:
        full = level if len(level) % 2 == 0 else [*level, padding]
        return [parent(full[at], full[at + 1]) for at in range(0, len(full), 2)]


def climb(leaf: SumLeaf, proof: Sequence[SumNode]) -> SumNode:
    """The top of the tree in which ``leaf`` has this proof."""
    node, position = leaf.node(), leaf.index
    for sibling in proof:
        node = parent(sibling, node) if position & 1 else parent(node, sibling)
        position >>= 1
    return node


def verify(
    root: bytes, total: int, leaf_count: int, leaf: SumLeaf, proof: Sequence[SumNode]
) -> bool:
    """Whether ``leaf`` is in the tree of ``leaf_count`` leaves with this root and total.

    Sums only grow on the way and must end at the total, so none of them exceeds it.
    """
    if not 0 <= leaf.index < leaf_count or len(proof) != depth(leaf_count):
        return False
    if leaf.cumulative > total:
        return False
    return climb(leaf, proof) == SumNode(root, total)


def pack_proof(proof: Sequence[SumNode]) -> bytes:
    """A proof as contracts take it: 32 bytes of hash and 16 of sum for each sibling."""
    return b"".join(node.hash + node.sum.to_bytes(16, "big") for node in proof)


def unpack_proof(raw: bytes) -> tuple[SumNode, ...] | None:
    """The siblings of a packed proof; None when its length is no number of siblings."""
    if len(raw) % PROOF_NODE:
        return None
    return tuple(
        SumNode(raw[at : at + 32], int.from_bytes(raw[at + 32 : at + PROOF_NODE], "big"))
        for at in range(0, len(raw), PROOF_NODE)
    )


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
