// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What OpenLedger's governor adds to OpenZeppelin's (see its IGovernor for all else).
/// @notice A proposal is made by whoever holds `proposalThreshold()` votes a second before, costs
/// `proposalFee` OPEN that the treasury keeps, is voted on from `votingDelay()` after it for
/// `votingPeriod()` seconds, and passes with more votes for than against and a quorum of votes for
/// or abstaining; then anyone queues it in the timelock, and after its delay anyone executes it.
/// @dev Invariant: nothing is executed that was not voted on and did not wait out the timelock.
interface IOpenGovernor {
    /// Constructor parameters. Times are seconds, amounts base units.
    struct Terms {
        uint48 votingDelay;
        uint32 votingPeriod;
        uint256 proposalThreshold; // gOPEN
        uint256 proposalFee; // OPEN
        address treasury;
    }

    /// The proposer's fee went to the treasury.
    event ProposalFeePaid(uint256 indexed proposalId, address indexed proposer, uint256 amount);

    /// The treasury may not be the zero address.
    error ZeroTreasury();

    /// @notice Base units of OPEN that a proposal costs; the proposer approves them to the governor.
    function proposalFee() external view returns (uint256);

    /// @notice Who gets the fees.
    function treasury() external view returns (address);

    /// @notice The votes that a proposal of that second needs: 5 % of gOPEN then, and at least 1 % of
    /// OPEN now (which can only fall), so that a few wrapped coins decide nothing.
    function quorum(uint256 timepoint) external view returns (uint256);
}
