// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What the pool asks of the Arbiter.
/// @notice Fraud that a contract can see needs no jury: the pool proves it and has the signers
/// punished at once. Whatever only people can judge ("the scores are wrong") is opened at the Arbiter
/// itself, which then freezes and resolves the epoch through IChallengeable.
/// @dev The Arbiter is WorkerStake's one slasher. It is deployed after the pool (its constructor reads
/// IChallengeable.longestWindow), so the pool is given its predicted address. While an order against a
/// unit may be appealed, WorkerStake.unlock of that unit reverts UnitHeld: whoever settles units calls
/// again after the verdict.
interface IArbiter {
    /// @notice Slash the signers of a commit that the pool found fraudulent; only the pool.
    /// @dev At once, without appeal. Never reverts for a signer who has nothing left, so that one empty
    /// account shields nobody else. A signer is punished at most once for one evidence hash: the pool
    /// makes it unique for each fraud, for example keccak256(abi.encode(poolId, epoch, fraud)). Takes
    /// free stake first, then unbonding stake, at last stake that is locked under the signer's units.
    /// @param signers whose signatures stand under the commit.
    /// @param amountEach base units, an upper limit.
    /// @param evidence hash that names the fraud; logged by WorkerStake with each slash.
    /// @param reporter who proved it; WorkerStake pays it at most a tenth of each slash and at most its
    /// rewardCap, the rest is burnt. The zero address for none.
    function punish(
        address[] calldata signers,
        uint256 amountEach,
        bytes32 evidence,
        address reporter
    ) external;

    /// Only the pool may have signers punished.
    error NotPool(address caller);
}
