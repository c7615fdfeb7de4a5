// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInferenceChannels} from "settlement/interfaces/IInferenceChannels.sol";

/// @title EIP-712, written out here a second time.
library Typed {
    /// @dev What is signed of a struct with this hash, for version 1 of a contract of this name.
    function digest(
        string memory name,
        uint256 chain,
        address verifier,
        bytes32 structHash
    ) internal pure returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256(bytes(name)),
                keccak256("1"),
                chain,
                verifier
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function voucher(
        address channels,
        bytes32 channel,
        uint256 ceiling,
        IInferenceChannels.Usage[] memory usage
    ) internal view returns (bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Voucher(bytes32 channel,uint256 ceiling,bytes32 usageHash)"),
                channel,
                ceiling,
                keccak256(abi.encode(usage))
            )
        );
        return digest("InferenceChannels", block.chainid, channels, structHash);
    }
}
