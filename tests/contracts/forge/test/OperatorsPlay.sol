// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AssetRegistry} from "settlement/AssetRegistry.sol";
import {IWorkerStake} from "settlement/interfaces/IWorkerStake.sol";
import {StakeBook} from "./StakeBook.sol";

/// @title What operators do of their own: stake comes and goes, jurors enlist and leave, payouts move.
/// @dev When each last took stake out is kept, so that a panel can tell who did so while it sat.
abstract contract OperatorsPlay is StakeBook {
    mapping(address operator => uint256) internal unbondedAt;
    mapping(address operator => uint256) internal withdrawnAt;

    function do_deposit(uint256 who, uint256 amount) external {
        deposit(operatorAt(who % STAKERS), within(amount, 1, 40 * OPEN));
    }

    /// @dev A part of what is free, or all of it.
    function do_unbond(uint256 who, uint256 amount) external {
        address operator = operatorAt(who % STAKERS);
        uint256 free = freeOf(operator);
        bytes memory more = abi.encodeCall(stake.unbond, (operator, free + 1));
        refused(operator, address(stake), more, IWorkerStake.InsufficientStake.selector);
        if (free == 0) return;
        _unbond(operator, amount % 4 == 0 ? free : within(amount, 1, free < 20 * OPEN ? free : 20 * OPEN));
    }

    function do_withdraw(uint256 who) external {
        address operator = operatorAt(who % STAKERS);
        Holding storage holding = holdings[operator];
        bytes4 expected = block.timestamp < holding.releaseAt
            ? IWorkerStake.StillUnbonding.selector
            : bytes4(0);
        if (holding.unbonding == 0) expected = IWorkerStake.NothingUnbonding.selector;
        bytes memory data = abi.encodeCall(stake.withdraw, (operator));
        if (!tried(account(9), address(stake), data, expected)) return;
        coins[payoutOf(operator)] += holding.unbonding;
        holding.unbonding = 0;
        withdrawnAt[operator] = block.timestamp;
        ++did["withdraw"];
    }

    /// @dev One operator enlists or leaves; now and then all but two leave, or all come back.
    function do_enlist(uint256 who, uint256 way) external {
        if (way % 16 > 5) {
            address operator = operatorAt(who % STAKERS);
            enlist(operator, !weights[operator].enlisted);
            return;
        }
        uint256 first = who % STAKERS;
        for (uint256 i = 0; i < STAKERS; ++i) {
            bool stays = i == first || i == (first + 1) % STAKERS;
            enlist(operatorAt(i), way % 16 != 0 || stays);
        }
        ++did[way % 16 != 0 ? "all enlist" : "nearly all leave"];
    }

    /// @dev Home again, or where another is paid: at once by the payout address, later by the operator.
    function do_movePayout(uint256 who, uint256 to, uint256 way) external {
        uint256 index = who % STAKERS;
        address operator = operatorAt(index);
        address current = payoutOf(operator);
        address wanted = way % 2 == 0 ? homeAt(index) : payoutOf(operatorAt(to % STAKERS));
        address caller = (way >> 1) % 4 == 0 ? operator : current;
        bytes memory data = abi.encodeCall(registry.setPayout, (index, wanted));
        refused(account(0), address(registry), data, AssetRegistry.NotOwner.selector);
        tried(caller, address(registry), data, 0);
        if (caller == current) {
            payouts[operator] = Payout(wanted, address(0), 0);
        } else {
            payouts[operator] = Payout(current, wanted, block.timestamp + registry.payoutDelay());
        }
        ++did[caller == current ? "payout moves" : "payout moves later"];
    }

    function deposit(address operator, uint256 amount) internal {
        vm.prank(account(0));
        stake.deposit(operator, amount);
        holdings[operator].bonded += amount;
        bookWeight(operator);
    }

    /// @dev Enough for what the play commits.
    function refill(address signer) internal {
        if (holdings[signer].bonded < 60 * OPEN) deposit(signer, STAKE);
    }

    function _unbond(address operator, uint256 amount) private {
        vm.prank(operator);
        stake.unbond(operator, amount);
        Holding storage holding = holdings[operator];
        holding.bonded -= amount;
        holding.unbonding += amount;
        holding.releaseAt = block.timestamp + stake.unbondingSeconds();
        bookWeight(operator);
        unbondedAt[operator] = block.timestamp;
        ++did["unbond"];
    }
}
