"""Merkle trees over any 32-byte hash: step leaves and rows (keccak-256), content (BLAKE3-256).

Leaf and node hashes carry different prefix bytes, so a node never passes for a leaf. A lone node at
the end of a level moves up unchanged, so the leaf count fixes the shape of every proof; the root
hashes the count in: root = H(0x02, count as 8 bytes, top node).
"""

from collections.abc import Callable, Sequence

from blake3 import blake3 as _blake3
from eth_utils.crypto import keccak as keccak256

from protocol.errors import LocalError

Hash = Callable[[bytes], bytes]
LEAF = b"\x00"
NODE = b"\x01"
ROOT = b"\x02"

__all__ = ["Hash", "MerkleTree", "blake3", "keccak256", "verify"]


def blake3(data: bytes) -> bytes:
    """BLAKE3-256."""
    return _blake3(data).digest()


class MerkleTree:
    """All levels of the tree over ``leaves`` (byte strings of any length, at least one)."""

    def __init__(self, leaves: Sequence[bytes], hash_: Hash) -> None:
        if not leaves:
            raise LocalError("empty-tree", "a Merkle tree needs at least one leaf")
        self._hash = hash_
        self._levels = [[hash_(LEAF + leaf) for leaf in leaves]]
        while len(self._levels[-1]) > 1:
            self._levels.append(_parents(self._levels[-1], hash_))

    @property
    def root(self) -> bytes:
        """The 32-byte root."""
        return _root(self._levels[-1][0], self.count, self._hash)

    @property
    def count(self) -> int:
        """Number of leaves."""
        return len(self._levels[0])

    def proof(self, index: int) -> tuple[bytes, ...]:
        """Sibling hashes from the leaf to the root. Raises LocalError ``no-leaf``."""
        if not 0 <= index < self.count:
            raise LocalError("no-leaf", f"leaf {index} of {self.count}")
        siblings = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                siblings.append(level[index ^ 1])
            index >>= 1
        return tuple(siblings)


def verify(
    root: bytes, count: int, index: int, leaf: bytes, proof: Sequence[bytes], hash_: Hash
) -> bool:
    """Whether ``leaf`` stands at ``index`` of the tree with ``count`` leaves and this root."""
    if not 0 <= index < count:
        return False
    node, used, width = hash_(LEAF + leaf), 0, count
    while width > 1:
        if index ^ 1 < width:
            if used == len(proof) or len(proof[used]) != 32:
                return False
            pair = proof[used] + node if index & 1 else node + proof[used]
            node, used = hash_(NODE + pair), used + 1
        index, width = index >> 1, (width + 1) >> 1
    return used == len(proof) and _root(node, count, hash_) == root


def _root(top: bytes, count: int, hash_: Hash) -> bytes:
    return hash_(ROOT + count.to_bytes(8, "big") + top)


def _parents(level: list[bytes], hash_: Hash) -> list[bytes]:
    pairs = [
        hash_(NODE + left + right) for left, right in zip(level[::2], level[1::2], strict=False)
    ]
    return pairs + level[len(pairs) * 2 :]
