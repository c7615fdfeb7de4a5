// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Epochs that a jury may void: what the Arbiter asks of the pool.
/// @notice Order of calls for one case: `freeze` once, then `resolve` once, each from the Arbiter only.
/// A jury may void an epoch; it can never validate one, pay anybody or change a root.
interface IChallengeable {
    /// @notice A bonded subjective challenge was opened: the commit's activation waits. Claims on the
    /// last active root go on; the clocks of reclaim and of the fallback proposer stand still. Must
    /// revert unless (poolId, epoch) is committed, not yet active and not frozen.
    function freeze(bytes32 poolId, uint64 epoch) external;

    /// @notice The verdict. `voided`: the pending commit is gone, its draws are back in their pots and
    /// the epoch may be committed again. Otherwise the commit activates no earlier than it would have
    /// without the challenge. Must not revert for an epoch that `freeze` took.
    function resolve(bytes32 poolId, uint64 epoch, bool voided) external;

    /// @notice Whose signatures stand under the last commit of (poolId, epoch), ascending; empty when
    /// there is none. Must still answer after `resolve(.., true)`, until the epoch is committed again.
    function signersOf(bytes32 poolId, uint64 epoch) external view returns (address[] memory);

    /// @notice Seconds: the longest time from a commit to its activation without a challenge, over all
    /// ways to commit. The Arbiter refuses to be deployed unless stake unbonds more slowly than this and
    /// a jury together.
    function longestWindow() external view returns (uint256);
}

/// @title Units of work with stake locked under them: what the Arbiter asks of the pool.
interface IUnitBook {
    /// @notice A unit's facts. `state`: 0 none, 1 reserved, 2 anchored, 3 settled, 4 slashed. Only an
    /// anchored unit can be the subject of a slash order; before it a unit may be handed back freely.
    function unitOf(
        bytes32 unit
    ) external view returns (bytes32 pot, address operator, uint256 deadline, uint8 state);
}
