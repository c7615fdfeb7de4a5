// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AssetRegistry} from "settlement/AssetRegistry.sol";
import {Scene} from "./Scene.sol";

/// @title Whoever comes first with another's content takes nothing of that other's.
contract AssetsTest is Scene {
    function setUp() public {
        settle();
    }

    function testFuzz_content_is_everybody_s_and_an_asset_its_operator_s(
        bytes32 content,
        uint256 first,
        uint256 second,
        uint16 royalty
    ) public {
        first = within(first, 1, OWNERS);
        second = within(second, 1, OWNERS);
        royalty = uint16(within(royalty, 0, 10_000));
        bytes32 theirs = _model(first, content, royalty);
        check(theirs == registry.modelId(account(first), content), "the id is the operator's");
        if (first == second) {
            bytes memory again = abi.encodeCall(registry.registerModel, (content, new bytes32[](0), 0));
            refused(account(second), address(registry), again, AssetRegistry.AssetExists.selector);
            return;
        }
        bytes32 own = _model(second, content, 0);
        check(own != theirs, "two operators, two models");
        check(registry.modelOwner(theirs) == first - 1, "whose it is");
        check(registry.modelOwner(own) == second - 1, "whoever came first");
        check(registry.royaltyOf(theirs) == royalty && registry.royaltyOf(own) == 0, "each its own royalty");
        check(registry.modelPayout(own) == account(second + OWNERS), "and its own payout address");
        check(registry.modelPayout(content) == address(0), "content is nobody's");
    }

    function testFuzz_a_datanet_keeps_its_founder_s_class(bytes32 content, uint8 theirs, uint8 own) public {
        theirs %= 3;
        own %= 3;
        bytes32 other = _datanet(1, content, theirs);
        bytes32 id = _datanet(2, content, own);
        check(id == registry.datanetId(account(2), content) && id != other, "the id is the founder's");
        (uint256 owner, uint8 dataClass) = registry.datanetOf(id);
        check(owner == 1 && dataClass == own, "the founder's class");
        (owner, dataClass) = registry.datanetOf(other);
        check(owner == 0 && dataClass == theirs, "and the stranger's, which is another");
        check(id != registry.modelId(account(2), content), "no id of one kind is one of the other");
    }

    function _model(uint256 who, bytes32 content, uint16 royalty) private returns (bytes32) {
        vm.prank(account(who));
        return registry.registerModel(content, new bytes32[](0), royalty);
    }

    function _datanet(uint256 who, bytes32 content, uint8 dataClass) private returns (bytes32) {
        vm.prank(account(who));
        return registry.registerDatanet(content, dataClass);
    }
}
