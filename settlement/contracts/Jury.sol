// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {AssetRegistry} from "./AssetRegistry.sol";
import {OpenToken} from "./OpenToken.sol";
import {WorkerStake} from "./WorkerStake.sol";
import {IJury} from "./interfaces/IJury.sol";

/// @title Panels of jurors. See IJury.
/// @dev Invariants: a panel's seed height lies ahead whenever it is fixed or moved; jurors of a panel are
/// distinct operators of distinct payout addresses from the parties; a seat has one commitment and one
/// vote; coins come in by seizing and leave in the same transaction, to jurors or by burning.
abstract contract Jury is IJury {
    using SafeERC20 for OpenToken;

    struct Seat {
        address juror;
        Vote vote;
        bytes32 commitment;
    }

    struct Panel {
        uint64 seedHeight; // 0: no such panel, or it is over
        uint48 snapshot; // stake epoch of the weights
        uint64 drawnAt; // unix seconds; 0: not yet
        uint16 wanted; // seats
        uint16 committed;
        uint16 revealed;
        address[] parties; // who may not judge
        address[] payouts; // theirs at the summons: who is paid there may not either
    }

    /// Points that are out, by start ascending, and how many are left.
    struct Cuts {
        uint256[] starts;
        uint256[] weights;
        uint256 count;
        uint256 left;
    }

    /// Blocks between a summons and its seed.
    uint256 public constant SEED_DELAY = 2;
    /// A seed older than this is moved; blockhash reaches 256 blocks back.
    uint256 public constant SEED_BLOCKS = 200;
    /// Draws for each wanted seat: whom a party's payout address disqualifies is drawn in vain.
    uint256 public constant TRIES = 4;

    OpenToken public immutable token;
    AssetRegistry public immutable registry;
    WorkerStake public immutable stake;
    /// Seconds for votes, and again for reveals.
    uint256 public immutable voteSeconds;
    /// Fewer jurors decide nothing.
    uint256 public immutable minSeats;
    /// What a missing juror loses, and the most that a present one gets; base units.
    uint256 public immutable jurorFee;

    mapping(bytes32 panel => Panel) private _panels;
    mapping(bytes32 panel => Seat[]) private _seats;

    constructor(WorkerStake stake_, uint32 voteSeconds_, uint16 minSeats_, uint256 jurorFee_) {
        stake = stake_;
        token = stake_.token();
        registry = stake_.registry();
        voteSeconds = voteSeconds_;
        minSeats = minSeats_;
        jurorFee = jurorFee_;
    }

    /// @inheritdoc IJury
    function recordSeed(bytes32 panel) external {
        Panel storage p = _sitting(panel);
        if (p.drawnAt != 0) revert AlreadyDrawn(panel);
        uint256 height = p.seedHeight;
        if (block.number <= height) revert SeedAhead(height);
        if (block.number - height > SEED_BLOCKS) {
            p.seedHeight = uint64(block.number + SEED_DELAY);
            emit SeedMoved(panel, p.seedHeight);
            return;
        }
        p.drawnAt = uint64(block.timestamp);
        address[] memory jurors = _draw(panel, p, blockhash(height));
        for (uint256 i = 0; i < jurors.length; ++i) {
            _seats[panel].push(Seat(jurors[i], Vote.None, 0));
        }
        emit PanelDrawn(panel, jurors, _commitUntil(p), _revealUntil(p));
    }

    /// @inheritdoc IJury
    function commitVote(bytes32 panel, uint256 seat, bytes32 commitment) external {
        (Panel storage p, Seat storage s) = _ownSeat(panel, seat);
        if (block.timestamp >= _commitUntil(p)) revert VotingOver(_commitUntil(p));
        if (commitment == 0 || s.commitment != 0) revert BadCommitment(panel, seat);
        s.commitment = commitment;
        ++p.committed;
        emit VoteCommitted(panel, msg.sender, commitment);
    }

    /// @inheritdoc IJury
    function revealVote(bytes32 panel, uint256 seat, Vote vote, bytes32 salt) external {
        (Panel storage p, Seat storage s) = _ownSeat(panel, seat);
        if (block.timestamp < _commitUntil(p) && p.committed < _seats[panel].length) {
            revert VotingOpen(_commitUntil(p));
        }
        if (block.timestamp >= _revealUntil(p)) revert RevealingOver(_revealUntil(p));
        bytes32 opened = keccak256(abi.encode(panel, msg.sender, vote, salt));
        if (vote == Vote.None || s.vote != Vote.None || s.commitment != opened) {
            revert BadReveal(panel, seat);
        }
        s.vote = vote;
        ++p.revealed;
        emit VoteRevealed(panel, msg.sender, vote);
    }

    /// @inheritdoc IJury
    function panelOf(
        bytes32 panel
    )
        external
        view
        returns (
            uint256 seedHeight,
            uint256 snapshot,
            uint256 drawnAt,
            uint256 commitUntil,
            uint256 revealUntil,
            uint256 seats
        )
    {
        Panel storage p = _panels[panel];
        seats = p.drawnAt == 0 ? p.wanted : _seats[panel].length;
        (commitUntil, revealUntil) = p.drawnAt == 0 ? (0, 0) : (_commitUntil(p), _revealUntil(p));
        return (p.seedHeight, p.snapshot, p.drawnAt, commitUntil, revealUntil, seats);
    }

    /// @inheritdoc IJury
    function seatOf(
        bytes32 panel,
        uint256 seat
    ) external view returns (address juror, Vote vote, bytes32 commitment) {
        Seat storage s = _seats[panel][seat];
        return (s.juror, s.vote, s.commitment);
    }

    /// @dev Weights are those of the epoch before this one; `parties` and their payout addresses of now are
    /// out: who sees the seed could bar whom it would draw by moving its payout there.
    function _summon(bytes32 panel, uint256 wanted, address[] memory parties) internal {
        Panel storage p = _panels[panel];
        p.seedHeight = uint64(block.number + SEED_DELAY);
        p.snapshot = stake.stakeEpoch() - 1;
        p.wanted = uint16(wanted);
        p.parties = parties;
        p.payouts = _payouts(parties);
        emit PanelSummoned(panel, p.seedHeight, p.snapshot, wanted);
    }

    /// @dev Count and end a panel. Reverts NotDrawn, PanelSitting.
    function _count(bytes32 panel) internal returns (Verdict) {
        Panel storage p = _sitting(panel);
        if (p.drawnAt == 0) revert NotDrawn(panel);
        uint256 seats = _seats[panel].length;
        bool over = block.timestamp >= _revealUntil(p) || p.revealed == seats || seats < minSeats;
        if (!over) revert PanelSitting(_revealUntil(p));
        p.seedHeight = 0;
        if (seats < minSeats) return Verdict.Hung;
        uint256 revealed = p.revealed;
        if (_carries(_votes(panel, Vote.Uphold), revealed, seats)) return Verdict.Upheld;
        if (_carries(_votes(panel, Vote.Reject), revealed, seats)) return Verdict.Rejected;
        return Verdict.Hung;
    }

    /// @dev Take the fee of the missing; of a panel that is too small nobody is missed.
    function _fineMissing(bytes32 panel) internal returns (uint256 pot) {
        Seat[] storage seats = _seats[panel];
        for (uint256 i = 0; seats.length >= minSeats && i < seats.length; ++i) {
            if (seats[i].vote == Vote.None) pot += stake.seize(seats[i].juror, panel, jurorFee);
        }
    }

    /// @dev What lacks to a fee for each present juror when there is `pot`.
    function _owed(bytes32 panel, uint256 pot) internal view returns (uint256) {
        uint256 fees = _panels[panel].revealed * jurorFee;
        return fees > pot ? fees - pot : 0;
    }

    /// @dev Pay the present out of `pot` (coins that are here), burn the rest.
    function _payJurors(bytes32 panel, uint256 pot) internal {
        Seat[] storage seats = _seats[panel];
        uint256 present = _panels[panel].revealed;
        uint256 each = present == 0 ? 0 : pot / present;
        if (each > jurorFee) each = jurorFee;
        for (uint256 i = 0; each != 0 && i < seats.length; ++i) {
            if (seats[i].vote == Vote.None) continue;
            emit JurorPaid(panel, seats[i].juror, each);
            token.safeTransfer(registry.payoutOfOperator(seats[i].juror), each);
        }
        if (pot > each * present) token.burn(pot - each * present);
    }

    /// @dev The jurors of a panel who voted so.
    function _voters(bytes32 panel, Vote vote) internal view returns (address[] memory voters) {
        voters = new address[](_votes(panel, vote));
        Seat[] storage seats = _seats[panel];
        uint256 found = 0;
        for (uint256 i = 0; i < seats.length; ++i) {
            if (seats[i].vote == vote) voters[found++] = seats[i].juror;
        }
    }

    function _votes(bytes32 panel, Vote vote) private view returns (uint256 votes) {
        Seat[] storage seats = _seats[panel];
        for (uint256 i = 0; i < seats.length; ++i) if (seats[i].vote == vote) ++votes;
    }

    /// @dev By stake, without replacement, among all who are no party: what parties and drawn jurors own
    /// is cut out of the points, so a large party leaves no draw in vain.
    function _draw(
        bytes32 panel,
        Panel storage p,
        bytes32 seed
    ) private view returns (address[] memory jurors) {
        address[] memory payouts = p.payouts;
        uint256 tries = TRIES * p.wanted;
        Cuts memory cuts = Cuts(
            new uint256[](p.parties.length + tries),
            new uint256[](p.parties.length + tries),
            0,
            stake.jurorStakeAt(p.snapshot)
        );
        for (uint256 i = 0; i < p.parties.length; ++i) {
            (uint256 start, uint256 weight) = stake.jurorRange(p.snapshot, p.parties[i]);
            _cut(cuts, start, weight);
        }
        jurors = new address[](p.wanted);
        uint256 found = 0;
        for (uint256 i = 0; i < tries && found < p.wanted && cuts.left != 0; ++i) {
            uint256 point = uint256(keccak256(abi.encode(seed, panel, i))) % cuts.left;
            (address juror, uint256 start, uint256 weight) = stake.jurorAt(
                p.snapshot,
                _uncut(cuts, point)
            );
            _cut(cuts, start, weight);
            if (!_has(payouts, registry.payoutOfOperator(juror))) jurors[found++] = juror;
        }
        assembly ("memory-safe") {
            mstore(jurors, found)
        }
    }

    /// @dev Take a range out once; ranges are those of jurors, so they are equal or disjoint.
    function _cut(Cuts memory cuts, uint256 start, uint256 weight) private pure {
        if (weight == 0) return;
        uint256 place = cuts.count;
        for (uint256 i = 0; i < cuts.count; ++i) if (cuts.starts[i] == start) return;
        while (place != 0 && cuts.starts[place - 1] > start) {
            cuts.starts[place] = cuts.starts[place - 1];
            cuts.weights[place] = cuts.weights[place - 1];
            --place;
        }
        (cuts.starts[place], cuts.weights[place]) = (start, weight);
        ++cuts.count;
        cuts.left -= weight;
    }

    /// @dev The point among all that is the given one among those left.
    function _uncut(Cuts memory cuts, uint256 point) private pure returns (uint256) {
        for (uint256 i = 0; i < cuts.count && cuts.starts[i] <= point; ++i) point += cuts.weights[i];
        return point;
    }

    function _payouts(address[] memory operators) private view returns (address[] memory payouts) {
        payouts = new address[](operators.length);
        for (uint256 i = 0; i < operators.length; ++i) {
            address operator = operators[i];
            // A seat may be held by a key that owns nothing; then it draws nothing either.
            bool known = registry.isRegistered(operator);
            payouts[i] = known ? registry.payoutOfOperator(operator) : operator;
        }
    }

    function _sitting(bytes32 panel) private view returns (Panel storage p) {
        p = _panels[panel];
        if (p.seedHeight == 0) revert NoPanel(panel);
    }

    function _ownSeat(
        bytes32 panel,
        uint256 seat
    ) private view returns (Panel storage p, Seat storage s) {
        p = _sitting(panel);
        if (p.drawnAt == 0) revert NotDrawn(panel);
        Seat[] storage seats = _seats[panel];
        if (seat >= seats.length || seats[seat].juror != msg.sender) {
            revert NotJuror(panel, seat, msg.sender);
        }
        s = seats[seat];
    }

    function _commitUntil(Panel storage p) private view returns (uint256) {
        return p.drawnAt + voteSeconds;
    }

    function _revealUntil(Panel storage p) private view returns (uint256) {
        return p.drawnAt + 2 * voteSeconds;
    }

    function _carries(uint256 votes, uint256 revealed, uint256 seats) private pure returns (bool) {
        return 2 * votes > revealed && 3 * votes > seats;
    }

    function _has(address[] memory list, address item) private pure returns (bool) {
        for (uint256 i = 0; i < list.length; ++i) if (list[i] == item) return true;
        return false;
    }
}
