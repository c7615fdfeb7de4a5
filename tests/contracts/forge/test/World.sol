// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "./Vm.sol";

/// @title The committed artifacts, deployed as settlement/deploy.py deploys them.
/// @dev Accounts are those of tests/contracts/scene.py: account n has the key n repeated 32 times; 0
/// deploys and has the supply, 1 to 4 are operators with payout addresses 5 to 8, 1 to 3 aggregators. From
/// 10 on they are jurors, where there are any.
abstract contract World {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 internal constant OPEN = 1e18;
    uint256 internal constant START = 1_800_000_000;
    uint256 private constant REPEATED =
        0x0101010101010101010101010101010101010101010101010101010101010101;

    uint256 private constant ACCOUNTS = 20;

    mapping(string contract_ => address) private _places;
    address[ACCOUNTS] private _accounts; // kept: deriving one takes longer than most calls

    error Failed(string what);

    function deploy() internal {
        vm.warp(START);
        string memory file = _located();
        address[] memory places = vm.parseJsonAddressArray(file, ".addresses");
        bytes[] memory code = vm.parseJsonBytesArray(file, ".code");
        for (uint256 i = 0; i < code.length; ++i) {
            bytes memory creation = code[i];
            vm.prank(account(0));
            address made;
            assembly {
                made := create(0, add(creation, 32), mload(creation))
            }
            check(made == places[i], "a contract is not at its predicted address");
        }
    }

    /// @dev Learn the places of a deployment that another contract of this test made.
    function deployedBefore() internal {
        _located();
    }

    function place(string memory contract_) internal view returns (address) {
        return _places[contract_];
    }

    function key(uint256 number) internal pure returns (uint256) {
        return REPEATED * (number + 1);
    }

    function account(uint256 number) internal view returns (address) {
        return _accounts[number];
    }

    function check(bool holds, string memory what) internal pure {
        if (!holds) revert Failed(what);
    }

    /// @dev `value` folded into least..most.
    function within(uint256 value, uint256 least, uint256 most) internal pure returns (uint256) {
        return least + (value % (most - least + 1));
    }

    function signature(uint256 signer, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key(signer), digest);
        return abi.encodePacked(r, s, v);
    }

    function _located() private returns (string memory file) {
        file = vm.readFile(vm.envString("OPENLEDGER_DEPLOYMENT"));
        string[] memory names = vm.parseJsonStringArray(file, ".names");
        address[] memory places = vm.parseJsonAddressArray(file, ".addresses");
        for (uint256 i = 0; i < names.length; ++i) _places[names[i]] = places[i];
        for (uint256 i = 0; i < ACCOUNTS; ++i) _accounts[i] = vm.addr(key(i));
    }
}
