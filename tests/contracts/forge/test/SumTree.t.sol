// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SumTree} from "settlement/SumTree.sol";
import {Trees} from "./Trees.sol";
import {World} from "./World.sol";

/// @dev The library as its users call it: proofs lie in calldata.
contract Verifier {
    function verify(
        bytes32 root,
        uint256 total,
        uint256 leafCount,
        uint256 index,
        bytes32 ownerId,
        uint256 cumulative,
        bytes calldata proof
    ) external pure returns (bool) {
        return SumTree.verify(root, total, leafCount, index, ownerId, cumulative, proof);
    }
}

/// @title Every leaf proves; nothing else does.
contract SumTreeTest is World {
    using Trees for Trees.Tree;

    uint256 private constant NODE = 48;
    Verifier private _verifier;

    function setUp() public {
        _verifier = new Verifier();
    }

    /// @dev Trees of 1, 2^k and 2^k +- 1 leaves, every leaf of each.
    function test_edges_of_every_size() public view {
        for (uint256 k = 0; k <= 6; ++k) {
            for (uint256 leaves = (1 << k) - (k > 0 ? 1 : 0); leaves <= (1 << k) + 1; ++leaves) {
                _allProve(leaves, keccak256(abi.encode(leaves)));
            }
        }
    }

    /// forge-config: nightly.fuzz.runs = 100000
    function testFuzz_every_leaf_proves(uint256 leaves, bytes32 seed) public view {
        _allProve(within(leaves, 1, 40), seed);
    }

    /// @dev Of one index no other amount, owner, position or number of leaves proves.
    /// forge-config: nightly.fuzz.runs = 100000
    function testFuzz_nothing_else_proves(
        uint256 leaves,
        bytes32 seed,
        uint256 index,
        uint256 other
    ) public view {
        leaves = within(leaves, 2, 40);
        index = within(index, 0, leaves - 1);
        (Trees.Tree memory tree, bytes32[] memory owners, uint256[] memory amounts) = _tree(leaves, seed);
        bytes memory proof = tree.proof(index);
        if (other != amounts[index]) {
            check(!_verify(tree, leaves, index, owners[index], other, proof), "another amount");
        }
        if (bytes32(other) != owners[index]) {
            check(!_verify(tree, leaves, index, bytes32(other), amounts[index], proof), "another owner");
        }
        uint256 place_ = within(other, 0, leaves - 1);
        if (place_ != index) {
            check(!_verify(tree, leaves, place_, owners[index], amounts[index], proof), "another index");
        }
        uint256 twice = 2 << (proof.length / NODE);
        check(!_verify(tree, twice, index, owners[index], amounts[index], proof), "a deeper tree");
        uint256 half = (1 << (proof.length / NODE)) / 2;
        if (index < half) {
            check(!_verify(tree, half, index, owners[index], amounts[index], proof), "a flatter tree");
        }
    }

    /// @dev Any change of any byte of a proof: hashes and sums of all siblings are bound.
    /// forge-config: nightly.fuzz.runs = 100000
    function testFuzz_every_byte_is_bound(
        uint256 leaves,
        bytes32 seed,
        uint256 index,
        uint256 position,
        uint8 change
    ) public view {
        vm.assume(change != 0);
        leaves = within(leaves, 2, 40);
        index = within(index, 0, leaves - 1);
        (Trees.Tree memory tree, bytes32[] memory owners, uint256[] memory amounts) = _tree(leaves, seed);
        bytes memory proof = tree.proof(index);
        position = within(position, 0, proof.length - 1);
        proof[position] = bytes1(uint8(proof[position]) ^ change);
        check(!_verify(tree, leaves, index, owners[index], amounts[index], proof), "a changed byte");
        proof[position] = bytes1(uint8(proof[position]) ^ change);
        bytes memory longer = abi.encodePacked(proof, bytes1(change));
        check(!_verify(tree, leaves, index, owners[index], amounts[index], longer), "a byte more");
    }

    /// @dev Two depths for one index: an inner node shown as a leaf of a flatter tree, a level left out,
    /// a level too many.
    /// forge-config: nightly.fuzz.runs = 100000
    function testFuzz_an_index_has_one_depth(uint256 leaves, bytes32 seed) public view {
        leaves = within(leaves, 3, 40);
        (Trees.Tree memory tree, bytes32[] memory owners, uint256[] memory amounts) = _tree(leaves, seed);
        bytes memory proof = tree.proof(0);
        bytes memory shorter = new bytes(proof.length - NODE);
        for (uint256 i = 0; i < shorter.length; ++i) shorter[i] = proof[i + NODE];
        uint256 both = tree.sums[1][0];
        check(!_verify(tree, leaves, 0, tree.hashes[1][0], both, shorter), "a node as a leaf");
        check(!_verify(tree, leaves, 0, owners[0], amounts[0], shorter), "a level left out");
        bytes memory longer = abi.encodePacked(proof, bytes32(0), uint128(0));
        check(!_verify(tree, leaves, 0, owners[0], amounts[0], longer), "an empty level on top");
        // The same with a root that was made for it: the number of leaves fixes the depth.
        bytes32 top = keccak256(
            abi.encodePacked(uint8(1), tree.root(), tree.total(), bytes32(0), uint256(0))
        );
        check(
            !_verifier.verify(top, tree.total(), leaves, 0, owners[0], amounts[0], longer),
            "a root made for a deeper proof"
        );
    }

    /// @dev A dishonest tree whose leaves sum to more than 2^256: no leaf above the total proves.
    /// forge-config: nightly.fuzz.runs = 100000
    function testFuzz_sums_that_wrap_prove_nothing(uint256 greed) public view {
        greed = within(greed, 6, type(uint256).max);
        bytes32[] memory owners = new bytes32[](2);
        uint256[] memory amounts = new uint256[](2);
        (owners[0], owners[1]) = (bytes32("greedy"), bytes32("filler"));
        unchecked {
            (amounts[0], amounts[1]) = (greed, 5 - greed);
        }
        Trees.Tree memory tree = Trees.build(owners, amounts);
        check(tree.total() == 5, "the sums wrap");
        check(!_verify(tree, 2, 0, owners[0], greed, tree.proof(0)), "a wrapped sum");
    }

    /// @dev A root whose total is less than its leaves' sum pays nobody.
    /// forge-config: nightly.fuzz.runs = 100000
    function testFuzz_a_total_below_the_sum_proves_nothing(
        uint256 leaves,
        bytes32 seed,
        uint256 short
    ) public view {
        leaves = within(leaves, 1, 40);
        (Trees.Tree memory tree, bytes32[] memory owners, uint256[] memory amounts) = _tree(leaves, seed);
        uint256 sum = tree.total();
        vm.assume(sum != 0);
        short = within(short, 0, sum - 1);
        for (uint256 i = 0; i < leaves; ++i) {
            bytes memory proof = tree.proof(i);
            check(
                !_verifier.verify(tree.root(), short, leaves, i, owners[i], amounts[i], proof),
                "more than the total"
            );
        }
    }

    /// @dev The greatest total and the greatest number of leaves that a commit can name.
    function test_uint128_maximum_and_32_levels() public view {
        uint256 most = type(uint128).max;
        uint256 index = type(uint32).max - 1;
        bytes32 hash = keccak256(abi.encodePacked(uint8(0), index, bytes32("rich"), most));
        bytes memory proof = new bytes(32 * NODE);
        for (uint256 i = 0; i < 32; ++i) {
            hash = (index >> i) & 1 == 0
                ? keccak256(abi.encodePacked(uint8(1), hash, most, bytes32(0), uint256(0)))
                : keccak256(abi.encodePacked(uint8(1), bytes32(0), uint256(0), hash, most));
        }
        uint256 leaves = type(uint32).max;
        check(_verifier.verify(hash, most, leaves, index, "rich", most, proof), "32 levels");
        check(!_verifier.verify(hash, most, 1 << 33, index, "rich", most, proof), "33 levels");
        check(!_verifier.verify(hash, most - 1, leaves, index, "rich", most, proof), "above the total");
    }

    function _allProve(uint256 leaves, bytes32 seed) private view {
        (Trees.Tree memory tree, bytes32[] memory owners, uint256[] memory amounts) = _tree(leaves, seed);
        for (uint256 i = 0; i < leaves; ++i) {
            check(_verify(tree, leaves, i, owners[i], amounts[i], tree.proof(i)), "an honest leaf");
        }
    }

    function _tree(
        uint256 leaves,
        bytes32 seed
    )
        private
        pure
        returns (Trees.Tree memory tree, bytes32[] memory owners, uint256[] memory amounts)
    {
        owners = new bytes32[](leaves);
        amounts = new uint256[](leaves);
        for (uint256 i = 0; i < leaves; ++i) {
            owners[i] = keccak256(abi.encode(seed, "owner", i));
            // zeros, ones and large amounts; together below 2^128
            uint256 size = uint256(keccak256(abi.encode(seed, "size", i))) % 121;
            amounts[i] = uint256(keccak256(abi.encode(seed, "amount", i))) & ((1 << size) - 1);
        }
        tree = Trees.build(owners, amounts);
    }

    function _verify(
        Trees.Tree memory tree,
        uint256 leaves,
        uint256 index,
        bytes32 owner,
        uint256 amount,
        bytes memory proof
    ) private view returns (bool) {
        return _verifier.verify(tree.root(), tree.total(), leaves, index, owner, amount, proof);
    }
}
