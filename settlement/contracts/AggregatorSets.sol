// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAggregatorSets} from "./interfaces/IAggregatorSets.sol";
import {IAttributionPool} from "./interfaces/IAttributionPool.sol";
import {IRuleRegistry} from "./interfaces/IRuleRegistry.sol";

/// @title Seats, and notices of other seats. See IAggregatorSets.
/// @dev Invariants: a set never changes; its seats are distinct, ascending and non-zero, and
/// 0 < threshold <= seats <= MAX_SEATS; a pool's set changes only here, and only after a notice.
contract AggregatorSets is IAggregatorSets {
    struct Seats {
        address[] members;
        uint256 threshold;
    }

    struct Notice {
        uint32 set;
        uint64 epoch; // number of the last commit when it was given
        uint64 time; // pool clock; 0: no notice
    }

    uint256 public constant MAX_SEATS = 32;

    IAttributionPool public immutable pool;
    IRuleRegistry public immutable rules;

    Seats[] private _sets;
    mapping(uint256 set => mapping(address seat => uint256)) private _positionPlusOne;
    mapping(bytes32 pool => address) private _controllers;
    mapping(bytes32 pool => Notice) private _notices;

    /// @param seats of set 0, the genesis pool's. Pool and rules may be deployed later.
    constructor(
        IAttributionPool pool_,
        IRuleRegistry rules_,
        address[] memory seats,
        uint256 threshold
    ) {
        pool = pool_;
        rules = rules_;
        openSet(seats, threshold);
    }

    /// @inheritdoc IAggregatorSets
    function openSet(address[] memory seats, uint256 threshold) public returns (uint256 set) {
        if (threshold == 0 || threshold > seats.length || seats.length > MAX_SEATS) revert BadSeats();
        set = _sets.length;
        address previous = address(0);
        for (uint256 i = 0; i < seats.length; ++i) {
            if (seats[i] <= previous) revert BadSeats();
            previous = seats[i];
            _positionPlusOne[set][previous] = i + 1;
        }
        _sets.push(Seats(seats, threshold));
        emit SetOpened(set, seats, threshold);
    }

    /// @inheritdoc IAggregatorSets
    function nameController(bytes32 poolId, address controller) external {
        if (msg.sender != address(pool)) revert NotPool(msg.sender);
        _controllers[poolId] = controller;
        emit ControllerNamed(poolId, controller);
    }

    /// @inheritdoc IAggregatorSets
    function announceSet(bytes32 poolId, uint256 set) external {
        if (msg.sender != controllerOf(poolId)) revert NotController(poolId, msg.sender);
        _known(set);
        (uint64 last, , , ) = pool.runningEpoch(poolId);
        _notices[poolId] = Notice(uint32(set), last, uint64(pool.clockOf(poolId)));
        emit SetAnnounced(poolId, set);
    }

    /// @inheritdoc IAggregatorSets
    function adoptSet(bytes32 poolId) external {
        Notice memory notice = _notices[poolId];
        if (notice.time == 0) revert NoNotice(poolId);
        uint256 waited = pool.clockOf(poolId) - notice.time;
        bool passed = pool.activeEpoch(poolId) > notice.epoch && waited >= pool.windowOf(poolId);
        if (!passed && waited < pool.stallSeconds()) revert NoticeRunning(poolId);
        delete _notices[poolId];
        emit SetAdopted(poolId, notice.set);
        pool.assignSet(poolId, notice.set, _sets[notice.set].threshold);
    }

    /// @inheritdoc IAggregatorSets
    function seatsOf(
        uint256 set
    ) external view returns (address[] memory seats, uint256 threshold) {
        _known(set);
        return (_sets[set].members, _sets[set].threshold);
    }

    /// @inheritdoc IAggregatorSets
    function positionOf(uint256 set, address signer) external view returns (uint256) {
        uint256 positionPlusOne = _positionPlusOne[set][signer];
        if (positionPlusOne == 0) revert NotSeated(set, signer);
        return positionPlusOne - 1;
    }

    /// @inheritdoc IAggregatorSets
    function controllerOf(bytes32 poolId) public view returns (address controller) {
        controller = _controllers[poolId];
        if (controller == address(0)) controller = rules.timelock();
    }

    /// @inheritdoc IAggregatorSets
    function noticed(bytes32 poolId) external view returns (bool) {
        return _notices[poolId].time != 0;
    }

    function _known(uint256 set) private view {
        if (set >= _sets.length) revert UnknownSet(set);
    }
}
