// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IArbiter} from "settlement/interfaces/IArbiter.sol";
import {IJury} from "settlement/interfaces/IJury.sol";
import {EpochsPlay} from "./EpochsPlay.sol";

/// @title The court's panels: who was summoned, who may sit, what each juror thinks and what follows.
/// @dev Who must be drawn follows from StakeBook's weights and payouts, not from what the contracts say.
abstract contract PanelsPlay is EpochsPlay {
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
        uint256 moved; // times
        uint256 drawnAt;
        address[] weighed; // operators with a weight in the epoch before the summons
        address[] barred; // where the parties were paid at the summons
        address[] paid; // where each operator was paid at the summons, then at the draw
        address[] jurors;
        IJury.Vote[] votes;
        bool voted;
    }

    bytes32 private constant SALT = "salt";

    mapping(bytes32 caseId => Trial) internal trials;
    mapping(bytes32 caseId => Panel) internal panels;
    mapping(bytes32 caseId => address[]) internal accusedIn;
    mapping(bytes32 caseId => address[]) internal judgesOf;

    function summoned(bytes32 id, address appellant, uint256 bond) internal {
        Trial storage trial = trials[id];
        trial.stage = IArbiter.Stage.Jury;
        trial.until = 0;
        trial.appellant = appellant;
        ++trial.instance;
        delete panels[id];
        Panel storage panel = panels[id];
        panel.id = arbiter.panelId(id, trial.instance);
        panel.seedHeight = block.number + arbiter.SEED_DELAY();
        _bar(id, panel);
        for (uint256 i = 0; i < STAKERS; ++i) {
            address operator = operatorAt(i);
            if (weightOf(operator) != 0) panel.weighed.push(operator);
            panel.paid.push(payoutOf(operator));
        }
        bookLock(panel.id, appellant, bond);
    }

    /// @dev A seed lies ahead, is recorded in time, or moves ahead again: it is never old, and never zero.
    function drawSeats(bytes32 id, Panel storage panel, uint256 seed) internal {
        bytes memory record = abi.encodeCall(arbiter.recordSeed, (panel.id));
        if (block.number <= panel.seedHeight) {
            tell(account(9), record, IJury.SeedAhead.selector);
            tell(account(9), abi.encodeCall(arbiter.decide, (id)), IJury.NotDrawn.selector);
        }
        uint256 late = _late(seed);
        if (block.number < panel.seedHeight + late) {
            pass(0, panel.seedHeight + late - block.number);
        }
        uint256 age = block.number - panel.seedHeight;
        bool old = age > arbiter.SEED_BLOCKS();
        tell(account(9), record, 0);
        (uint256 height, , uint256 drawnAt, , , uint256 seats) = arbiter.panelOf(panel.id);
        if (age == arbiter.SEED_BLOCKS()) ++did["seed in its last block"];
        if (age == arbiter.SEED_BLOCKS() + 1) ++did["seed a block too late"];
        if (old) {
            panel.seedHeight = block.number + arbiter.SEED_DELAY();
            check(height == panel.seedHeight && drawnAt == 0, "an old seed moves ahead");
            ++did[++panel.moved == 1 ? "seed moved" : "seed moved again"];
            return;
        }
        check(blockhash(height) != 0, "no seed is zero");
        panel.drawnAt = block.timestamp;
        _seated(id, panel, seats);
        _countMoves(id, panel);
        ++did[seats < arbiter.minSeats() ? "too few seats" : "drawn"];
    }

    /// @dev All are taken who weighed something and have no part in the case, until the seats are full.
    function _seated(bytes32 id, Panel storage panel, uint256 seats) private {
        for (uint256 i = 0; i < seats; ++i) {
            (address juror, , ) = arbiter.seatOf(panel.id, i);
            check(!_isParty(id, juror), "no party judges, nor who is paid where one was");
            check(_has(panel.weighed, juror), "who weighed nothing before the summons is not drawn");
            for (uint256 j = 0; j < i; ++j) check(panel.jurors[j] != juror, "a juror has one seat");
            panel.jurors.push(juror);
            panel.votes.push(IJury.Vote.None);
            if (holdings[juror].bonded == 0) ++did["drawn juror had left"];
        }
        uint256 wanted = arbiter.seats();
        if (trials[id].instance == 2) wanted = 2 * wanted + 1;
        (uint256 free, uint256 vain) = (0, 0);
        for (uint256 i = 0; i < panel.weighed.length; ++i) {
            if (_isKey(id, panel.weighed[i])) continue;
            if (_isParty(id, panel.weighed[i])) ++vain;
            else ++free;
        }
        // As many draws may be in vain as keep the tries within their bound.
        bool exact = vain <= (arbiter.TRIES() - 1) * wanted;
        check(!exact || seats == (free < wanted ? free : wanted), "a seat for everyone, up to the panel's size");
        if (vain != 0) ++did["kept out by a payout"];
    }

    /// @dev Blocks from a seed to its record: within its time mostly, also at the very ends.
    function _late(uint256 seed) private pure returns (uint256) {
        uint256 free = seed >> 8;
        if (seed % 5 != 0) return 1 + (free % 190);
        uint256[4] memory ends = [uint256(200), 201, 256, 257];
        return free % 8 < 4 ? ends[free % 4] : 195 + (free % 70);
    }

    /// @dev Payouts that moved between summons and draw.
    function _countMoves(bytes32 id, Panel storage panel) private {
        for (uint256 i = 0; i < STAKERS; ++i) {
            address operator = operatorAt(i);
            address paid = payoutOf(operator);
            if (paid == panel.paid[i]) continue;
            panel.paid[i] = paid;
            bool key = _isKey(id, operator);
            if (key) ++did["a party's payout moves before the draw"];
            else if (_has(panel.weighed, operator)) ++did["a juror's payout moves before the draw"];
        }
    }

    /// @dev Jurors whose stake or payout moved while they sat.
    function countLeavers(Panel storage panel) internal {
        for (uint256 i = 0; i < STAKERS; ++i) {
            address operator = operatorAt(i);
            if (!_has(panel.jurors, operator)) continue;
            if (payoutOf(operator) != panel.paid[i]) ++did["a juror's payout moves while it sits"];
            if (unbondedAt[operator] > panel.drawnAt) ++did["a juror unbonds while it sits"];
            if (withdrawnAt[operator] > panel.drawnAt) ++did["a juror withdraws while it sits"];
        }
    }

    /// @dev All seats at once: most as `seed` leans, some absent, silent after the commitment, or false.
    /// A panel that is too small decides nothing, whether or not its jurors vote.
    function castVotes(bytes32 id, Panel storage panel, uint256 seed) internal {
        panel.voted = true;
        uint256 seats = panel.jurors.length;
        bool small = seats < arbiter.minSeats();
        if (small && (seed % 2 == 0 || seats == 0)) return;
        bytes memory decide = abi.encodeCall(arbiter.decide, (id));
        uint256 endOfVotes = panel.drawnAt + arbiter.voteSeconds();
        if (block.timestamp < endOfVotes) {
            if (!small) tell(account(9), decide, IJury.PanelSitting.selector);
            bytes memory strange = abi.encodeCall(arbiter.commitVote, (panel.id, 0, "vote"));
            tell(account(9), strange, IJury.NotJuror.selector);
            uint256 sealed_ = 0;
            for (uint256 i = 0; i < seats; ++i) if (_seal(panel, i, seed)) ++sealed_;
            if (sealed_ < seats) pass(endOfVotes - block.timestamp, 1);
        }
        if (block.timestamp < panel.drawnAt + 2 * arbiter.voteSeconds()) {
            for (uint256 i = 0; i < seats; ++i) _reveal(panel, i, seed);
        }
        if (small || votesFor(panel, IJury.Vote.None) == 0) return;
        uint256 end = panel.drawnAt + 2 * arbiter.voteSeconds();
        if (block.timestamp < end) {
            tell(account(9), decide, IJury.PanelSitting.selector);
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
        tell(juror, data, 0);
        tell(juror, data, IJury.BadCommitment.selector);
        return true;
    }

    function _reveal(Panel storage panel, uint256 seat, uint256 seed) private {
        (IJury.Vote vote, bool absent, bool silent) = _mind(seed, seat);
        (, , bytes32 sealed_) = arbiter.seatOf(panel.id, seat);
        if (silent) return;
        address juror = panel.jurors[seat];
        if (absent || sealed_ == 0) {
            bytes memory late = abi.encodeCall(arbiter.revealVote, (panel.id, seat, vote, SALT));
            tell(juror, late, IJury.BadReveal.selector);
            return;
        }
        bytes memory other = abi.encodeCall(
            arbiter.revealVote,
            (panel.id, seat, vote == IJury.Vote.Reject ? IJury.Vote.Uphold : IJury.Vote.Reject, SALT)
        );
        tell(juror, other, IJury.BadReveal.selector);
        bytes memory own = abi.encodeCall(arbiter.revealVote, (panel.id, seat, vote, SALT));
        tell(juror, own, 0);
        tell(juror, own, IJury.BadReveal.selector);
        panel.votes[seat] = vote;
    }

    /// @dev What a seat thinks, whether it stays away, and whether it commits and says no more. Jurors lean
    /// to one side, know nothing, or are split: in three, or in two halves.
    function _mind(
        uint256 seed,
        uint256 seat
    ) private pure returns (IJury.Vote vote, bool absent, bool silent) {
        uint256 mood = (seed >> (8 + 4 * seat)) % 16;
        uint256 lean = seed % 9;
        uint256 side = seat % 3;
        if (lean > 6) {
            vote = side == 0 ? IJury.Vote.Uphold : side == 1 ? IJury.Vote.Reject : IJury.Vote.NoData;
            return (vote, lean == 8 && (side == 2 || seat == 6), false);
        }
        vote = lean < 3 ? IJury.Vote.Uphold : lean < 6 ? IJury.Vote.Reject : IJury.Vote.NoData;
        if (mood == 13) vote = IJury.Vote.Uphold;
        if (mood == 14) vote = IJury.Vote.Reject;
        if (mood == 15) vote = IJury.Vote.NoData;
        absent = mood < 2 || (lean == 6 && mood < 9);
        silent = mood == 2;
    }

    /// @dev More than half of the votes and more than a third of the seats; otherwise nothing.
    function verdictOf(Panel storage panel) internal view returns (IJury.Verdict) {
        uint256 seats = panel.jurors.length;
        uint256 revealed = seats - votesFor(panel, IJury.Vote.None);
        if (seats < arbiter.minSeats()) return IJury.Verdict.Hung;
        uint256 upheld = votesFor(panel, IJury.Vote.Uphold);
        uint256 rejected = votesFor(panel, IJury.Vote.Reject);
        if (upheld > revealed - upheld && upheld * 3 > seats) return IJury.Verdict.Upheld;
        if (rejected > revealed - rejected && rejected * 3 > seats) return IJury.Verdict.Rejected;
        return IJury.Verdict.Hung;
    }

    /// @dev A call of the Arbiter. It may void; it never validates, pays owners or changes a root.
    function tell(address who, bytes memory data, bytes4 expected) internal returns (bool done) {
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

    function _isParty(bytes32 id, address juror) private view returns (bool) {
        return _isKey(id, juror) || _has(panels[id].barred, payoutOf(juror));
    }

    /// @dev Whether an operator has a part in the case itself, not by its payout.
    function _isKey(bytes32 id, address operator) private view returns (bool) {
        Trial storage trial = trials[id];
        bool brought = operator == trial.appellant || operator == trial.reporter;
        return brought || _has(accusedIn[id], operator) || _has(judgesOf[id], operator);
    }

    function _bar(bytes32 id, Panel storage panel) private {
        Trial storage trial = trials[id];
        for (uint256 i = 0; i < accusedIn[id].length; ++i) panel.barred.push(_paidAt(accusedIn[id][i]));
        for (uint256 i = 0; i < judgesOf[id].length; ++i) panel.barred.push(_paidAt(judgesOf[id][i]));
        panel.barred.push(_paidAt(trial.appellant));
        panel.barred.push(_paidAt(trial.reporter));
    }

    /// @dev Who is no owner is paid at its own address.
    function _paidAt(address party) private view returns (address) {
        return payouts[party].last == address(0) ? party : payoutOf(party);
    }

    function _has(address[] storage list, address item) private view returns (bool) {
        for (uint256 i = 0; i < list.length; ++i) if (list[i] == item) return true;
        return false;
    }

    function votesFor(Panel storage panel, IJury.Vote vote) internal view returns (uint256 votes) {
        for (uint256 i = 0; i < panel.votes.length; ++i) if (panel.votes[i] == vote) ++votes;
    }
}
