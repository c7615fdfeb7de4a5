// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Stake as it stood at the end of past epochs, and draws by it.
/// @notice A stake epoch is `block.timestamp / epochSeconds`. Values of an epoch are final once it is
/// over; reading the epoch that runs gives what stands now.
interface IStakeHistory {
    /// No juror was enlisted with stake at the end of the epoch, or the point lies beyond their sum.
    error NoJuror(uint48 epoch, uint256 point);

    /// @notice The number of the epoch that runs.
    function stakeEpoch() external view returns (uint48);

    /// @notice Bonded stake of an operator at the end of an epoch, base units.
    function stakeAt(address operator, uint48 epoch) external view returns (uint256);

    /// @notice Stake of all enlisted jurors at the end of an epoch, base units.
    function jurorStakeAt(uint48 epoch) external view returns (uint256);

    /// @notice The juror at a point of [0, jurorStakeAt(epoch)), and its points [start, start + weight):
    /// each juror owns as many as it had stake, in order of first enlisting. A uniform point draws by
    /// stake. Reverts NoJuror beyond.
    function jurorAt(
        uint48 epoch,
        uint256 point
    ) external view returns (address juror, uint256 start, uint256 weight);

    /// @notice The points of an operator; zeros for one that had none.
    function jurorRange(
        uint48 epoch,
        address operator
    ) external view returns (uint256 start, uint256 weight);

    /// @notice Number of operators that ever enlisted.
    function jurorCount() external view returns (uint256);
}
