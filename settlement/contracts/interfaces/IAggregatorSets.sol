// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Sets of aggregators, m of n seats each, and which of them acts for which pool.
/// @notice A set never changes. A pool changes its set only by notice: announced by its controller, it
/// acts after one more epoch, and until then funders may take back unreserved coins.
interface IAggregatorSets {
    event SetOpened(uint256 indexed set, address[] seats, uint256 threshold);
    event ControllerNamed(bytes32 indexed pool, address controller);
    /// Notice: `set` acts after one more epoch; until then unreserved coins may leave.
    event SetAnnounced(bytes32 indexed pool, uint256 indexed set);
    event SetAdopted(bytes32 indexed pool, uint256 indexed set);

    /// Seats must be ascending, non-zero, at most MAX_SEATS, and at least `threshold` many; the
    /// threshold is at least 1.
    error BadSeats();
    /// No set has this number.
    error UnknownSet(uint256 set);
    /// The signer holds no seat in this set.
    error NotSeated(uint256 set, address signer);
    /// Only the pools' contract may do this.
    error NotPool(address caller);
    /// Only the pool's controller may do this.
    error NotController(bytes32 pool, address caller);
    /// A new set acts after an epoch of notice.
    error NoticeRunning(bytes32 pool);
    /// No other set is announced.
    error NoNotice(bytes32 pool);

    /// @notice Found a set; by anyone. A seat needs no consent: only its own signature binds it.
    function openSet(address[] calldata seats, uint256 threshold) external returns (uint256 set);

    /// @notice The seats of a set, ascending, and the signatures needed; reverts UnknownSet.
    function seatsOf(
        uint256 set
    ) external view returns (address[] memory seats, uint256 threshold);

    /// @notice A seat's position in its set; reverts NotSeated.
    function positionOf(uint256 set, address signer) external view returns (uint256);

    /// @notice Keep who may announce sets for a new pool (zero: governance, through its timelock); only
    /// the pools' contract.
    function nameController(bytes32 pool, address controller) external;

    /// @notice Who may announce sets for a pool.
    function controllerOf(bytes32 pool) external view returns (address);

    /// @notice Name the next set of a pool; only its controller. Replaces an earlier notice.
    function announceSet(bytes32 pool, uint256 set) external;

    /// @notice Let an announced set act; by anyone, once the epoch after the notice is active and a
    /// window is over, or when the old quorum stalls.
    function adoptSet(bytes32 pool) external;

    /// @notice Whether another set is announced for the pool and does not act yet.
    function noticed(bytes32 pool) external view returns (bool);
}
