// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttributionPool} from "settlement/interfaces/IAttributionPool.sol";
import {Contracts} from "./Contracts.sol";

/// @title What a claim is paid is part of the committed total, whatever root and proof anybody makes.
/// @dev Root, leaf and proof are free. keccak-256 is taken as a function without collisions.
contract SumsProof is Contracts {
    uint256 private constant TOTAL = 7e18;

    bytes32 private _drawn;

    function setUp() public {
        deploy();
    }

    /// @dev The amount and its siblings' sums are added exactly: none wraps, none is dropped.
    function check_one_level_is_added_exactly(
        bytes32 root,
        bytes32 owner,
        uint256 amount,
        bytes32 sibling,
        uint128 sum
    ) public {
        uint256 paid = _claimed(root, 2, owner, amount, abi.encodePacked(sibling, sum));
        assert(amount <= TOTAL && sum == TOTAL - amount);
        assert(paid == amount);
    }

    function check_two_levels_are_added_exactly(
        bytes32 root,
        bytes32 owner,
        uint256 amount,
        bytes32[2] memory siblings,
        uint128[2] memory sums
    ) public {
        bytes memory proof = abi.encodePacked(siblings[0], sums[0], siblings[1], sums[1]);
        uint256 paid = _claimed(root, 4, owner, amount, proof);
        assert(amount <= TOTAL && sums[0] <= TOTAL - amount);
        assert(sums[1] == TOTAL - amount - sums[0]);
        assert(paid == amount);
    }

    function reach_a_claim(bytes32 root, bytes32 owner, uint256 amount, bytes32 sibling, uint128 sum) public {
        _claimed(root, 2, owner, amount, abi.encodePacked(sibling, sum));
        assert(false);
    }

    /// @dev Index 0 of an active root of TOTAL.
    function _claimed(
        bytes32 root,
        uint32 leaves,
        bytes32 owner,
        uint256 amount,
        bytes memory proof
    ) private returns (uint256) {
        _commit(root, leaves);
        pool.claim(GENESIS, leaves, _drawn, 0, owner, amount, proof);
        return token.balanceOf(PAYOUT);
    }

    function _commit(bytes32 root, uint32 leaves) private {
        IAttributionPool.Draw[] memory draws = new IAttributionPool.Draw[](1);
        draws[0] = IAttributionPool.Draw(pool.fund("pot", TOTAL, 1, 30, "spec"), TOTAL);
        vm.warp(START + STALL);
        bytes32 head = pool.EMPTY_HEAD();
        pool.commitFallback(IAttributionPool.Commit(GENESIS, 1, head, root, TOTAL, leaves, "e", 1), draws);
        bytes32 one = keccak256(abi.encode(keccak256("Draw(bytes32 pot,uint256 amount)"), draws[0]));
        _drawn = keccak256(abi.encodePacked(one));
        vm.warp(START + STALL + 2 * WINDOW);
    }
}
