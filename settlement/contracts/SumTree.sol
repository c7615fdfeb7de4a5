// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Proofs in the merkle-sum tree of one epoch; equal to settlement/sumtree.py.
/// @dev leaf = keccak256(0x00, index, ownerId, cumulative), node = keccak256(0x01, left hash, left
/// sum, right hash, right sum). The tree has one leaf for each index below leafCount, padded with the
/// empty leaf (zero hash, sum 0) to a power of two. A proof is the siblings from the leaf to the root,
/// PROOF_NODE bytes each: 32 of the hash, 16 of the sum. Sums only grow on the way and must end at the
/// total, so provable leaves never sum to more than it.
library SumTree {
    /// Bytes of one sibling.
    uint256 internal constant PROOF_NODE = 48;

    /// @dev Root and total of the tree in which (index, ownerId, cumulative) is a leaf with this proof;
    /// zeros when the proof's length is not that of a tree of `leafCount` leaves. `index` must be below
    /// `leafCount`, `cumulative` below 2**128.
    function climb(
        uint256 leafCount,
        uint256 index,
        bytes32 ownerId,
        uint256 cumulative,
        bytes calldata proof
    ) internal pure returns (bytes32 root, uint256 total) {
        uint256 depth = proof.length / PROOF_NODE;
        if (depth > 32 || proof.length != depth * PROOF_NODE) return (0, 0);
        // leafCount <= 2**depth and (depth == 0 or leafCount > 2**(depth - 1)): exact depth
        if ((leafCount - 1) >> depth != 0) return (0, 0);
        if (depth != 0 && (leafCount - 1) >> (depth - 1) == 0) return (0, 0);
        root = leafHash(index, ownerId, cumulative);
        total = cumulative;
        // At most 33 sums below 2**128 are added. The 129 bytes hashed lie beyond the free pointer.
        assembly ("memory-safe") {
            let at := proof.offset
            let end := add(at, proof.length)
            let body := mload(0x40)
            let left := add(body, 1)
            let right := add(body, 65)
            mstore8(body, 1)
            for {} lt(at, end) { at := add(at, 48) } {
                let other := shr(128, calldataload(add(at, 32)))
                switch and(index, 1)
                case 0 {
                    mstore(left, root)
                    mstore(add(left, 32), total)
                    mstore(right, calldataload(at))
                    mstore(add(right, 32), other)
                }
                default {
                    mstore(left, calldataload(at))
                    mstore(add(left, 32), other)
                    mstore(right, root)
                    mstore(add(right, 32), total)
                }
                root := keccak256(body, 129)
                total := add(total, other)
                index := shr(1, index)
            }
        }
    }

    /// @dev Whether (index, ownerId, cumulative) is a leaf of the tree with this root, total and
    /// number of leaves. `index` must be below `leafCount`, `total` below 2**128.
    function verify(
        bytes32 root,
        uint256 total,
        uint256 leafCount,
        uint256 index,
        bytes32 ownerId,
        uint256 cumulative,
        bytes calldata proof
    ) internal pure returns (bool) {
        if (cumulative > total) return false;
        (bytes32 found, uint256 sum) = climb(leafCount, index, ownerId, cumulative, proof);
        return found == root && sum == total;
    }

    function leafHash(
        uint256 index,
        bytes32 ownerId,
        uint256 cumulative
    ) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint8(0), index, ownerId, cumulative));
    }

    function nodeHash(
        bytes32 left,
        uint256 leftSum,
        bytes32 right,
        uint256 rightSum
    ) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint8(1), left, leftSum, right, rightSum));
    }
}
