// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {OpenToken} from "./OpenToken.sol";
import {Signers} from "./Signers.sol";
import {IPotBook} from "./interfaces/IPotBook.sol";

/// @title Escrow: pots of coins, and units of work that reserve their pay in them. See IPotBook.
/// @dev Invariants: the coins of this contract cover all escrows; reserved <= escrow of an open pot;
/// a unit id is only ever its operator's, open at most once at a time and anchored at most once; what
/// a pool was ever funded with is its escrows plus all that its epochs ever drew.
abstract contract PotBook is IPotBook, Signers {
    using SafeERC20 for OpenToken;

    struct Pot {
        uint128 escrow; // base units
        uint40 touched; // pool clock of the last funding, reservation or release; 0: no such pot
        uint32 drawnEpoch; // epoch whose draw closed the pot; 0: open
        uint32 unitSeconds; // time from reservation to deadline; 0: a standing fee pot
        uint24 pool; // number of the pool
        address funder;
        uint128 reserved; // base units promised to open units
        uint128 unitPay; // base units
    }

    struct Unit {
        bytes32 pot;
        address operator;
        uint64 deadline; // unix seconds
        UnitState state;
    }

    OpenToken public immutable token;
    /// Base units locked in WorkerStake under every open unit.
    uint256 public immutable unitStake;
    /// Seconds of the pool's clock without any event after which the funder may take back an undrawn
    /// pot.
    uint256 public immutable reclaimSeconds;

    mapping(bytes32 id => Pot) private _pots;
    mapping(bytes32 id => Unit) private _units;

    constructor(OpenToken token_, uint256 unitStake_, uint32 reclaimSeconds_) {
        token = token_;
        unitStake = unitStake_;
        reclaimSeconds = reclaimSeconds_;
    }

    /// @inheritdoc IPotBook
    function potId(address funder, bytes32 salt) public pure returns (bytes32) {
        return keccak256(abi.encode(funder, salt));
    }

    /// @inheritdoc IPotBook
    function fund(
        bytes32 salt,
        uint256 amount,
        uint256 unitPay,
        uint64 unitSeconds,
        bytes32 spec
    ) external returns (bytes32 pot) {
        return _fund(bytes32(0), salt, amount, unitPay, unitSeconds, spec);
    }

    /// @inheritdoc IPotBook
    function fundIn(
        bytes32 pool,
        bytes32 salt,
        uint256 amount,
        uint256 unitPay,
        uint64 unitSeconds,
        bytes32 spec
    ) external returns (bytes32 pot) {
        return _fund(pool, salt, amount, unitPay, unitSeconds, spec);
    }

    /// @inheritdoc IPotBook
    function topUp(bytes32 pot, uint256 amount) external {
        if (amount == 0 || amount > type(uint128).max) revert EmptyPot();
        Pot storage open = _openPot(pot);
        // The supply fits 128 bits, so the transfer below fails before this sum could matter.
        unchecked {
            open.escrow += uint128(amount);
        }
        open.touched = _paidIn(bytes32(uint256(open.pool)), amount);
        emit PotToppedUp(pot, msg.sender, amount);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IPotBook
    function unitId(address operator, bytes32 task) public pure returns (bytes32) {
        return keccak256(abi.encode(operator, task));
    }

    /// @inheritdoc IPotBook
    function reserve(bytes32 pot, bytes32 task) external returns (bytes32 unit) {
        unit = unitId(msg.sender, task);
        Pot storage open = _openPot(pot);
        if (open.unitSeconds == 0) revert NoUnits(pot);
        if (_units[unit].state != UnitState.None) revert WrongUnitState(unit, _units[unit].state);
        uint256 free = open.escrow - open.reserved;
        if (free < open.unitPay) revert PotExhausted(pot, free, open.unitPay);
        open.reserved += open.unitPay;
        open.touched = _now(open);
        uint64 deadline = uint64(block.timestamp) + open.unitSeconds;
        _units[unit] = Unit(pot, msg.sender, deadline, UnitState.Reserved);
        emit UnitReserved(pot, unit, msg.sender, deadline);
        stake.lock(msg.sender, unit, unitStake);
    }

    /// @inheritdoc IPotBook
    function handBack(bytes32 unit) external {
        Unit storage held = _ownUnit(unit);
        _release(unit, held, UnitState.None, Release.HandedBack);
        stake.unlock(msg.sender, unit);
    }

    /// @inheritdoc IPotBook
    function anchor(bytes32 unit, bytes32 root, bytes32 adapter) external {
        Unit storage held = _ownUnit(unit);
        if (block.timestamp > held.deadline) revert DeadlinePassed(unit, held.deadline);
        _openPot(held.pot);
        held.state = UnitState.Anchored;
        emit UnitAnchored(held.pot, unit, msg.sender, root, adapter);
    }

    /// @inheritdoc IPotBook
    function expire(bytes32 unit) external {
        Unit storage held = _units[unit];
        address operator = held.operator;
        if (held.state != UnitState.Reserved && held.state != UnitState.Anchored) {
            revert WrongUnitState(unit, held.state);
        }
        if (stake.isSlashed(operator, unit)) {
            _release(unit, held, UnitState.Slashed, Release.Slashed);
            return;
        }
        if (held.state == UnitState.Anchored) revert WrongUnitState(unit, held.state);
        if (block.timestamp <= held.deadline) revert DeadlineAhead(unit, held.deadline);
        _release(unit, held, UnitState.None, Release.Expired);
        stake.unlock(operator, unit);
    }

    /// @inheritdoc IPotBook
    function settleUnit(bytes32 unit) external {
        Unit storage held = _units[unit];
        address operator = held.operator;
        if (held.state != UnitState.Anchored) revert WrongUnitState(unit, held.state);
        if (stake.isSlashed(operator, unit)) revert UnitSlashed(unit);
        if (!_settled(_pots[held.pot])) revert NotSettled(held.pot);
        _release(unit, held, UnitState.Settled, Release.Settled);
        stake.unlock(operator, unit);
    }

    /// @inheritdoc IPotBook
    function reclaim(bytes32 pot) external {
        Pot storage closed = _pots[pot];
        if (closed.touched == 0) revert UnknownPot(pot);
        if (msg.sender != closed.funder || closed.unitSeconds == 0) revert NotFunder(pot, msg.sender);
        uint256 amount = closed.escrow;
        if (amount == 0) revert EmptyPot();
        if (closed.drawnEpoch != 0) {
            if (!_settled(closed)) revert NotSettled(pot);
        } else {
            uint256 idleAt = closed.touched + reclaimSeconds;
            bool idle = _now(closed) >= idleAt || _noticed(bytes32(uint256(closed.pool)));
            if (closed.reserved != 0 || !idle) revert NotIdle(pot, closed.reserved, idleAt);
        }
        closed.escrow = 0;
        _paidBack(bytes32(uint256(closed.pool)), amount);
        emit PotReclaimed(pot, msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IPotBook
    function potOf(
        bytes32 pot
    )
        external
        view
        returns (
            address funder,
            uint256 escrow,
            uint256 reserved,
            uint256 unitPay,
            uint256 unitSeconds,
            uint256 drawnEpoch,
            uint256 touched
        )
    {
        Pot storage p = _pots[pot];
        return (p.funder, p.escrow, p.reserved, p.unitPay, p.unitSeconds, p.drawnEpoch, p.touched);
    }

    /// @inheritdoc IPotBook
    function unitOf(
        bytes32 unit
    ) external view returns (bytes32 pot, address operator, uint256 deadline, UnitState state) {
        Unit storage u = _units[unit];
        return (u.pot, u.operator, u.deadline, u.state);
    }

    /// @inheritdoc IPotBook
    function poolOfPot(bytes32 pot) external view returns (bytes32) {
        if (_pots[pot].touched == 0) revert UnknownPot(pot);
        return bytes32(uint256(_pots[pot].pool));
    }

    /// @dev The epoch of a pool whose root claims are paid from.
    function activeEpoch(bytes32 pool) public view virtual returns (uint64);

    /// @dev The pool's clock in seconds.
    function _clock(bytes32 pool) internal view virtual returns (uint40);

    /// @dev Whether another set of aggregators is announced for the pool.
    function _noticed(bytes32 pool) internal view virtual returns (bool);

    /// @dev Coins enter a pool; the pool's clock. Reverts for an unknown pool.
    function _paidIn(bytes32 pool, uint256 amount) internal virtual returns (uint40);

    /// @dev Coins return to a funder.
    function _paidBack(bytes32 pool, uint256 amount) internal virtual;

    /// @dev Reverts when new jobs belong to another contract.
    function _checkSuccessor() internal view virtual;

    /// @dev Take a draw out of its pot; closes a job's pot.
    function _draw(bytes32 pool, bytes32 pot, uint256 amount, uint64 epoch) internal {
        Pot storage open = _openPot(pot);
        if (open.pool != uint256(pool)) revert PotElsewhere(pot, bytes32(uint256(open.pool)));
        uint256 escrow = open.escrow;
        if (amount > escrow) revert DrawAboveEscrow(pot, amount, escrow);
        open.escrow = uint128(escrow - amount);
        if (open.unitSeconds != 0) open.drawnEpoch = uint32(epoch);
        emit PotDrawn(pot, epoch, amount);
    }

    /// @dev Undo a draw of a voided epoch.
    function _undraw(bytes32 pot, uint256 amount, uint64 epoch) internal {
        Pot storage drawn = _pots[pot];
        drawn.escrow += uint128(amount);
        drawn.drawnEpoch = 0;
        drawn.touched = _now(drawn);
        emit PotRestored(pot, epoch, amount);
    }

    /// @dev Reverts unless a job's pot was left alone so long (pool clock).
    function _checkStalled(bytes32 pot, uint256 stallSeconds) internal view {
        Pot storage open = _pots[pot];
        uint256 stalledAt = open.touched + stallSeconds;
        if (open.unitSeconds != 0 && _now(open) < stalledAt) revert PotNotStalled(pot, stalledAt);
    }

    function _fund(
        bytes32 pool,
        bytes32 salt,
        uint256 amount,
        uint256 unitPay,
        uint64 unitSeconds,
        bytes32 spec
    ) private returns (bytes32 pot) {
        pot = potId(msg.sender, salt);
        if (amount == 0 || amount > type(uint128).max) revert EmptyPot();
        if (_pots[pot].touched != 0) revert PotExists(pot);
        if (unitPay > amount || unitSeconds > 365 days || (unitPay != 0 && unitSeconds == 0)) {
            revert BadUnitTerms(unitPay, unitSeconds);
        }
        if (unitPay == 0) unitSeconds = 0;
        else _checkSuccessor();
        Pot storage opened = _pots[pot];
        opened.escrow = uint128(amount);
        opened.touched = _paidIn(pool, amount);
        opened.unitSeconds = uint32(unitSeconds);
        opened.pool = uint24(uint256(pool));
        opened.funder = msg.sender;
        opened.unitPay = uint128(unitPay);
        emit PotFunded(pot, msg.sender, salt, pool, amount, unitPay, unitSeconds, spec);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    function _now(Pot storage pot) private view returns (uint40) {
        return _clock(bytes32(uint256(pot.pool)));
    }

    function _release(bytes32 unit, Unit storage held, UnitState next, Release reason) private {
        Pot storage pot = _pots[held.pot];
        pot.reserved -= pot.unitPay;
        pot.touched = _now(pot);
        emit UnitReleased(held.pot, unit, held.operator, reason);
        if (next == UnitState.None) delete _units[unit];
        else held.state = next;
    }

    function _openPot(bytes32 pot) private view returns (Pot storage open) {
        open = _pots[pot];
        if (open.touched == 0) revert UnknownPot(pot);
        if (open.drawnEpoch != 0) revert PotClosed(pot);
    }

    function _ownUnit(bytes32 unit) private view returns (Unit storage held) {
        held = _units[unit];
        if (held.state != UnitState.Reserved) revert WrongUnitState(unit, held.state);
        if (held.operator != msg.sender) revert NotUnitOperator(unit, msg.sender);
    }

    function _settled(Pot storage pot) private view returns (bool) {
        return pot.drawnEpoch != 0 && pot.drawnEpoch <= activeEpoch(bytes32(uint256(pot.pool)));
    }
}
