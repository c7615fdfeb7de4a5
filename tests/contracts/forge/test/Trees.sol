// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Merkle-sum trees built in memory: the honest prover that proofs are tested with.
library Trees {
    struct Tree {
        bytes32[][] hashes; // by level, leaves first, padded to a power of two
        uint256[][] sums;
    }

    function build(
        bytes32[] memory owners,
        uint256[] memory amounts
    ) internal pure returns (Tree memory tree) {
        uint256 depth = depthOf(owners.length);
        tree.hashes = new bytes32[][](depth + 1);
        tree.sums = new uint256[][](depth + 1);
        tree.hashes[0] = new bytes32[](1 << depth);
        tree.sums[0] = new uint256[](1 << depth);
        for (uint256 i = 0; i < owners.length; ++i) {
            tree.hashes[0][i] = keccak256(abi.encodePacked(uint8(0), i, owners[i], amounts[i]));
            tree.sums[0][i] = amounts[i];
        }
        for (uint256 level = 0; level < depth; ++level) _climb(tree, level);
    }

    function root(Tree memory tree) internal pure returns (bytes32) {
        return tree.hashes[tree.hashes.length - 1][0];
    }

    function total(Tree memory tree) internal pure returns (uint256) {
        return tree.sums[tree.sums.length - 1][0];
    }

    /// @dev 48 bytes a level: the sibling's hash and its sum.
    function proof(Tree memory tree, uint256 index) internal pure returns (bytes memory siblings) {
        for (uint256 level = 0; level + 1 < tree.hashes.length; ++level) {
            uint256 sibling = (index >> level) ^ 1;
            siblings = abi.encodePacked(
                siblings,
                tree.hashes[level][sibling],
                uint128(tree.sums[level][sibling])
            );
        }
    }

    /// @dev ceil(log2(leaves)).
    function depthOf(uint256 leaves) internal pure returns (uint256 depth) {
        while ((1 << depth) < leaves) ++depth;
    }

    function _climb(Tree memory tree, uint256 level) private pure {
        bytes32[] memory hashes = tree.hashes[level];
        uint256[] memory sums = tree.sums[level];
        uint256 above = hashes.length / 2;
        tree.hashes[level + 1] = new bytes32[](above);
        tree.sums[level + 1] = new uint256[](above);
        for (uint256 i = 0; i < above; ++i) {
            (uint256 left, uint256 right) = (sums[2 * i], sums[2 * i + 1]);
            tree.hashes[level + 1][i] = keccak256(
                abi.encodePacked(uint8(1), hashes[2 * i], left, hashes[2 * i + 1], right)
            );
            unchecked {
                tree.sums[level + 1][i] = left + right; // dishonest trees may wrap
            }
        }
    }
}
