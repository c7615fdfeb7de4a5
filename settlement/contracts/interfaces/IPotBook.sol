// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Escrow: pots of coins, and units of work that reserve their pay in them.
/// @notice A pot's id binds its funder: keccak256(abi.encode(funder, salt)), so nobody can open a pot
/// in another's name. It lies in one pool for ever. A pot with pay per unit is a job: one draw closes
/// it and what is left goes back to its funder. A pot without (unitPay 0) is a standing fee pot: draws
/// leave it open, nothing returns. Anyone may top up either. A unit's id binds its operator in the same
/// way, so nobody can take a unit that another was drawn for. Amounts are base units, times seconds.
interface IPotBook {
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

    event PotFunded(
        bytes32 indexed pot,
        address indexed funder,
        bytes32 indexed salt,
        bytes32 pool,
        uint256 amount,
        uint256 unitPay,
        uint64 unitSeconds,
        bytes32 spec
    );
    event PotToppedUp(bytes32 indexed pot, address indexed source, uint256 amount);
    event PotDrawn(bytes32 indexed pot, uint64 indexed epoch, uint256 amount);
    /// A draw of a voided epoch is back in its pot.
    event PotRestored(bytes32 indexed pot, uint64 indexed epoch, uint256 amount);
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
    /// The pot lies in another pool.
    error PotElsewhere(bytes32 pot, bytes32 pool);
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
    /// A fallback proposer draws only on jobs that the quorum left alone for `stallSeconds`.
    error PotNotStalled(bytes32 pot, uint256 stalledAt);
    /// Only the funder may reclaim, and never from a standing pot.
    error NotFunder(bytes32 pot, address caller);
    /// The undrawn pot has reserved units, or was touched too recently (pool clock).
    error NotIdle(bytes32 pot, uint256 reserved, uint256 idleAt);
    /// Governance has named another contract for new pots.
    error Succeeded(address next);

    /// @notice The id of a funder's pot.
    function potId(address funder, bytes32 salt) external pure returns (bytes32);

    /// @notice Open a pot in the genesis pool with coins of the caller.
    /// @param salt the job's id, or anything else that is new to this funder.
    /// @param unitPay base units for each unit of work; 0 opens a standing fee pot.
    /// @param unitSeconds time for a unit from reservation to deadline; not kept for a fee pot.
    /// @param spec hash of what the job is; only logged.
    function fund(
        bytes32 salt,
        uint256 amount,
        uint256 unitPay,
        uint64 unitSeconds,
        bytes32 spec
    ) external returns (bytes32 pot);

    /// @notice The same in a pool of the caller's choice. Rules and aggregators are the pool's; when
    /// another set of aggregators is announced, unreserved coins may leave before it acts.
    function fundIn(
        bytes32 pool,
        bytes32 salt,
        uint256 amount,
        uint256 unitPay,
        uint64 unitSeconds,
        bytes32 spec
    ) external returns (bytes32 pot);

    /// @notice Add the caller's coins to an open pot.
    function topUp(bytes32 pot, uint256 amount) external;

    /// @notice The id of an operator's unit.
    function unitId(address operator, bytes32 task) external pure returns (bytes32);

    /// @notice Reserve the pay of the caller's unit and lock the caller's stake under it.
    /// @param task what the unit is for, for example a round of a job; each operator has its own unit
    /// of a task.
    function reserve(bytes32 pot, bytes32 task) external returns (bytes32 unit);

    /// @notice Give a unit back before anchoring, without penalty; its operator may reserve it again.
    function handBack(bytes32 unit) external;

    /// @notice Anchor the root over the unit's steps and the hash of its adapter, once, in time.
    function anchor(bytes32 unit, bytes32 root, bytes32 adapter) external;

    /// @notice Free the pay of a unit that was not anchored in time (its stake is unlocked), or whose
    /// operator was slashed for it; by anyone.
    function expire(bytes32 unit) external;

    /// @notice Unlock the stake of an anchored unit once its pot is drawn by an active epoch; by anyone.
    function settleUnit(bytes32 unit) external;

    /// @notice Take back what no unit reserves: of a drawn pot what is left once its epoch is active;
    /// of an undrawn pot with no unit open everything, after reclaimSeconds of the pool's clock without
    /// any event, or at once while another set of aggregators is announced. Only by the funder.
    function reclaim(bytes32 pot) external;

    /// @notice A pot's facts; `touched` (pool clock) is 0 for an unknown pot, `drawnEpoch` 0 for an
    /// open one.
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
        );

    /// @notice The pool that a pot lies in; reverts UnknownPot.
    function poolOfPot(bytes32 pot) external view returns (bytes32);

    /// @notice A unit's facts; state: 0 none, 1 reserved, 2 anchored, 3 settled, 4 slashed.
    function unitOf(
        bytes32 unit
    ) external view returns (bytes32 pot, address operator, uint256 deadline, UnitState state);
}
