// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The one slasher: a committee as first instance, juries as appeal, the pool's proofs at once.
/// @notice Three ways to lose stake here:
/// 1. *Order.* m of n committee seats sign that an operator shall lose what is locked under one unit (or
/// under one accusation that turned out false). It acts after the appeal time; a bonded appeal before
/// that brings it before a jury.
/// 2. *Challenge.* A bonded operator says that an epoch's scores are wrong. A jury may void the epoch;
/// its signers are slashed after the appeal time, or by a second jury of twice the seats and one.
/// 3. *Fraud* that the pool itself can see: at once.
/// A jury voids or moves stake; it never validates, pays or changes a root. No verdict (Hung) always means
/// that nobody is slashed and nothing is voided. Bonds are stake, so an operator key needs no coins: the
/// loser's goes to the jurors who revealed, at most jurorFee each, and what is left is burnt. Of a challenge
/// without a verdict the bond pays these fees too, as far as missing jurors have not, and the rest is free
/// again: a delay is never had for nothing from jurors who came. Amounts are base units, times unix seconds.
/// @dev The Arbiter is WorkerStake's one slasher. It is deployed after the pool (its constructor reads
/// IChallengeable.longestWindow), so the pool is given its predicted address. While an order against a
/// unit may be appealed, WorkerStake.unlock of that unit reverts UnitHeld: whoever settles units calls
/// again after the verdict.
interface IArbiter {
    enum Kind {
        None,
        Order,
        Epoch
    }

    /// Appealable: decided, acts at `until`. Jury: a panel sits. Closed: final.
    enum Stage {
        None,
        Appealable,
        Jury,
        Closed
    }

    struct Slash {
        address operator;
        bytes32 unit; // under which its stake is locked: a unit of the pool, or an accusation
        uint256 amount; // base units, at most the lock
        bytes32 evidence; // hash of the published evidence
        address reporter; // first challenger, or zero
    }

    /// `finding`: what is said to be wrong, a short text; only logged.
    event Accused(
        bytes32 indexed unit,
        address indexed accuser,
        bytes32 finding,
        bytes32 evidence,
        uint256 lockedUntil
    );
    event SlashOrdered(
        bytes32 indexed caseId,
        address indexed operator,
        bytes32 indexed unit,
        uint256 amount,
        bytes32 evidence,
        address reporter,
        address[] signers,
        uint256 appealUntil
    );
    event EpochChallenged(
        bytes32 indexed caseId,
        bytes32 indexed poolId,
        uint64 indexed epoch,
        address challenger,
        uint256 bond,
        bytes32 evidence
    );
    event Appealed(
        bytes32 indexed caseId,
        address indexed appellant,
        uint256 bond,
        uint256 instance,
        bytes32 panel
    );
    /// A jury's verdict; when it may be appealed, until when (else 0).
    event CaseDecided(bytes32 indexed caseId, uint256 instance, uint8 verdict, uint256 appealUntil);
    /// The case is over. `slashed`: its accused lost stake.
    event CaseClosed(bytes32 indexed caseId, bool slashed);

    /// Only the pool may have signers punished.
    error NotPool(address caller);
    /// The operator has accused this unit already.
    error AlreadyAccused(bytes32 unit, address accuser);
    /// There is no such accusation.
    error NotAccused(bytes32 unit, address accuser);
    /// An accusation keeps its stake locked until then.
    error AccusationOpen(uint256 lockedUntil);
    /// Only a unit that is anchored in the pool can be accused or slashed.
    error UnitNotAnchored(bytes32 unit);
    /// The operator has stood trial for this unit: once for ever.
    error AlreadyOrdered(bytes32 caseId);
    /// An order takes something, and at most what is locked under its unit.
    error AboveLock(uint256 amount, uint256 locked);
    /// The reporter has not accused this unit with this evidence; a false accusation has no reporter.
    error NotReporter(address reporter);
    /// The case is not at the stage that this needs.
    error WrongStage(bytes32 caseId, Stage stage);
    /// The appeal time is over.
    error AppealOver(uint256 until);
    /// The appeal time is not over.
    error AppealOpen(uint256 until);
    /// A case about this epoch is open, or its next bond would not fit.
    error BadChallenge(bytes32 poolId, uint64 epoch);
    /// Stake must unbond more slowly than everything that can lead to a slash takes.
    error UnbondingTooShort(uint256 unbonding, uint256 needed);

    /// @notice Slash the signers of a commit that the pool found fraudulent; only the pool.
    /// @dev At once, without appeal. Never reverts for a signer who has nothing left, so that one empty
    /// account shields nobody else. A signer is punished at most once for one evidence hash: the pool
    /// makes it unique for each fraud, for example keccak256(abi.encode(poolId, epoch, fraud)). Takes
    /// free stake first, then unbonding stake, at last stake that is locked under the signer's units.
    /// @param signers whose signatures stand under the commit.
    /// @param amountEach base units, an upper limit.
    /// @param evidence hash that names the fraud; logged by WorkerStake with each slash.
    /// @param reporter who proved it; WorkerStake pays it at most a tenth of each slash and at most its
    /// rewardCap, the rest is burnt. The zero address for none.
    function punish(
        address[] calldata signers,
        uint256 amountEach,
        bytes32 evidence,
        address reporter
    ) external;

    /// @notice Stand by an accusation of an anchored unit: accuserStake of the caller's free stake is
    /// locked for accusationSeconds, and lost when the accusation is found false. Only who has accused
    /// can be named as the reporter of an order.
    function accuse(bytes32 unit, bytes32 finding, bytes32 evidence) external;

    /// @notice Unlock the stake of an old accusation; by anyone.
    function release(bytes32 unit, address accuser) external;

    /// @notice Take an order signed by the committee (exactly `threshold` signatures, ascending); by
    /// anyone. The unit's lock is held until the case is over.
    function order(Slash calldata slash, bytes[] calldata signatures) external;

    /// @notice Challenge a pending epoch of the pool; by a registered operator. The bond is challengeBond,
    /// doubled for every earlier challenge of the same epoch.
    function challenge(bytes32 poolId, uint64 epoch, bytes32 evidence) external;

    /// @notice Bring an order, or a jury's verdict against the signers of an epoch, before a jury; by any
    /// operator that bonds the appeal with free stake, in particular by the accused.
    function appeal(bytes32 caseId) external;

    /// @notice Slash when nobody appealed in time; by anyone.
    function execute(bytes32 caseId) external;

    /// @notice Count a panel's votes and do what follows; by anyone, once all have revealed or the time is
    /// over. Missing jurors lose jurorFee. Overturned members pay: seats that signed the order lose
    /// accuserStake each, jurors of the first instance who upheld lose jurorFee each.
    function decide(bytes32 caseId) external;

    /// @notice The lock of an accusation in WorkerStake, and the unit of an order against the accuser.
    function accusationId(bytes32 unit, address accuser) external pure returns (bytes32);

    /// @notice The case of an order: one operator, one unit.
    function orderId(address operator, bytes32 unit) external pure returns (bytes32);

    /// @notice The case of the n-th challenge (from 0) of an epoch.
    function challengeId(bytes32 poolId, uint64 epoch, uint256 number) external pure returns (bytes32);

    /// @notice The panel of an instance (1 first jury, 2 second) of a case.
    function panelId(bytes32 caseId, uint256 instance) external pure returns (bytes32);

    /// @notice The bond of the next challenge of an epoch.
    function bondFor(bytes32 poolId, uint64 epoch) external view returns (uint256);

    /// @notice A case's facts. `until`: end of the appeal time while Appealable.
    function caseOf(
        bytes32 caseId
    )
        external
        view
        returns (
            Kind kind,
            Stage stage,
            uint256 instance,
            uint256 until,
            address appellant,
            uint256 amount,
            address[] memory accused
        );
}
