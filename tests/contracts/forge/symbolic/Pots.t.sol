// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttributionPool} from "settlement/interfaces/IAttributionPool.sol";
import {Contracts} from "./Contracts.sol";

/// @title Pots and stake for all amounts at once: nothing wraps, nothing is drawn or taken twice.
/// @dev A revert ends a path; what is asserted holds on every path that does not revert.
contract PotsProof is Contracts {
    function setUp() public {
        deploy();
    }

    /// @dev The unchecked sums of `topUp` and of the pool's funded total are sums of integers.
    function check_a_top_up_is_added_exactly(uint256 first, uint256 more) public {
        bytes32 pot = _toppedUp(first, more);
        (, uint256 escrow, , , , , ) = pool.potOf(pot);
        (, , , uint256 funded, ) = pool.poolOf(GENESIS);
        assert(first <= type(uint128).max && more <= type(uint128).max);
        assert(escrow == first + more && funded == first + more);
        assert(token.balanceOf(address(pool)) == first + more);
    }

    function reach_a_top_up(uint256 first, uint256 more) public {
        _toppedUp(first, more);
        assert(false);
    }

    /// @dev However many units fit: what is reserved is in the pot.
    function check_reserved_pay_is_in_the_pot(uint256 amount, uint256 pay) public {
        bytes32 pot = _reserved(amount, pay);
        (, uint256 escrow, uint256 reserved, uint256 unitPay, , , ) = pool.potOf(pot);
        assert(unitPay == pay && escrow == amount);
        assert(reserved == 2 * pay && reserved <= escrow);
    }

    function reach_two_reservations(uint256 amount, uint256 pay) public {
        _reserved(amount, pay);
        assert(false);
    }

    /// @dev A draw is at most its pot, a total is what was drawn, and never more than was funded.
    function check_a_commit_adds_what_it_draws(uint256 amount, uint256 drawn, uint256 total) public {
        bytes32 pot = _committed(amount, drawn, total);
        (, uint256 escrow, , , , uint256 epoch, ) = pool.potOf(pot);
        (, , uint256 stated, uint256 funded, uint256 paid) = pool.poolOf(GENESIS);
        assert(drawn <= amount && escrow == amount - drawn && epoch == 1);
        assert(stated == total && total == drawn && total <= funded && paid == 0);
        assert(2 * drawn <= STAKE);
    }

    function reach_a_commit(uint256 amount, uint256 drawn, uint256 total) public {
        _committed(amount, drawn, total);
        assert(false);
    }

    /// @dev A slash takes what it says, or all there is: free, unbonding, at last locked stake.
    function check_a_slash_takes_exactly(uint256 locked, uint256 leaving, uint256 amount) public {
        uint256 supply = _slashed(locked, leaving, amount);
        uint256 taken = amount < STAKE ? amount : STAKE;
        uint256 bonded = stake.stakeOf(address(this));
        (uint256 unbonding, ) = stake.unbondingOf(address(this));
        assert(supply - token.totalSupply() == taken);
        assert(bonded + unbonding == STAKE - taken);
        assert(stake.lockedOf(address(this)) == 0);
        assert(token.balanceOf(address(stake)) == STAKE - taken);
    }

    function reach_a_slash(uint256 locked, uint256 leaving, uint256 amount) public {
        _slashed(locked, leaving, amount);
        assert(false);
    }

    function _toppedUp(uint256 first, uint256 more) private returns (bytes32 pot) {
        pot = pool.fund("pot", first, 0, 0, "spec");
        pool.topUp(pot, more);
    }

    function _reserved(uint256 amount, uint256 pay) private returns (bytes32 pot) {
        vm.assume(pay != 0);
        pot = pool.fund("pot", amount, pay, 30, "spec");
        pool.reserve(pot, "first");
        pool.reserve(pot, "second");
    }

    function _committed(uint256 amount, uint256 drawn, uint256 total) private returns (bytes32 pot) {
        pot = pool.fund("pot", amount, 1, 30, "spec");
        vm.warp(START + STALL);
        IAttributionPool.Draw[] memory draws = new IAttributionPool.Draw[](1);
        draws[0] = IAttributionPool.Draw(pot, drawn);
        bytes32 head = pool.EMPTY_HEAD();
        pool.commitFallback(IAttributionPool.Commit(GENESIS, 1, head, "root", total, 1, "e", 1), draws);
    }

    function _slashed(uint256 locked, uint256 leaving, uint256 amount) private returns (uint256 supply) {
        supply = token.totalSupply();
        stake.lock(address(this), "unit", locked);
        stake.unbond(address(this), leaving);
        stake.slash(address(this), "unit", amount, "evidence", address(0));
    }
}
