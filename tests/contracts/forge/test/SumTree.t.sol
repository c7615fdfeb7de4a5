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

    function testFuzz_every_leaf_proves(uint256 leaves, bytes32 seed) public view {
        _allProve(within(leaves, 1, 40), seed);
    }

    /// @dev Of one index no other amount, owner, position or number of leaves proves.
    function testFuzz_nothing_else_proves(
        uint256 leaves,
        bytes32 seed,
        uint256 index,
        uint256 other
    ) public view {
        leaves = within(leaves, 2, 40);
        index = within(index, 0, leaves - 1);
        (Trees.Tree memory tree, bytes32[] memory owners, uint256[] memory amounts) = _tree(leaves, seed);
        Trees.Node[] memory proof = tree.proof(index);
        if (other != amounts[index]) {
            check(!_verify(tree, leaves, index, owners[index], other, proof), "another amount");
        }
        if (bytes32(other) != owners[index]) {
            check(!_verify(tree, leaves, index, bytes32(other), amounts[index], proof), "another owner");
        }
        uint256 place = within(other, 0, leaves - 1);
        if (place != index) {
            check(!_verify(tree, leaves, place, owners[index], amounts[index], proof), "another index");
        }
        uint256 twice = 1 << (proof.length + 1);
        check(!_verify(tree, twice, index, owners[index], amounts[index], proof), "a deeper tree");
        uint256 half = 1 << (proof.length - 1);
        if (index < half) {
            check(!_verify(tree, half, index, owners[index], amounts[index], proof), "a flatter tree");
        }
    }

    /// @dev A changed sibling hash or sum at any level, by any difference.
    function testFuzz_every_sibling_is_bound(
        uint256 leaves,
        bytes32 seed,
        uint256 index,
        uint256 level,
        uint256 change
    ) public view {
        vm.assume(uint128(change) != 0); // the part that a packed proof carries
        leaves = within(leaves, 2, 40);
        index = within(index, 0, leaves - 1);
        (Trees.Tree memory tree, bytes32[] memory owners, uint256[] memory amounts) = _tree(leaves, seed);
        Trees.Node[] memory proof = tree.proof(index);
        level = within(level, 0, proof.length - 1);
        unchecked {
            proof[level].sum += change;
        }
        check(!_verify(tree, leaves, index, owners[index], amounts[index], proof), "a changed sum");
        unchecked {
            proof[level].sum -= change;
        }
        proof[level].hash = bytes32(uint256(proof[level].hash) ^ change);
        check(!_verify(tree, leaves, index, owners[index], amounts[index], proof), "a changed hash");
    }

    /// @dev Two depths for one index: an inner node shown as a leaf of a flatter tree, and a leaf that
    /// was made to look like an inner node.
    function testFuzz_no_node_passes_for_a_leaf(uint256 leaves, bytes32 seed) public view {
        leaves = within(leaves, 3, 40);
        (Trees.Tree memory tree, bytes32[] memory owners, uint256[] memory amounts) = _tree(leaves, seed);
        Trees.Node[] memory proof = tree.proof(0);
        Trees.Node[] memory shorter = new Trees.Node[](proof.length - 1);
        for (uint256 i = 0; i < shorter.length; ++i) shorter[i] = proof[i + 1];
        uint256 both = tree.sums[1][0];
        check(!_verify(tree, leaves, 0, tree.hashes[1][0], both, shorter), "a node as a leaf");
        check(!_verify(tree, leaves, 0, owners[0], amounts[0], shorter), "a level left out");
        Trees.Node[] memory longer = new Trees.Node[](proof.length + 1);
        for (uint256 i = 0; i < proof.length; ++i) longer[i] = proof[i];
        check(!_verify(tree, leaves, 0, owners[0], amounts[0], longer), "an empty level on top");
    }

    /// @dev A dishonest tree whose sums wrap around 2^256: no leaf above the total proves.
    function testFuzz_sums_that_wrap_prove_nothing(uint256 greed) public view {
        greed = within(greed, 1 << 128, type(uint256).max);
        bytes32[] memory owners = new bytes32[](2);
        uint256[] memory amounts = new uint256[](2);
        (owners[0], owners[1]) = (bytes32("greedy"), bytes32("filler"));
        unchecked {
            (amounts[0], amounts[1]) = (greed, 5 - greed);
        }
        Trees.Tree memory tree = Trees.build(owners, amounts);
        check(tree.total() == 5, "the sums wrap");
        check(!_verify(tree, 2, 0, owners[0], greed, tree.proof(0)), "a wrapped sum");
        check(!_verify(tree, 2, 1, owners[1], amounts[1], tree.proof(1)), "its sibling");
    }

    /// @dev The greatest total and the greatest number of leaves that a commit can name.
    function test_uint128_maximum_and_32_levels() public view {
        bytes32[] memory owners = new bytes32[](1);
        uint256[] memory amounts = new uint256[](1);
        (owners[0], amounts[0]) = (bytes32("rich"), type(uint128).max);
        Trees.Tree memory tree = Trees.build(owners, amounts);
        check(_verify(tree, 1, 0, owners[0], amounts[0], tree.proof(0)), "uint128 maximum");
        uint256 index = type(uint32).max - 1;
        bytes32 hash = keccak256(abi.encodePacked(uint8(0), index, owners[0], amounts[0]));
        Trees.Node[] memory proof = new Trees.Node[](32);
        for (uint256 i = 0; i < 32; ++i) {
            hash = (index >> i) & 1 == 0
                ? keccak256(abi.encodePacked(uint8(1), hash, amounts[0], bytes32(0), uint256(0)))
                : keccak256(abi.encodePacked(uint8(1), bytes32(0), uint256(0), hash, amounts[0]));
        }
        uint256 most = type(uint32).max;
        bytes memory packed = Trees.pack(proof);
        check(
            _verifier.verify(hash, amounts[0], most, index, owners[0], amounts[0], packed),
            "32 levels"
        );
        check(
            !_verifier.verify(hash, amounts[0], 1 << 33, index, owners[0], amounts[0], packed),
            "33 levels"
        );
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
        Trees.Node[] memory proof
    ) private view returns (bool) {
        bytes memory packed = Trees.pack(proof);
        return _verifier.verify(tree.root(), tree.total(), leaves, index, owner, amount, packed);
    }
}
