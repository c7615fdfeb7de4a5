// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Jury} from "./Jury.sol";
import {Quorum} from "./Quorum.sol";
import {WorkerStake} from "./WorkerStake.sol";
import {IArbiter} from "./interfaces/IArbiter.sol";
import {IChallengeable, IUnitBook} from "./interfaces/IChallengeable.sol";

/// @title The one slasher: committee, juries, the pool's proofs. See IArbiter.
/// @dev Invariants: an order takes at most what is locked under the unit that it names, and that unit is
/// anchored in the pool or an accusation here; one operator stands trial for one unit once; nothing is
/// slashed while it may be appealed or a jury sits; a case that hangs takes nothing from its accused; of
/// one epoch at most one case is undecided; a frozen epoch is resolved by its first verdict.
contract Arbiter is IArbiter, Jury, Quorum, EIP712 {
    struct Terms {
        uint32 appealSeconds; // from an order or a verdict until it acts
        uint32 voteSeconds; // for votes, and again for reveals
        uint32 accusationSeconds; // an accusation's stake is locked so long
        uint16 seats; // of a first jury
        uint16 minSeats; // fewer decide nothing
        uint128 bond; // of an appeal, and of an epoch's first challenge
        uint128 accuserStake; // lost by a false accuser, and by an overturned seat
        uint128 signerSlash; // of each signer of an epoch that stays void
        uint128 jurorFee;
    }

    struct Accusation {
        bytes32 evidence;
        uint64 lockedUntil; // 0: none
    }

    struct Case {
        Kind kind;
        Stage stage;
        uint8 instance; // 0 committee, 1 first jury, 2 second jury
        uint64 until; // unix seconds
        uint64 epoch;
        address appellant; // whose bond is locked under the panel's id
        uint128 amount; // from each accused
        bytes32 subject; // unit, or pool
        bytes32 evidence;
        address reporter;
        address[] accused;
        address[] judges; // who decided against them, and pay when overturned
    }

    bytes32 public constant SLASH_TYPEHASH =
        keccak256("Slash(address operator,bytes32 unit,uint256 amount,bytes32 evidence,address reporter)");
    /// An epoch takes at most so many challenges: the bond has doubled beyond all coins by then.
    uint256 public constant MAX_CHALLENGES = 64;

    address public immutable pool;
    uint256 public immutable appealSeconds;
    uint256 public immutable accusationSeconds;
    uint256 public immutable seats;
    uint256 public immutable bond;
    uint256 public immutable accuserStake;
    uint256 public immutable signerSlash;

    /// Challenges of an epoch so far.
    mapping(bytes32 poolId => mapping(uint64 epoch => uint256)) public challenges;

    mapping(bytes32 accusation => Accusation) private _accusations;
    mapping(bytes32 caseId => Case) private _cases;

    constructor(
        WorkerStake stake_,
        address[] memory committee,
        uint256 threshold_,
        Terms memory terms
    )
        Jury(stake_, terms.voteSeconds, terms.minSeats, terms.jurorFee)
        Quorum(committee, threshold_)
        EIP712("Arbiter", "1")
    {
        pool = stake_.pool();
        appealSeconds = terms.appealSeconds;
        accusationSeconds = terms.accusationSeconds;
        seats = terms.seats;
        bond = terms.bond;
        accuserStake = terms.accuserStake;
        signerSlash = terms.signerSlash;
        // A window, two juries and the appeal time between them. Seeds come within blocks.
        uint256 needed = IChallengeable(pool).longestWindow() + terms.appealSeconds;
        needed += 4 * uint256(terms.voteSeconds);
        if (stake_.unbondingSeconds() <= needed) {
            revert UnbondingTooShort(stake_.unbondingSeconds(), needed);
        }
    }

    /// @inheritdoc IArbiter
    function punish(
        address[] calldata signers,
        uint256 amountEach,
        bytes32 evidence,
        address reporter
    ) external {
        if (msg.sender != pool) revert NotPool(msg.sender);
        for (uint256 i = 0; i < signers.length; ++i) {
            _slash(signers[i], evidence, amountEach, evidence, reporter);
        }
    }

    /// @inheritdoc IArbiter
    function accuse(bytes32 unit, bytes32 finding, bytes32 evidence) external {
        bytes32 id = accusationId(unit, msg.sender);
        if (_accusations[id].lockedUntil != 0) revert AlreadyAccused(unit, msg.sender);
        if (!_anchored(unit)) revert UnitNotAnchored(unit);
        uint64 lockedUntil = uint64(block.timestamp + accusationSeconds);
        _accusations[id] = Accusation(evidence, lockedUntil);
        emit Accused(unit, msg.sender, finding, evidence, lockedUntil);
        stake.lock(msg.sender, id, accuserStake);
    }

    /// @inheritdoc IArbiter
    function release(bytes32 unit, address accuser) external {
        bytes32 id = accusationId(unit, accuser);
        uint256 lockedUntil = _accusations[id].lockedUntil;
        if (lockedUntil == 0) revert NotAccused(unit, accuser);
        if (block.timestamp < lockedUntil) revert AccusationOpen(lockedUntil);
        stake.unlock(accuser, id);
    }

    /// @inheritdoc IArbiter
    function order(Slash calldata slash, bytes[] calldata signatures) external {
        address[] memory signers = _signers(
            _hashTypedDataV4(keccak256(abi.encode(SLASH_TYPEHASH, slash))),
            signatures
        );
        bytes32 id = orderId(slash.operator, slash.unit);
        Case storage c = _cases[id];
        if (c.kind != Kind.None) revert AlreadyOrdered(id);
        _checkOrder(slash);
        c.kind = Kind.Order;
        c.stage = Stage.Appealable;
        c.until = uint64(block.timestamp + appealSeconds);
        c.amount = uint128(slash.amount);
        c.subject = slash.unit;
        c.evidence = slash.evidence;
        c.reporter = slash.reporter;
        c.accused.push(slash.operator);
        c.judges = signers;
        _emitOrdered(id, slash, signers, c.until);
        stake.hold(slash.operator, slash.unit, true);
    }

    /// @inheritdoc IArbiter
    function challenge(bytes32 poolId, uint64 epoch, bytes32 evidence) external {
        uint256 number = challenges[poolId][epoch];
        bytes32 id = challengeId(poolId, epoch, number);
        if (number == MAX_CHALLENGES) revert BadChallenge(poolId, epoch);
        uint256 amount = bondFor(poolId, epoch);
        challenges[poolId][epoch] = number + 1;
        Case storage c = _cases[id];
        c.kind = Kind.Epoch;
        c.epoch = epoch;
        c.amount = uint128(signerSlash);
        c.subject = poolId;
        c.evidence = evidence;
        c.reporter = msg.sender;
        c.accused = IChallengeable(pool).signersOf(poolId, epoch);
        emit EpochChallenged(id, poolId, epoch, msg.sender, amount, evidence);
        IChallengeable(pool).freeze(poolId, epoch);
        _bringToJury(id, c, amount);
    }

    /// @inheritdoc IArbiter
    function appeal(bytes32 caseId) external {
        Case storage c = _appealable(caseId);
        if (block.timestamp >= c.until) revert AppealOver(c.until);
        _bringToJury(caseId, c, c.kind == Kind.Order ? bond : 2 * bond);
    }

    /// @inheritdoc IArbiter
    function execute(bytes32 caseId) external {
        Case storage c = _appealable(caseId);
        if (block.timestamp < c.until) revert AppealOpen(c.until);
        _close(caseId, c, true);
    }

    /// @inheritdoc IArbiter
    function decide(bytes32 caseId) external {
        Case storage c = _cases[caseId];
        if (c.stage != Stage.Jury) revert WrongStage(caseId, c.stage);
        bytes32 panel = panelId(caseId, c.instance);
        Verdict verdict = _count(panel);
        bool first = c.kind == Kind.Epoch && c.instance == 1;
        bool voided = first && verdict == Verdict.Upheld;
        // Against an epoch the bond is the accuser's, otherwise it is the accused's.
        bool lost = verdict == (first ? Verdict.Rejected : Verdict.Upheld);
        c.until = voided ? uint64(block.timestamp + appealSeconds) : 0;
        emit CaseDecided(caseId, c.instance, uint8(verdict), c.until);
        uint256 pot = _fineMissing(panel);
        // Who brought an epoch before a jury that came to nothing pays what is missing of its jurors' pay.
        uint256 price = first && verdict == Verdict.Hung ? _owed(panel, pot) : 0;
        pot += _settleBond(panel, c.appellant, lost ? type(uint256).max : price);
        // After the bond: taking from a judge who appealed itself would end the bond's lock.
        if (!first && verdict == Verdict.Rejected) pot += _overturn(panel, c);
        _payJurors(panel, pot);
        if (voided) {
            c.stage = Stage.Appealable;
            c.judges = _voters(panel, Vote.Uphold);
        } else {
            _close(caseId, c, !first && verdict == Verdict.Upheld);
        }
        if (first) IChallengeable(pool).resolve(c.subject, c.epoch, voided);
    }

    /// @inheritdoc IArbiter
    function accusationId(bytes32 unit, address accuser) public pure returns (bytes32) {
        return keccak256(abi.encode("accusation", unit, accuser));
    }

    /// @inheritdoc IArbiter
    function orderId(address operator, bytes32 unit) public pure returns (bytes32) {
        return keccak256(abi.encode("order", operator, unit));
    }

    /// @inheritdoc IArbiter
    function challengeId(
        bytes32 poolId,
        uint64 epoch,
        uint256 number
    ) public pure returns (bytes32) {
        return keccak256(abi.encode("challenge", poolId, epoch, number));
    }

    /// @inheritdoc IArbiter
    function panelId(bytes32 caseId, uint256 instance) public pure returns (bytes32) {
        return keccak256(abi.encode("panel", caseId, instance));
    }

    /// @inheritdoc IArbiter
    function bondFor(bytes32 poolId, uint64 epoch) public view returns (uint256) {
        return bond << challenges[poolId][epoch];
    }

    /// @inheritdoc IArbiter
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
        )
    {
        Case storage c = _cases[caseId];
        return (c.kind, c.stage, c.instance, c.until, c.appellant, c.amount, c.accused);
    }

    /// @dev What an order may name: see the first invariant.
    function _checkOrder(Slash calldata slash) private view {
        (address holder, uint256 locked) = stake.lockOf(slash.unit);
        bytes32 reporter = accusationId(slash.unit, slash.reporter);
        if (_accusations[slash.unit].lockedUntil == 0) {
            if (!_anchored(slash.unit)) revert UnitNotAnchored(slash.unit);
            bool told = slash.reporter == address(0) ||
                (_accusations[reporter].lockedUntil != 0 &&
                    _accusations[reporter].evidence == slash.evidence);
            if (!told) revert NotReporter(slash.reporter);
        } else if (slash.reporter != address(0)) {
            revert NotReporter(slash.reporter);
        }
        if (holder != slash.operator || slash.amount == 0 || slash.amount > locked) {
            revert AboveLock(slash.amount, holder == slash.operator ? locked : 0);
        }
    }

    function _emitOrdered(
        bytes32 id,
        Slash calldata slash,
        address[] memory signers,
        uint256 until
    ) private {
        emit SlashOrdered(
            id,
            slash.operator,
            slash.unit,
            slash.amount,
            slash.evidence,
            slash.reporter,
            signers,
            until
        );
    }

    /// @dev The next instance, with the caller's bond. All who have had a part in the case are out.
    function _bringToJury(bytes32 caseId, Case storage c, uint256 amount) private {
        c.stage = Stage.Jury;
        c.until = 0;
        c.appellant = msg.sender;
        ++c.instance;
        bytes32 panel = panelId(caseId, c.instance);
        emit Appealed(caseId, msg.sender, amount, c.instance, panel);
        stake.lock(msg.sender, panel, amount);
        _summon(panel, c.instance == 1 ? seats : 2 * seats + 1, _parties(c));
    }

    function _parties(Case storage c) private view returns (address[] memory parties) {
        (uint256 a, uint256 j) = (c.accused.length, c.judges.length);
        parties = new address[](a + j + 2);
        for (uint256 i = 0; i < a; ++i) parties[i] = c.accused[i];
        for (uint256 i = 0; i < j; ++i) parties[a + i] = c.judges[i];
        parties[a + j] = c.appellant;
        parties[a + j + 1] = c.reporter;
    }

    /// @dev The bond ends: `price` of it, at most all, is taken, and the rest is free again.
    function _settleBond(
        bytes32 panel,
        address holder,
        uint256 price
    ) private returns (uint256 pot) {
        (, uint256 amount) = stake.lockOf(panel);
        if (price != 0) return stake.seize(holder, panel, price < amount ? price : amount);
        stake.unlock(holder, panel);
        return 0;
    }

    /// @dev The members of the instance below pay for their error.
    function _overturn(bytes32 panel, Case storage c) private returns (uint256 pot) {
        uint256 each = c.kind == Kind.Order ? accuserStake : jurorFee;
        for (uint256 i = 0; i < c.judges.length; ++i) pot += stake.seize(c.judges[i], panel, each);
    }

    function _close(bytes32 caseId, Case storage c, bool slashed) private {
        c.stage = Stage.Closed;
        emit CaseClosed(caseId, slashed);
        if (c.kind == Kind.Order) {
            stake.hold(c.accused[0], c.subject, false);
            if (slashed) _slash(c.accused[0], c.subject, c.amount, c.evidence, c.reporter);
        } else if (slashed) {
            for (uint256 i = 0; i < c.accused.length; ++i) {
                _slash(c.accused[i], caseId, c.amount, c.evidence, c.reporter);
            }
        }
    }

    function _slash(
        address operator,
        bytes32 unit,
        uint256 amount,
        bytes32 evidence,
        address reporter
    ) private {
        if (stake.isSlashed(operator, unit)) return;
        stake.slash(operator, unit, amount, evidence, reporter);
    }

    function _appealable(bytes32 caseId) private view returns (Case storage c) {
        c = _cases[caseId];
        if (c.stage != Stage.Appealable) revert WrongStage(caseId, c.stage);
    }

    function _anchored(bytes32 unit) private view returns (bool) {
        (, , , uint8 state) = IUnitBook(pool).unitOf(unit);
        return state == 2;
    }
}
