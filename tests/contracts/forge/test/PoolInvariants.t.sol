// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AttributionPool} from "settlement/AttributionPool.sol";
import {OpenToken} from "settlement/OpenToken.sol";
import {WorkerStake} from "settlement/WorkerStake.sol";
import {PoolPlay} from "./PoolPlay.sol";
import {Scene} from "./Scene.sol";

/// @title More cannot leave than came in, whatever is done in whatever order.
contract PoolInvariantsTest is Scene {
    PoolPlay private _play;

    function setUp() public {
        _play = new PoolPlay();
        deployedBefore();
        token = OpenToken(place("OpenToken"));
        stake = WorkerStake(place("WorkerStake"));
        pool = AttributionPool(place("AttributionPool"));
    }

    /// @dev Forge calls this contract's functions only.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_play);
    }

    /// @dev The play does all that it is for; seeded, so that it is the same every time.
    function test_the_play_reaches_everything() public {
        for (uint256 i = 0; i < 1500; ++i) {
            uint256 a = uint256(keccak256(abi.encode("a", i)));
            uint256 b = uint256(keccak256(abi.encode("b", i)));
            uint256 c = uint256(keccak256(abi.encode("c", i)));
            if (i % 13 == 0) _play.do_fund(a, b, c);
            if (i % 13 == 1) _play.do_topUp(a, b);
            if (i % 13 == 2) _play.do_reserve(a, b, bytes32(c % 50));
            if (i % 13 == 3 || i % 13 == 7) _play.do_work(a, b);
            if (i % 13 == 4 || i % 13 == 11) _play.do_commit(a, b, c, a >> 9, b >> 9);
            if (i % 13 == 5) _play.do_claim(a, b);
            if (i % 13 == 6) _play.do_claimBatch(a, b);
            if (i % 65 == 8) _play.do_challenge(a, b, c % 2 == 0);
            if (i % 65 == 21) _play.do_condemn(a, b);
            if (i % 13 == 9) _play.do_reclaim(a);
            if (i % 13 == 10) _play.must_fail_commit_with_a_defect(a, b, c);
            if (i % 13 == 12) _play.do_wait(i % 4 == 0 ? 60 : a);
            if (i % 130 == 8) _play.do_unbond(a, b % (5 * OPEN));
        }
        string[18] memory things = [
            "top up",
            "reserve",
            "expire",
            "hand back",
            "anchor",
            "settle",
            "stake limit",
            "stake elsewhere",
            "commit",
            "claim",
            "batch",
            "reclaim",
            "reserved stays",
            "voided",
            "upheld",
            "condemn",
            "unbond",
            "defect"
        ];
        for (uint256 i = 0; i < things.length; ++i) check(_play.did(things[i]) != 0, things[i]);
    }

    /// @dev One campaign of calls for all three.
    function invariant_pools() public view {
        _holdWhatTheyOwe();
        _claimsStayInTheirRoot();
        _stakeIsThere();
    }

    /// @dev Every coin of the pools is escrow of a pot or owed to owners; nothing is missing or over.
    function _holdWhatTheyOwe() private view {
        uint256 owed = 0;
        for (uint256 i = 0; i < _play.POOLS(); ++i) {
            (, , uint256 total, uint256 funded, uint256 claimed) = pool.poolOf(bytes32(i));
            check(claimed <= total && total <= funded, "claimed <= total <= funded");
            owed += total - claimed;
        }
        for (uint256 i = 0; i < _play.potCount(); ++i) {
            (, uint256 escrow, uint256 reserved, , , uint256 drawn, ) = pool.potOf(_play.pots(i));
            check(drawn != 0 || reserved <= escrow, "reserved pay is in its pot");
            owed += escrow;
        }
        check(token.balanceOf(address(pool)) == owed, "the pools' coins are what they owe");
        check(_play.paidIn() - _play.paidOut() == owed, "what came in has left or is owed");
    }

    /// @dev By pool: the sum over owners is the sum of the pool, at most the active root's total.
    function _claimsStayInTheirRoot() private view {
        for (uint256 i = 0; i < _play.POOLS(); ++i) {
            (, , , , uint256 claimed) = pool.poolOf(bytes32(i));
            uint256 sum = 0;
            for (uint256 owner = 0; owner < OWNERS; ++owner) sum += pool.claimed(bytes32(i), owner);
            check(sum == claimed, "owners' sums are the pool's");
            uint256 total = _play.activePlan(bytes32(i)).root.total;
            check(claimed <= total, "claimed <= total of the active root");
        }
    }

    /// @dev Stake: what is locked is bonded, and all of it is here.
    function _stakeIsThere() private view {
        uint256 held = 0;
        for (uint256 i = 1; i <= OWNERS; ++i) {
            uint256 bonded = stake.stakeOf(account(i));
            (uint256 unbonding, ) = stake.unbondingOf(account(i));
            check(stake.lockedOf(account(i)) <= bonded, "locked <= bonded");
            held += bonded + unbonding;
        }
        check(token.balanceOf(address(stake)) == held, "the stake's coins are the operators'");
    }
}
