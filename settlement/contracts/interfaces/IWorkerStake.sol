// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What an operator key can lose.
/// @notice Anyone deposits for a registered operator; what is withdrawn goes to that operator's
/// payout address, so a stolen operator key gains nothing. Stake stays slashable until it left.
/// Amounts are base units of OPEN, times unix seconds.
interface IWorkerStake {
    event StakeDeposited(address indexed operator, address indexed source, uint256 amount);
    event StakeUnbonded(address indexed operator, uint256 amount, uint256 releaseAt);
    event StakeWithdrawn(address indexed operator, address payout, uint256 amount);
    event StakeLocked(address indexed operator, bytes32 indexed unit, uint256 amount);
    event StakeUnlocked(address indexed operator, bytes32 indexed unit, uint256 amount);
    /// A lock can (not) be opened by the pool; its case is open (over).
    event LockHeld(address indexed operator, bytes32 indexed unit, bool held);
    /// The operator takes part in the draws of juries, or no longer does.
    event JurorEnlisted(address indexed operator, bool enlisted);
    event Slashed(
        address indexed operator,
        bytes32 indexed unit,
        uint256 amount,
        bytes32 evidence,
        address reporter,
        uint256 reward,
        uint256 burnt
    );
    /// A lost bond, or the fee of a juror who was missing or a judge who was overturned.
    event Seized(address indexed operator, bytes32 indexed unit, uint256 amount);

    /// The amount must be positive.
    error ZeroAmount();
    /// Only the pool and the slasher may lock and unlock.
    error NotKeeper(address caller);
    /// Only the slasher may do this.
    error NotSlasher(address caller);
    /// Only the operator or its payout address may unbond.
    error NotStaker(address operator, address caller);
    /// The operator has less free stake than needed.
    error InsufficientStake(address operator, uint256 free, uint256 needed);
    /// The unit has a lock already.
    error AlreadyLocked(bytes32 unit);
    /// The unit has no lock of this operator.
    error NotLocked(address operator, bytes32 unit);
    /// The lock is held for a case that is not over.
    error UnitHeld(bytes32 unit);
    /// Nothing is unbonding.
    error NothingUnbonding(address operator);
    /// The unbonding time is not over.
    error StillUnbonding(uint256 releaseAt);
    /// The operator was slashed for this unit before.
    error AlreadySlashed(address operator, bytes32 unit);

    /// @notice Add stake for a registered operator from the caller's allowance.
    function deposit(address operator, uint256 amount) external;

    /// @notice Start the way out of free stake; by the operator or its payout address. A further call
    /// restarts the clock for all that is unbonding.
    function unbond(address operator, uint256 amount) external;

    /// @notice Pay what has unbonded to the operator's payout address; by anyone.
    function withdraw(address operator) external;

    /// @notice Take part in the draws of juries from the next stake epoch on, with all bonded stake as
    /// weight, or leave them; by the operator. Who is drawn and missing loses a juror's fee.
    function enlist(bool enlisted) external;

    /// @notice Lock free stake under a unit (pool) or a bond (slasher).
    function lock(address operator, bytes32 unit, uint256 amount) external;

    /// @notice Free a lock; by the pool or the slasher. Reverts UnitHeld while a case is open.
    function unlock(address operator, bytes32 unit) external;

    /// @notice Keep a lock shut while its case is open, or let it go again; only the slasher.
    function hold(address operator, bytes32 unit, bool held) external;

    /// @notice Take up to `amount`: from the unit's lock, then from free, then from unbonding stake, at
    /// last from what is locked under other units: a lock promises stake to its unit, it shields none.
    /// What the lock held beyond `amount` becomes free. Only the slasher, once for a unit.
    /// @param evidence hash of the published evidence.
    /// @param reporter the first challenger; paid a tenth, at most rewardCap. The zero address for none.
    function slash(
        address operator,
        bytes32 unit,
        uint256 amount,
        bytes32 evidence,
        address reporter
    ) external;

    /// @notice Move up to `amount` to the slasher, taken in the same order; only the slasher, which pays
    /// jurors with it. `taken` may be less, or zero.
    function seize(address operator, bytes32 unit, uint256 amount) external returns (uint256 taken);

    /// @notice Bonded stake of an operator, locked stake included, unbonding stake not.
    function stakeOf(address operator) external view returns (uint256);

    /// @notice The part of stakeOf that is locked under open units and bonds.
    function lockedOf(address operator) external view returns (uint256);

    /// @notice Stake on its way out and when it may leave.
    function unbondingOf(address operator) external view returns (uint256 amount, uint256 releaseAt);

    /// @notice Whose stake is locked under a unit, and how much; zeros when none.
    function lockOf(bytes32 unit) external view returns (address operator, uint256 amount);

    /// @notice Whether the operator was slashed for the unit.
    function isSlashed(address operator, bytes32 unit) external view returns (bool);

    /// @notice Number of operators that ever had stake.
    function stakerCount() external view returns (uint256);

    /// @notice The operator at a position of the list of stakers.
    function stakerAt(uint256 position) external view returns (address);
}
