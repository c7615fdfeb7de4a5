// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {GovernorCountingSimple} from "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import {GovernorSettings} from "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import {GovernorTimelockControl} from "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {GovernorVotes} from "@openzeppelin/contracts/governance/extensions/GovernorVotes.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {GOpen} from "./GOpen.sol";
import {OpenToken} from "./OpenToken.sol";
import {IOpenGovernor} from "./interfaces/IOpenGovernor.sol";

/// @dev See IOpenGovernor.
contract OpenGovernor is
    IOpenGovernor,
    GovernorSettings,
    GovernorCountingSimple,
    GovernorVotes,
    GovernorTimelockControl
{
    using SafeERC20 for OpenToken;

    uint256 private constant ALL_BPS = 10_000;
    uint256 private constant QUORUM_BPS_OF_VOTES = 500;
    uint256 private constant QUORUM_BPS_OF_COINS = 100;

    OpenToken private immutable _open;
    /// @inheritdoc IOpenGovernor
    uint256 public immutable proposalFee;
    /// @inheritdoc IOpenGovernor
    address public immutable treasury;

    constructor(
        OpenToken open,
        GOpen votes,
        TimelockController timelock_,
        Terms memory terms
    )
        Governor("OpenGovernor")
        GovernorSettings(terms.votingDelay, terms.votingPeriod, terms.proposalThreshold)
        GovernorVotes(votes)
        GovernorTimelockControl(timelock_)
    {
        if (terms.treasury == address(0)) revert ZeroTreasury();
        _open = open;
        proposalFee = terms.proposalFee;
        treasury = terms.treasury;
    }

    /// @inheritdoc IOpenGovernor
    function quorum(
        uint256 timepoint
    ) public view override(IOpenGovernor, Governor) returns (uint256) {
        uint256 ofVotes = (token().getPastTotalSupply(timepoint) * QUORUM_BPS_OF_VOTES) / ALL_BPS;
        uint256 ofCoins = (_open.totalSupply() * QUORUM_BPS_OF_COINS) / ALL_BPS;
        return ofVotes > ofCoins ? ofVotes : ofCoins;
    }

    /// @notice Votes that a proposer needs.
    function proposalThreshold()
        public
        view
        override(Governor, GovernorSettings)
        returns (uint256)
    {
        return super.proposalThreshold();
    }

    /// @notice 0 pending, 1 active, 2 canceled, 3 defeated, 4 succeeded, 5 queued, 6 expired, 7 executed.
    function state(
        uint256 proposalId
    ) public view override(Governor, GovernorTimelockControl) returns (ProposalState) {
        return super.state(proposalId);
    }

    /// @notice Every proposal waits in the timelock.
    function proposalNeedsQueuing(
        uint256 proposalId
    ) public view override(Governor, GovernorTimelockControl) returns (bool) {
        return super.proposalNeedsQueuing(proposalId);
    }

    function _propose(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        address proposer
    ) internal override returns (uint256 proposalId) {
        proposalId = super._propose(targets, values, calldatas, description, proposer);
        emit ProposalFeePaid(proposalId, proposer, proposalFee);
        if (proposalFee != 0) _open.safeTransferFrom(proposer, treasury, proposalFee);
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _executor()
        internal
        view
        override(Governor, GovernorTimelockControl)
        returns (address)
    {
        return super._executor();
    }
}
