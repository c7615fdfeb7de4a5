// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IWorkerStake} from "settlement/interfaces/IWorkerStake.sol";
import {Scene} from "./Scene.sol";

/// @title What can be taken from an operator, by whom, in which order, and what cannot leave.
contract StakeTest is Scene {
    bytes32 private constant UNIT = "unit";
    bytes32 private constant OTHER = "other unit";

    function setUp() public {
        settle();
    }

    function testFuzz_a_slash_takes_what_is_there_and_burns_all_but_the_reward(
        uint256 locked,
        uint256 unbonding,
        uint256 amount,
        bool reported
    ) public {
        locked = within(locked, 1, STAKE / 2);
        unbonding = within(unbonding, 1, STAKE / 2);
        amount = within(amount, 0, type(uint128).max);
        _lock(UNIT, locked);
        vm.prank(account(4));
        stake.unbond(account(4), unbonding);
        uint256 supply = token.totalSupply();
        uint256 taken = amount < STAKE ? amount : STAKE;
        vm.prank(place("Arbiter"));
        stake.slash(account(4), UNIT, amount, "evidence", reported ? account(9) : address(0));
        uint256 reward = token.balanceOf(account(9));
        check(reward <= taken / 10 && reward <= stake.rewardCap(), "at most a tenth, at most the cap");
        check(reported || reward == 0, "no reporter, no reward");
        check(supply - token.totalSupply() == taken - reward, "the rest is burnt");
        (uint256 out, ) = stake.unbondingOf(account(4));
        check(stake.stakeOf(account(4)) + out == STAKE - taken, "exactly what was taken is gone");
        check(stake.lockedOf(account(4)) == 0, "the unit's lock is over");
        bytes memory again = abi.encodeCall(stake.slash, (account(4), UNIT, 1, "evidence", account(9)));
        refused(place("Arbiter"), address(stake), again, IWorkerStake.AlreadySlashed.selector);
    }

    /// @dev Free stake first, then what is unbonding, at last other units' locks.
    function testFuzz_a_slash_takes_free_stake_first(uint256 other, uint256 amount) public {
        other = within(other, 1, STAKE - 1);
        _lock(OTHER, other);
        amount = within(amount, 1, STAKE - other);
        vm.prank(place("Arbiter"));
        stake.slash(account(4), UNIT, amount, "evidence", address(0));
        check(stake.lockedOf(account(4)) == other, "the other unit's lock is untouched");
    }

    function test_only_the_slasher_takes_and_only_the_keepers_lock() public {
        bytes memory slash = abi.encodeCall(stake.slash, (account(4), UNIT, 1, "evidence", account(9)));
        bytes memory seize = abi.encodeCall(stake.seize, (account(4), UNIT, 1));
        bytes memory lock = abi.encodeCall(stake.lock, (account(4), UNIT, 1));
        bytes memory unlock = abi.encodeCall(stake.unlock, (account(4), UNIT));
        bytes4 notSlasher = IWorkerStake.NotSlasher.selector;
        address[3] memory callers = [account(4), account(0), place("AttributionPool")];
        for (uint256 i = 0; i < callers.length; ++i) {
            refused(callers[i], address(stake), slash, notSlasher);
            refused(callers[i], address(stake), seize, notSlasher);
            if (i == 2) break;
            refused(callers[i], address(stake), lock, IWorkerStake.NotKeeper.selector);
            refused(callers[i], address(stake), unlock, IWorkerStake.NotKeeper.selector);
        }
    }

    function testFuzz_locked_stake_neither_leaves_nor_serves_twice(uint256 locked, uint256 more) public {
        locked = within(locked, 1, STAKE);
        _lock(UNIT, locked);
        more = within(more, STAKE - locked + 1, type(uint128).max);
        bytes4 short = IWorkerStake.InsufficientStake.selector;
        bytes memory unbond = abi.encodeCall(stake.unbond, (account(4), more));
        refused(account(4), address(stake), unbond, short);
        bytes memory lock = abi.encodeCall(stake.lock, (account(4), OTHER, more));
        refused(place("AttributionPool"), address(stake), lock, short);
        bytes memory again = abi.encodeCall(stake.lock, (account(4), UNIT, 1));
        refused(place("AttributionPool"), address(stake), again, IWorkerStake.AlreadyLocked.selector);
    }

    /// @dev Slashable to the last second, paid to the payout address alone.
    function testFuzz_stake_leaves_after_the_unbonding_time_only(uint256 amount) public {
        amount = within(amount, 1, STAKE);
        vm.prank(account(4));
        stake.unbond(account(4), amount);
        vm.warp(block.timestamp + stake.unbondingSeconds() - 1);
        bytes memory withdraw = abi.encodeCall(stake.withdraw, (account(4)));
        refused(account(9), address(stake), withdraw, IWorkerStake.StillUnbonding.selector);
        vm.warp(block.timestamp + 1);
        stake.withdraw(account(4));
        check(token.balanceOf(account(8)) == amount, "to the payout address");
        check(token.balanceOf(account(4)) == 0, "a stolen operator key gains nothing");
    }

    function test_a_held_lock_stays_shut() public {
        _lock(UNIT, OPEN);
        vm.prank(place("Arbiter"));
        stake.hold(account(4), UNIT, true);
        bytes memory unlock = abi.encodeCall(stake.unlock, (account(4), UNIT));
        refused(place("AttributionPool"), address(stake), unlock, IWorkerStake.UnitHeld.selector);
        vm.prank(place("Arbiter"));
        stake.hold(account(4), UNIT, false);
        vm.prank(place("AttributionPool"));
        stake.unlock(account(4), UNIT);
        check(stake.lockedOf(account(4)) == 0, "free again");
    }

    function _lock(bytes32 unit, uint256 amount) private {
        vm.prank(place("AttributionPool"));
        stake.lock(account(4), unit, amount);
    }
}
