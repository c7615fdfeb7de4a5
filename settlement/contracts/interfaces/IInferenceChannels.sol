// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Paid answers: a payer's deposit for one host, spent by cumulative vouchers.
/// @notice A voucher signs (channel, ceiling, hash of the usage list), so a host cannot serve one asset
/// and claim another. `claim` only books what a voucher adds, `sweep` pays it out: each asset's part is
/// split by the rules that were booked with it among host, model owner, ancestors and treasury, and
/// the remainder goes to the asset's pot in the AttributionPool for its contributors. Amounts are base
/// units of OPEN, times seconds.
/// @dev Invariants: spent <= the highest claimed ceiling <= deposit; what was claimed of an entry never
/// falls; spent = sum of what was claimed = sum of what was swept and is due; the coins of this contract
/// are deposit - spent of all channels plus all that is due.
interface IInferenceChannels {
    /// All that was used of one asset under one version of the rules.
    struct Usage {
        bytes32 asset;
        uint32 ruleVersion;
        uint256 cumulative;
    }

    /// A payer's voucher, as `claim` takes it.
    struct Voucher {
        bytes32 channel;
        uint256 ceiling;
        Usage[] usage;
        bytes signature;
    }

    /// What a sweep names: an asset, and the version that its part was booked under.
    struct Booked {
        bytes32 asset;
        uint32 ruleVersion;
    }

    /// A secp256k1 signature of an ERC-2612 permit over exactly the amount of the call.
    struct Permit {
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// `hosting`: the payer owns the models that it may pay for, and all of it goes to the host.
    event ChannelOpened(
        bytes32 indexed channel,
        address indexed payer,
        address indexed host,
        bytes32 salt,
        uint256 amount,
        bool hosting
    );
    event ChannelToppedUp(bytes32 indexed channel, address indexed source, uint256 amount);
    /// `delta` of an entry became due, to be split under version `bookedUnder`.
    event UsageBooked(
        bytes32 indexed channel,
        bytes32 indexed asset,
        uint32 ruleVersion,
        uint32 bookedUnder,
        uint256 delta
    );
    /// A voucher added `paid` to all claimed before.
    event VoucherClaimed(bytes32 indexed channel, uint256 paid);
    /// A voucher of `claimMany` was refused; the others were not.
    event ClaimSkipped(bytes32 indexed channel);
    /// `delta` was paid out: the parts sum to it.
    event FeeSplit(
        bytes32 indexed channel,
        bytes32 indexed asset,
        uint32 ruleVersion,
        uint256 delta,
        uint256 host,
        uint256 owner,
        uint256 lineage,
        uint256 treasury,
        uint256 contributors
    );
    event RoyaltyPaid(bytes32 indexed ancestor, address indexed payout, uint256 amount);
    event ChannelClosing(bytes32 indexed channel, uint256 closesAt);
    event ChannelClosed(bytes32 indexed channel, uint256 refund);

    /// The treasury may not be the zero address.
    error ZeroTreasury();
    /// The guardian has paused new channels.
    error OpensPaused();
    /// The amount must be positive and fit 128 bits.
    error BadAmount(uint256 amount);
    /// The payer has a channel with this salt.
    error ChannelExists(bytes32 channel);
    /// No channel has this id, or it is closed.
    error UnknownChannel(bytes32 channel);
    /// The channel is closing.
    error ChannelIsClosing(bytes32 channel);
    /// Only the payer may do this.
    error NotPayer(bytes32 channel, address caller);
    /// The close was not started, or its time is not over.
    error CloseAhead(uint256 closesAt);
    /// The voucher promises more than the deposit.
    error CeilingAboveDeposit(uint256 ceiling, uint256 deposit);
    /// A usage list has 1 to MAX_USAGE entries.
    error BadUsageLength(uint256 length);
    /// Entries must ascend strictly by (asset, ruleVersion).
    error UsageUnsorted(uint256 position);
    /// An entry is above the ceiling.
    error UsageAboveCeiling(bytes32 asset, uint256 cumulative, uint256 ceiling);
    /// An entry is below what was claimed for it before.
    error UsageNotMonotone(bytes32 asset, uint256 cumulative, uint256 claimed);
    /// An entry names rules that are not in force yet.
    error RulesAhead(uint32 ruleVersion, uint32 inForce);
    /// A hosting channel pays for models of its payer only.
    error NotModelOwner(bytes32 asset, address payer);
    /// All that was used is above the ceiling.
    error SpentAboveCeiling(uint256 spent, uint256 ceiling);
    /// The voucher adds nothing.
    error NothingToClaim(bytes32 channel);
    /// The voucher is not signed by the payer.
    error WrongSigner(address signer, address payer);
    /// Nothing is due for this.
    error NothingDue(bytes32 asset, uint32 ruleVersion);
    /// The coin moved another amount than it was told: it takes fees, or lies.
    error WrongCoin(uint256 arrived, uint256 amount);

    /// @notice Open a channel to a registered operator with coins of the caller, who signs its vouchers.
    /// @param salt anything that is new to this payer.
    function open(bytes32 salt, address host, uint256 amount) external returns (bytes32 channel);

    /// @notice `open` with a permit instead of an approval. A permit that somebody else has already
    /// submitted is fine: what counts is the allowance.
    function openWithPermit(
        bytes32 salt,
        address host,
        uint256 amount,
        Permit calldata permit
    ) external returns (bytes32 channel);

    /// @notice Open a channel in which the caller, owner of a model, pays a host for holding it. Its
    /// vouchers pay the host alone; what was served is between the two.
    function openHosting(
        bytes32 salt,
        address host,
        uint256 amount
    ) external returns (bytes32 channel);

    /// @notice Add the caller's coins to a channel that is not closing.
    function topUp(bytes32 channel, uint256 amount) external;

    /// @notice Book what the payer's voucher adds to all claimed before; by anyone, at any time until
    /// the channel is closed. An entry is booked under its own version of the rules while that is in
    /// force and closeSeconds after; later, under the version in force.
    function claim(
        bytes32 channel,
        uint256 ceiling,
        Usage[] calldata usage,
        bytes calldata signature
    ) external;

    /// @notice Claim many vouchers; one that is refused is skipped and logged, the others are booked.
    function claimMany(Voucher[] calldata vouchers) external;

    /// @notice Pay out what is due of a channel; by anyone, at any time, also after the close.
    function sweep(bytes32 channel, Booked[] calldata parts) external;

    /// @notice Start the close; by the payer. The host has closeSeconds to claim its last voucher.
    function startClose(bytes32 channel) external;

    /// @notice Refund the payer after the delay; by anyone. The id stays taken for ever.
    function close(bytes32 channel) external;

    /// @notice A channel's facts; the payer is zero for an unknown one, `closed` ones keep the rest.
    function channelOf(
        bytes32 channel
    )
        external
        view
        returns (
            address payer,
            address host,
            uint256 deposit,
            uint256 spent,
            uint256 closesAt,
            bool closed,
            bool hosting
        );

    /// @notice What was claimed so far of an entry.
    function usedOf(
        bytes32 channel,
        bytes32 asset,
        uint32 ruleVersion
    ) external view returns (uint256);

    /// @notice What is booked under a version and not swept.
    function dueOf(
        bytes32 channel,
        bytes32 asset,
        uint32 ruleVersion
    ) external view returns (uint256);

    /// @notice The id of a payer's channel.
    function channelId(address payer, bytes32 salt) external pure returns (bytes32);

    /// @notice The fee pot of an asset in a channel.
    function feePot(bytes32 channel, bytes32 asset) external view returns (bytes32);
}
