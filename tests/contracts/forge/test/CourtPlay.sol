// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IArbiter} from "settlement/interfaces/IArbiter.sol";
import {IAttributionPool} from "settlement/interfaces/IAttributionPool.sol";
import {IJury} from "settlement/interfaces/IJury.sol";
import {IPotBook} from "settlement/interfaces/IPotBook.sol";
import {IWorkerStake} from "settlement/interfaces/IWorkerStake.sol";
import {PanelsPlay} from "./PanelsPlay.sol";
import {Typed} from "./Typed.sol";

/// @title Accusations, orders, challenges, appeals and juries in any order; what must be refused on the way.
/// @dev Forge calls the `do_` functions at random. Each books in StakeBook what must happen to everybody's
/// stake, or checks the exact error. The verdict of a panel is counted here from the votes that the play
/// cast, and when a slash may act from the clock: what the Arbiter says of a case is compared with that.
contract CourtPlay is PanelsPlay {
    struct Accused {
        bytes32 unit;
        address accuser;
        uint256 lockedUntil;
        bool released;
    }

    Accused[] public accusations;
    bytes32[] public cases;
    mapping(bytes32 accusation => bool) private _isAccusation;
    mapping(uint64 epoch => uint256) public challenged;
    /// The case whose first jury sits over an epoch; 0: none.
    bytes32 public epochOnTrial;

    constructor() {
        open_();
    }

    // -- accusations ---

    function do_accuse(uint256 which, uint256 who) external {
        if (units.length == 0) return;
        bytes32 unit = units[units.length - 1 - (which % units.length)];
        address accuser = operatorAt(who % STAKERS);
        bytes32 id = arbiter.accusationId(unit, accuser);
        bytes4 expected = freeOf(accuser) < arbiter.accuserStake()
            ? IWorkerStake.InsufficientStake.selector
            : bytes4(0);
        if (!_anchored(unit)) expected = IArbiter.UnitNotAnchored.selector;
        if (_isAccusation[id]) expected = IArbiter.AlreadyAccused.selector;
        bytes memory data = abi.encodeCall(arbiter.accuse, (unit, "B", "evidence"));
        if (!tell(accuser, data, expected)) return;
        bookLock(id, accuser, arbiter.accuserStake());
        _isAccusation[id] = true;
        accusations.push(
            Accused(unit, accuser, block.timestamp + arbiter.accusationSeconds(), false)
        );
        ++did["accuse"];
    }

    function do_release(uint256 which) external {
        if (accusations.length == 0) return;
        Accused storage accused = accusations[which % accusations.length];
        bytes32 id = arbiter.accusationId(accused.unit, accused.accuser);
        bytes4 expected = locks[id].held ? IWorkerStake.UnitHeld.selector : bytes4(0);
        // A lock opens once: by this, or by a slash.
        if (locks[id].operator == address(0)) expected = IWorkerStake.NotLocked.selector;
        if (block.timestamp < accused.lockedUntil) expected = IArbiter.AccusationOpen.selector;
        bytes memory data = abi.encodeCall(arbiter.release, (accused.unit, accused.accuser));
        if (!tell(account(9), data, expected)) return;
        bookUnlock(id);
        ++did["release"];
    }

    // -- orders ---

    /// @dev Against a unit's operator, or against one of its accusers.
    function do_order(uint256 which, uint256 amount, uint256 way) external {
        if (units.length == 0) return;
        IArbiter.Slash memory slash = _slashOf(which, amount, way);
        bytes32 id = arbiter.orderId(slash.operator, slash.unit);
        bytes memory data = abi.encodeCall(arbiter.order, (slash, _signed(slash, way)));
        if (!tell(account(9), data, _orderRefusal(id, slash))) return;
        locks[slash.unit].held = true;
        Trial storage trial = trials[id];
        trial.kind = IArbiter.Kind.Order;
        trial.stage = IArbiter.Stage.Appealable;
        trial.until = block.timestamp + arbiter.appealSeconds();
        trial.reporter = slash.reporter;
        trial.amount = slash.amount;
        trial.subject = slash.unit;
        accusedIn[id].push(slash.operator);
        (uint256 first, uint256 second) = _pair(way);
        judgesOf[id] = [account(first), account(second)];
        cases.push(id);
        ++did[_isAccusation[slash.unit] ? "order against an accuser" : "order"];
    }

    // -- cases ---

    function do_challenge(uint256 who) external {
        (uint64 epoch, , , ) = pool.pendingHead(GENESIS);
        (bool verdict, ) = pool.waits(GENESIS);
        address challenger = who % 16 == 15 ? account(9) : operatorAt(who % STAKERS);
        uint256 number = challenged[epoch];
        uint256 bond = arbiter.bond() << number;
        bytes4 expected = freeOf(challenger) < bond
            ? IWorkerStake.InsufficientStake.selector
            : bytes4(0);
        if (epoch == 0 || verdict) expected = IAttributionPool.NotPending.selector;
        bytes memory data = abi.encodeCall(arbiter.challenge, (GENESIS, epoch, "evidence"));
        if (!tell(challenger, data, expected)) return;
        bytes32 id = arbiter.challengeId(GENESIS, epoch, number);
        Trial storage trial = trials[id];
        trial.kind = IArbiter.Kind.Epoch;
        trial.epoch = epoch;
        trial.reporter = challenger;
        trial.amount = arbiter.signerSlash();
        trial.subject = GENESIS;
        accusedIn[id] = signers;
        challenged[epoch] = number + 1;
        cases.push(id);
        epochOnTrial = id;
        summoned(id, challenger, bond);
        ++did[number == 0 ? "challenge" : "challenge at a doubled bond"];
        if (number != 0 && voidedBefore[epoch]) ++did["challenge of an epoch committed again"];
        if (alone) ++did["fallback on trial"];
    }

    function do_appeal(uint256 which, uint256 who) public {
        (bytes32 id, Trial storage trial) = _caseAt(which);
        if (id == 0) return;
        // The accused mostly, somebody else now and then.
        address appellant = who % 4 == 0 ? operatorAt((who >> 2) % STAKERS) : accusedIn[id][0];
        bool order = trial.kind == IArbiter.Kind.Order;
        uint256 bond = order ? arbiter.bond() : 2 * arbiter.bond();
        bytes4 expected = freeOf(appellant) < bond
            ? IWorkerStake.InsufficientStake.selector
            : bytes4(0);
        if (block.timestamp >= trial.until) expected = IArbiter.AppealOver.selector;
        if (trial.stage != IArbiter.Stage.Appealable) expected = IArbiter.WrongStage.selector;
        if (!tell(appellant, abi.encodeCall(arbiter.appeal, (id)), expected)) return;
        summoned(id, appellant, bond);
        ++did[order ? "appeal" : "appeal to a second jury"];
    }

    function do_execute(uint256 which) external {
        (bytes32 id, Trial storage trial) = _caseAt(which);
        if (id == 0) return;
        bytes4 expected = block.timestamp < trial.until ? IArbiter.AppealOpen.selector : bytes4(0);
        if (trial.stage != IArbiter.Stage.Appealable) expected = IArbiter.WrongStage.selector;
        if (!tell(account(9), abi.encodeCall(arbiter.execute, (id)), expected)) {
            if (expected == IArbiter.AppealOpen.selector) ++did["too early"];
            return;
        }
        _closed(id, trial, true);
        ++did["execute"];
    }

    /// @dev The next step of a case's panel: its draw, its votes, its verdict.
    function do_sit(uint256 which, uint256 seed) public {
        (bytes32 id, Trial storage trial) = _caseAt(which);
        if (id == 0) return;
        Panel storage panel = panels[id];
        if (trial.stage != IArbiter.Stage.Jury) {
            bytes memory data = abi.encodeCall(arbiter.decide, (id));
            tell(account(9), data, IArbiter.WrongStage.selector);
        } else if (panel.drawnAt == 0) {
            drawSeats(id, panel, seed);
        } else if (!panel.voted) {
            castVotes(id, panel, seed);
        } else {
            _decide(id, trial, panel);
        }
    }

    /// @dev A case goes on by several steps, so that those of two juries come to their end too.
    function do_goOn(uint256 which, uint256 who, uint256 seed) external {
        for (uint256 i = 0; i < 3; ++i) do_sit(which, seed >> i);
        do_appeal(which, who);
    }

    // -- reading ---

    function caseCount() external view returns (uint256) {
        return cases.length;
    }

    function trialOf(
        bytes32 caseId
    ) external view returns (IArbiter.Kind, IArbiter.Stage, bytes32 subject, bool slashed) {
        Trial storage trial = trials[caseId];
        return (trial.kind, trial.stage, trial.subject, trial.slashed);
    }

    // -- verdicts ---

    /// @dev What must follow from the votes that were revealed, and nothing else.
    function _decide(bytes32 id, Trial storage trial, Panel storage panel) private {
        IJury.Verdict verdict = verdictOf(panel);
        bool first = trial.kind == IArbiter.Kind.Epoch && trial.instance == 1;
        bool gone = first && !pending(); // a proof was faster than the jury
        _countMoods(panel, verdict);
        tell(account(9), abi.encodeCall(arbiter.decide, (id)), 0);
        _settle(id, trial, panel, verdict, first);
        if (first) epochOnTrial = 0;
        bool voided = first && verdict == IJury.Verdict.Upheld;
        if (voided) {
            trial.stage = IArbiter.Stage.Appealable;
            trial.until = block.timestamp + arbiter.appealSeconds();
            delete judgesOf[id];
            for (uint256 i = 0; i < panel.jurors.length; ++i) {
                if (panel.votes[i] == IJury.Vote.Uphold) judgesOf[id].push(panel.jurors[i]);
            }
            check(!pending(), "a voided epoch does not wait for its activation");
            if (!gone) restored();
        } else {
            check(!first || gone || pending(), "only a verdict voids");
            _closed(id, trial, !first && verdict == IJury.Verdict.Upheld);
        }
        if (gone) ++did[voided ? "voided after the proof" : "not voided after the proof"];
        ++did[_outcome(trial, verdict, first)];
    }

    function _outcome(
        Trial storage trial,
        IJury.Verdict verdict,
        bool first
    ) private view returns (string memory) {
        if (first) {
            if (verdict == IJury.Verdict.Upheld) return "voided";
            return verdict == IJury.Verdict.Hung ? "hung" : "upheld";
        }
        bool order = trial.kind == IArbiter.Kind.Order;
        if (verdict == IJury.Verdict.Upheld) return order ? "order confirmed" : "void confirmed";
        if (verdict == IJury.Verdict.Hung) return order ? "order hung" : "void hung";
        return order ? "order overturned" : "void overturned";
    }

    /// @dev The ways in which a panel comes to no verdict.
    function _countMoods(Panel storage panel, IJury.Verdict verdict) private {
        uint256 seats = panel.jurors.length;
        uint256 upheld = votesFor(panel, IJury.Vote.Uphold);
        uint256 rejected = votesFor(panel, IJury.Vote.Reject);
        uint256 revealed = seats - votesFor(panel, IJury.Vote.None);
        uint256 most = upheld > rejected ? upheld : rejected;
        if (verdict != IJury.Verdict.Hung || revealed == 0) return;
        if (seats < arbiter.minSeats()) {
            ++did["votes of too few seats"];
            if (2 * most > revealed && 3 * most > seats) ++did["too few seats agree"];
        } else if (2 * most > revealed) {
            ++did["half of the votes, not a third of the seats"];
        } else {
            ++did[upheld == rejected && upheld != 0 ? "tie" : "no side above half"];
        }
    }

    /// @dev The bond, what overturned judges and missing jurors lose, and what present ones get.
    function _settle(
        bytes32 id,
        Trial storage trial,
        Panel storage panel,
        IJury.Verdict verdict,
        bool first
    ) private {
        uint256 fee = arbiter.jurorFee();
        countLeavers(panel);
        uint256 present = panel.jurors.length - votesFor(panel, IJury.Vote.None);
        uint256 pot = 0;
        bool sat = panel.jurors.length >= arbiter.minSeats();
        for (uint256 i = 0; sat && i < panel.jurors.length; ++i) {
            if (panel.votes[i] != IJury.Vote.None) continue;
            uint256 taken = bookTake(panel.jurors[i], panel.id, fee);
            pot += taken;
            ++did[taken < fee ? "missing juror who had left" : "missing juror"];
        }
        pot += _bondEnds(trial, panel, verdict, first, present * fee > pot ? present * fee - pot : 0);
        if (!first && verdict == IJury.Verdict.Rejected) {
            uint256 each = trial.kind == IArbiter.Kind.Order ? arbiter.accuserStake() : fee;
            for (uint256 i = 0; i < judgesOf[id].length; ++i) {
                if (judgesOf[id][i] == trial.appellant) ++did["a judge appeals and is overturned"];
                pot += bookTake(judgesOf[id][i], panel.id, each);
            }
        }
        uint256 pay = present == 0 ? 0 : pot / present;
        if (pay > fee) pay = fee;
        for (uint256 i = 0; i < panel.jurors.length; ++i) {
            if (panel.votes[i] == IJury.Vote.None) continue;
            coins[payoutOf(panel.jurors[i])] += pay;
        }
        burnt += pot - pay * present;
    }

    /// @dev All of it is lost to a verdict; a challenge without one pays what its jurors still lack.
    function _bondEnds(
        Trial storage trial,
        Panel storage panel,
        IJury.Verdict verdict,
        bool first,
        uint256 lacking
    ) private returns (uint256 taken) {
        uint256 bond = locks[panel.id].amount;
        bool lost = verdict == (first ? IJury.Verdict.Rejected : IJury.Verdict.Upheld);
        if (!lost && (!first || verdict != IJury.Verdict.Hung)) lacking = 0;
        if (!lost && lacking != 0) ++did["in vain"];
        return bookTake(trial.appellant, panel.id, lost || lacking > bond ? bond : lacking);
    }

    function _closed(bytes32 id, Trial storage trial, bool slashed) private {
        trial.stage = IArbiter.Stage.Closed;
        trial.slashed = slashed;
        bool order = trial.kind == IArbiter.Kind.Order;
        if (order) locks[trial.subject].held = false;
        if (!slashed) return;
        bytes32 unit = order ? trial.subject : id;
        uint256 locked = locks[trial.subject].amount;
        for (uint256 i = 0; i < accusedIn[id].length; ++i) {
            uint256 taken = bookSlash(accusedIn[id][i], unit, trial.amount, trial.reporter);
            check(!order || taken <= locked, "no more than was locked under the unit");
        }
    }

    // -- inside ---

    function _caseAt(uint256 which) private view returns (bytes32 id, Trial storage trial) {
        trial = trials[0];
        if (cases.length == 0) return (0, trial);
        uint256 recent = cases.length < 4 ? cases.length : 4;
        id = cases[cases.length - 1 - ((which >> 1) % recent)];
        if (which % 2 == 0 && epochOnTrial != 0) id = epochOnTrial;
        trial = trials[id];
    }

    function _anchored(bytes32 unit) private view returns (bool) {
        (, , , IPotBook.UnitState state) = pool.unitOf(unit);
        return state == IPotBook.UnitState.Anchored;
    }

    /// @dev The last who accused the unit, or somebody who did not.
    function _reporter(bytes32 unit, uint256 way) private view returns (address) {
        for (uint256 i = accusations.length; way % 8 != 0 && i != 0; --i) {
            if (accusations[i - 1].unit == unit) return accusations[i - 1].accuser;
        }
        return way % 2 == 0 ? account(19) : address(0);
    }

    /// @dev Against a recent unit or accusation; now and then with a wrong operator, reporter or amount.
    function _slashOf(
        uint256 which,
        uint256 amount,
        uint256 way
    ) private view returns (IArbiter.Slash memory slash) {
        slash.evidence = "evidence";
        slash.amount = within(amount, 0, pool.unitStake() + (way % 7 == 0 ? OPEN : 0));
        if (way % 3 == 0 && accusations.length != 0) {
            Accused storage accused = accusations[accusations.length - 1 - (which % accusations.length)];
            slash.unit = arbiter.accusationId(accused.unit, accused.accuser);
            slash.operator = accused.accuser;
            slash.amount = within(amount, 0, arbiter.accuserStake());
            if (way % 5 == 0) slash.reporter = account(4);
        } else {
            slash.unit = units[units.length - 1 - (which % units.length)];
            (, slash.operator, , ) = pool.unitOf(slash.unit);
            if (way % 4 != 1) slash.reporter = _reporter(slash.unit, way);
        }
        if (way % 11 == 5) slash.operator = account(9);
    }

    function _orderRefusal(
        bytes32 id,
        IArbiter.Slash memory slash
    ) private view returns (bytes4) {
        bytes32 told = arbiter.accusationId(slash.unit, slash.reporter);
        if (trials[id].kind != IArbiter.Kind.None) return IArbiter.AlreadyOrdered.selector;
        if (_isAccusation[slash.unit]) {
            if (slash.reporter != address(0)) return IArbiter.NotReporter.selector;
        } else {
            if (!_anchored(slash.unit)) return IArbiter.UnitNotAnchored.selector;
            if (slash.reporter != address(0) && !_isAccusation[told]) {
                return IArbiter.NotReporter.selector;
            }
        }
        Lock storage locked = locks[slash.unit];
        bool above = locked.operator != slash.operator || slash.amount > locked.amount;
        return above || slash.amount == 0 ? IArbiter.AboveLock.selector : bytes4(0);
    }

    /// @dev Two of the three seats, ascending by address.
    function _pair(uint256 way) private view returns (uint256 first, uint256 second) {
        (first, second) = (1 + (way % 3), 1 + ((way % 3 + 1) % 3));
        if (account(first) > account(second)) (first, second) = (second, first);
    }

    function _signed(
        IArbiter.Slash memory slash,
        uint256 way
    ) private view returns (bytes[] memory signatures) {
        bytes32 structHash = keccak256(abi.encode(arbiter.SLASH_TYPEHASH(), slash));
        bytes32 digest = Typed.digest("Arbiter", block.chainid, address(arbiter), structHash);
        (uint256 first, uint256 second) = _pair(way);
        signatures = new bytes[](2);
        signatures[0] = signature(first, digest);
        signatures[1] = signature(second, digest);
    }
}
