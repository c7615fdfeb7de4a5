// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {AssetRegistry} from "./AssetRegistry.sol";
import {OpenToken} from "./OpenToken.sol";

/// @title What an operator key can lose.
/// @notice Anyone deposits for a registered operator; what is withdrawn goes to that operator's
/// payout address, so a stolen operator key gains nothing. Stake stays slashable until it left.
/// @dev Invariants: locked <= bonded for every operator; the token balance of this contract is at
/// least the sum of bonded and unbonding; a unit's lock belongs to one operator; an operator is
/// slashed at most once for a unit. Deployed with predicted addresses of the pool and the slasher.
contract WorkerStake {
    using SafeERC20 for OpenToken;

    struct Account {
        uint256 bonded; // base units, locked ones included
        uint256 locked;
        uint256 unbonding; // base units on their way out, still slashable
        uint256 releaseAt; // unix seconds
    }

    struct Lock {
        address operator;
        uint256 amount;
    }

    /// The reporter gets one part in REWARD_PARTS of a slash, the rest is burnt.
    uint256 public constant REWARD_PARTS = 10;

    OpenToken public immutable token;
    AssetRegistry public immutable registry;
    /// The only address that may slash.
    address public immutable slasher;
    /// The only address that may lock and unlock.
    address public immutable pool;
    /// Seconds between unbond and withdraw: longer than any settlement window.
    uint256 public immutable unbondingSeconds;

    mapping(address operator => Account) private _accounts;
    mapping(bytes32 unit => Lock) private _locks;
    mapping(address operator => mapping(bytes32 unit => bool)) private _slashed;
    mapping(address operator => bool) private _listed;
    address[] private _stakers;

    event StakeDeposited(address indexed operator, address indexed source, uint256 amount);
    event StakeUnbonded(address indexed operator, uint256 amount, uint256 releaseAt);
    event StakeWithdrawn(address indexed operator, address payout, uint256 amount);
    event StakeLocked(address indexed operator, bytes32 indexed unit, uint256 amount);
    event StakeUnlocked(address indexed operator, bytes32 indexed unit, uint256 amount);
    event Slashed(
        address indexed operator,
        bytes32 indexed unit,
        uint256 amount,
        bytes32 evidence,
        address reporter,
        uint256 reward,
        uint256 burnt
    );

    /// The amount must be positive.
    error ZeroAmount();
    /// Only the pool may do this.
    error NotPool(address caller);
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
    /// Nothing is unbonding.
    error NothingUnbonding(address operator);
    /// The unbonding time is not over.
    error StillUnbonding(uint256 releaseAt);
    /// The operator was slashed for this unit before.
    error AlreadySlashed(address operator, bytes32 unit);
    /// The operator has no stake that this slash may take.
    error NothingToSlash(address operator);

    constructor(
        OpenToken token_,
        AssetRegistry registry_,
        address slasher_,
        address pool_,
        uint32 unbondingSeconds_
    ) {
        token = token_;
        registry = registry_;
        slasher = slasher_;
        pool = pool_;
        unbondingSeconds = unbondingSeconds_;
    }

    /// @notice Add stake for a registered operator from the caller's allowance.
    function deposit(address operator, uint256 amount) external {
        if (amount == 0) revert ZeroAmount();
        registry.ownerIndex(operator);
        _accounts[operator].bonded += amount;
        if (!_listed[operator]) {
            _listed[operator] = true;
            _stakers.push(operator);
        }
        emit StakeDeposited(operator, msg.sender, amount);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Start the way out of free stake; by the operator or its payout address. A further call
    /// restarts the clock for all that is unbonding.
    function unbond(address operator, uint256 amount) external {
        if (amount == 0) revert ZeroAmount();
        if (msg.sender != operator && msg.sender != registry.payoutOfOperator(operator)) {
            revert NotStaker(operator, msg.sender);
        }
        Account storage account = _accounts[operator];
        uint256 free = account.bonded - account.locked;
        if (amount > free) revert InsufficientStake(operator, free, amount);
        account.bonded -= amount;
        account.unbonding += amount;
        account.releaseAt = block.timestamp + unbondingSeconds;
        emit StakeUnbonded(operator, amount, account.releaseAt);
    }

    /// @notice Pay what has unbonded to the operator's payout address; by anyone.
    function withdraw(address operator) external {
        Account storage account = _accounts[operator];
        uint256 amount = account.unbonding;
        if (amount == 0) revert NothingUnbonding(operator);
        if (block.timestamp < account.releaseAt) revert StillUnbonding(account.releaseAt);
        address payout = registry.payoutOfOperator(operator);
        account.unbonding = 0;
        emit StakeWithdrawn(operator, payout, amount);
        token.safeTransfer(payout, amount);
    }

    /// @notice Lock free stake under a unit; only by the pool.
    function lock(address operator, bytes32 unit, uint256 amount) external {
        if (msg.sender != pool) revert NotPool(msg.sender);
        if (_locks[unit].operator != address(0)) revert AlreadyLocked(unit);
        Account storage account = _accounts[operator];
        uint256 free = account.bonded - account.locked;
        if (amount > free) revert InsufficientStake(operator, free, amount);
        account.locked += amount;
        _locks[unit] = Lock(operator, amount);
        emit StakeLocked(operator, unit, amount);
    }

    /// @notice Free a unit's lock; only by the pool.
    function unlock(address operator, bytes32 unit) external {
        if (msg.sender != pool) revert NotPool(msg.sender);
        Lock memory held = _locks[unit];
        if (held.operator != operator) revert NotLocked(operator, unit);
        delete _locks[unit];
        _accounts[operator].locked -= held.amount;
        emit StakeUnlocked(operator, unit, held.amount);
    }

    /// @notice Take up to `amount`: first from the unit's lock, then from free, then from unbonding
    /// stake; locks of other units are never touched. What the lock held beyond it becomes free.
    /// @param reporter the first challenger, paid a tenth; the zero address for none.
    function slash(
        address operator,
        bytes32 unit,
        uint256 amount,
        bytes32 evidence,
        address reporter
    ) external {
        if (msg.sender != slasher) revert NotSlasher(msg.sender);
        if (_slashed[operator][unit]) revert AlreadySlashed(operator, unit);
        Account storage account = _accounts[operator];
        if (_locks[unit].operator == operator) {
            account.locked -= _locks[unit].amount;
            delete _locks[unit];
        }
        uint256 taken = _take(account, amount);
        if (taken == 0) revert NothingToSlash(operator);
        _slashed[operator][unit] = true;
        uint256 reward = reporter == address(0) ? 0 : taken / REWARD_PARTS;
        emit Slashed(operator, unit, taken, evidence, reporter, reward, taken - reward);
        token.burn(taken - reward);
        if (reward != 0) token.safeTransfer(reporter, reward);
    }

    /// @notice Bonded stake of an operator, locked stake included, unbonding stake not.
    function stakeOf(address operator) external view returns (uint256) {
        return _accounts[operator].bonded;
    }

    /// @notice The part of stakeOf that is locked under open units.
    function lockedOf(address operator) external view returns (uint256) {
        return _accounts[operator].locked;
    }

    /// @notice Stake on its way out and when it may leave.
    function unbondingOf(address operator) external view returns (uint256 amount, uint256 releaseAt) {
        return (_accounts[operator].unbonding, _accounts[operator].releaseAt);
    }

    /// @notice Whose stake is locked under a unit, and how much; zeros when none.
    function lockOf(bytes32 unit) external view returns (address operator, uint256 amount) {
        return (_locks[unit].operator, _locks[unit].amount);
    }

    /// @notice Whether the operator was slashed for the unit.
    function isSlashed(address operator, bytes32 unit) external view returns (bool) {
        return _slashed[operator][unit];
    }

    /// @notice Number of operators that ever had stake.
    function stakerCount() external view returns (uint256) {
        return _stakers.length;
    }

    /// @notice The operator at a position of the list of stakers.
    function stakerAt(uint256 position) external view returns (address) {
        return _stakers[position];
    }

    function _take(Account storage account, uint256 amount) private returns (uint256 taken) {
        uint256 free = account.bonded - account.locked;
        uint256 fromBonded = amount < free ? amount : free;
        uint256 left = amount - fromBonded;
        uint256 fromUnbonding = left < account.unbonding ? left : account.unbonding;
        account.bonded -= fromBonded;
        account.unbonding -= fromUnbonding;
        return fromBonded + fromUnbonding;
    }
}
