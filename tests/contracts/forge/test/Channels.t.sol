// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInferenceChannels} from "settlement/interfaces/IInferenceChannels.sol";
import {ChannelsScene} from "./ChannelsScene.sol";

/// @title One voucher at a time: what was signed, once, up to its ceiling.
contract ChannelsTest is ChannelsScene {
    uint256 private constant PAYER = 0;
    bytes32 private constant FIRST = bytes32(uint256(1));
    bytes32 private constant SECOND = bytes32(uint256(2));

    bytes32 private _channel;

    function setUp() public {
        found();
        allowPayers();
        vm.prank(account(PAYER));
        _channel = channels.open("salt", account(1), 10 * OPEN);
    }

    /// @dev A host adds nothing to a signed list: neither another asset nor one more.
    function test_every_entry_of_the_list_is_signed() public {
        bytes memory signed = signature(PAYER, digestOf(_channel, 2 * OPEN, _usage(OPEN, 0)));
        IInferenceChannels.Usage[] memory longer = _usage(OPEN, OPEN);
        _refuse(2 * OPEN, longer, signed, IInferenceChannels.WrongSigner.selector);
        IInferenceChannels.Usage[] memory other = _usage(OPEN, 0);
        other[0].asset = SECOND;
        _refuse(2 * OPEN, other, signed, IInferenceChannels.WrongSigner.selector);
        channels.claim(_channel, 2 * OPEN, _usage(OPEN, 0), signed);
        check(channels.dueOf(_channel, FIRST, 1) == OPEN, "what was signed");
    }

    /// @dev Strictly ascending: no entry stands twice, at any place of the list.
    function test_no_entry_stands_twice() public {
        IInferenceChannels.Usage[] memory twice = _usage(OPEN, OPEN);
        twice[1].asset = FIRST;
        bytes4 unsorted = IInferenceChannels.UsageUnsorted.selector;
        refusedCall(claimData(_channel, 2 * OPEN, twice, PAYER), unsorted);
        (twice[0].asset, twice[1].asset) = (SECOND, FIRST);
        refusedCall(claimData(_channel, 2 * OPEN, twice, PAYER), unsorted);
    }

    /// @dev The ceiling counts what was spent before.
    function testFuzz_a_ceiling_holds_for_all_vouchers_together(uint256 first, uint256 second) public {
        first = within(first, 1, 5 * OPEN);
        second = within(second, 1, first);
        _claim(first, _usage(first, 0));
        bytes memory above = claimData(_channel, first, _usage(first, second), PAYER);
        refusedCall(above, IInferenceChannels.SpentAboveCeiling.selector);
        _claim(first + second, _usage(first, second));
        (, , , uint256 spent, , , ) = channels.channelOf(_channel);
        check(spent == first + second, "what was signed");
    }

    /// @dev The host has all of closeSeconds to claim.
    function test_a_close_waits_for_the_host() public {
        vm.prank(account(PAYER));
        channels.startClose(_channel);
        bytes memory data = abi.encodeCall(channels.close, (_channel));
        vm.warp(block.timestamp + channels.closeSeconds() - 1);
        refusedCall(data, IInferenceChannels.CloseAhead.selector);
        _claim(OPEN, _usage(OPEN, 0));
        vm.warp(block.timestamp + 1);
        uint256 before = token.balanceOf(account(PAYER));
        channels.close(_channel);
        check(token.balanceOf(account(PAYER)) == before + 9 * OPEN, "the rest goes back");
    }

    /// @dev One entry, or two when the second has an amount.
    function _usage(
        uint256 first,
        uint256 second
    ) private pure returns (IInferenceChannels.Usage[] memory usage) {
        usage = new IInferenceChannels.Usage[](second == 0 ? 1 : 2);
        usage[0] = IInferenceChannels.Usage(FIRST, 1, first);
        if (second != 0) usage[1] = IInferenceChannels.Usage(SECOND, 1, second);
    }

    function _claim(uint256 ceiling, IInferenceChannels.Usage[] memory usage) private {
        (bool accepted, ) = address(channels).call(claimData(_channel, ceiling, usage, PAYER));
        check(accepted, "an honest voucher");
    }

    function _refuse(
        uint256 ceiling,
        IInferenceChannels.Usage[] memory usage,
        bytes memory signed,
        bytes4 selector
    ) private {
        refusedCall(abi.encodeCall(channels.claim, (_channel, ceiling, usage, signed)), selector);
    }
}
