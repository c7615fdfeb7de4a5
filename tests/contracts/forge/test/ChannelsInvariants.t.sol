// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelsPlay} from "./ChannelsPlay.sol";
import {World} from "./World.sol";

/// @title A channel pays what its payer signed, once, and gives the rest back.
contract ChannelsInvariantsTest is World {
    ChannelsPlay private _play;

    function setUp() public {
        _play = new ChannelsPlay();
    }

    /// @dev Forge calls this contract's functions only.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_play);
    }

    /// @dev The play does all that it is for; seeded, so that it is the same every time.
    function test_the_play_reaches_everything() public {
        for (uint256 i = 0; i < 800; ++i) {
            uint256 a = uint256(keccak256(abi.encode("a", i)));
            uint256 b = uint256(keccak256(abi.encode("b", i)));
            uint256 c = uint256(keccak256(abi.encode("c", i)));
            if (i % 10 == 0) _play.do_open(a, b, c);
            if (i % 10 == 1) _play.do_topUp(a, b);
            if (i % 10 == 2 || i % 10 == 5) _play.do_claim(a, b, c, a >> 9);
            if (i % 10 == 3) _play.do_sweep(a);
            if (i % 10 == 4) _play.must_fail_claim_with_a_defect(a, b, c, a >> 9);
            if (i % 30 == 6) _play.do_startClose(a);
            if (i % 10 == 7) _play.do_close(a);
            if (i % 100 == 8) _play.do_vote(a, b, c);
            if (i % 10 == 9) _play.do_wait(a);
            if (i % 50 == 18) _play.do_claim(a, b, 0, 0);
            if (i % 50 == 28) _play.must_fail_startClose_by_others(a);
        }
        string[11] memory things = [
            "open",
            "top up",
            "claim",
            "above deposit",
            "nothing",
            "sweep",
            "close",
            "vote",
            "defect",
            "falls",
            "claim"
        ];
        for (uint256 i = 0; i < things.length; ++i) check(_play.did(things[i]) != 0, things[i]);
    }

    /// forge-config: nightly.invariant.runs = 1600
    function invariant_channels() public view {
        uint256 held = _play.dueInAll();
        for (uint256 i = 0; i < _play.count(); ++i) {
            bytes32 id = _play.ids(i);
            (, , uint256 deposit, uint256 spent, , bool closed, ) = _play.channels().channelOf(id);
            check(spent <= _play.highest(id), "spent <= the highest claimed ceiling");
            check(closed ? spent == deposit : spent <= deposit, "spent <= deposit");
            check(_play.highest(id) <= deposit || closed, "no ceiling above the deposit");
            check(spent == _play.spent(id), "spent is what was signed");
            held += deposit - spent;
        }
        check(
            _play.token().balanceOf(address(_play.channels())) == held,
            "the coins are deposits and what is due"
        );
    }
}
