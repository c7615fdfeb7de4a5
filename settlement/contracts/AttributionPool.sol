// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {AssetRegistry} from "./AssetRegistry.sol";
import {OpenToken} from "./OpenToken.sol";
import {PotBook} from "./PotBook.sol";
import {Quorum} from "./Quorum.sol";
import {SumTree} from "./SumTree.sol";
import {WorkerStake} from "./WorkerStake.sol";

/// @title Pays contributors: draws on pots, a cumulative merkle-sum root each epoch, claims.
/// @dev Invariants: an epoch's total is the previous total plus its draws, each at most its pot's
/// escrow; claimed[i] never falls; claimedTotal <= total of the active root <= coins ever drawn, so
/// more cannot leave than came in; what a commit adds is at most half the stake of its signers; one
/// commit is pending at a time, and claims are paid from the last active root throughout.
contract AttributionPool is PotBook, Quorum, EIP712 {
    using SafeERC20 for OpenToken;

    struct Commit {
        uint64 epoch;
        bytes32 previousRoot;
        bytes32 root;
        uint256 total; // base units, cumulative over all epochs
        uint32 leafCount;
        bytes32 evidence; // hash of the published leaves and scores
        uint32 ruleVersion;
    }

    struct Draw {
        bytes32 pot;
        uint256 amount;
    }

    struct ClaimItem {
        uint256 index;
        bytes32 ownerId;
        uint256 cumulative;
        SumTree.Node[] proof;
    }

    struct Epoch {
        bytes32 root;
        uint128 total;
        uint32 leafCount;
    }

    bytes32 public constant DRAW_TYPEHASH = keccak256("Draw(bytes32 pot,uint256 amount)");
    bytes32 public constant COMMIT_TYPEHASH =
        keccak256(
            "EpochCommit(uint64 epoch,bytes32 previousRoot,bytes32 root,uint256 total,uint32 leafCount,bytes32 evidence,uint32 ruleVersion,Draw[] draws)Draw(bytes32 pot,uint256 amount)"
        );

    AssetRegistry public immutable registry;
    /// Seconds from a commit to its activation.
    uint256 public immutable window;

    /// Number of the last commit; 0 before the first.
    uint64 public lastEpoch;
    /// Unix seconds from which the last commit's root is active.
    uint64 public activatesAt;
    /// Base units ever paid to owners.
    uint128 public claimedTotal;
    /// Base units ever paid to an owner index.
    mapping(uint256 index => uint256) public claimed;
    /// The last and the one before it, by the epoch's lowest bit.
    Epoch[2] private _epochs;

    event EpochCommitted(
        uint64 indexed epoch,
        bytes32 root,
        bytes32 previousRoot,
        uint256 total,
        uint32 leafCount,
        bytes32 evidence,
        uint32 ruleVersion,
        uint256 activatesAt
    );
    event Claimed(uint256 indexed index, address indexed payout, uint256 amount);
    event ClaimSkipped(uint256 indexed index);

    /// The last commit is not active yet.
    error EpochPending(uint256 activatesAt);
    /// Epochs follow each other by one.
    error WrongEpoch(uint64 given, uint64 expected);
    /// The commit must build on the last root.
    error WrongPreviousRoot(bytes32 given, bytes32 expected);
    /// Leaves are never removed, and there is at least one.
    error WrongLeafCount(uint32 given, uint32 least);
    /// The total must be the previous total plus the draws, and fit 128 bits.
    error WrongTotal(uint256 given, uint256 expected);
    /// What a commit adds is at most half the stake of its signers.
    error AboveStakeLimit(uint256 added, uint256 limit);
    /// The active root has no leaf at this index.
    error NoLeaf(uint256 index, uint256 leafCount);
    /// The leaf's owner is not the registered operator of this index.
    error WrongOwner(uint256 index, bytes32 ownerId);
    /// The cumulative amount was paid already.
    error NothingToClaim(uint256 index);
    /// The proof does not lead to the active root and total.
    error BadProof(uint256 index);
    /// More would leave than the active root holds.
    error ClaimAboveTotal(uint256 claimedTotal, uint256 total);

    constructor(
        OpenToken token_,
        AssetRegistry registry_,
        WorkerStake stake_,
        address[] memory aggregators,
        uint256 threshold_,
        uint32 window_,
        uint256 unitStake_,
        uint32 reclaimSeconds_
    )
        PotBook(token_, stake_, unitStake_, reclaimSeconds_)
        Quorum(aggregators, threshold_)
        EIP712("AttributionPool", "1")
    {
        registry = registry_;
        window = window_;
    }

    /// @notice Commit an epoch signed by the aggregators; by anyone. It becomes active after `window`.
    function commit(
        Commit calldata epoch,
        Draw[] calldata draws,
        bytes[] calldata signatures
    ) external {
        Epoch storage last = _checkSuccession(epoch);
        address[] memory signers = _signers(_hashTypedDataV4(_hash(epoch, draws)), signatures);
        uint256 added = _drawAll(draws, epoch.epoch);
        uint256 total = last.total + added;
        if (epoch.total != total || total > type(uint128).max) revert WrongTotal(epoch.total, total);
        _checkStake(signers, added);
        _epochs[epoch.epoch & 1] = Epoch(epoch.root, uint128(total), epoch.leafCount);
        lastEpoch = epoch.epoch;
        activatesAt = uint64(block.timestamp + window);
        _emitCommitted(epoch);
    }

    /// @notice Pay an owner what its cumulative amount in the active root exceeds what it was paid; by
    /// anyone, to the owner's payout address only.
    function claim(
        uint256 index,
        bytes32 ownerId,
        uint256 cumulative,
        SumTree.Node[] calldata proof
    ) external {
        Epoch storage active = _epochs[activeEpoch() & 1];
        (uint256 total, uint256 leafCount) = (active.total, active.leafCount);
        if (index >= leafCount) revert NoLeaf(index, leafCount);
        (address operator, address payout) = registry.ownerAt(index);
        if (ownerId != bytes32(uint256(uint160(operator)))) revert WrongOwner(index, ownerId);
        uint256 paid = claimed[index];
        if (cumulative <= paid) revert NothingToClaim(index);
        if (!SumTree.verify(active.root, total, leafCount, index, ownerId, cumulative, proof)) {
            revert BadProof(index);
        }
        uint256 amount = cumulative - paid;
        uint256 sum = claimedTotal + amount;
        if (sum > total) revert ClaimAboveTotal(sum, total);
        claimed[index] = cumulative;
        claimedTotal = uint128(sum);
        emit Claimed(index, payout, amount);
        token.safeTransfer(payout, amount);
    }

    /// @notice Claim for many owners; an item that fails is skipped and logged, the others are paid.
    function claimBatch(ClaimItem[] calldata items) external {
        for (uint256 i = 0; i < items.length; ++i) {
            ClaimItem calldata item = items[i];
            try this.claim(item.index, item.ownerId, item.cumulative, item.proof) {
                continue;
            } catch {
                emit ClaimSkipped(item.index);
            }
        }
    }

    /// @notice The longest time from a commit to its activation; see IChallengeable.
    function longestWindow() external view returns (uint256) {
        return window;
    }

    /// @notice The epoch whose root claims are paid from; 0 before the first activation.
    function activeEpoch() public view override returns (uint64) {
        return block.timestamp >= activatesAt ? lastEpoch : lastEpoch - 1;
    }

    /// @notice The active root and its facts.
    function activeRoot()
        external
        view
        returns (uint64 epoch, bytes32 root, uint256 total, uint256 leafCount)
    {
        epoch = activeEpoch();
        Epoch storage e = _epochs[epoch & 1];
        return (epoch, e.root, e.total, e.leafCount);
    }

    /// @notice The last committed root and its facts, active or not.
    function lastRoot()
        external
        view
        returns (uint64 epoch, bytes32 root, uint256 total, uint256 leafCount)
    {
        Epoch storage e = _epochs[lastEpoch & 1];
        return (lastEpoch, e.root, e.total, e.leafCount);
    }

    function _checkSuccession(Commit calldata epoch) private view returns (Epoch storage last) {
        if (block.timestamp < activatesAt) revert EpochPending(activatesAt);
        if (epoch.epoch != lastEpoch + 1) revert WrongEpoch(epoch.epoch, lastEpoch + 1);
        last = _epochs[lastEpoch & 1];
        if (epoch.previousRoot != last.root) revert WrongPreviousRoot(epoch.previousRoot, last.root);
        uint32 least = last.leafCount == 0 ? 1 : last.leafCount;
        if (epoch.leafCount < least) revert WrongLeafCount(epoch.leafCount, least);
    }

    function _emitCommitted(Commit calldata epoch) private {
        emit EpochCommitted(
            epoch.epoch,
            epoch.root,
            epoch.previousRoot,
            epoch.total,
            epoch.leafCount,
            epoch.evidence,
            epoch.ruleVersion,
            activatesAt
        );
    }

    function _drawAll(Draw[] calldata draws, uint64 epoch) private returns (uint256 added) {
        for (uint256 i = 0; i < draws.length; ++i) {
            _draw(draws[i].pot, draws[i].amount, epoch);
            added += draws[i].amount;
        }
    }

    function _checkStake(address[] memory signers, uint256 added) private view {
        uint256 limit = 0;
        for (uint256 i = 0; i < signers.length; ++i) limit += stake.stakeOf(signers[i]);
        limit /= 2;
        if (added > limit) revert AboveStakeLimit(added, limit);
    }

    function _hash(Commit calldata epoch, Draw[] calldata draws) private pure returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](draws.length);
        for (uint256 i = 0; i < draws.length; ++i) {
            hashes[i] = keccak256(abi.encode(DRAW_TYPEHASH, draws[i]));
        }
        return keccak256(abi.encode(COMMIT_TYPEHASH, epoch, keccak256(abi.encodePacked(hashes))));
    }
}
