// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IGuardian} from "./interfaces/IGuardian.sol";

/// @dev See IGuardian. The heir says who the timelock is.
abstract contract Guardian is IGuardian {
    /// Most seconds of one pause.
    uint256 public constant MAX_PAUSE = 7 days;

    /// @inheritdoc IGuardian
    address public guardian;
    /// @inheritdoc IGuardian
    uint64 public pausedUntil;
    /// Who may end the pause beside the timelock.
    address private _pauser;

    constructor(address guardian_) {
        guardian = guardian_;
        emit GuardianNamed(guardian_);
    }

    /// @inheritdoc IGuardian
    function nameGuardian(address next) external {
        _onlyTimelock();
        guardian = next;
        emit GuardianNamed(next);
    }

    /// @inheritdoc IGuardian
    function pause(uint256 duration) external {
        if (msg.sender != guardian) revert NotGuardian(msg.sender);
        if (duration == 0 || duration > MAX_PAUSE) revert PauseTooLong(duration, MAX_PAUSE);
        guardian = address(0);
        _pauser = msg.sender;
        pausedUntil = uint64(block.timestamp + duration);
        emit Paused(msg.sender, pausedUntil);
    }

    /// @inheritdoc IGuardian
    function unpause() external {
        if (!paused()) revert NotPaused();
        if (msg.sender != _pauser) _onlyTimelock();
        pausedUntil = uint64(block.timestamp);
        emit Unpaused(msg.sender);
    }

    /// @inheritdoc IGuardian
    function paused() public view returns (bool) {
        return block.timestamp < pausedUntil;
    }

    /// @dev Reverts NotTimelock for anyone else.
    function _onlyTimelock() internal view virtual;
}
