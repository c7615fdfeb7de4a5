// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Quorum} from "./Quorum.sol";
import {WorkerStake} from "./WorkerStake.sol";

/// @title The committee that orders slashes: m of n seats sign, anyone submits.
/// @dev WorkerStake takes an operator's stake at most once for a unit, so no order acts twice.
contract CommitteeSlasher is Quorum, EIP712 {
    struct Slash {
        address operator;
        bytes32 unit;
        uint256 amount; // base units, an upper limit
        bytes32 evidence; // hash of the published evidence
        address reporter; // first challenger, or zero
    }

    bytes32 public constant SLASH_TYPEHASH =
        keccak256("Slash(address operator,bytes32 unit,uint256 amount,bytes32 evidence,address reporter)");

    WorkerStake public immutable stake;

    event SlashExecuted(address indexed operator, bytes32 indexed unit, bytes32 evidence);

    constructor(
        WorkerStake stake_,
        address[] memory seats,
        uint256 threshold_
    ) Quorum(seats, threshold_) EIP712("CommitteeSlasher", "1") {
        stake = stake_;
    }

    /// @notice Execute one order signed by the committee; see Quorum for the signatures.
    function execute(Slash calldata order, bytes[] calldata signatures) external {
        _signers(_hashTypedDataV4(keccak256(abi.encode(SLASH_TYPEHASH, order))), signatures);
        emit SlashExecuted(order.operator, order.unit, order.evidence);
        stake.slash(order.operator, order.unit, order.amount, order.evidence, order.reporter);
    }
}
