// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {AssetRegistry} from "./AssetRegistry.sol";
import {OpenToken} from "./OpenToken.sol";
import {SumTree} from "./SumTree.sol";
import {IAttributionPool} from "./interfaces/IAttributionPool.sol";
import {IFraudProofs} from "./interfaces/IFraudProofs.sol";

/// @title Objective proofs and forced openings against the pool's pending commits. See IFraudProofs.
/// @dev Invariants: the coins of this contract are the bonds of its open demands; a bond leaves once, to
/// who answered or back to who demanded; a commit is condemned only while it is pending.
contract FraudProofs is IFraudProofs {
    using SafeERC20 for OpenToken;

    struct Demand {
        address demander;
        uint64 deadline; // unix seconds; 0: never demanded
        bool open;
        bytes32 pool;
        bytes32 commit; // which of the pool's commits
    }

    OpenToken public immutable token;
    AssetRegistry public immutable registry;
    IAttributionPool public immutable pool;
    /// Base units: pays whoever shows a leaf for its gas.
    uint256 public immutable openingBond;
    /// Base units that each signer of a commit with an unopened leaf loses.
    uint256 public immutable openingFine;

    mapping(bytes32 id => Demand) private _demands;

    constructor(
        OpenToken token_,
        AssetRegistry registry_,
        IAttributionPool pool_,
        uint256 openingBond_,
        uint256 openingFine_
    ) {
        token = token_;
        registry = registry_;
        pool = pool_;
        openingBond = openingBond_;
        openingFine = openingFine_;
    }

    /// @inheritdoc IFraudProofs
    function proveDecrease(
        bytes32 poolId,
        IAttributionPool.Root calldata active,
        IAttributionPool.Root calldata pending,
        uint256 index,
        Leaf calldata good,
        Leaf calldata bad
    ) external {
        (, bytes32 head) = pool.activeHead(poolId);
        if (_headOf(active) != head) revert NotActiveRoot(_headOf(active), head);
        _checkPending(poolId, pending);
        _checkLeaf(active, index, good);
        _checkLeaf(pending, index, bad);
        if (bad.cumulative >= good.cumulative) revert NoFraud();
        _condemn(poolId, Fraud.Decrease);
    }

    /// @inheritdoc IFraudProofs
    function proveOwner(
        bytes32 poolId,
        IAttributionPool.Root calldata pending,
        uint256 index,
        Leaf calldata leaf
    ) external {
        _checkPending(poolId, pending);
        _checkLeaf(pending, index, leaf);
        if (leaf.ownerId == _ownerId(index)) revert NoFraud();
        _condemn(poolId, Fraud.WrongOwner);
    }

    /// @inheritdoc IFraudProofs
    function proveOmission(
        bytes32 poolId,
        IAttributionPool.Root calldata pending,
        uint256 index
    ) external {
        _checkPending(poolId, pending);
        (, , uint256 begunAt, ) = pool.runningEpoch(poolId);
        bool due = registry.registeredAt(index) < begunAt;
        if (index < pending.leafCount || !due) revert NoFraud();
        _condemn(poolId, Fraud.Omission);
    }

    /// @inheritdoc IFraudProofs
    function proveStranger(bytes32 poolId, IAttributionPool.Root calldata pending) external {
        _checkPending(poolId, pending);
        if (pending.leafCount <= registry.ownerCount()) revert NoFraud();
        _condemn(poolId, Fraud.Stranger);
    }

    /// @inheritdoc IFraudProofs
    function proveSum(
        bytes32 poolId,
        IAttributionPool.Root calldata pending,
        Children calldata node,
        Step[] calldata path
    ) external {
        _checkPending(poolId, pending);
        bytes32 hash = SumTree.nodeHash(node.left, node.leftSum, node.right, node.rightSum);
        for (uint256 i = 0; i < path.length; ++i) {
            Step calldata step = path[i];
            hash = step.isRight
                ? SumTree.nodeHash(step.sibling, step.siblingSum, hash, step.stated)
                : SumTree.nodeHash(hash, step.stated, step.sibling, step.siblingSum);
        }
        if (hash != pending.root) revert NoFraud();
        uint256 stated = path.length == 0 ? pending.total : path[0].stated;
        // Sums beyond 256 bits cannot be what is stated.
        bool fits = node.leftSum <= type(uint256).max - node.rightSum;
        if (fits && node.leftSum + node.rightSum == stated) revert NoFraud();
        _condemn(poolId, Fraud.WrongSum);
    }

    /// @inheritdoc IFraudProofs
    function demand(
        bytes32 poolId,
        IAttributionPool.Root calldata pending,
        uint256 index
    ) external returns (bytes32 id) {
        _checkPending(poolId, pending);
        if (index >= pending.leafCount) revert IndexOutside(index, pending.leafCount);
        (uint64 epoch, , , uint256 activatesAt) = pool.pendingHead(poolId);
        uint256 quarter = pool.windowOf(poolId) / 4;
        if (block.timestamp + 2 * quarter > activatesAt) revert TooLate(activatesAt);
        bytes32 commit_ = _commitOf(poolId);
        id = _idOf(commit_, index);
        if (_demands[id].deadline != 0) revert AlreadyDemanded(id);
        uint256 deadline = block.timestamp + quarter;
        _demands[id] = Demand(msg.sender, uint64(deadline), true, poolId, commit_);
        emit OpeningDemanded(poolId, epoch, index, id, msg.sender, deadline);
        token.safeTransferFrom(msg.sender, address(this), openingBond);
    }

    /// @inheritdoc IFraudProofs
    function answer(
        bytes32 poolId,
        IAttributionPool.Root calldata pending,
        uint256 index,
        uint256 cumulative,
        bytes calldata proof
    ) external {
        _checkPending(poolId, pending);
        bytes32 id = _idOf(_commitOf(poolId), index);
        if (!_demands[id].open) revert NotDemanded(id);
        if (!_verify(pending, index, _ownerId(index), cumulative, proof)) revert BadLeaf(index);
        _demands[id].open = false;
        emit OpeningAnswered(id, msg.sender, cumulative, proof);
        token.safeTransfer(msg.sender, openingBond);
    }

    /// @inheritdoc IFraudProofs
    function close(bytes32 id) external {
        Demand memory demanded = _demands[id];
        if (!demanded.open) revert NotDemanded(id);
        bool pending = _commitOf(demanded.pool) == demanded.commit;
        if (pending && block.timestamp <= demanded.deadline) revert AnswerOpen(demanded.deadline);
        _demands[id].open = false;
        emit OpeningClosed(id);
        if (pending) _punish(demanded.pool, Fraud.Unopened, openingFine, demanded.demander);
        token.safeTransfer(demanded.demander, openingBond);
    }

    /// @inheritdoc IFraudProofs
    function demandOf(
        bytes32 id
    ) external view returns (bytes32 poolId, address demander, uint256 deadline, bool open) {
        Demand storage d = _demands[id];
        return (d.pool, d.demander, d.deadline, d.open);
    }

    function _condemn(bytes32 poolId, Fraud fraud) private {
        _punish(poolId, fraud, type(uint128).max, msg.sender);
    }

    function _punish(bytes32 poolId, Fraud fraud, uint256 amountEach, address reporter) private {
        (uint64 epoch, bytes32 head, , ) = pool.pendingHead(poolId);
        emit FraudProven(poolId, epoch, fraud, reporter);
        pool.condemn(poolId, amountEach, keccak256(abi.encode(head, fraud)), reporter);
    }

    function _checkPending(bytes32 poolId, IAttributionPool.Root calldata pending) private view {
        (, bytes32 head, , ) = pool.pendingHead(poolId);
        bytes32 given = _headOf(pending);
        if (given != head) revert NotPendingRoot(given, head);
    }

    function _checkLeaf(
        IAttributionPool.Root calldata root,
        uint256 index,
        Leaf calldata leaf
    ) private pure {
        if (index >= root.leafCount) revert IndexOutside(index, root.leafCount);
        if (!_verify(root, index, leaf.ownerId, leaf.cumulative, leaf.proof)) revert BadLeaf(index);
    }

    function _verify(
        IAttributionPool.Root calldata root,
        uint256 index,
        bytes32 ownerId,
        uint256 cumulative,
        bytes calldata proof
    ) private pure returns (bool) {
        return
            SumTree.verify(
                root.root,
                root.total,
                root.leafCount,
                index,
                ownerId,
                cumulative,
                proof
            );
    }

    function _ownerId(uint256 index) private view returns (bytes32) {
        return bytes32(uint256(uint160(registry.operatorOf(index))));
    }

    /// @dev Names the pending commit; of none it is what no demand holds.
    function _commitOf(bytes32 poolId) private view returns (bytes32) {
        (uint64 epoch, bytes32 head, uint256 committedAt, ) = pool.pendingHead(poolId);
        return keccak256(abi.encode(poolId, epoch, head, committedAt));
    }

    function _idOf(bytes32 commit_, uint256 index) private pure returns (bytes32) {
        return keccak256(abi.encode(commit_, index));
    }

    function _headOf(IAttributionPool.Root calldata root) private pure returns (bytes32) {
        return keccak256(abi.encode(root));
    }
}
