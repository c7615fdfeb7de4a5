// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The rules in force, version by version.
/// @notice Append-only. Version 1 is the genesis and in force since deployment; a later one is in
/// force from a second that lies ahead when it is appended, so no vote acts backwards. Contracts and
/// nodes read a version by number and are bound to the number that they started with: a job to the
/// version when its pot was funded, a pool's epoch to the version when the epoch began, an answer to
/// the version in its usage entry.
/// @dev Invariants: versions are 1, 2, 3, ... and never change; their starts never fall; every version
/// keeps the rails that `append` names, whatever was voted.
interface IRuleRegistry {
    /// Shares are basis points, amounts base units of OPEN, times seconds.
    struct Rules {
        uint16 contributorsBps; // of a job's pot, to contributors by influence
        uint16 modelOwnerBps; // of a job's pot, to the model's owner
        uint16 privateCapBps; // of a job's pot, most for all private owners together
        uint16 feeHostBps; // of an answer's fee, to the host
        uint16 feeContributorsBps; // of a fee, to the asset's pot; the party that gets the remainder
        uint16 feeOwnerBps; // of a fee, to the model's owner
        uint16 feeLineageBps; // of a fee, most for all ancestors together
        uint16 feeTreasuryBps; // of a fee, to the treasury
        uint16 samples; // s: steps drawn a unit
        uint16 verifiers; // r: verifiers a drawn step
        uint32 window; // from an epoch's commit to its claims
        uint128 unitPay; // R: pay of one verified unit; bounds its cost C from above
        uint128 unitStake; // S: locked under every open unit; the genesis's in every version
        uint128 checkPay; // of one verdict that the outcome bore out
        uint128 signPay; // of one signed merge
        uint128 slash; // of a unit's stake for upheld fraud
        uint128 pricePerToken; // of an answer
    }

    /// Version `version` is in force from `start` (unix seconds) on.
    event RulesAppended(uint32 indexed version, uint256 start, Rules rules);

    /// Only the timelock may do this.
    error NotTimelock(address caller);
    /// No version has this number.
    error UnknownVersion(uint32 version);
    /// Nothing was in force before deployment.
    error BeforeGenesis(uint256 time);
    /// A version starts after now, and not before its predecessor.
    error StartTooEarly(uint256 start, uint256 least);
    /// The rules break the rail of this name (the field's).
    error OffTheRails(string rail);

    /// @notice Append the next version. Only the timelock.
    /// @dev Rails: contributors get 1,000 to 9,000 bps of a pot and of a fee; the treasury at most
    /// 2,000 bps of a fee; the five parts of a fee sum to 10,000, the owner's and the contributors'
    /// of a pot to at most 10,000; private owners get at most the contributors' part; s >= 2; r >= 2;
    /// S >= 4 R >= 4 C; S is the genesis's, because the pool locks just that under every unit; slash <= S,
    /// so no order for it is above its lock; minWindow <= window <= maxWindow.
    /// @param start unix seconds from which the version is in force.
    function append(Rules calldata rules, uint256 start) external returns (uint32 version);

    /// @notice The version in force at a unix time, also a future one as far as it is voted; reverts
    /// BeforeGenesis.
    function versionAt(uint256 time) external view returns (uint32 version);

    /// @notice The rules of a version, in force or not; reverts UnknownVersion.
    function rulesOf(uint32 version) external view returns (Rules memory);

    /// @notice Unix seconds from which a version is in force; reverts UnknownVersion.
    function effectiveAt(uint32 version) external view returns (uint256);

    /// @notice The highest version appended, which may not be in force yet.
    function lastVersion() external view returns (uint32);

    /// @notice Who may append: the timelock that the governor speaks through.
    function timelock() external view returns (address);

    /// @notice Fewest seconds that a version's window may have.
    function minWindow() external view returns (uint256);

    /// @notice Most seconds that a version's window may have; unbonding takes longer.
    function maxWindow() external view returns (uint256);

    /// @notice The unit's stake of every version: the genesis's, which is AttributionPool.unitStake.
    function unitStake() external view returns (uint256);
}
