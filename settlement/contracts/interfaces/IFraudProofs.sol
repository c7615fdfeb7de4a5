// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttributionPool} from "./IAttributionPool.sol";

/// @title What anybody can prove against a pending commit, and the forced opening of a leaf.
/// @notice Each proof voids the commit and costs its signers all their stake at once: it shows that they
/// signed what no honest derivation gives. (A commit on a wrong previous root is refused at `commit`.)
/// A forced opening asks for the leaf of one index; when nobody shows it within a quarter of the window
/// the commit is voided and each signer loses `openingFine`; when somebody does, the bond is theirs.
interface IFraudProofs {
    enum Fraud {
        Decrease,
        WrongOwner,
        WrongSum,
        Unopened,
        Omission,
        Stranger
    }

    struct Leaf {
        bytes32 ownerId;
        uint256 cumulative;
        bytes proof; // 48 bytes a level, see SumTree
    }

    /// An inner node of the tree by its two children.
    struct Children {
        bytes32 left;
        uint256 leftSum;
        bytes32 right;
        uint256 rightSum;
    }

    /// One step from a node to the root: the sum that the parent states for the node, and its sibling.
    struct Step {
        uint256 stated;
        bytes32 sibling;
        uint256 siblingSum;
        bool isRight; // the node is the right child
    }

    event FraudProven(
        bytes32 indexed pool,
        uint64 indexed epoch,
        Fraud fraud,
        address indexed reporter
    );
    event OpeningDemanded(
        bytes32 indexed pool,
        uint64 indexed epoch,
        uint256 indexed index,
        bytes32 id,
        address demander,
        uint256 deadline
    );
    event OpeningAnswered(
        bytes32 indexed id,
        address indexed answerer,
        uint256 cumulative,
        bytes proof
    );
    /// The bond went back: the commit is gone, or it was voided for this.
    event OpeningClosed(bytes32 indexed id);

    /// The pool has no pending commit with this head.
    error NotPendingRoot(bytes32 given, bytes32 pending);
    /// The given root is not the active one.
    error NotActiveRoot(bytes32 given, bytes32 active);
    /// The proof does not lead to its root and total.
    error BadLeaf(uint256 index);
    /// What is shown is no fraud.
    error NoFraud();
    /// The root has no leaf at this index.
    error IndexOutside(uint256 index, uint256 leafCount);
    /// The window is too short for an answer and what may follow it.
    error TooLate(uint256 activatesAt);
    /// This leaf is demanded or shown already.
    error AlreadyDemanded(bytes32 id);
    /// There is no such open demand.
    error NotDemanded(bytes32 id);
    /// The time for an answer is not over.
    error AnswerOpen(uint256 deadline);

    /// @notice An owner's cumulative amount is lower than in the active root.
    function proveDecrease(
        bytes32 poolId,
        IAttributionPool.Root calldata active,
        IAttributionPool.Root calldata pending,
        uint256 index,
        Leaf calldata good,
        Leaf calldata bad
    ) external;

    /// @notice A leaf belongs to another than the registered operator of its index.
    function proveOwner(
        bytes32 poolId,
        IAttributionPool.Root calldata pending,
        uint256 index,
        Leaf calldata leaf
    ) external;

    /// @notice An owner who was registered before the pending epoch began has no leaf at all.
    function proveOmission(
        bytes32 poolId,
        IAttributionPool.Root calldata pending,
        uint256 index
    ) external;

    /// @notice There are more leaves than owners.
    function proveStranger(bytes32 poolId, IAttributionPool.Root calldata pending) external;

    /// @notice A node's children do not sum to what its parent states (the total, for the root).
    function proveSum(
        bytes32 poolId,
        IAttributionPool.Root calldata pending,
        Children calldata node,
        Step[] calldata path
    ) external;

    /// @notice Demand the leaf of an index in the pending root with `openingBond` of the caller's coins;
    /// while half the window is left, once for each leaf.
    function demand(
        bytes32 poolId,
        IAttributionPool.Root calldata pending,
        uint256 index
    ) external returns (bytes32 id);

    /// @notice Show a demanded leaf: the registered owner's, with its proof. The bond is the caller's.
    function answer(
        bytes32 poolId,
        IAttributionPool.Root calldata pending,
        uint256 index,
        uint256 cumulative,
        bytes calldata proof
    ) external;

    /// @notice Close a demand that nobody answered in time: the commit is voided if it is still pending,
    /// and the bond goes back. Before the deadline only when the commit is gone.
    function close(bytes32 id) external;

    /// @notice An opening's facts; `deadline` 0: not demanded, `open` false: answered or closed.
    function demandOf(
        bytes32 id
    ) external view returns (bytes32 poolId, address demander, uint256 deadline, bool open);
}
