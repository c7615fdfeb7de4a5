// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Panels of jurors drawn by stake, who commit to their votes and then reveal them.
/// @notice A panel's life: summoned (its seed height is fixed now, a few blocks ahead, so nobody knows
/// the seed) -> drawn (anyone records the seed) -> voting -> revealing -> over. The weights are those at
/// the end of the stake epoch before the summons: stake that comes later draws nothing. Heights are
/// block numbers, times unix seconds.
interface IJury {
    /// NoData: what the case is about could not be fetched. It counts against every side alike.
    enum Vote {
        None,
        Uphold,
        Reject,
        NoData
    }

    /// Hung: neither side has more than half of the votes and more than a third of the seats; nobody is
    /// slashed then.
    enum Verdict {
        Hung,
        Upheld,
        Rejected
    }

    event PanelSummoned(bytes32 indexed panel, uint256 seedHeight, uint256 snapshot, uint256 seats);
    event SeedMoved(bytes32 indexed panel, uint256 seedHeight);
    event PanelDrawn(bytes32 indexed panel, address[] jurors, uint256 commitUntil, uint256 revealUntil);
    event VoteCommitted(bytes32 indexed panel, address indexed juror, bytes32 commitment);
    event VoteRevealed(bytes32 indexed panel, address indexed juror, Vote vote);
    event JurorPaid(bytes32 indexed panel, address indexed juror, uint256 amount);

    /// No panel has this id, or it is over.
    error NoPanel(bytes32 panel);
    /// The seed's block is not mined yet.
    error SeedAhead(uint256 seedHeight);
    /// The panel is drawn already.
    error AlreadyDrawn(bytes32 panel);
    /// The panel is not drawn yet.
    error NotDrawn(bytes32 panel);
    /// The seat is another's, or there is none.
    error NotJuror(bytes32 panel, uint256 seat, address caller);
    /// A commitment is not zero, given once.
    error BadCommitment(bytes32 panel, uint256 seat);
    /// The time of voting is over.
    error VotingOver(uint256 commitUntil);
    /// Votes may still be committed: nobody shows one yet.
    error VotingOpen(uint256 commitUntil);
    /// The time of revealing is over.
    error RevealingOver(uint256 revealUntil);
    /// Jurors may still vote or reveal.
    error PanelSitting(uint256 revealUntil);
    /// A vote is Uphold, Reject or NoData, and opens the commitment.
    error BadReveal(bytes32 panel, uint256 seat);

    /// @notice Record the hash of the seed's block and draw the jurors; by anyone. When it is more than
    /// SEED_BLOCKS old the seed is moved ahead instead, however late the call comes: a seed is never
    /// zero. Fewer than minSeats jurors make a panel that hangs at once.
    function recordSeed(bytes32 panel) external;

    /// @notice Commit to a vote: keccak256(abi.encode(panel, juror, vote, salt)), once.
    function commitVote(bytes32 panel, uint256 seat, bytes32 commitment) external;

    /// @notice Open one's commitment, after the time of voting or as soon as every juror has committed.
    function revealVote(bytes32 panel, uint256 seat, Vote vote, bytes32 salt) external;

    /// @notice A panel's facts; `drawnAt` is 0 before the draw.
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
        );

    /// @notice One seat of a drawn panel.
    function seatOf(
        bytes32 panel,
        uint256 seat
    ) external view returns (address juror, Vote vote, bytes32 commitment);
}
