"""The merkle-sum tree: every leaf provable at its index, sums bound, nothing beyond the total."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LocalError
from settlement.claims import owner_id, tree_of
from settlement.sumtree import MAX_SUM, SumLeaf, SumNode, SumTree, depth, verify

AMOUNTS = st.lists(st.integers(0, 2**100), min_size=1, max_size=20)
OWNER = b"\x00" * 12 + b"\x01" * 20


def tree(amounts: list[int]) -> SumTree:
    return SumTree([SumLeaf(index, OWNER, amount) for index, amount in enumerate(amounts)])


def holds(made: SumTree, leaf: SumLeaf, proof: tuple[SumNode, ...]) -> bool:
    return verify(made.root, made.total, len(made.leaves), leaf, proof)


@given(AMOUNTS)
def test_every_leaf_is_proven_and_the_total_is_their_sum(amounts: list[int]) -> None:
    made = tree(amounts)
    assert made.total == sum(amounts)
    for leaf in made.leaves:
        proof = made.proof(leaf.index)
        assert len(proof) == depth(len(amounts))
        assert holds(made, leaf, proof)
        assert not holds(made, replace(leaf, cumulative=leaf.cumulative + 1), proof)
        assert not holds(made, replace(leaf, owner_id=bytes(32)), proof)
        assert not holds(made, replace(leaf, index=leaf.index ^ 1), proof) or not proof
        assert not holds(made, leaf, (*proof, SumNode(bytes(32), 0)))


@given(AMOUNTS, st.data())
def test_no_sibling_s_sum_can_be_shifted(amounts: list[int], data: st.DataObject) -> None:
    made = tree(amounts)
    index = data.draw(st.integers(0, len(amounts) - 1))
    proof = list(made.proof(index))
    if not proof:
        return
    at = data.draw(st.integers(0, len(proof) - 1))
    by = data.draw(st.integers(-(2**100), 2**100).filter(bool))
    leaf = made.leaves[index]
    proof[at] = SumNode(proof[at].hash, max(0, proof[at].sum + by))
    changed = proof[at] != made.proof(index)[at]
    assert not holds(made, leaf, tuple(proof)) or not changed
    lowered = replace(leaf, cumulative=max(0, leaf.cumulative - by))
    assert not holds(made, lowered, tuple(proof)) or lowered == leaf


@pytest.mark.parametrize(
    ("count", "length"),
    [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1023, 10), (1024, 10), (1025, 11)],
)
def test_the_depth_is_the_least_that_holds_all_leaves(count: int, length: int) -> None:
    assert depth(count) == length


def test_another_leaf_count_fits_no_proof() -> None:
    made = tree([1, 2, 3])
    leaf, proof = made.leaves[2], made.proof(2)
    assert verify(made.root, 6, 3, leaf, proof)
    assert verify(made.root, 6, 4, leaf, proof)  # the same shape: index 3 is the empty leaf
    assert not verify(made.root, 6, 2, leaf, proof)
    assert not verify(made.root, 6, 5, leaf, proof)
    empty = SumLeaf(3, OWNER, 0)
    assert not verify(made.root, 6, 4, empty, made.proof(2))


def test_a_total_below_the_sums_proves_nothing() -> None:
    made = tree([1, 2, 3])
    for leaf in made.leaves:
        assert not verify(made.root, 5, 3, leaf, made.proof(leaf.index))


def test_leaves_have_no_gap_no_debt_and_fit_128_bits() -> None:
    for leaves in (
        [],
        [SumLeaf(1, OWNER, 1)],
        [SumLeaf(0, OWNER, 1), SumLeaf(2, OWNER, 1)],
        [SumLeaf(0, OWNER, -1)],
        [SumLeaf(0, OWNER, MAX_SUM), SumLeaf(1, OWNER, 1)],
    ):
        with pytest.raises(LocalError, match="bad-leaves"):
            SumTree(leaves)
    assert tree([MAX_SUM]).total == MAX_SUM


def test_owners_without_earnings_keep_their_place() -> None:
    operators = ["0x" + "01" * 20, "0x" + "02" * 20, "0x" + "03" * 20]
    made = tree_of(operators, {2: 5})
    assert [leaf.cumulative for leaf in made.leaves] == [0, 0, 5]
    assert made.leaves[1].owner_id == owner_id(operators[1])
    with pytest.raises(LocalError, match="unknown-owner"):
        tree_of(operators, {3: 1})
