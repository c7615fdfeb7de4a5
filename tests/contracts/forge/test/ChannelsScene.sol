// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AssetRegistry} from "settlement/AssetRegistry.sol";
import {InferenceChannels} from "settlement/InferenceChannels.sol";
import {OpenToken} from "settlement/OpenToken.sol";
import {RuleRegistry} from "settlement/RuleRegistry.sol";
import {IInferenceChannels} from "settlement/interfaces/IInferenceChannels.sol";
import {Typed} from "./Typed.sol";
import {World} from "./World.sol";

/// @title Registered hosts 1 to 4, payers 0 and 9, and vouchers of any form.
abstract contract ChannelsScene is World {
    uint256 internal constant OWNERS = 4;

    OpenToken public token;
    AssetRegistry public registry;
    InferenceChannels public channels;
    RuleRegistry public rules;

    function found() internal {
        deploy();
        token = OpenToken(place("OpenToken"));
        registry = AssetRegistry(place("AssetRegistry"));
        channels = InferenceChannels(place("InferenceChannels"));
        rules = RuleRegistry(place("RuleRegistry"));
        for (uint256 i = 1; i <= OWNERS; ++i) {
            vm.prank(account(i));
            registry.registerOwner(account(i + OWNERS));
        }
    }

    function allowPayers() internal {
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(account(9 * i));
            token.approve(address(channels), type(uint256).max);
        }
    }

    function claimData(
        bytes32 id,
        uint256 ceiling,
        IInferenceChannels.Usage[] memory usage,
        uint256 signer
    ) internal view returns (bytes memory) {
        bytes memory signature_ = signature(signer, digestOf(id, ceiling, usage));
        return abi.encodeCall(channels.claim, (id, ceiling, usage, signature_));
    }

    function digestOf(
        bytes32 id,
        uint256 ceiling,
        IInferenceChannels.Usage[] memory usage
    ) internal view returns (bytes32) {
        return Typed.voucher(address(channels), id, ceiling, usage);
    }

    function answerOf(bytes memory data) internal returns (bytes4) {
        vm.prank(account(8));
        (bool accepted, bytes memory answer) = address(channels).call(data);
        check(!accepted, "what must be refused was accepted");
        return bytes4(answer);
    }

    function refusedCall(bytes memory data, bytes4 selector) internal {
        check(answerOf(data) == selector, "refused for another reason");
    }
}
