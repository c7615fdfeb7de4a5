// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Where governance wants work to go on.
/// @notice A successor is advice that clients follow for new pots, channels and stakes. The old contract
/// is not told: it has no owner and no switch, and balances in it stay claimable for ever.
/// @dev Invariant: a contract's successor is named once and never changed.
interface ISuccessors {
    /// New business of `old` belongs to `next`.
    event SuccessorNamed(address indexed old, address indexed next);

    /// The contract has a successor already.
    error SuccessorExists(address old, address next);
    /// A successor is a contract other than the old one.
    error BadSuccessor(address next);

    /// @notice Name the contract that follows on `old`. Only the timelock; reverts NotTimelock.
    function nameSuccessor(address old, address next) external;

    /// @notice The contract that follows on `old`; zero when none was named.
    function successorOf(address old) external view returns (address);
}
