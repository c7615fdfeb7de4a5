// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttributionPool} from "settlement/interfaces/IAttributionPool.sol";
import {IFraudProofs} from "settlement/interfaces/IFraudProofs.sol";
import {IPotBook} from "settlement/interfaces/IPotBook.sol";
import {IWorkerStake} from "settlement/interfaces/IWorkerStake.sol";
import {OperatorsPlay} from "./OperatorsPlay.sol";
import {Trees} from "./Trees.sol";

/// @title Units, honest and false epochs, claims, proofs and demands: what the court's cases are about.
/// @dev A watcher proves a false epoch at the latest when time would make it active, as every node does.
/// Account 9 watches, demands leaves and shows them.
abstract contract EpochsPlay is OperatorsPlay {
    using Trees for Trees.Tree;

    enum Defect {
        None,
        Decrease,
        WrongOwner,
        WrongSum,
        Omission,
        Stranger
    }

    struct Demand {
        bytes32 id;
        uint256 index;
        uint256 commit; // number of the commit, from 1
        uint256 deadline;
        bool open;
    }

    uint256 internal constant KINDS = 5;
    /// The last owners never earn, so that their leaves may be left out.
    uint256 private constant EARNERS = 12;

    bytes32[] public units;
    Demand[] public demands;
    uint256 public openDemands;

    bytes32 private _feePot;
    bytes32 private _jobPot;
    uint256 private _salt;
    /// The last plan, good or pending, and the one before it: owners, amounts, draws, root.
    bytes private _last;
    bytes private _before;
    bytes private _sent; // the call that committed the last plan
    uint256 private _sentAt;
    bytes private _gone; // the last plan, when it was voided
    Defect private _goneDefect;
    Defect private _defect;
    uint256 private _spoilt; // the index that the defect is about
    uint256 private _commits;
    address[] internal signers;
    /// Whether the last plan was one staker's, by the fallback.
    bool internal alone;
    /// Epochs whose number is used again.
    mapping(uint64 epoch => bool) internal voidedBefore;

    function open_() internal {
        staff();
        _feePot = _fund(100_000 * OPEN, 0);
        _jobPot = _fund(1_000 * OPEN, OPEN);
    }

    // -- units ---

    function do_work(uint256 who, uint256 way) external {
        address operator = account(1 + (who % OWNERS));
        bytes32 task = bytes32(++_salt);
        bytes32 unit = pool.unitId(operator, task);
        (, uint256 escrow, uint256 reserved, , , , ) = pool.potOf(_jobPot);
        if (escrow - reserved < OPEN) _jobPot = _fund(1_000 * OPEN, OPEN);
        bytes4 expected = freeOf(operator) < pool.unitStake()
            ? IWorkerStake.InsufficientStake.selector
            : bytes4(0);
        bytes memory data = abi.encodeCall(pool.reserve, (_jobPot, task));
        if (!tried(operator, address(pool), data, expected)) return;
        bookLock(unit, operator, pool.unitStake());
        units.push(unit);
        if (way % 8 == 0) return;
        vm.prank(operator);
        pool.anchor(unit, "root", "adapter");
        ++did["anchor"];
    }

    /// @dev The end of a unit, however it ends: its stake comes back once, or never.
    function do_endUnit(uint256 which) external {
        if (units.length == 0) return;
        uint256 recent = units.length < 12 ? units.length : 12;
        bytes32 unit = units[units.length - 1 - (which % recent)];
        (bytes32 pot, address operator, uint256 deadline, IPotBook.UnitState state) = pool.unitOf(unit);
        bytes memory settle_ = abi.encodeCall(pool.settleUnit, (unit));
        if (state == IPotBook.UnitState.Anchored && stake.isSlashed(operator, unit)) {
            refused(account(9), address(pool), settle_, IPotBook.UnitSlashed.selector);
            pool.expire(unit);
            ++did["slashed unit"];
        } else if (state == IPotBook.UnitState.Anchored) {
            (, , , , , uint256 drawn, ) = pool.potOf(pot);
            bool settled = drawn != 0 && drawn <= pool.activeEpoch(GENESIS);
            bytes4 expected = settled ? bytes4(0) : IPotBook.NotSettled.selector;
            if (settled && locks[unit].held) expected = IWorkerStake.UnitHeld.selector;
            if (!tried(account(9), address(pool), settle_, expected)) {
                if (locks[unit].held) ++did["held"];
                return;
            }
            bookUnlock(unit);
            ++did["settle"];
        } else if (state == IPotBook.UnitState.Reserved) {
            if (block.timestamp <= deadline) {
                vm.prank(operator);
                pool.handBack(unit);
            } else {
                pool.expire(unit);
            }
            bookUnlock(unit);
        } else {
            refused(account(9), address(pool), settle_, IPotBook.WrongUnitState.selector);
        }
    }

    function do_wait(uint256 seconds_) external {
        pass(within(seconds_, 0, 12), 1);
    }

    // -- epochs ---

    function do_commit(uint256 seed, uint256 amount, uint256 owner) external {
        if (!_mayCommit()) return;
        (uint256 a, uint256 b) = (1 + (seed % 3), 1 + ((seed % 3 + 1) % 3));
        if (account(a) > account(b)) (a, b) = (b, a);
        refill(account(a));
        refill(account(b));
        Plan memory plan = _plan(seed >> 8, amount, owner % EARNERS);
        bytes32 digest = digestOf(plan);
        bytes memory signed_ = abi.encodePacked(signature(a, digest), signature(b, digest));
        _sent = abi.encodeCall(pool.commit, (plan.epoch, plan.draws, signed_));
        signers = [account(a), account(b)];
        alone = false;
        _send();
        delete _gone;
        ++did[_defect == Defect.None ? "commit" : "false commit"];
    }

    /// @dev The quorum has committed nothing for long: any operator commits alone.
    function do_commitFallback(uint256 who, uint256 seed, uint256 amount) external {
        if (!_mayCommit()) return;
        pass(pool.stallSeconds(), 5);
        address proposer = operatorAt(who % STAKERS);
        refill(proposer);
        Plan memory plan = _plan(seed >> 8, amount, seed % EARNERS);
        _sent = abi.encodeCall(pool.commitFallback, (plan.epoch, plan.draws));
        signers = [proposer];
        alone = true;
        _send();
        delete _gone;
        ++did[_defect == Defect.None ? "fallback" : "false fallback"];
    }

    /// @dev A voided epoch once more, by the same hands: a commit of its own, that pays on its own.
    function do_commitAgain() external {
        if (!_mayCommit() || _gone.length == 0) return;
        pass(alone ? pool.stallSeconds() : 1, 1);
        for (uint256 i = 0; i < signers.length; ++i) refill(signers[i]);
        _send();
        _before = _last;
        _last = _gone;
        _defect = _goneDefect;
        delete _gone;
        ++did[alone ? "fallback again" : "commit again"];
    }

    /// @dev Also while a case about the pending epoch is open: it touches no claim on the last good root.
    function do_claim(uint256 index) external {
        Plan memory plan = _loaded(pending() ? _before : _last);
        if (plan.amounts.length == 0) return;
        index = index % EARNERS;
        uint256 due = plan.amounts[index] - pool.claimed(GENESIS, index);
        bytes memory data = claimData(plan, GENESIS, index, plan.amounts[index], plan.tree.proof(index));
        bytes4 expected = due == 0 ? IAttributionPool.NothingToClaim.selector : bytes4(0);
        if (!tried(account(9), address(pool), data, expected)) return;
        coins[payoutOf(operatorAt(index))] += due;
        (bool verdict, ) = pool.waits(GENESIS);
        ++did[verdict ? "claim while frozen" : "claim"];
    }

    // -- proofs ---

    /// @dev The proof of what is wrong condemns; no other proof does.
    function do_prove(uint256 kind) external {
        if (!pending()) return;
        Defect tried_ = Defect(1 + (kind % KINDS));
        if (tried_ == _defect) {
            _prove();
        } else if (tried_ != Defect.Decrease || _before.length != 0) {
            // A tree whose total is not its sum has no leaf that leads to it.
            bool leafless = _defect == Defect.WrongSum &&
                (tried_ == Defect.Decrease || tried_ == Defect.WrongOwner);
            refused(
                account(9),
                address(proofs),
                _proof(tried_),
                leafless ? IFraudProofs.BadLeaf.selector : IFraudProofs.NoFraud.selector
            );
            ++did["no fraud"];
        }
    }

    function do_demand(uint256 index) external {
        if (!pending()) return;
        Plan memory plan = _loaded(_last);
        index = index % plan.amounts.length;
        (, , , uint256 activatesAt) = pool.pendingHead(GENESIS);
        uint256 quarter = pool.windowOf(GENESIS) / 4;
        bytes32 id = _demandId(index);
        bytes4 expected = 0;
        for (uint256 i = 0; i < demands.length; ++i) {
            if (demands[i].id == id) expected = IFraudProofs.AlreadyDemanded.selector;
        }
        if (block.timestamp + 2 * quarter > activatesAt) expected = IFraudProofs.TooLate.selector;
        bytes memory data = abi.encodeCall(proofs.demand, (GENESIS, plan.root, index));
        if (!tried(account(9), address(proofs), data, expected)) return;
        coins[account(9)] -= proofs.openingBond();
        demands.push(Demand(id, index, _commits, block.timestamp + quarter, true));
        ++openDemands;
        ++did["demand"];
    }

    function do_answer(uint256 which) external {
        if (demands.length == 0 || !pending()) return;
        Demand storage asked = demands[demands.length - 1 - (which % demands.length)];
        if (asked.commit != _commits) return;
        Plan memory plan = _loaded(_last);
        bool shown = _defect != Defect.WrongSum &&
            asked.index < STAKERS &&
            (_defect != Defect.WrongOwner || asked.index != _spoilt);
        if (!shown) return;
        bytes memory data = abi.encodeCall(
            proofs.answer,
            (GENESIS, plan.root, asked.index, plan.amounts[asked.index], plan.tree.proof(asked.index))
        );
        bytes4 expected = asked.open ? bytes4(0) : IFraudProofs.NotDemanded.selector;
        address answerer = account(9 + (which % 3)); // whoever comes first
        if (!tried(answerer, address(proofs), data, expected)) return;
        asked.open = false;
        --openDemands;
        coins[answerer] += proofs.openingBond();
        ++did["answer"];
    }

    function do_close(uint256 which) external {
        if (demands.length == 0) return;
        Demand storage asked = demands[demands.length - 1 - (which % demands.length)];
        bool stands = pending() && asked.commit == _commits;
        bytes4 expected = asked.open ? bytes4(0) : IFraudProofs.NotDemanded.selector;
        if (asked.open && stands && block.timestamp <= asked.deadline) {
            expected = IFraudProofs.AnswerOpen.selector;
        }
        bytes memory data = abi.encodeCall(proofs.close, (asked.id));
        if (!tried(account(9), address(proofs), data, expected)) return;
        asked.open = false;
        --openDemands;
        coins[account(9)] += proofs.openingBond();
        if (stands) _condemned(proofs.openingFine());
        ++did[stands ? "unopened" : "bond back"];
    }

    // -- reading ---

    function demandCount() external view returns (uint256) {
        return demands.length;
    }

    /// @dev Whether a commit waits for its activation.
    function pending() public view returns (bool) {
        (uint64 epoch, , , ) = pool.pendingHead(GENESIS);
        return epoch != 0;
    }

    // -- inside ---

    /// @dev Time and blocks pass; what would become active and is false is proven before.
    function pass(uint256 seconds_, uint256 blocks) internal {
        (uint64 epoch, , , uint256 activatesAt) = pool.pendingHead(GENESIS);
        bool ends = epoch != 0 && block.timestamp + seconds_ >= activatesAt;
        if (ends && _defect != Defect.None) _prove();
        vm.warp(block.timestamp + seconds_);
        vm.roll(block.number + blocks);
    }

    /// @dev The pending commit is gone: its draws return, and the root before it stands.
    function restored() internal {
        Plan memory plan = _loaded(_last);
        pool.restore(GENESIS, plan.root, plan.draws);
        (uint64 last, , , ) = pool.runningEpoch(GENESIS);
        voidedBefore[last + 1] = true;
        _gone = _last;
        _goneDefect = _defect;
        _last = _before;
        _defect = Defect.None;
    }

    function _send() private {
        tried(alone ? signers[0] : account(9), address(pool), _sent, 0);
        _sentAt = block.timestamp;
        ++_commits;
    }

    function _fund(uint256 amount, uint256 pay) private returns (bytes32) {
        bytes32 salt = bytes32(++_salt);
        vm.prank(account(0));
        return pool.fundIn(GENESIS, salt, amount, pay, pay == 0 ? 0 : 3_600, "spec");
    }

    function _mayCommit() private view returns (bool) {
        (bool verdict, ) = pool.waits(GENESIS);
        return !pending() && !verdict;
    }

    function _prove() private {
        vm.prank(account(9));
        (bool accepted, bytes memory answer) = address(proofs).call(_proof(_defect));
        if (!accepted) revert Unexpected(bytes4(answer));
        ++did[_name(_defect)];
        _condemned(type(uint128).max);
    }

    function _condemned(uint256 amountEach) private {
        for (uint256 i = 0; i < signers.length; ++i) {
            uint256 taken = bookSlash(signers[i], "", amountEach, account(9));
            bool late = block.timestamp >= _sentAt + stake.unbondingSeconds();
            check(taken != 0 || late, "whoever signed a false epoch pays each time");
        }
        (bool verdict, ) = pool.waits(GENESIS);
        if (verdict) ++did["proven before the jury"];
        if (alone) ++did["fallback condemned"];
        restored();
    }

    /// @dev An epoch that adds some coins for one owner, and now and then is false in one way.
    function _plan(
        uint256 seed,
        uint256 amount,
        uint256 owner
    ) private returns (Plan memory plan) {
        uint256[] memory had = _loaded(_last).amounts;
        (_defect, _spoilt) = (_defectOf(seed, had, owner), owner);
        _before = _last;
        IAttributionPool.Draw[] memory draws = _draws(seed, within(amount, OPEN, 15 * OPEN));
        uint256 added = draws[0].amount;
        if (draws.length == 2) added += draws[1].amount;
        (, , uint256 total, , ) = pool.poolOf(GENESIS);
        uint256[] memory amounts = _amounts(had, added, owner);
        plan = _signable(amounts, draws, total + added);
        _last = abi.encode(_owners(amounts.length), amounts, draws, plan.root);
    }

    function _defectOf(
        uint256 seed,
        uint256[] memory had,
        uint256 owner
    ) private pure returns (Defect defect) {
        if ((seed >> 4) % 2 != 0) return Defect.None;
        defect = Defect(1 + ((seed >> 8) % KINDS));
        // In a first epoch nobody is owed a leaf, or more than before.
        bool later = defect == Defect.Decrease || defect == Defect.Omission;
        if (later && had.length == 0) return Defect.Stranger;
        if (defect == Defect.Decrease && had[owner] == 0) return Defect.WrongSum;
    }

    /// @dev Fees, and now and then a job, whose units are settled then.
    function _draws(
        uint256 seed,
        uint256 amount
    ) private returns (IAttributionPool.Draw[] memory draws) {
        if (seed % 2 != 0) return one(_feePot, amount);
        draws = new IAttributionPool.Draw[](2);
        draws[0] = IAttributionPool.Draw(_feePot, amount);
        draws[1] = IAttributionPool.Draw(_jobPot, 2 * OPEN);
        _jobPot = _fund(1_000 * OPEN, OPEN);
    }

    function _amounts(
        uint256[] memory had,
        uint256 added,
        uint256 owner
    ) private view returns (uint256[] memory amounts) {
        uint256 leaves = STAKERS;
        if (_defect == Defect.Omission) --leaves;
        if (_defect == Defect.Stranger) ++leaves;
        amounts = new uint256[](leaves);
        for (uint256 i = 0; i < EARNERS && i < had.length; ++i) amounts[i] = had[i];
        uint256 lowered = _defect == Defect.Decrease ? 1 : 0;
        uint256 missing = _defect == Defect.WrongSum ? 1 + (added % OPEN) : 0;
        amounts[owner] -= lowered;
        amounts[(owner + 1) % EARNERS] += added + lowered - missing;
    }

    function _signable(
        uint256[] memory amounts,
        IAttributionPool.Draw[] memory draws,
        uint256 total
    ) private view returns (Plan memory plan) {
        plan.tree = Trees.build(_owners(amounts.length), amounts);
        (plan.draws, plan.amounts) = (draws, amounts);
        (uint64 last, , , uint32 version) = pool.runningEpoch(GENESIS);
        (, bytes32 previous) = pool.activeHead(GENESIS);
        bytes32 root = plan.tree.root();
        uint32 leaves = uint32(amounts.length);
        plan.epoch = IAttributionPool.Commit(
            GENESIS,
            last + 1,
            previous,
            root,
            total,
            leaves,
            "evidence",
            version
        );
        plan.root = IAttributionPool.Root(root, total, leaves, drawsHash(draws));
    }

    function _owners(uint256 count) private view returns (bytes32[] memory owners) {
        owners = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            address owner = i < STAKERS ? operatorAt(i) : address(0xdead);
            if (_defect == Defect.WrongOwner && i == _spoilt) owner = account(9);
            owners[i] = bytes32(uint256(uint160(owner)));
        }
    }

    function _loaded(bytes memory kept) private pure returns (Plan memory plan) {
        if (kept.length == 0) return plan;
        bytes32[] memory owners;
        (owners, plan.amounts, plan.draws, plan.root) = abi.decode(
            kept,
            (bytes32[], uint256[], IAttributionPool.Draw[], IAttributionPool.Root)
        );
        plan.tree = Trees.build(owners, plan.amounts);
    }

    function _demandId(uint256 index) private view returns (bytes32) {
        (uint64 epoch, bytes32 head, uint256 committedAt, ) = pool.pendingHead(GENESIS);
        return keccak256(abi.encode(keccak256(abi.encode(GENESIS, epoch, head, committedAt)), index));
    }

    function _name(Defect defect) private pure returns (string memory) {
        if (defect == Defect.Decrease) return "decrease";
        if (defect == Defect.WrongOwner) return "wrong owner";
        if (defect == Defect.WrongSum) return "wrong sum";
        return defect == Defect.Omission ? "omission" : "stranger";
    }

    /// @dev The call that shows a defect of the pending epoch, whether it has it or not.
    function _proof(Defect defect) private view returns (bytes memory) {
        Plan memory plan = _loaded(_last);
        if (defect == Defect.Omission) {
            return abi.encodeCall(proofs.proveOmission, (GENESIS, plan.root, STAKERS - 1));
        }
        if (defect == Defect.Stranger) {
            return abi.encodeCall(proofs.proveStranger, (GENESIS, plan.root));
        }
        if (defect == Defect.WrongSum) {
            uint256 below = plan.tree.hashes.length - 2;
            IFraudProofs.Children memory top = IFraudProofs.Children(
                plan.tree.hashes[below][0],
                plan.tree.sums[below][0],
                plan.tree.hashes[below][1],
                plan.tree.sums[below][1]
            );
            IFraudProofs.Step[] memory path = new IFraudProofs.Step[](0);
            return abi.encodeCall(proofs.proveSum, (GENESIS, plan.root, top, path));
        }
        IFraudProofs.Leaf memory leaf = _leaf(_last, _spoilt);
        if (defect == Defect.WrongOwner) {
            return abi.encodeCall(proofs.proveOwner, (GENESIS, plan.root, _spoilt, leaf));
        }
        IFraudProofs.Leaf memory good = _leaf(_before, _spoilt);
        IAttributionPool.Root memory active = _loaded(_before).root;
        return abi.encodeCall(proofs.proveDecrease, (GENESIS, active, plan.root, _spoilt, good, leaf));
    }

    function _leaf(
        bytes memory kept,
        uint256 index
    ) private pure returns (IFraudProofs.Leaf memory) {
        Plan memory plan = _loaded(kept);
        (bytes32[] memory owners, , , ) = abi.decode(
            kept,
            (bytes32[], uint256[], IAttributionPool.Draw[], IAttributionPool.Root)
        );
        return IFraudProofs.Leaf(owners[index], plan.amounts[index], plan.tree.proof(index));
    }
}
