// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IArbiter} from "settlement/interfaces/IArbiter.sol";
import {IAttributionPool} from "settlement/interfaces/IAttributionPool.sol";
import {IJury} from "settlement/interfaces/IJury.sol";
import {IPotBook} from "settlement/interfaces/IPotBook.sol";
import {IWorkerStake} from "settlement/interfaces/IWorkerStake.sol";
import {EpochsPlay} from "./EpochsPlay.sol";
import {Typed} from "./Typed.sol";

/// @title Accusations, orders, challenges, appeals and juries in any order; what must be refused on the way.
/// @dev Forge calls the `do_` functions at random. Each books in StakeBook what must happen to everybody's
/// stake, or checks the exact error. The verdict of a panel is counted here from the votes that the play
/// cast, and when a slash may act from the clock: what the Arbiter says of a case is compared with that.
contract CourtPlay is EpochsPlay {
    struct Accused {
        bytes32 unit;
        address accuser;
        uint256 lockedUntil;
        bool released;
    }

    struct Trial {
        IArbiter.Kind kind;
        IArbiter.Stage stage;
        uint256 instance;
        uint256 until;
        uint64 epoch;
        address appellant;
        address reporter;
        uint256 amount;
        bytes32 subject;
        bool slashed;
    }

    /// The panel of a case's last instance, with the votes that its jurors revealed.
    struct Panel {
        bytes32 id;
        uint256 seedHeight;
        uint256 drawnAt;
        address[] jurors;
        IJury.Vote[] votes;
        bool voted;
    }

    bytes32 private constant SALT = "salt";

    Accused[] public accusations;
    bytes32[] public cases;
    mapping(bytes32 caseId => Trial) private _trials;
    mapping(bytes32 caseId => Panel) private _panels;
    mapping(bytes32 caseId => address[]) private _accused;
    mapping(bytes32 caseId => address[]) private _judges;
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
        if (!_tell(accuser, data, expected)) return;
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
        if (!_tell(account(9), data, expected)) return;
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
        if (!_tell(account(9), data, _orderRefusal(id, slash))) return;
        locks[slash.unit].held = true;
        Trial storage trial = _trials[id];
        trial.kind = IArbiter.Kind.Order;
        trial.stage = IArbiter.Stage.Appealable;
        trial.until = block.timestamp + arbiter.appealSeconds();
        trial.reporter = slash.reporter;
        trial.amount = slash.amount;
        trial.subject = slash.unit;
        _accused[id].push(slash.operator);
        (uint256 first, uint256 second) = _pair(way);
        _judges[id] = [account(first), account(second)];
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
        if (!_tell(challenger, data, expected)) return;
        bytes32 id = arbiter.challengeId(GENESIS, epoch, number);
        Trial storage trial = _trials[id];
        trial.kind = IArbiter.Kind.Epoch;
        trial.epoch = epoch;
        trial.reporter = challenger;
        trial.amount = arbiter.signerSlash();
        trial.subject = GENESIS;
        _accused[id] = signers;
        challenged[epoch] = number + 1;
        cases.push(id);
        epochOnTrial = id;
        _summoned(id, challenger, bond);
        ++did[number == 0 ? "challenge" : "challenge at a doubled bond"];
    }

    function do_appeal(uint256 which, uint256 who) external {
        (bytes32 id, Trial storage trial) = _caseAt(which);
        if (id == 0) return;
        // The accused mostly, somebody else now and then.
        address appellant = who % 4 == 0 ? operatorAt((who >> 2) % STAKERS) : _accused[id][0];
        bool order = trial.kind == IArbiter.Kind.Order;
        uint256 bond = order ? arbiter.bond() : 2 * arbiter.bond();
        bytes4 expected = freeOf(appellant) < bond
            ? IWorkerStake.InsufficientStake.selector
            : bytes4(0);
        if (block.timestamp >= trial.until) expected = IArbiter.AppealOver.selector;
        if (trial.stage != IArbiter.Stage.Appealable) expected = IArbiter.WrongStage.selector;
        if (!_tell(appellant, abi.encodeCall(arbiter.appeal, (id)), expected)) return;
        _summoned(id, appellant, bond);
        ++did[order ? "appeal" : "appeal to a second jury"];
    }

    function do_execute(uint256 which) external {
        (bytes32 id, Trial storage trial) = _caseAt(which);
        if (id == 0) return;
        bytes4 expected = block.timestamp < trial.until ? IArbiter.AppealOpen.selector : bytes4(0);
        if (trial.stage != IArbiter.Stage.Appealable) expected = IArbiter.WrongStage.selector;
        if (!_tell(account(9), abi.encodeCall(arbiter.execute, (id)), expected)) {
            if (expected == IArbiter.AppealOpen.selector) ++did["too early"];
            return;
        }
        _closed(id, trial, true);
        ++did["execute"];
    }

    /// @dev The next step of a case's panel: its draw, its votes, its verdict.
    function do_sit(uint256 which, uint256 seed) external {
        (bytes32 id, Trial storage trial) = _caseAt(which);
        if (id == 0) return;
        Panel storage panel = _panels[id];
        if (trial.stage != IArbiter.Stage.Jury) {
            bytes memory data = abi.encodeCall(arbiter.decide, (id));
            _tell(account(9), data, IArbiter.WrongStage.selector);
        } else if (panel.drawnAt == 0) {
            _seat(id, panel, seed);
        } else if (!panel.voted) {
            _vote(id, panel, seed);
        } else {
            _decide(id, trial, panel);
        }
    }

    // -- reading ---

    function caseCount() external view returns (uint256) {
        return cases.length;
    }

    function trialOf(
        bytes32 caseId
    ) external view returns (IArbiter.Kind, IArbiter.Stage, bytes32 subject, bool slashed) {
        Trial storage trial = _trials[caseId];
        return (trial.kind, trial.stage, trial.subject, trial.slashed);
    }

    // -- panels ---

    function _summoned(bytes32 id, address appellant, uint256 bond) private {
        Trial storage trial = _trials[id];
        trial.stage = IArbiter.Stage.Jury;
        trial.until = 0;
        trial.appellant = appellant;
        ++trial.instance;
        delete _panels[id];
        Panel storage panel = _panels[id];
        panel.id = arbiter.panelId(id, trial.instance);
        panel.seedHeight = block.number + arbiter.SEED_DELAY();
        bookLock(panel.id, appellant, bond);
    }

    /// @dev A seed lies ahead, is recorded in time, or moves ahead again: it is never old, and never zero.
    function _seat(bytes32 id, Panel storage panel, uint256 seed) private {
        bytes memory record = abi.encodeCall(arbiter.recordSeed, (panel.id));
        if (block.number <= panel.seedHeight) {
            _tell(account(9), record, IJury.SeedAhead.selector);
            _tell(account(9), abi.encodeCall(arbiter.decide, (id)), IJury.NotDrawn.selector);
        }
        uint256 late = seed % 5 == 0 ? 195 + (seed >> 8) % 70 : 1 + (seed >> 8) % 190;
        if (block.number < panel.seedHeight + late) {
            pass(0, panel.seedHeight + late - block.number);
        }
        bool old = block.number > panel.seedHeight + arbiter.SEED_BLOCKS();
        _tell(account(9), record, 0);
        (uint256 height, , uint256 drawnAt, , , uint256 seats) = arbiter.panelOf(panel.id);
        if (old) {
            panel.seedHeight = block.number + arbiter.SEED_DELAY();
            check(height == panel.seedHeight && drawnAt == 0, "an old seed moves ahead");
            ++did["seed moved"];
            return;
        }
        check(blockhash(height) != 0, "no seed is zero");
        panel.drawnAt = block.timestamp;
        for (uint256 i = 0; i < seats; ++i) {
            (address juror, , ) = arbiter.seatOf(panel.id, i);
            check(!_isParty(id, juror), "no party judges, nor who is paid where one is");
            for (uint256 j = 0; j < i; ++j) check(panel.jurors[j] != juror, "a juror has one seat");
            panel.jurors.push(juror);
            panel.votes.push(IJury.Vote.None);
        }
        ++did[seats < arbiter.minSeats() ? "too few seats" : "drawn"];
    }

    /// @dev All seats at once: most as `seed` leans, some absent, silent after the commitment, or false.
    function _vote(bytes32 id, Panel storage panel, uint256 seed) private {
        panel.voted = true;
        uint256 seats = panel.jurors.length;
        if (seats < arbiter.minSeats()) return;
        bytes memory decide = abi.encodeCall(arbiter.decide, (id));
        uint256 endOfVotes = panel.drawnAt + arbiter.voteSeconds();
        if (block.timestamp < endOfVotes) {
            _tell(account(9), decide, IJury.PanelSitting.selector);
            bytes memory strange = abi.encodeCall(arbiter.commitVote, (panel.id, 0, "vote"));
            _tell(account(9), strange, IJury.NotJuror.selector);
            uint256 sealed_ = 0;
            for (uint256 i = 0; i < seats; ++i) if (_seal(panel, i, seed)) ++sealed_;
            if (sealed_ < seats) pass(endOfVotes - block.timestamp, 1);
        }
        if (block.timestamp < panel.drawnAt + 2 * arbiter.voteSeconds()) {
            for (uint256 i = 0; i < seats; ++i) _reveal(panel, i, seed);
        }
        if (_count(panel, IJury.Vote.None) == 0) return;
        uint256 end = panel.drawnAt + 2 * arbiter.voteSeconds();
        if (block.timestamp < end) {
            _tell(account(9), decide, IJury.PanelSitting.selector);
            pass(end - block.timestamp, 1);
        }
    }

    /// @dev Whether a seat commits; a second commitment is refused.
    function _seal(Panel storage panel, uint256 seat, uint256 seed) private returns (bool) {
        (IJury.Vote vote, bool absent, ) = _mind(seed, seat);
        if (absent) return false;
        address juror = panel.jurors[seat];
        bytes32 sealed_ = keccak256(abi.encode(panel.id, juror, vote, SALT));
        bytes memory data = abi.encodeCall(arbiter.commitVote, (panel.id, seat, sealed_));
        _tell(juror, data, 0);
        _tell(juror, data, IJury.BadCommitment.selector);
        return true;
    }

    function _reveal(Panel storage panel, uint256 seat, uint256 seed) private {
        (IJury.Vote vote, bool absent, bool silent) = _mind(seed, seat);
        (, , bytes32 sealed_) = arbiter.seatOf(panel.id, seat);
        if (silent) return;
        address juror = panel.jurors[seat];
        if (absent || sealed_ == 0) {
            bytes memory late = abi.encodeCall(arbiter.revealVote, (panel.id, seat, vote, SALT));
            _tell(juror, late, IJury.BadReveal.selector);
            return;
        }
        bytes memory other = abi.encodeCall(
            arbiter.revealVote,
            (panel.id, seat, vote == IJury.Vote.Reject ? IJury.Vote.Uphold : IJury.Vote.Reject, SALT)
        );
        _tell(juror, other, IJury.BadReveal.selector);
        bytes memory own = abi.encodeCall(arbiter.revealVote, (panel.id, seat, vote, SALT));
        _tell(juror, own, 0);
        _tell(juror, own, IJury.BadReveal.selector);
        panel.votes[seat] = vote;
    }

    /// @dev What a seat thinks, whether it stays away, and whether it commits and says no more.
    function _mind(
        uint256 seed,
        uint256 seat
    ) private pure returns (IJury.Vote vote, bool absent, bool silent) {
        uint256 mood = (seed >> (8 + 4 * seat)) % 16;
        uint256 lean = seed % 5;
        vote = lean < 2 ? IJury.Vote.Uphold : lean < 4 ? IJury.Vote.Reject : IJury.Vote.NoData;
        if (mood == 13) vote = IJury.Vote.Uphold;
        if (mood == 14) vote = IJury.Vote.Reject;
        if (mood == 15) vote = IJury.Vote.NoData;
        absent = mood < 2 || (lean == 4 && mood < 9);
        silent = mood == 2;
    }

    // -- verdicts ---

    /// @dev What must follow from the votes that were revealed, and nothing else.
    function _decide(bytes32 id, Trial storage trial, Panel storage panel) private {
        IJury.Verdict verdict = _verdict(panel);
        bool first = trial.kind == IArbiter.Kind.Epoch && trial.instance == 1;
        bool gone = first && !pending(); // a proof was faster than the jury
        _tell(account(9), abi.encodeCall(arbiter.decide, (id)), 0);
        _settle(id, trial, panel, verdict, first);
        if (first) epochOnTrial = 0;
        bool voided = first && verdict == IJury.Verdict.Upheld;
        if (voided) {
            trial.stage = IArbiter.Stage.Appealable;
            trial.until = block.timestamp + arbiter.appealSeconds();
            delete _judges[id];
            for (uint256 i = 0; i < panel.jurors.length; ++i) {
                if (panel.votes[i] == IJury.Vote.Uphold) _judges[id].push(panel.jurors[i]);
            }
            check(!pending(), "a voided epoch does not wait for its activation");
            if (!gone) restored();
        } else {
            check(!first || gone || pending(), "only a verdict voids");
            _closed(id, trial, !first && verdict == IJury.Verdict.Upheld);
        }
        if (first) {
            ++did[voided ? "voided" : verdict == IJury.Verdict.Hung ? "hung" : "upheld"];
        } else {
            ++did[verdict == IJury.Verdict.Rejected ? "overturned" : "confirmed or hung"];
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
        uint256 present = panel.jurors.length - _count(panel, IJury.Vote.None);
        uint256 pot = 0;
        bool sat = panel.jurors.length >= arbiter.minSeats();
        for (uint256 i = 0; sat && i < panel.jurors.length; ++i) {
            if (panel.votes[i] != IJury.Vote.None) continue;
            pot += bookTake(panel.jurors[i], panel.id, fee);
            ++did["missing juror"];
        }
        if (!first && verdict == IJury.Verdict.Rejected) {
            uint256 each = trial.kind == IArbiter.Kind.Order ? arbiter.accuserStake() : fee;
            for (uint256 i = 0; i < _judges[id].length; ++i) {
                pot += bookTake(_judges[id][i], panel.id, each);
            }
        }
        pot += _bondEnds(trial, panel, verdict, first, present * fee > pot ? present * fee - pot : 0);
        uint256 pay = present == 0 ? 0 : pot / present;
        if (pay > fee) pay = fee;
        for (uint256 i = 0; i < panel.jurors.length; ++i) {
            if (panel.votes[i] == IJury.Vote.None) continue;
            coins[registry.payoutOfOperator(panel.jurors[i])] += pay;
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

    /// @dev More than half of the votes and more than a third of the seats; otherwise nothing.
    function _verdict(Panel storage panel) private view returns (IJury.Verdict) {
        uint256 seats = panel.jurors.length;
        uint256 revealed = seats - _count(panel, IJury.Vote.None);
        if (seats < arbiter.minSeats()) return IJury.Verdict.Hung;
        uint256 upheld = _count(panel, IJury.Vote.Uphold);
        uint256 rejected = _count(panel, IJury.Vote.Reject);
        if (upheld > revealed - upheld && upheld * 3 > seats) return IJury.Verdict.Upheld;
        if (rejected > revealed - rejected && rejected * 3 > seats) return IJury.Verdict.Rejected;
        return IJury.Verdict.Hung;
    }

    function _closed(bytes32 id, Trial storage trial, bool slashed) private {
        trial.stage = IArbiter.Stage.Closed;
        trial.slashed = slashed;
        bool order = trial.kind == IArbiter.Kind.Order;
        if (order) locks[trial.subject].held = false;
        if (!slashed) return;
        bytes32 unit = order ? trial.subject : id;
        uint256 locked = locks[trial.subject].amount;
        for (uint256 i = 0; i < _accused[id].length; ++i) {
            uint256 taken = bookSlash(_accused[id][i], unit, trial.amount, trial.reporter);
            check(!order || taken <= locked, "no more than was locked under the unit");
        }
    }

    // -- inside ---

    /// @dev A call of the Arbiter. It may void; it never validates, pays owners or changes a root.
    function _tell(address who, bytes memory data, bytes4 expected) private returns (bool done) {
        bytes32 before = _standing();
        done = tried(who, address(arbiter), data, expected);
        check(_standing() == before, "the court changes no root and moves none of the pools' coins");
    }

    function _standing() private view returns (bytes32) {
        (uint64 epoch, bytes32 head) = pool.activeHead(GENESIS);
        (, , uint256 total, uint256 funded, uint256 claimed) = pool.poolOf(GENESIS);
        uint256 held = token.balanceOf(address(pool));
        return keccak256(abi.encode(epoch, head, total, funded, claimed, held));
    }

    function _caseAt(uint256 which) private view returns (bytes32 id, Trial storage trial) {
        trial = _trials[0];
        if (cases.length == 0) return (0, trial);
        uint256 recent = cases.length < 4 ? cases.length : 4;
        id = cases[cases.length - 1 - ((which >> 1) % recent)];
        if (which % 2 == 0 && epochOnTrial != 0) id = epochOnTrial;
        trial = _trials[id];
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
        if (_trials[id].kind != IArbiter.Kind.None) return IArbiter.AlreadyOrdered.selector;
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

    function _isParty(bytes32 id, address juror) private view returns (bool) {
        Trial storage trial = _trials[id];
        address payout = registry.payoutOfOperator(juror);
        if (_sharesWith(_accused[id], payout) || _sharesWith(_judges[id], payout)) return true;
        return _paidAt(trial.appellant) == payout || _paidAt(trial.reporter) == payout;
    }

    function _sharesWith(address[] storage parties, address payout) private view returns (bool) {
        for (uint256 i = 0; i < parties.length; ++i) {
            if (_paidAt(parties[i]) == payout) return true;
        }
        return false;
    }

    function _paidAt(address party) private view returns (address) {
        return registry.isRegistered(party) ? registry.payoutOfOperator(party) : party;
    }

    function _count(Panel storage panel, IJury.Vote vote) private view returns (uint256 votes) {
        for (uint256 i = 0; i < panel.votes.length; ++i) if (panel.votes[i] == vote) ++votes;
    }
}
