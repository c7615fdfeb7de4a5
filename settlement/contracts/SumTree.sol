// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Proofs in the merkle-sum tree of one epoch; equal to settlement/sumtree.py.
/// @dev leaf = keccak256(0x00, index, ownerId, cumulative), node = keccak256(0x01, left hash, left
/// sum, right hash, right sum). The tree has one leaf for each index below leafCount, padded with the
/// empty leaf (zero hash, sum 0) to a power of two. No sum on the way may exceed the total, so no
/// addition overflows and provable leaves never sum to more than the total.
library SumTree {
    struct Node {
        bytes32 hash;
        uint256 sum;
    }

    /// @dev Whether (index, ownerId, cumulative) is a leaf of the tree with this root, total and
    /// number of leaves. `index` must be below `leafCount`.
    function verify(
        bytes32 root,
        uint256 total,
        uint256 leafCount,
        uint256 index,
        bytes32 ownerId,
        uint256 cumulative,
        Node[] calldata proof
    ) internal pure returns (bool) {
        if (proof.length > 32 || cumulative > total) return false;
        // leafCount <= 2**length and (length == 0 or leafCount > 2**(length - 1)): exact depth
        if ((leafCount - 1) >> proof.length != 0) return false;
        if (proof.length != 0 && (leafCount - 1) >> (proof.length - 1) == 0) return false;
        bytes32 hash = keccak256(abi.encodePacked(uint8(0), index, ownerId, cumulative));
        uint256 sum = cumulative;
        for (uint256 i = 0; i < proof.length; ++i) {
            uint256 other = proof[i].sum;
            if (other > total - sum) return false;
            hash = (index >> i) & 1 == 0
                ? keccak256(abi.encodePacked(uint8(1), hash, sum, proof[i].hash, other))
                : keccak256(abi.encodePacked(uint8(1), proof[i].hash, other, hash, sum));
            sum += other;
        }
        return hash == root && sum == total;
    }
}
