// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {OpenToken} from "settlement/OpenToken.sol";
import {World} from "./World.sol";

/// @title The artifacts stand where deploy.py says, and the coin keeps its sum.
contract DeployedTest is World {
    OpenToken private _token;

    function setUp() public {
        deploy();
        _token = OpenToken(place("OpenToken"));
    }

    function test_the_deployer_has_the_supply() public view {
        check(_token.balanceOf(account(0)) == _token.totalSupply(), "the deployer has the supply");
    }

    function testFuzz_a_transfer_moves_exactly_its_amount(uint256 amount, address to) public {
        uint256 supply = _token.totalSupply();
        vm.assume(to != address(0) && to != account(0));
        amount = within(amount, 0, supply);
        vm.prank(account(0));
        check(_token.transfer(to, amount), "a transfer");
        check(_token.balanceOf(to) == amount, "what arrived");
        check(_token.balanceOf(account(0)) == supply - amount, "what is left");
    }
}
