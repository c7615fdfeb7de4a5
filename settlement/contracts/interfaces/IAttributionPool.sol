// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Pays contributors: draws on pots, a cumulative merkle-sum root each epoch, claims.
/// @notice Pools are separate: each has one root, one cap (the root's total) and one sum of coins that
/// were ever paid in; a pot belongs to one pool. An epoch of a pool begins when the one before it was
/// committed and is committed by m of n aggregators, or by any staker when they stall. Its root becomes
/// active after the window, unless it is voided: by an objective proof or an unanswered opening
/// (IFraudProofs), or by a verdict of the Arbiter (IChallengeable). Claims go on from the last active
/// root throughout and nothing ever pauses them.
interface IAttributionPool {
    /// What aggregators sign: EIP-712 type EpochCommit, domain ("AttributionPool", "1").
    struct Commit {
        bytes32 pool;
        uint64 epoch;
        bytes32 previous; // head of the last good epoch; EMPTY_HEAD before the first
        bytes32 root; // of the merkle-sum tree over the cumulative amounts
        uint256 total; // base units, cumulative over all epochs
        uint32 leafCount;
        bytes32 evidence; // hash of the published leaves and scores
        uint32 ruleVersion; // in force when the epoch began
    }

    struct Draw {
        bytes32 pot;
        uint256 amount;
    }

    /// A committed root with its facts. Only its hash is stored: the head.
    struct Root {
        bytes32 root;
        uint256 total;
        uint256 leafCount;
        bytes32 draws; // keccak256 over the struct hashes of its draws
    }

    struct ClaimItem {
        uint256 index;
        bytes32 ownerId;
        uint256 cumulative;
        bytes proof; // 48 bytes a level, see SumTree
    }

    event PoolOpened(bytes32 indexed pool, uint256 set);
    event EpochCommitted(
        bytes32 indexed pool,
        uint64 indexed epoch,
        bytes32 root,
        bytes32 previous,
        uint256 total,
        uint32 leafCount,
        bytes32 evidence,
        uint32 ruleVersion,
        uint256 activatesAt
    );
    /// The epoch was committed without the quorum, by this staker.
    event FallbackUsed(bytes32 indexed pool, uint64 indexed epoch, address proposer);
    /// A challenge: the epoch's activation waits for a verdict.
    event EpochFrozen(bytes32 indexed pool, uint64 indexed epoch);
    /// The challenge failed; the rest of the window runs.
    event EpochThawed(bytes32 indexed pool, uint64 indexed epoch, uint256 activatesAt);
    /// The commit is gone; its draws wait for `restore`, its number is free again.
    event EpochVoided(bytes32 indexed pool, uint64 indexed epoch);
    /// Signers of a voided epoch were punished, each by at most `amountEach`.
    event SignersPunished(
        bytes32 indexed pool,
        uint64 indexed epoch,
        bytes32 evidence,
        address reporter,
        uint256 amountEach
    );
    event DrawsRestored(bytes32 indexed pool, uint64 indexed epoch, uint256 amount);
    event Claimed(bytes32 pool, uint256 indexed index, address payout, uint256 amount);
    event ClaimSkipped(bytes32 indexed pool, uint256 indexed index);

    /// No pool has this id.
    error UnknownPool(bytes32 pool);
    /// The last commit is not active yet.
    error EpochPending(uint256 activatesAt);
    /// A challenge of this pool is not decided yet.
    error VerdictPending(bytes32 pool);
    /// The draws of a voided epoch are not restored yet.
    error DrawsPending(bytes32 pool);
    /// Nothing was voided.
    error NothingToRestore(bytes32 pool);
    /// The pool has no pending commit of this epoch that this could be done to.
    error NotPending(bytes32 pool, uint64 epoch);
    /// The guardian has paused commits.
    error CommitsPaused();
    /// Epochs follow each other by one.
    error WrongEpoch(uint64 given, uint64 expected);
    /// The commit must build on the last good root.
    error WrongPrevious(bytes32 given, bytes32 expected);
    /// There is at least one leaf. (One for everybody who was registered when the epoch began, and none
    /// for a stranger: see IFraudProofs.)
    error NoLeaves();
    /// The total must be the previous total plus the draws, and fit 128 bits.
    error WrongTotal(uint256 given, uint256 expected);
    /// The rules are those in force when the epoch began.
    error WrongRuleVersion(uint32 given, uint32 expected);
    /// An epoch without work has nothing to commit.
    error NothingDrawn();
    /// What a commit adds is at most half the stake of its signers.
    error AboveStakeLimit(uint256 added, uint256 limit);
    /// The quorum has not stalled yet.
    error QuorumActive(uint256 stalledAt);
    /// The given root is not the one whose head is stored.
    error WrongHead(bytes32 given, bytes32 expected);
    /// The active root has no leaf at this index.
    error NoLeaf(uint256 index, uint256 leafCount);
    /// Nobody has registered this index.
    error NoOwner(uint256 index);
    /// The cumulative amount was paid already.
    error NothingToClaim(uint256 index);
    /// The proof does not lead from this leaf to the active root.
    error BadProof(uint256 index);
    /// More would leave than the active root holds.
    error ClaimAboveTotal(uint256 claimed, uint256 total);
    /// Only the contract of the sets may do this.
    error NotSets(address caller);
    /// Only the Arbiter may do this.
    error NotArbiter(address caller);
    /// Only the contract of the fraud proofs may do this.
    error NotFraudProofs(address caller);

    /// @notice Open a pool; by anyone.
    /// @param set of aggregators, see IAggregatorSets.
    /// @param controller who may announce another set; zero: governance, through its timelock.
    function openPool(uint256 set, address controller) external returns (bytes32 pool);

    /// @notice Commit an epoch signed by the pool's aggregators; by anyone.
    /// @param signatures 65 bytes each, in ascending order of the signers, exactly the set's threshold.
    function commit(
        Commit calldata epoch,
        Draw[] calldata draws,
        bytes calldata signatures
    ) external;

    /// @notice Commit without the quorum once it has stalled: `stallSeconds` after the pool's last epoch
    /// became active (or its last challenge ended), on jobs left alone as long. By any staker; at most
    /// half of its own stake, after twice the window. Everything else is as for `commit`.
    function commitFallback(Commit calldata epoch, Draw[] calldata draws) external;

    /// @notice Put the draws of a voided epoch back into their pots; by anyone. Before that the pool
    /// takes no commit.
    function restore(bytes32 pool, Root calldata voided, Draw[] calldata draws) external;

    /// @notice Pay an owner what its cumulative amount in the active root exceeds what it was paid; by
    /// anyone, to the payout address of its index only. Whose operator id stands in the leaf is judged
    /// while the root is pending (IFraudProofs.proveOwner); it directs no coins.
    /// @param leafCount of the active root.
    /// @param draws of the active root, hashed.
    function claim(
        bytes32 pool,
        uint256 leafCount,
        bytes32 draws,
        uint256 index,
        bytes32 ownerId,
        uint256 cumulative,
        bytes calldata proof
    ) external;

    /// @notice Claim for many owners; an item that fails is skipped and logged, the others are paid.
    function claimBatch(
        bytes32 pool,
        Root calldata active,
        ClaimItem[] calldata items
    ) external;

    /// @notice Let another set act for a pool that has no pending commit; only the contract of the sets,
    /// after its notice.
    function assignSet(bytes32 pool, uint256 set, uint256 threshold) external;

    /// @notice Void the pending commit and punish its signers; only the contract of the fraud proofs.
    function condemn(
        bytes32 pool,
        uint256 amountEach,
        bytes32 evidence,
        address reporter
    ) external;

    /// @notice The epoch whose root claims are paid from; 0 before the first activation.
    function activeEpoch(bytes32 pool) external view returns (uint64);

    /// @notice Head of the active root, and how much of it was paid; EMPTY_HEAD before the first.
    function activeHead(bytes32 pool) external view returns (uint64 epoch, bytes32 head);

    /// @notice The head of the commit that waits for its activation; all zero when none does. `activatesAt` is
    /// 2**32 - 1 while it is challenged.
    function pendingHead(
        bytes32 pool
    )
        external
        view
        returns (uint64 epoch, bytes32 root, uint256 committedAt, uint256 activatesAt);

    /// @notice A pool's set, threshold and sums: total of the last good or pending commit, coins ever
    /// paid in and not returned to funders, coins ever paid to owners.
    function poolOf(
        bytes32 pool
    )
        external
        view
        returns (
            uint256 set,
            uint256 threshold,
            uint256 total,
            uint256 funded,
            uint256 claimedTotal
        );

    /// @notice Number of the last commit that was not voided; when the running epoch, and the epoch of
    /// that commit, began (unix seconds); the rules that the next commit must cite.
    function runningEpoch(
        bytes32 pool
    )
        external
        view
        returns (uint64 last, uint256 begunAt, uint256 begunBefore, uint32 ruleVersion);

    /// @notice Whether a challenge is undecided, and whether draws of a voided epoch wait for `restore`.
    function waits(bytes32 pool) external view returns (bool verdict, bool draws);

    /// @notice Seconds of the pool's clock: unix time less all time under challenge.
    function clockOf(bytes32 pool) external view returns (uint256);

    /// @notice Base units ever paid to an owner index from a pool.
    function claimed(bytes32 pool, uint256 index) external view returns (uint256);

    /// @notice Seconds without an active epoch after which any staker may propose.
    function stallSeconds() external view returns (uint256);

    /// @notice Seconds from a commit to its activation under the rules of the pool's last commit.
    function windowOf(bytes32 pool) external view returns (uint256);
}
