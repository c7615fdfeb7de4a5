// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A brake that governance hands to one account, for one short pull.
/// @notice While `paused()` holds, `AttributionPool.commit` and `InferenceChannels.open` are refused.
/// Nothing ever pauses claim, settle, sweep, close, reclaim or withdraw, and no clock of theirs waits.
/// @dev Invariants: one naming allows one pause, at most MAX_PAUSE long; a second one needs a second
/// vote, so a guardian that lost its key or its mind costs a week and no coins.
interface IGuardian {
    /// The guardian may pause once. `by` is the timelock, or the deployment.
    event GuardianNamed(address indexed guardian);
    /// New commits and channels are refused until `until` (unix seconds).
    event Paused(address indexed guardian, uint256 until);
    /// The pause ended early.
    event Unpaused(address indexed by);

    /// Only the guardian that was named, and has not paused since, may do this.
    error NotGuardian(address caller);
    /// A pause lasts 1 to MAX_PAUSE seconds.
    error PauseTooLong(uint256 duration, uint256 most);
    /// Nothing is paused.
    error NotPaused();

    /// @notice Whether new commits and new channels are refused now.
    function paused() external view returns (bool);

    /// @notice Unix seconds until which they are refused; in the past when nothing is paused.
    function pausedUntil() external view returns (uint64);

    /// @notice Who may pause, once; zero when nobody may.
    function guardian() external view returns (address);

    /// @notice Name the next guardian (zero: nobody). Only the timelock; reverts NotTimelock.
    function nameGuardian(address next) external;

    /// @notice Refuse commits and new channels for `duration` seconds. Uses the naming up.
    function pause(uint256 duration) external;

    /// @notice End a pause early; by the account that paused, or by the timelock.
    function unpause() external;
}
