"""Merkle trees: every leaf is provable at its place, nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LocalError
from protocol.merkle import Hash, MerkleTree, blake3, keccak256, verify

LEAVES = st.lists(st.binary(max_size=40), min_size=1, max_size=20)
HASHES = st.sampled_from([keccak256, blake3])


@given(LEAVES, HASHES)
def test_every_leaf_is_proven_at_its_place_only(leaves: list[bytes], hash_: Hash) -> None:
    tree = MerkleTree(leaves, hash_)
    for index, leaf in enumerate(leaves):
        proof = tree.proof(index)
        assert verify(tree.root, tree.count, index, leaf, proof, hash_)
        assert not verify(tree.root, tree.count, index, leaf + b"x", proof, hash_)
        assert not verify(tree.root, tree.count + 1, tree.count, leaf, proof, hash_)
        assert not verify(tree.root, tree.count, -1, leaf, proof, hash_)


@given(LEAVES, HASHES, st.integers(0, 19), st.integers(0, 19))
def test_a_leaf_is_not_proven_elsewhere(
    leaves: list[bytes], hash_: Hash, at: int, other: int
) -> None:
    at, other = at % len(leaves), other % len(leaves)
    tree = MerkleTree(leaves, hash_)
    proven = verify(tree.root, tree.count, other, leaves[at], tree.proof(at), hash_)
    assert proven == (at == other) or leaves[at] == leaves[other]


@given(LEAVES, HASHES, st.data())
def test_a_proof_has_one_length_and_one_content(
    leaves: list[bytes], hash_: Hash, data: st.DataObject
) -> None:
    tree = MerkleTree(leaves, hash_)
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = tree.proof(index)
    longer = (*proof, bytes(32))
    assert not verify(tree.root, tree.count, index, leaves[index], longer, hash_)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        flipped = bytes([proof[at][0] ^ 1]) + proof[at][1:]
        wrong = (*proof[:at], flipped, *proof[at + 1 :])
        assert not verify(tree.root, tree.count, index, leaves[index], wrong, hash_)
        assert not verify(tree.root, tree.count, index, leaves[index], proof[:-1], hash_)


@given(LEAVES, LEAVES)
def test_other_leaves_have_another_root(left: list[bytes], right: list[bytes]) -> None:
    same = MerkleTree(left, blake3).root == MerkleTree(right, blake3).root
    assert same == (left == right)


def test_an_inner_node_is_no_leaf() -> None:
    tree = MerkleTree([b"a", b"b", b"c", b"d"], keccak256)
    inner = keccak256(b"\x00a") + keccak256(b"\x00b")
    assert not verify(tree.root, 2, 0, inner, tree.proof(0)[1:], keccak256)


def test_a_tree_of_one_leaf_has_an_empty_proof() -> None:
    tree = MerkleTree([b"only"], keccak256)
    assert tree.root == keccak256(b"\x02" + bytes(7) + b"\x01" + keccak256(b"\x00only"))
    assert tree.proof(0) == ()
    assert verify(tree.root, 1, 0, b"only", (), keccak256)


def test_there_is_no_empty_tree_and_no_leaf_beyond_the_last() -> None:
    with pytest.raises(LocalError, match="empty-tree"):
        MerkleTree([], keccak256)
    with pytest.raises(LocalError, match="no-leaf"):
        MerkleTree([b"a"], keccak256).proof(1)
