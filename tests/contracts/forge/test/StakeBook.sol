// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Arbiter} from "settlement/Arbiter.sol";
import {FraudProofs} from "settlement/FraudProofs.sol";
import {Scene} from "./Scene.sol";

/// @title What every operator should own and owe by now: a second account of all stake, kept by hand.
/// @dev Operators are accounts 1 to 4 and the jurors 10 to 19, owners 0 to 13 in this order. Juror 19 is
/// paid where operator 1 is, at first. What a call should do is booked here; the invariants compare.
abstract contract StakeBook is Scene {
    struct Holding {
        uint256 bonded;
        uint256 locked;
        uint256 unbonding;
        uint256 releaseAt;
    }

    struct Lock {
        address operator; // 0: none
        bool held;
        uint256 amount;
    }

    /// What an operator weighs in draws: its enlisted stake.
    struct Weight {
        bool enlisted;
        uint256 epoch; // of the last change
        uint256 before; // when that epoch began
        uint256 last;
    }

    struct Payout {
        address last;
        address next;
        uint256 from; // unix seconds; 0: no change is under way
    }

    uint256 public constant STAKERS = 14;
    uint256 internal constant JUROR_STAKE = 60 * OPEN;

    Arbiter public arbiter;
    FraudProofs public proofs;

    mapping(address operator => Holding) public holdings;
    mapping(bytes32 unit => Lock) public locks;
    mapping(address operator => Weight) internal weights;
    mapping(address operator => Payout) internal payouts;
    /// Coins that an account should have outside of stake; of account 0 nobody keeps count.
    mapping(address who => uint256) public coins;
    uint256 public burnt;
    /// How often each thing was really done: a play that only returns early shows nothing.
    mapping(string what => uint256) public did;

    /// A call that should have succeeded was refused with this error.
    error Unexpected(bytes4 said);

    function operatorAt(uint256 index) public view returns (address) {
        return account(index < OWNERS ? index + 1 : index + 10 - OWNERS);
    }

    /// @dev Where an operator was paid before anybody moved.
    function homeAt(uint256 index) internal view returns (address) {
        if (index < OWNERS) return account(index + 1 + OWNERS);
        return index == STAKERS - 1 ? account(1 + OWNERS) : operatorAt(index);
    }

    function payoutOf(address operator) public view returns (address) {
        Payout storage payout = payouts[operator];
        bool moved = payout.from != 0 && block.timestamp >= payout.from;
        return moved ? payout.next : payout.last;
    }

    /// @dev What an operator weighed at the end of the last stake epoch.
    function weightOf(address operator) internal view returns (uint256) {
        Weight storage weight = weights[operator];
        bool fresh = weight.epoch == block.timestamp / stake.epochSeconds();
        return fresh ? weight.before : weight.last;
    }

    function freeOf(address operator) internal view returns (uint256) {
        return holdings[operator].bonded - holdings[operator].locked;
    }

    /// @dev All have staked and are enlisted for two stake epochs.
    function staff() internal {
        settle();
        arbiter = Arbiter(place("Arbiter"));
        proofs = FraudProofs(place("FraudProofs"));
        for (uint256 i = 0; i < STAKERS; ++i) {
            address operator = operatorAt(i);
            if (i >= OWNERS) {
                vm.prank(operator);
                registry.registerOwner(homeAt(i));
                vm.prank(account(0));
                stake.deposit(operator, JUROR_STAKE);
            }
            payouts[operator].last = homeAt(i);
            holdings[operator].bonded = i < OWNERS ? STAKE : JUROR_STAKE;
            enlist(operator, true);
        }
        vm.prank(account(0));
        token.transfer(account(9), 1_000 * OPEN);
        coins[account(9)] = 1_000 * OPEN;
        allow(9, address(proofs));
        vm.warp(block.timestamp + 2 * stake.epochSeconds());
    }

    function enlist(address operator, bool enlisted) internal {
        vm.prank(operator);
        stake.enlist(enlisted);
        weights[operator].enlisted = enlisted;
        bookWeight(operator);
    }

    /// @dev A call that must succeed, or be refused with exactly this error (0: none).
    function tried(
        address who,
        address target,
        bytes memory data,
        bytes4 expected
    ) internal returns (bool) {
        if (expected != 0) {
            refused(who, target, data, expected);
            return false;
        }
        vm.prank(who);
        (bool accepted, bytes memory answer) = target.call(data);
        if (!accepted) revert Unexpected(bytes4(answer));
        return true;
    }

    /// @dev To be called whenever an operator's bonded stake has changed.
    function bookWeight(address operator) internal {
        Weight storage weight = weights[operator];
        uint256 epoch = block.timestamp / stake.epochSeconds();
        if (weight.epoch != epoch) (weight.epoch, weight.before) = (epoch, weight.last);
        weight.last = weight.enlisted ? holdings[operator].bonded : 0;
    }

    function bookLock(bytes32 unit, address operator, uint256 amount) internal {
        locks[unit] = Lock(operator, false, amount);
        holdings[operator].locked += amount;
    }

    /// @dev A lock may promise more than a slash for something else has left.
    function bookUnlock(bytes32 unit) internal {
        Holding storage holding = holdings[locks[unit].operator];
        uint256 amount = locks[unit].amount;
        holding.locked -= amount < holding.locked ? amount : holding.locked;
        delete locks[unit];
    }

    /// @dev The unit's own lock ends; then free stake pays, then unbonding, at last what is locked.
    function bookTake(
        address operator,
        bytes32 unit,
        uint256 amount
    ) internal returns (uint256 taken) {
        if (locks[unit].operator == operator) bookUnlock(unit);
        Holding storage holding = holdings[operator];
        uint256 free = _least(amount, holding.bonded - holding.locked);
        uint256 leaving = _least(amount - free, holding.unbonding);
        uint256 locked = _least(amount - free - leaving, holding.locked);
        holding.bonded -= free + locked;
        holding.unbonding -= leaving;
        holding.locked -= locked;
        bookWeight(operator);
        return free + leaving + locked;
    }

    /// @dev At most a tenth to the reporter, and at most the cap; the rest is burnt.
    function bookSlash(
        address operator,
        bytes32 unit,
        uint256 amount,
        address reporter
    ) internal returns (uint256 taken) {
        taken = bookTake(operator, unit, amount);
        uint256 reward = reporter == address(0) ? 0 : _least(taken / 10, stake.rewardCap());
        coins[reporter] += reward;
        burnt += taken - reward;
    }

    function _least(uint256 left, uint256 right) private pure returns (uint256) {
        return left < right ? left : right;
    }
}
