// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInferenceChannels} from "settlement/interfaces/IInferenceChannels.sol";
import {IRuleRegistry} from "settlement/interfaces/IRuleRegistry.sol";
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

    /// @dev Host, owner, ancestor, treasury and pot together get the fee, whatever shares were voted. None
    /// gets more than its share; the pot has the remainder.
    function testFuzz_the_parts_of_a_fee_are_the_fee(uint256 fee, uint256 royalty, uint256 shares) public {
        fee = within(fee, 1, 10 * OPEN);
        uint32 version = _voted(shares);
        bytes32 model = _registered(uint16(within(royalty, 0, 10_000)));
        uint256 treasury = token.balanceOf(channels.treasury()); // which is also account 4's payout
        IInferenceChannels.Usage[] memory usage = _usage(fee, 0);
        (usage[0].asset, usage[0].ruleVersion) = (model, version);
        _claim(fee, usage);
        IInferenceChannels.Booked[] memory parts = new IInferenceChannels.Booked[](1);
        parts[0] = IInferenceChannels.Booked(model, version);
        channels.sweep(_channel, parts);
        IRuleRegistry.Rules memory r = rules.rulesOf(version);
        uint256 host = token.balanceOf(account(5));
        uint256 ancestor = token.balanceOf(account(6));
        uint256 owner = token.balanceOf(account(7));
        treasury = token.balanceOf(channels.treasury()) - treasury;
        uint256 pot = token.balanceOf(place("AttributionPool"));
        check(host + ancestor + owner + treasury + pot == fee, "the parts are the fee");
        check(token.balanceOf(address(channels)) == 10 * OPEN - fee, "and nothing else has moved");
        check(host == (fee * r.feeHostBps) / 10_000, "the host's floor");
        check(owner == (fee * r.feeOwnerBps) / 10_000, "the owner's floor");
        check(treasury == (fee * r.feeTreasuryBps) / 10_000, "the treasury's floor");
        check(ancestor <= (fee * r.feeLineageBps) / 10_000, "at most the cap of the ancestors");
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

    /// @dev Account 3's model with an ancestor of account 2's: one content, two models.
    function _registered(uint16 royalty) private returns (bytes32) {
        bytes32[] memory lineage = new bytes32[](1);
        vm.prank(account(2));
        lineage[0] = registry.registerModel(FIRST, new bytes32[](0), royalty);
        vm.prank(account(3));
        return registry.registerModel(FIRST, lineage, 0);
    }

    /// @dev Shares of a fee within the rails, in force now.
    function _voted(uint256 seed) private returns (uint32 version) {
        IRuleRegistry.Rules memory next = rules.rulesOf(1);
        next.feeContributorsBps = uint16(within(seed, 1_000, 9_000));
        uint256 left = 10_000 - next.feeContributorsBps;
        next.feeTreasuryBps = uint16(within(seed >> 16, 0, left < 2_000 ? left : 2_000));
        left -= next.feeTreasuryBps;
        next.feeHostBps = uint16(within(seed >> 32, 0, left));
        left -= next.feeHostBps;
        next.feeOwnerBps = uint16(within(seed >> 48, 0, left));
        next.feeLineageBps = uint16(left - next.feeOwnerBps);
        vm.prank(rules.timelock());
        version = rules.append(next, block.timestamp + 1);
        vm.warp(block.timestamp + 1);
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
