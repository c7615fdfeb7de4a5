// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {AssetRegistry} from "./AssetRegistry.sol";
import {OpenToken} from "./OpenToken.sol";
import {StakeHistory} from "./StakeHistory.sol";
import {IWorkerStake} from "./interfaces/IWorkerStake.sol";

/// @title What an operator key can lose. See IWorkerStake.
/// @dev Invariants: locked <= bonded for every operator; the token balance of this contract is at
/// least the sum of bonded and unbonding; a unit's lock belongs to one operator; an operator is
/// slashed at most once for a unit; only the slasher ever lowers what an operator owns. Deployed with
/// predicted addresses of the pool and the slasher.
contract WorkerStake is IWorkerStake, StakeHistory {
    using SafeERC20 for OpenToken;

    struct Account {
        uint256 bonded; // base units, locked ones included
        uint256 locked;
        uint256 unbonding; // base units on their way out, still slashable
        uint256 releaseAt; // unix seconds
    }

    struct Lock {
        address operator;
        bool held; // a case about it is open
        uint256 amount;
    }

    /// The reporter gets at most one part in REWARD_PARTS of a slash, the rest is burnt.
    uint256 public constant REWARD_PARTS = 10;

    OpenToken public immutable token;
    AssetRegistry public immutable registry;
    /// The only address that may slash, seize and hold.
    address public immutable slasher;
    /// Beside the slasher the only address that may lock and unlock.
    address public immutable pool;
    /// Seconds between unbond and withdraw: longer than any settlement window and a jury together,
    /// which the slasher's constructor checks.
    uint256 public immutable unbondingSeconds;
    /// The most that a reporter gets from one slash, base units: three times the cost of a check.
    uint256 public immutable rewardCap;

    mapping(address operator => Account) private _accounts;
    mapping(bytes32 unit => Lock) private _locks;
    mapping(address operator => mapping(bytes32 unit => bool)) private _slashed;
    mapping(address operator => bool) private _listed;
    address[] private _stakers;

    modifier onlyKeeper() {
        if (msg.sender != pool && msg.sender != slasher) revert NotKeeper(msg.sender);
        _;
    }

    modifier onlySlasher() {
        if (msg.sender != slasher) revert NotSlasher(msg.sender);
        _;
    }

    constructor(
        OpenToken token_,
        AssetRegistry registry_,
        address slasher_,
        address pool_,
        uint32 unbondingSeconds_,
        uint32 epochSeconds_,
        uint256 rewardCap_
    ) StakeHistory(epochSeconds_) {
        token = token_;
        registry = registry_;
        slasher = slasher_;
        pool = pool_;
        unbondingSeconds = unbondingSeconds_;
        rewardCap = rewardCap_;
    }

    /// @inheritdoc IWorkerStake
    function deposit(address operator, uint256 amount) external {
        if (amount == 0) revert ZeroAmount();
        registry.ownerIndex(operator);
        // First the coins: OpenToken calls nobody back, and what is recorded then exists.
        token.safeTransferFrom(msg.sender, address(this), amount);
        Account storage account = _accounts[operator];
        account.bonded += amount;
        if (!_listed[operator]) {
            _listed[operator] = true;
            _stakers.push(operator);
        }
        emit StakeDeposited(operator, msg.sender, amount);
        _record(operator, account.bonded);
    }

    /// @inheritdoc IWorkerStake
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
        _record(operator, account.bonded);
    }

    /// @inheritdoc IWorkerStake
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

    /// @inheritdoc IWorkerStake
    function enlist(bool enlisted) external {
        registry.ownerIndex(msg.sender);
        emit JurorEnlisted(msg.sender, enlisted);
        _enlist(msg.sender, enlisted, _accounts[msg.sender].bonded);
    }

    /// @inheritdoc IWorkerStake
    function lock(address operator, bytes32 unit, uint256 amount) external onlyKeeper {
        if (_locks[unit].operator != address(0)) revert AlreadyLocked(unit);
        Account storage account = _accounts[operator];
        uint256 free = account.bonded - account.locked;
        if (amount > free) revert InsufficientStake(operator, free, amount);
        account.locked += amount;
        _locks[unit] = Lock(operator, false, amount);
        emit StakeLocked(operator, unit, amount);
    }

    /// @inheritdoc IWorkerStake
    function unlock(address operator, bytes32 unit) external onlyKeeper {
        Lock memory locked = _ownLock(operator, unit);
        if (locked.held) revert UnitHeld(unit);
        _free(operator, unit);
        emit StakeUnlocked(operator, unit, locked.amount);
    }

    /// @inheritdoc IWorkerStake
    function hold(address operator, bytes32 unit, bool held) external onlySlasher {
        _ownLock(operator, unit);
        _locks[unit].held = held;
        emit LockHeld(operator, unit, held);
    }

    /// @inheritdoc IWorkerStake
    function slash(
        address operator,
        bytes32 unit,
        uint256 amount,
        bytes32 evidence,
        address reporter
    ) external onlySlasher {
        if (_slashed[operator][unit]) revert AlreadySlashed(operator, unit);
        _slashed[operator][unit] = true;
        uint256 taken = _take(operator, unit, amount);
        uint256 reward = reporter == address(0) ? 0 : taken / REWARD_PARTS;
        if (reward > rewardCap) reward = rewardCap;
        emit Slashed(operator, unit, taken, evidence, reporter, reward, taken - reward);
        token.burn(taken - reward);
        if (reward != 0) token.safeTransfer(reporter, reward);
    }

    /// @inheritdoc IWorkerStake
    function seize(
        address operator,
        bytes32 unit,
        uint256 amount
    ) external onlySlasher returns (uint256 taken) {
        taken = _take(operator, unit, amount);
        emit Seized(operator, unit, taken);
        token.safeTransfer(slasher, taken);
    }

    /// @inheritdoc IWorkerStake
    function stakeOf(address operator) external view returns (uint256) {
        return _accounts[operator].bonded;
    }

    /// @inheritdoc IWorkerStake
    function lockedOf(address operator) external view returns (uint256) {
        return _accounts[operator].locked;
    }

    /// @inheritdoc IWorkerStake
    function unbondingOf(address operator) external view returns (uint256 amount, uint256 releaseAt) {
        return (_accounts[operator].unbonding, _accounts[operator].releaseAt);
    }

    /// @inheritdoc IWorkerStake
    function lockOf(bytes32 unit) external view returns (address operator, uint256 amount) {
        return (_locks[unit].operator, _locks[unit].amount);
    }

    /// @inheritdoc IWorkerStake
    function isSlashed(address operator, bytes32 unit) external view returns (bool) {
        return _slashed[operator][unit];
    }

    /// @inheritdoc IWorkerStake
    function stakerCount() external view returns (uint256) {
        return _stakers.length;
    }

    /// @inheritdoc IWorkerStake
    function stakerAt(uint256 position) external view returns (address) {
        return _stakers[position];
    }

    function _ownLock(address operator, bytes32 unit) private view returns (Lock memory locked) {
        locked = _locks[unit];
        if (locked.operator != operator) revert NotLocked(operator, unit);
    }

    /// @dev A lock may promise more than is left after a slash for something else.
    function _free(address operator, bytes32 unit) private {
        Account storage account = _accounts[operator];
        uint256 amount = _locks[unit].amount;
        account.locked -= amount < account.locked ? amount : account.locked;
        delete _locks[unit];
    }

    /// @dev Free the unit's lock, then take from free, from unbonding, at last from locked stake.
    function _take(address operator, bytes32 unit, uint256 amount) private returns (uint256 taken) {
        if (_locks[unit].operator == operator) _free(operator, unit);
        Account storage account = _accounts[operator];
        uint256 fromFree = _min(amount, account.bonded - account.locked);
        uint256 fromUnbonding = _min(amount - fromFree, account.unbonding);
        uint256 fromLocked = _min(amount - fromFree - fromUnbonding, account.locked);
        account.bonded -= fromFree + fromLocked;
        account.locked -= fromLocked;
        account.unbonding -= fromUnbonding;
        _record(operator, account.bonded);
        return fromFree + fromUnbonding + fromLocked;
    }

    function _min(uint256 left, uint256 right) private pure returns (uint256) {
        return left < right ? left : right;
    }
}
