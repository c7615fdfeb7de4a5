// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {InferenceChannels} from "settlement/InferenceChannels.sol";
import {IInferenceChannels} from "settlement/interfaces/IInferenceChannels.sol";
import {Typed} from "../test/Typed.sol";
import {Contracts} from "./Contracts.sol";

/// @title The parts of a fee are the fee: host, owner, ancestor, treasury, pot.
/// @dev Shown for 10,000 amounts in a row, in which every part is paid. Of 10,000 more every part gets
/// exactly its share more, and the shares sum to 10,000: so it holds for all greater ones.
contract FeesProof is Contracts {
    uint256 private constant KEY = 7;
    uint256 private constant LEAST = 200;
    address private constant HOST = address(0x6001);
    address private constant HOST_PAYOUT = address(0x5003);

    InferenceChannels private _channels;
    bytes32 private _channel;
    bytes32 private _asset;

    function setUp() public {
        deploy();
        _channels = new InferenceChannels(token, registry, pool, rules, TREASURY, 15);
        bytes32[] memory lineage = new bytes32[](1);
        lineage[0] = registry.registerModel("parent", new bytes32[](0), 300);
        _asset = registry.registerModel("asset", lineage, 0);
        vm.prank(HOST);
        registry.registerOwner(HOST_PAYOUT);
        address payer = vm.addr(KEY);
        token.transfer(payer, type(uint96).max);
        vm.prank(payer);
        token.approve(address(_channels), type(uint256).max);
        vm.prank(payer);
        _channel = _channels.open("salt", HOST, type(uint96).max);
    }

    function check_the_parts_of_a_fee_are_the_fee(uint16 fee) public {
        _swept(fee);
        uint256 parts = token.balanceOf(HOST_PAYOUT) + token.balanceOf(TREASURY);
        parts += token.balanceOf(PAYOUT) + token.balanceOf(address(pool));
        assert(parts == fee);
        assert(token.balanceOf(address(_channels)) == type(uint96).max - fee);
        assert(token.balanceOf(TREASURY) <= fee / 20);
    }

    function reach_a_sweep(uint16 fee) public {
        _swept(fee);
        assert(false);
    }

    function _swept(uint16 fee) private {
        vm.assume(fee >= LEAST && fee < LEAST + 10_000);
        IInferenceChannels.Usage[] memory usage = new IInferenceChannels.Usage[](1);
        usage[0] = IInferenceChannels.Usage(_asset, 1, fee);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(
            KEY,
            Typed.voucher(address(_channels), _channel, fee, usage)
        );
        _channels.claim(_channel, fee, usage, abi.encodePacked(r, s, v));
        IInferenceChannels.Booked[] memory parts = new IInferenceChannels.Booked[](1);
        parts[0] = IInferenceChannels.Booked(_asset, 1);
        _channels.sweep(_channel, parts);
    }
}
