// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title OPEN, the coin that everything is paid in (18 decimals).
/// @notice The whole supply goes to the deployer; nobody can mint. Slashing burns.
/// @dev Invariant: totalSupply() never grows and fits 128 bits, so every amount and every sum of
/// amounts that other contracts receive fits 128 bits too.
contract OpenToken is ERC20, ERC20Burnable, ERC20Permit {
    /// The supply must fit 128 bits.
    error SupplyTooLarge(uint256 supply);

    /// @param supply in base units (1 OPEN = 10**18), minted to the deployer.
    constructor(uint256 supply) ERC20("OPEN", "OPEN") ERC20Permit("OPEN") {
        if (supply > type(uint128).max) revert SupplyTooLarge(supply);
        _mint(msg.sender, supply);
    }
}
