// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {AssetRegistry} from "./AssetRegistry.sol";
import {OpenToken} from "./OpenToken.sol";
import {PotBook} from "./PotBook.sol";
import {Signers} from "./Signers.sol";
import {SumTree} from "./SumTree.sol";
import {WorkerStake} from "./WorkerStake.sol";
import {IAggregatorSets} from "./interfaces/IAggregatorSets.sol";
import {IArbiter} from "./interfaces/IArbiter.sol";
import {IAttributionPool} from "./interfaces/IAttributionPool.sol";
import {IChallengeable} from "./interfaces/IChallengeable.sol";
import {IGuardian} from "./interfaces/IGuardian.sol";
import {IRuleRegistry} from "./interfaces/IRuleRegistry.sol";
import {ISuccessors} from "./interfaces/ISuccessors.sol";

/// @dev IRuleRegistry.rulesOf by its first words: decoding all of Rules costs this contract more code
/// than it has left. `window` is the last of them.
interface IRuleWindow {
    function rulesOf(uint32 version) external view returns (uint256[11] memory);
}

/// @title Pools, their epochs and claims. See IAttributionPool.
/// @dev Invariants, for each pool: an epoch's total is the previous total plus its draws, each at most
/// its pot's escrow, so total <= funded; claimed[i] never falls; claimedTotal <= total of the active
/// root; what a commit adds is at most half the stake of its signers, and that stake backs no other
/// pending commit; one commit is pending at a time; a root that became active is never voided; a voided
/// epoch's draws are back in their pots before its number is used again. A pool's coins pay nobody of
/// another pool, because pots, draws, totals and claims are kept by pool.
contract AttributionPool is IAttributionPool, IChallengeable, PotBook {
    using SafeERC20 for OpenToken;

    /// Where claims and the pending commit stand; one word of storage, first field lowest.
    struct Head {
        uint256 claimed; // 128 bits: base units ever paid to owners
        uint256 activatesAt; // 32: unix seconds, of the last commit; NEVER while it is frozen
        uint256 epoch; // 32: number of the last commit that is not voided; 0: none
        uint256 signers; // 32: their positions in the set
        uint256 window; // 24: seconds, under the rules of the last commit
        uint256 state; // 8: flags below
    }

    /// What the next commit is held to; one word of storage, first field lowest.
    struct Book {
        uint256 total; // 128 bits: base units, of the last commit (of a voided one until restored)
        uint256 begunAt; // 32: unix seconds, when the running epoch began
        uint256 begunBefore; // 32: the same for the epoch of the last commit
        uint256 set; // 16
        uint256 threshold; // 8: of the set; 0: no such pool
        uint256 ruleVersion; // 16: of the last commit
    }

    /// Coins, and the clock.
    struct Ledger {
        uint128 funded; // base units ever paid in, less what went back to funders; never wraps
        uint40 still; // seconds under challenge so far
        uint40 frozenAt; // unix seconds since when a challenge is undecided; 0: none
    }

    /// Who stands behind a commit, and how far.
    struct Backed {
        bytes32 draws; // hash of its draws
        uint256 signers;
        uint256 state; // ALONE for a fallback
        uint256 limit; // base units that it may add
        uint256 windows; // that it waits
    }

    bytes32 private constant DRAW_TYPEHASH = keccak256("Draw(bytes32 pot,uint256 amount)");
    bytes32 private constant COMMIT_TYPEHASH =
        keccak256(
            "EpochCommit(bytes32 pool,uint64 epoch,bytes32 previous,bytes32 root,uint256 total,uint32 leafCount,bytes32 evidence,uint32 ruleVersion,Draw[] draws)Draw(bytes32 pot,uint256 amount)"
        );
    /// Head of a pool without an epoch.
    bytes32 public constant EMPTY_HEAD = keccak256(abi.encode(bytes32(0), 0, 0, bytes32(0)));
    uint256 private constant NEVER = type(uint32).max;
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256(
            "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
        );

    /// The pending commit waits for a verdict.
    uint256 private constant FROZEN = 1;
    /// A challenge is undecided, whether or not its commit is still there.
    uint256 private constant CASE = 2;
    /// The last commit was voided and its draws are not restored.
    uint256 private constant VOIDED = 4;
    /// The last commit was voided.
    uint256 private constant GONE = 8;
    /// The last commit was one staker's.
    uint256 private constant ALONE = 16;

    AssetRegistry public immutable registry;
    /// Rules by version, the guardian's brake, and who follows on this contract.
    address public immutable rules;
    /// Freezes, resolves and punishes.
    address public immutable arbiter;
    /// The contract of the objective proofs.
    address public immutable fraudProofs;
    /// Seconds without an active epoch after which any staker may propose.
    uint256 public immutable stallSeconds;
    uint256 private immutable _longestWindow;

    /// Pools are numbered; 0 is the genesis pool.
    uint256 public poolCount;
    mapping(bytes32 pool => uint256) private _head;
    mapping(bytes32 pool => uint256) private _book;
    mapping(bytes32 pool => Ledger) private _ledger;
    /// Heads of the last and of the one before it, by the epoch's lowest bit.
    mapping(bytes32 pool => bytes32[2]) private _heads;
    /// @inheritdoc IAttributionPool
    mapping(bytes32 pool => mapping(uint256 index => uint256)) public claimed;
    /// Who proposed the last fallback commit.
    mapping(bytes32 pool => address) private _proposer;
    /// Seconds of the window that were left when the commit was frozen.
    mapping(bytes32 pool => uint256) private _left;
    /// Condemned commits so far: makes the evidence of each punishment unique.
    mapping(bytes32 pool => uint256) private _condemned;

    struct Peers {
        AssetRegistry registry;
        WorkerStake stake;
        IAggregatorSets sets;
        address rules;
        address arbiter;
        address fraudProofs;
    }

    struct Terms {
        uint32 window; // of the genesis rules
        uint32 longestWindow; // that any rules may have
        uint256 unitStake;
        uint32 reclaimSeconds;
        uint32 stallSeconds;
    }

    /// @dev Rules, Arbiter and fraud proofs may be deployed later at these addresses; the sets exist.
    constructor(
        OpenToken token_,
        Peers memory peers,
        Terms memory terms
    ) PotBook(token_, terms.unitStake, terms.reclaimSeconds) Signers(peers.stake, peers.sets) {
        registry = peers.registry;
        rules = peers.rules;
        arbiter = peers.arbiter;
        fraudProofs = peers.fraudProofs;
        stallSeconds = terms.stallSeconds;
        _longestWindow = 2 * uint256(terms.longestWindow);
        _openPool(0, 1, terms.window);
    }

    // -- pools ---

    /// @inheritdoc IAttributionPool
    function openPool(uint256 set, address controller) external returns (bytes32 pool) {
        uint32 version = IRuleRegistry(rules).versionAt(block.timestamp);
        pool = _openPool(set, version, _windowOf(version));
        if (controller != address(0)) sets.nameController(pool, controller);
    }

    /// @inheritdoc IAttributionPool
    function assignSet(bytes32 pool, uint256 set, uint256 threshold) external {
        if (msg.sender != address(sets)) revert NotSets(msg.sender);
        Head memory head = _headOf(pool);
        _checkFree(pool, head);
        head.signers = 0;
        _saveHead(pool, head);
        Book memory book = _bookOf(pool);
        (book.set, book.threshold) = (set, threshold);
        _saveBook(pool, book);
    }

    // -- committing ---

    /// @inheritdoc IAttributionPool
    function commit(
        Commit calldata epoch,
        Draw[] calldata draws,
        bytes calldata signatures
    ) external {
        (bytes32 struct_, bytes32 drawn) = _hash(epoch, draws);
        Book memory book = _knownBook(epoch.pool);
        (uint256 signers, uint256 staked) = _signers(
            epoch.pool,
            book.set,
            book.threshold,
            _digest(struct_),
            signatures
        );
        _accept(epoch, draws, book, Backed(drawn, signers, 0, staked / 2, 1));
    }

    /// @inheritdoc IAttributionPool
    function commitFallback(Commit calldata epoch, Draw[] calldata draws) external {
        (, bytes32 drawn) = _hash(epoch, draws);
        Book memory book = _knownBook(epoch.pool);
        uint256 stalledAt = _headOf(epoch.pool).activatesAt + stallSeconds;
        if (block.timestamp < stalledAt) revert QuorumActive(stalledAt);
        for (uint256 i = 0; i < draws.length; ++i) _checkStalled(draws[i].pot, stallSeconds);
        _bind(epoch.pool, FALLBACK, msg.sender);
        _proposer[epoch.pool] = msg.sender;
        emit FallbackUsed(epoch.pool, epoch.epoch, msg.sender);
        uint256 limit = stake.stakeOf(msg.sender) / 2;
        _accept(epoch, draws, book, Backed(drawn, 0, ALONE, limit, 2));
    }

    /// @inheritdoc IAttributionPool
    function restore(bytes32 pool, Root calldata voided, Draw[] calldata draws) external {
        Head memory head = _headOf(pool);
        if (head.state & VOIDED == 0) revert NothingToRestore(pool);
        uint64 epoch = uint64(head.epoch + 1);
        bytes32 given = _hashOf(voided.root, voided.total, voided.leafCount, _drawsHash(draws));
        bytes32 expected = _heads[pool][epoch & 1];
        if (given != expected) revert WrongHead(given, expected);
        uint256 amount = 0;
        for (uint256 i = 0; i < draws.length; ++i) {
            _undraw(draws[i].pot, draws[i].amount, epoch);
            amount += draws[i].amount;
        }
        Book memory book = _bookOf(pool);
        book.total -= amount;
        _saveBook(pool, book);
        head.state &= ~VOIDED;
        _saveHead(pool, head);
        emit DrawsRestored(pool, epoch, amount);
    }

    // -- claiming ---

    /// @inheritdoc IAttributionPool
    function claim(
        bytes32 pool,
        uint256 leafCount,
        bytes32 draws,
        uint256 index,
        bytes32 ownerId,
        uint256 cumulative,
        bytes calldata proof
    ) external {
        if (index >= leafCount) revert NoLeaf(index, leafCount);
        if (cumulative > type(uint128).max) revert BadProof(index);
        (bytes32 root, uint256 total) = SumTree.climb(leafCount, index, ownerId, cumulative, proof);
        _pay(pool, _hashOf(root, total, leafCount, draws), total, index, cumulative);
    }

    /// @dev Pay one owner up to a cumulative amount that was proven under a root with this head.
    function _pay(
        bytes32 pool,
        bytes32 head,
        uint256 total,
        uint256 index,
        uint256 cumulative
    ) private {
        uint256 word = _head[pool];
        if (head != _heads[pool][_activeEpoch(word) & 1]) revert BadProof(index);
        uint256 before = claimed[pool][index];
        if (cumulative <= before) revert NothingToClaim(index);
        uint256 amount = cumulative - before;
        address payout = registry.payoutAt(index);
        if (payout == address(0)) revert NoOwner(index);
        if (uint128(word) + amount > total) revert ClaimAboveTotal(uint128(word) + amount, total);
        claimed[pool][index] = cumulative;
        _head[pool] = word + amount; // the lowest field: what was paid
        emit Claimed(pool, index, payout, amount);
        token.safeTransfer(payout, amount);
    }

    /// @inheritdoc IAttributionPool
    /// @dev Everything that can fail is looked at before anything is written, so a failing item needs
    /// no call frame of its own; OpenToken's transfer of coins that are here to a non-zero address
    /// cannot fail and calls nobody.
    function claimBatch(
        bytes32 pool,
        Root calldata active,
        ClaimItem[] calldata items
    ) external {
        uint256 word = _head[pool];
        bytes32 expected = _heads[pool][_activeEpoch(word) & 1];
        bytes32 given = _hashOf(active.root, active.total, active.leafCount, active.draws);
        if (given != expected) revert WrongHead(given, expected);
        mapping(uint256 => uint256) storage paid = claimed[pool];
        for (uint256 i = 0; i < items.length; ++i) {
            ClaimItem calldata item = items[i];
            (uint256 amount, address payout) = _due(active, item, paid[item.index]);
            if (amount == 0 || uint128(word) + amount > active.total) {
                emit ClaimSkipped(pool, item.index);
                continue;
            }
            word += amount; // the lowest field: what was paid
            paid[item.index] = item.cumulative;
            emit Claimed(pool, item.index, payout, amount);
            token.safeTransfer(payout, amount);
        }
        _head[pool] = word;
    }

    // -- voiding ---

    /// @inheritdoc IAttributionPool
    function condemn(
        bytes32 pool,
        uint256 amountEach,
        bytes32 evidence,
        address reporter
    ) external {
        if (msg.sender != fraudProofs) revert NotFraudProofs(msg.sender);
        Head memory head = _headOf(pool);
        uint64 epoch = uint64(head.epoch);
        if (block.timestamp >= head.activatesAt) revert NotPending(pool, epoch);
        address[] memory signers = _signersOf(pool, head);
        _void(pool, head);
        bytes32 unique = keccak256(abi.encode(pool, epoch, evidence, ++_condemned[pool]));
        emit SignersPunished(pool, epoch, unique, reporter, amountEach);
        IArbiter(arbiter).punish(signers, amountEach, unique, reporter);
    }

    /// @inheritdoc IChallengeable
    function freeze(bytes32 pool, uint64 epoch) external {
        if (msg.sender != arbiter) revert NotArbiter(msg.sender);
        Head memory head = _headOf(pool);
        bool free = head.state & CASE == 0 && block.timestamp < head.activatesAt;
        if (!free || head.epoch != epoch) revert NotPending(pool, epoch);
        _left[pool] = head.activatesAt - block.timestamp;
        head.activatesAt = NEVER;
        head.state |= FROZEN | CASE;
        _saveHead(pool, head);
        _ledger[pool].frozenAt = uint40(block.timestamp);
        emit EpochFrozen(pool, epoch);
    }

    /// @inheritdoc IChallengeable
    function resolve(bytes32 pool, uint64 epoch, bool voided) external {
        if (msg.sender != arbiter) revert NotArbiter(msg.sender);
        Head memory head = _headOf(pool);
        uint256 state = head.state;
        if (state & CASE == 0) revert NotPending(pool, epoch);
        Ledger storage ledger = _ledger[pool];
        ledger.still += uint40(block.timestamp) - ledger.frozenAt;
        ledger.frozenAt = 0;
        head.state = state & ~(CASE | FROZEN);
        if (state & FROZEN != 0 && voided) return _void(pool, head);
        // Voided by a proof meanwhile: only the clock of the fallback starts again.
        head.activatesAt = block.timestamp + (state & FROZEN == 0 ? 0 : _left[pool]);
        _saveHead(pool, head);
        if (state & FROZEN != 0) emit EpochThawed(pool, epoch, head.activatesAt);
    }

    // -- reading ---

    /// @inheritdoc IChallengeable
    function signersOf(bytes32 pool, uint64 epoch) external view returns (address[] memory) {
        Head memory head = _headOf(pool);
        uint256 last = head.epoch + (head.state & GONE == 0 ? 0 : 1);
        if (epoch == 0 || epoch != last) return new address[](0);
        return _signersOf(pool, head);
    }

    /// @inheritdoc IChallengeable
    function longestWindow() external view returns (uint256) {
        return _longestWindow;
    }

    /// @inheritdoc IAttributionPool
    function activeEpoch(
        bytes32 pool
    ) public view override(IAttributionPool, PotBook) returns (uint64) {
        return uint64(_activeEpoch(_head[pool]));
    }

    /// @inheritdoc IAttributionPool
    function activeHead(bytes32 pool) external view returns (uint64 epoch, bytes32 head) {
        epoch = activeEpoch(pool);
        return (epoch, _heads[pool][epoch & 1]);
    }

    /// @inheritdoc IAttributionPool
    function pendingHead(
        bytes32 pool
    )
        external
        view
        returns (uint64 epoch, bytes32 root, uint256 committedAt, uint256 activatesAt)
    {
        Head memory head = _headOf(pool);
        if (block.timestamp >= head.activatesAt) return (0, 0, 0, 0);
        epoch = uint64(head.epoch);
        return (epoch, _heads[pool][epoch & 1], _bookOf(pool).begunAt, head.activatesAt);
    }

    /// @inheritdoc IAttributionPool
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
        )
    {
        Book memory book = _bookOf(pool);
        uint256 paid = _headOf(pool).claimed;
        return (book.set, book.threshold, book.total, _ledger[pool].funded, paid);
    }

    /// @inheritdoc IAttributionPool
    function runningEpoch(
        bytes32 pool
    )
        external
        view
        returns (uint64 last, uint256 begunAt, uint256 begunBefore, uint32 ruleVersion)
    {
        Book memory book = _knownBook(pool);
        ruleVersion = IRuleRegistry(rules).versionAt(book.begunAt);
        return (uint64(_headOf(pool).epoch), book.begunAt, book.begunBefore, ruleVersion);
    }

    /// @inheritdoc IAttributionPool
    function waits(bytes32 pool) external view returns (bool verdict, bool draws) {
        uint256 state = _headOf(pool).state;
        return (state & CASE != 0, state & VOIDED != 0);
    }

    /// @inheritdoc IAttributionPool
    function clockOf(bytes32 pool) external view returns (uint256) {
        return _clock(pool);
    }

    /// @inheritdoc IAttributionPool
    function windowOf(bytes32 pool) external view returns (uint256) {
        return _headOf(pool).window;
    }

    // -- inside ---

    function _openPool(
        uint256 set,
        uint256 version,
        uint256 window
    ) private returns (bytes32 pool) {
        pool = bytes32(poolCount++);
        uint256 time = block.timestamp;
        (, uint256 threshold) = sets.seatsOf(set);
        _saveBook(pool, Book(0, time, time, set, threshold, version));
        _saveHead(pool, Head(0, time, 0, 0, window, 0));
        _heads[pool] = [EMPTY_HEAD, EMPTY_HEAD];
        emit PoolOpened(pool, set);
    }

    /// @dev Everything that a commit must be, whoever signed it; it is pending afterwards, and the next
    /// epoch has begun.
    function _accept(
        Commit calldata epoch,
        Draw[] calldata draws,
        Book memory book,
        Backed memory backed
    ) private {
        if (IGuardian(rules).paused()) revert CommitsPaused();
        bytes32 pool = epoch.pool;
        Head memory head = _headOf(pool);
        _checkPlace(epoch, head);
        if (epoch.leafCount == 0) revert NoLeaves();
        uint32 version = IRuleRegistry(rules).versionAt(book.begunAt);
        if (epoch.ruleVersion != version) revert WrongRuleVersion(epoch.ruleVersion, version);
        uint256 added = _drawAll(pool, draws, epoch.epoch);
        if (added == 0) revert NothingDrawn();
        if (added > backed.limit) revert AboveStakeLimit(added, backed.limit);
        uint256 total = book.total + added;
        if (epoch.total != total || total > type(uint128).max) revert WrongTotal(epoch.total, total);
        _heads[pool][epoch.epoch & 1] = _hashOf(epoch.root, total, epoch.leafCount, backed.draws);
        if (book.ruleVersion != version) head.window = _windowOf(version);
        (book.total, book.ruleVersion) = (total, version);
        (book.begunBefore, book.begunAt) = (book.begunAt, block.timestamp);
        _saveBook(pool, book);
        (head.epoch, head.signers, head.state) = (epoch.epoch, backed.signers, backed.state);
        head.activatesAt = block.timestamp + backed.windows * head.window;
        _saveHead(pool, head);
        _emitCommitted(epoch, head.activatesAt);
    }

    /// @dev The epoch is the next one, and builds on the last good root.
    function _checkPlace(Commit calldata epoch, Head memory head) private view {
        _checkFree(epoch.pool, head);
        uint256 last = head.epoch;
        if (epoch.epoch != last + 1) revert WrongEpoch(epoch.epoch, uint64(last + 1));
        bytes32 previous = _heads[epoch.pool][last & 1];
        if (epoch.previous != previous) revert WrongPrevious(epoch.previous, previous);
    }

    /// @dev Nothing waits for a verdict, for `restore`, or for its activation.
    function _checkFree(bytes32 pool, Head memory head) private view {
        if (head.state & CASE != 0) revert VerdictPending(pool);
        if (head.state & VOIDED != 0) revert DrawsPending(pool);
        if (block.timestamp < head.activatesAt) revert EpochPending(head.activatesAt);
    }

    function _windowOf(uint32 version) private view returns (uint256 window) {
        window = IRuleWindow(rules).rulesOf(version)[10];
        if (window > type(uint24).max) window = type(uint24).max;
    }

    function _emitCommitted(Commit calldata epoch, uint256 activatesAt) private {
        emit EpochCommitted(
            epoch.pool,
            epoch.epoch,
            epoch.root,
            epoch.previous,
            epoch.total,
            epoch.leafCount,
            epoch.evidence,
            epoch.ruleVersion,
            activatesAt
        );
    }

    function _drawAll(
        bytes32 pool,
        Draw[] calldata draws,
        uint64 epoch
    ) private returns (uint256 added) {
        for (uint256 i = 0; i < draws.length; ++i) {
            _draw(pool, draws[i].pot, draws[i].amount, epoch);
            added += draws[i].amount;
        }
    }

    /// @dev The pending commit is gone; its epoch runs on from where it began.
    function _void(bytes32 pool, Head memory head) private {
        uint256 epoch = head.epoch;
        head.epoch = epoch - 1;
        head.activatesAt = block.timestamp;
        head.state = (head.state & (CASE | ALONE)) | VOIDED | GONE;
        _saveHead(pool, head);
        Book memory book = _bookOf(pool);
        book.begunAt = book.begunBefore;
        _saveBook(pool, book);
        emit EpochVoided(pool, uint64(epoch));
    }

    /// @dev The amount that an item of a batch pays, and to whom; 0 when it fails.
    function _due(
        Root calldata active,
        ClaimItem calldata item,
        uint256 before
    ) private view returns (uint256 amount, address payout) {
        if (item.index >= active.leafCount || item.cumulative <= before) return (0, payout);
        if (item.cumulative > active.total) return (0, payout);
        (bytes32 root, uint256 total) = SumTree.climb(
            active.leafCount,
            item.index,
            item.ownerId,
            item.cumulative,
            item.proof
        );
        if (root != active.root || total != active.total) return (0, payout);
        payout = registry.payoutAt(item.index);
        // Zero: signers gave a leaf to an index that nobody has.
        return (payout == address(0) ? 0 : item.cumulative - before, payout);
    }

    function _activeEpoch(uint256 head) private view returns (uint256 epoch) {
        epoch = uint32(head >> 160);
        return block.timestamp >= uint32(head >> 128) ? epoch : epoch - 1;
    }

    function _signersOf(
        bytes32 pool,
        Head memory head
    ) private view returns (address[] memory signers) {
        if (head.state & ALONE == 0) return _signersAt(_bookOf(pool).set, head.signers);
        signers = new address[](1);
        signers[0] = _proposer[pool];
    }

    /// @dev Struct hash of a commit, and of its draws. The fields of a calldata struct are words, as
    /// EIP-712 wants them; each narrow one is read, and so checked, before the commit is accepted.
    function _hash(
        Commit calldata epoch,
        Draw[] calldata draws
    ) private pure returns (bytes32 hash, bytes32 drawn) {
        drawn = _drawsHash(draws);
        bytes32 typehash = COMMIT_TYPEHASH;
        assembly ("memory-safe") {
            let body := mload(0x40)
            mstore(body, typehash)
            calldatacopy(add(body, 0x20), epoch, 0x100)
            mstore(add(body, 0x120), drawn)
            hash := keccak256(body, 0x140)
        }
    }

    /// @dev EIP-712 under the chain id and address of now.
    function _digest(bytes32 struct_) private view returns (bytes32) {
        bytes32 separator = keccak256(
            abi.encode(
                DOMAIN_TYPEHASH,
                keccak256("AttributionPool"),
                keccak256("1"),
                block.chainid,
                address(this)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", separator, struct_));
    }

    /// @dev EIP-712 hash of the list: keccak256 over the struct hashes.
    function _drawsHash(Draw[] calldata draws) private pure returns (bytes32 hash) {
        bytes32 typehash = DRAW_TYPEHASH;
        assembly ("memory-safe") {
            let body := mload(0x40)
            let count := draws.length
            mstore(body, typehash)
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                calldatacopy(add(body, 0x20), add(draws.offset, shl(6, i)), 0x40)
                mstore(add(body, add(0x60, shl(5, i))), keccak256(body, 0x60))
            }
            hash := keccak256(add(body, 0x60), shl(5, count))
        }
    }

    /// @dev What is stored of a root: its head.
    function _hashOf(
        bytes32 root,
        uint256 total,
        uint256 leafCount,
        bytes32 draws
    ) private pure returns (bytes32) {
        return keccak256(abi.encode(root, total, leafCount, draws));
    }

    function _knownBook(bytes32 pool) private view returns (Book memory book) {
        book = _bookOf(pool);
        if (book.threshold == 0) revert UnknownPool(pool);
    }

    // Whole words are read and written: one access of storage for all fields.

    function _headOf(bytes32 pool) private view returns (Head memory head) {
        uint256 word = _head[pool];
        head.claimed = uint128(word);
        head.activatesAt = uint32(word >> 128);
        head.epoch = uint32(word >> 160);
        head.signers = uint32(word >> 192);
        head.window = uint24(word >> 224);
        head.state = word >> 248;
    }

    function _saveHead(bytes32 pool, Head memory head) private {
        uint256 word = head.claimed | (head.activatesAt << 128) | (head.epoch << 160);
        word |= (head.signers << 192) | (head.window << 224);
        _head[pool] = word | (head.state << 248);
    }

    function _bookOf(bytes32 pool) private view returns (Book memory book) {
        uint256 word = _book[pool];
        book.total = uint128(word);
        book.begunAt = uint32(word >> 128);
        book.begunBefore = uint32(word >> 160);
        book.set = uint16(word >> 192);
        book.threshold = uint8(word >> 208);
        book.ruleVersion = uint16(word >> 216);
    }

    function _saveBook(bytes32 pool, Book memory book) private {
        uint256 word = book.total | (book.begunAt << 128) | (book.begunBefore << 160);
        word |= (book.set << 192) | (book.threshold << 208);
        _book[pool] = word | (book.ruleVersion << 216);
    }

    function _pending(bytes32 pool) internal view override returns (bool) {
        return block.timestamp < uint32(_head[pool] >> 128);
    }

    function _clock(bytes32 pool) internal view override returns (uint40) {
        Ledger storage ledger = _ledger[pool];
        uint40 frozenAt = ledger.frozenAt;
        return (frozenAt == 0 ? uint40(block.timestamp) : frozenAt) - ledger.still;
    }

    function _noticed(bytes32 pool) internal view override returns (bool) {
        return sets.noticed(pool);
    }

    function _paidIn(bytes32 pool, uint256 amount) internal override returns (uint40) {
        if (uint256(pool) >= poolCount) revert UnknownPool(pool);
        // Checked: coins that were paid out may come back, so what was ever paid in has no other bound.
        _ledger[pool].funded += uint128(amount);
        return _clock(pool);
    }

    function _paidBack(bytes32 pool, uint256 amount) internal override {
        _ledger[pool].funded -= uint128(amount);
    }

    function _checkSuccessor() internal view override {
        address next = ISuccessors(rules).successorOf(address(this));
        if (next != address(0)) revert Succeeded(next);
    }
}
