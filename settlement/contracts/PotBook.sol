// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {OpenToken} from "./OpenToken.sol";
import {WorkerStake} from "./WorkerStake.sol";

/// @title Escrow: pots of coins, and units of work that reserve their pay in them.
/// @notice A pot's id binds its funder: keccak256(abi.encode(funder, salt)), so nobody can open a pot
/// in another's name. A pot with pay per unit is a job: one draw closes it and what is left goes back
/// to its funder. A pot without (unitPay 0) is a standing fee pot: draws leave it open, nothing
/// returns. Anyone may top up either. A unit's id binds its operator in the same way, so nobody can
/// take a unit that another was drawn for.
/// @dev Invariants: the coins of this contract cover all escrows; reserved <= escrow of an open pot;
/// a unit id is only ever its operator's, open at most once at a time and anchored at most once.
abstract contract PotBook {
    using SafeERC20 for OpenToken;

    enum UnitState {
        None,
        Reserved,
        Anchored,
        Settled,
        Slashed
    }

    enum Release {
        HandedBack,
        Expired,
        Slashed,
        Settled
    }

    struct Pot {
        address funder;
        uint64 unitSeconds; // time from reservation to deadline
        uint128 escrow; // base units
        uint64 drawnEpoch; // epoch whose draw closed the pot; 0: open
        uint40 touched; // unix seconds of the last funding, reservation or release; 0: no such pot
        bool standing; // a fee pot
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
    WorkerStake public immutable stake;
    /// Base units locked in WorkerStake under every open unit.
    uint256 public immutable unitStake;
    /// Seconds without any event after which the funder may take back an undrawn pot.
    uint256 public immutable reclaimSeconds;

    mapping(bytes32 id => Pot) private _pots;
    mapping(bytes32 id => Unit) private _units;

    event PotFunded(
        bytes32 indexed pot,
        address indexed funder,
        bytes32 indexed salt,
        uint256 amount,
        uint256 unitPay,
        uint64 unitSeconds,
        bytes32 spec
    );
    event PotToppedUp(bytes32 indexed pot, address indexed source, uint256 amount);
    event PotDrawn(bytes32 indexed pot, uint64 indexed epoch, uint256 amount);
    event PotReclaimed(bytes32 indexed pot, address indexed funder, uint256 amount);
    event UnitReserved(
        bytes32 indexed pot,
        bytes32 indexed unit,
        address indexed operator,
        uint256 deadline
    );
    event UnitAnchored(
        bytes32 indexed pot,
        bytes32 indexed unit,
        address indexed operator,
        bytes32 root,
        bytes32 adapter
    );
    event UnitReleased(
        bytes32 indexed pot,
        bytes32 indexed unit,
        address indexed operator,
        Release reason
    );

    /// A new pot needs coins.
    error EmptyPot();
    /// The funder has a pot with this salt.
    error PotExists(bytes32 pot);
    /// No pot has this id.
    error UnknownPot(bytes32 pot);
    /// The pot was drawn and takes nothing more.
    error PotClosed(bytes32 pot);
    /// A unit's pay is at most the pot; a job's units need time.
    error BadUnitTerms(uint256 unitPay, uint64 unitSeconds);
    /// The pot has no pay per unit.
    error NoUnits(bytes32 pot);
    /// The pot's free coins do not cover another unit.
    error PotExhausted(bytes32 pot, uint256 free, uint256 needed);
    /// The unit is not in the state that this needs.
    error WrongUnitState(bytes32 unit, UnitState state);
    /// Only the operator that reserved the unit may do this.
    error NotUnitOperator(bytes32 unit, address caller);
    /// The unit's deadline has passed.
    error DeadlinePassed(bytes32 unit, uint256 deadline);
    /// The unit's deadline has not passed.
    error DeadlineAhead(bytes32 unit, uint256 deadline);
    /// The operator was slashed for this unit.
    error UnitSlashed(bytes32 unit);
    /// The pot is not drawn by an active epoch.
    error NotSettled(bytes32 pot);
    /// A draw is at most the pot's escrow.
    error DrawAboveEscrow(bytes32 pot, uint256 amount, uint256 escrow);
    /// Only the funder may reclaim, and never from a standing pot.
    error NotFunder(bytes32 pot, address caller);
    /// The undrawn pot has reserved units, or was touched too recently.
    error NotIdle(bytes32 pot, uint256 reserved, uint256 idleAt);

    constructor(OpenToken token_, WorkerStake stake_, uint256 unitStake_, uint32 reclaimSeconds_) {
        token = token_;
        stake = stake_;
        unitStake = unitStake_;
        reclaimSeconds = reclaimSeconds_;
    }

    /// @notice The id of a funder's pot.
    function potId(address funder, bytes32 salt) public pure returns (bytes32) {
        return keccak256(abi.encode(funder, salt));
    }

    /// @notice Open a pot with coins of the caller.
    /// @param salt the job's id, or anything else that is new to this funder.
    /// @param unitPay base units for each unit of work; 0 opens a standing fee pot.
    /// @param unitSeconds time for a unit from reservation to deadline.
    /// @param spec hash of what the job is; only logged.
    function fund(
        bytes32 salt,
        uint256 amount,
        uint256 unitPay,
        uint64 unitSeconds,
        bytes32 spec
    ) external returns (bytes32 pot) {
        pot = potId(msg.sender, salt);
        if (amount == 0 || amount > type(uint128).max) revert EmptyPot();
        if (_pots[pot].touched != 0) revert PotExists(pot);
        if (unitPay > amount || unitSeconds > 365 days || (unitPay != 0 && unitSeconds == 0)) {
            revert BadUnitTerms(unitPay, unitSeconds);
        }
        Pot storage opened = _pots[pot];
        opened.funder = msg.sender;
        opened.unitSeconds = unitSeconds;
        opened.escrow = uint128(amount);
        opened.touched = uint40(block.timestamp);
        opened.standing = unitPay == 0;
        opened.unitPay = uint128(unitPay);
        emit PotFunded(pot, msg.sender, salt, amount, unitPay, unitSeconds, spec);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Add the caller's coins to an open pot.
    function topUp(bytes32 pot, uint256 amount) external {
        if (amount == 0 || amount > type(uint128).max) revert EmptyPot();
        Pot storage open = _openPot(pot);
        // The supply fits 128 bits, so the transfer below fails before this sum could matter.
        unchecked {
            open.escrow += uint128(amount);
        }
        open.touched = uint40(block.timestamp);
        emit PotToppedUp(pot, msg.sender, amount);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice The id of an operator's unit.
    function unitId(address operator, bytes32 task) public pure returns (bytes32) {
        return keccak256(abi.encode(operator, task));
    }

    /// @notice Reserve the pay of the caller's unit and lock the caller's stake under it.
    /// @param task what the unit is for, for example a round of a job; each operator has its own unit
    /// of a task.
    function reserve(bytes32 pot, bytes32 task) external returns (bytes32 unit) {
        unit = unitId(msg.sender, task);
        Pot storage open = _openPot(pot);
        if (open.standing) revert NoUnits(pot);
        if (_units[unit].state != UnitState.None) revert WrongUnitState(unit, _units[unit].state);
        uint256 free = open.escrow - open.reserved;
        if (free < open.unitPay) revert PotExhausted(pot, free, open.unitPay);
        open.reserved += open.unitPay;
        open.touched = uint40(block.timestamp);
        uint64 deadline = uint64(block.timestamp) + open.unitSeconds;
        _units[unit] = Unit(pot, msg.sender, deadline, UnitState.Reserved);
        emit UnitReserved(pot, unit, msg.sender, deadline);
        stake.lock(msg.sender, unit, unitStake);
    }

    /// @notice Give a unit back before anchoring, without penalty; its operator may reserve it again.
    function handBack(bytes32 unit) external {
        Unit storage held = _ownUnit(unit);
        _release(unit, held, UnitState.None, Release.HandedBack);
        stake.unlock(msg.sender, unit);
    }

    /// @notice Anchor the root over the unit's steps and the hash of its adapter, once, in time.
    function anchor(bytes32 unit, bytes32 root, bytes32 adapter) external {
        Unit storage held = _ownUnit(unit);
        if (block.timestamp > held.deadline) revert DeadlinePassed(unit, held.deadline);
        _openPot(held.pot);
        held.state = UnitState.Anchored;
        emit UnitAnchored(held.pot, unit, msg.sender, root, adapter);
    }

    /// @notice Free the pay of a unit that was not anchored in time (its stake is unlocked), or whose
    /// operator was slashed for it; by anyone.
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

    /// @notice Unlock the stake of an anchored unit once its pot is drawn by an active epoch; by anyone.
    function settleUnit(bytes32 unit) external {
        Unit storage held = _units[unit];
        address operator = held.operator;
        if (held.state != UnitState.Anchored) revert WrongUnitState(unit, held.state);
        if (stake.isSlashed(operator, unit)) revert UnitSlashed(unit);
        if (!_settled(_pots[held.pot])) revert NotSettled(held.pot);
        _release(unit, held, UnitState.Settled, Release.Settled);
        stake.unlock(operator, unit);
    }

    /// @notice Take back what is left: of a drawn pot once its epoch is active, of an undrawn pot
    /// after reclaimSeconds without any event and with no unit open. Only by the funder.
    function reclaim(bytes32 pot) external {
        Pot storage closed = _pots[pot];
        if (closed.touched == 0) revert UnknownPot(pot);
        if (msg.sender != closed.funder || closed.standing) revert NotFunder(pot, msg.sender);
        uint256 amount = closed.escrow;
        if (amount == 0) revert EmptyPot();
        if (closed.drawnEpoch != 0) {
            if (!_settled(closed)) revert NotSettled(pot);
        } else {
            uint256 idleAt = closed.touched + reclaimSeconds;
            if (closed.reserved != 0 || block.timestamp < idleAt) {
                revert NotIdle(pot, closed.reserved, idleAt);
            }
        }
        closed.escrow = 0;
        emit PotReclaimed(pot, msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
    }

    /// @notice A pot's facts; `touched` is 0 for an unknown pot, `drawnEpoch` 0 for an open one.
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

    /// @notice A unit's facts; state: 0 none, 1 reserved, 2 anchored, 3 settled, 4 slashed.
    function unitOf(
        bytes32 unit
    ) external view returns (bytes32 pot, address operator, uint256 deadline, UnitState state) {
        Unit storage u = _units[unit];
        return (u.pot, u.operator, u.deadline, u.state);
    }

    /// @notice The epoch whose root claims are paid from.
    function activeEpoch() public view virtual returns (uint64);

    /// @dev Take a draw out of its pot; closes a job's pot.
    function _draw(bytes32 pot, uint256 amount, uint64 epoch) internal {
        Pot storage open = _openPot(pot);
        if (amount > open.escrow) revert DrawAboveEscrow(pot, amount, open.escrow);
        open.escrow -= uint128(amount);
        if (!open.standing) open.drawnEpoch = epoch;
        emit PotDrawn(pot, epoch, amount);
    }

    function _release(bytes32 unit, Unit storage held, UnitState next, Release reason) private {
        Pot storage pot = _pots[held.pot];
        pot.reserved -= pot.unitPay;
        pot.touched = uint40(block.timestamp);
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
        return pot.drawnEpoch != 0 && pot.drawnEpoch <= activeEpoch();
    }
}
