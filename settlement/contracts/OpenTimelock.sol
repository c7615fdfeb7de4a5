// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title The delay between a vote and its effect, and the address that governance speaks from.
/// @dev Invariants: the governor alone proposes, cancels and executes; nobody but this contract itself
/// administers roles or the delay, so that both change by a vote alone; no admin was ever named.
contract OpenTimelock is TimelockController {
    /// @param minDelay seconds from queue to execute.
    constructor(
        uint256 minDelay,
        address governor
    ) TimelockController(minDelay, _only(governor), _only(governor), address(0)) {}

    function _only(address account) private pure returns (address[] memory accounts) {
        accounts = new address[](1);
        accounts[0] = account;
    }
}
