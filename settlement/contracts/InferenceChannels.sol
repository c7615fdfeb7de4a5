// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {AssetRegistry} from "./AssetRegistry.sol";
import {AttributionPool} from "./AttributionPool.sol";
import {OpenToken} from "./OpenToken.sol";

/// @title Paid answers: a payer's deposit for one host, spent by cumulative vouchers.
/// @notice A voucher signs (channel, ceiling, hash of the usage list), so a host cannot serve one asset
/// and claim another. Each asset's new amount is split by fixed basis points: host, the asset's fee
/// pot in the AttributionPool for its contributors, the model's owner; the treasury gets the remainder.
/// @dev Invariants: spent <= the highest claimed ceiling <= deposit; the amounts of an asset and rule
/// version never fall; the coins of this contract cover deposit - spent of all channels.
contract InferenceChannels is EIP712 {
    using SafeERC20 for OpenToken;

    struct Channel {
        address payer;
        address host;
        uint256 deposit; // base units
        uint256 spent; // base units
        uint256 closesAt; // unix seconds; 0: open
    }

    struct Usage {
        bytes32 asset;
        uint32 ruleVersion;
        uint256 cumulative; // base units
    }

    struct Split {
        uint16 hostBps;
        uint16 contributorsBps;
        uint16 ownerBps;
    }

    bytes32 public constant VOUCHER_TYPEHASH =
        keccak256("Voucher(bytes32 channel,uint256 ceiling,bytes32 usageHash)");
    /// Most entries in a usage list.
    uint256 public constant MAX_USAGE = 32;

    OpenToken public immutable token;
    AssetRegistry public immutable registry;
    AttributionPool public immutable pool;
    address public immutable treasury;
    uint16 public immutable hostBps;
    uint16 public immutable contributorsBps;
    uint16 public immutable ownerBps;
    /// Seconds from startClose to close, in which the host may still claim.
    uint256 public immutable closeSeconds;

    mapping(bytes32 id => Channel) private _channels;
    mapping(bytes32 id => mapping(bytes32 asset => mapping(uint32 rule => uint256))) private _used;

    event ChannelOpened(
        bytes32 indexed channel,
        address indexed payer,
        address indexed host,
        bytes32 salt,
        uint256 amount
    );
    event ChannelToppedUp(bytes32 indexed channel, address indexed source, uint256 amount);
    event VoucherClaimed(bytes32 indexed channel, uint256 ceiling, uint256 paid);
    event FeeSplit(
        bytes32 indexed channel,
        bytes32 indexed asset,
        uint256 delta,
        uint256 host,
        uint256 owner,
        uint256 contributors,
        uint256 treasury
    );
    event ChannelClosing(bytes32 indexed channel, uint256 closesAt);
    event ChannelClosed(bytes32 indexed channel, uint256 refund);

    /// The basis points sum to more than 10,000, or the treasury is the zero address.
    error BadSplit();
    /// The amount must be positive.
    error ZeroAmount();
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
    /// All that was used is above the ceiling.
    error SpentAboveCeiling(uint256 spent, uint256 ceiling);
    /// The voucher adds nothing.
    error NothingToClaim(bytes32 channel);
    /// The voucher is not signed by the payer.
    error WrongSigner(address signer, address payer);

    constructor(
        OpenToken token_,
        AssetRegistry registry_,
        AttributionPool pool_,
        address treasury_,
        Split memory split,
        uint32 closeSeconds_
    ) EIP712("InferenceChannels", "1") {
        uint256 sum = uint256(split.hostBps) + split.contributorsBps + split.ownerBps;
        if (sum > 10_000 || treasury_ == address(0)) revert BadSplit();
        token = token_;
        registry = registry_;
        pool = pool_;
        treasury = treasury_;
        hostBps = split.hostBps;
        contributorsBps = split.contributorsBps;
        ownerBps = split.ownerBps;
        closeSeconds = closeSeconds_;
        token_.approve(address(pool_), type(uint256).max);
    }

    /// @notice The id of a payer's channel.
    function channelId(address payer, bytes32 salt) public pure returns (bytes32) {
        return keccak256(abi.encode(payer, salt));
    }

    /// @notice The fee pot of an asset in a channel.
    function feePot(bytes32 channel, bytes32 asset) public view returns (bytes32) {
        return pool.potId(address(this), keccak256(abi.encode(channel, asset)));
    }

    /// @notice Open a channel to a registered operator with coins of the caller, who signs its vouchers.
    function open(bytes32 salt, address host, uint256 amount) external returns (bytes32 channel) {
        if (amount == 0) revert ZeroAmount();
        registry.ownerIndex(host);
        channel = channelId(msg.sender, salt);
        if (_channels[channel].payer != address(0)) revert ChannelExists(channel);
        _channels[channel] = Channel(msg.sender, host, amount, 0, 0);
        emit ChannelOpened(channel, msg.sender, host, salt, amount);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Add the caller's coins to an open channel.
    function topUp(bytes32 channel, uint256 amount) external {
        if (amount == 0) revert ZeroAmount();
        Channel storage c = _open(channel);
        if (c.closesAt != 0) revert ChannelIsClosing(channel);
        c.deposit += amount;
        emit ChannelToppedUp(channel, msg.sender, amount);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Pay out what the payer's voucher adds to all claimed before; by anyone, at any time until
    /// the channel is closed.
    function claim(
        bytes32 channel,
        uint256 ceiling,
        Usage[] calldata usage,
        bytes calldata signature
    ) external {
        Channel storage c = _open(channel);
        if (ceiling > c.deposit) revert CeilingAboveDeposit(ceiling, c.deposit);
        if (usage.length == 0 || usage.length > MAX_USAGE) revert BadUsageLength(usage.length);
        _checkSigner(c.payer, channel, ceiling, usage, signature);
        uint256 paid = 0;
        uint256 hostSum = 0;
        uint256 treasurySum = 0;
        for (uint256 i = 0; i < usage.length; ++i) {
            if (i != 0) _checkOrder(usage, i);
            uint256 delta = _advance(channel, ceiling, usage[i]);
            if (delta == 0) continue;
            (uint256 forHost, uint256 forTreasury) = _split(channel, usage[i].asset, delta);
            paid += delta;
            hostSum += forHost;
            treasurySum += forTreasury;
        }
        if (paid == 0) revert NothingToClaim(channel);
        c.spent += paid;
        if (c.spent > ceiling) revert SpentAboveCeiling(c.spent, ceiling);
        emit VoucherClaimed(channel, ceiling, paid);
        if (hostSum != 0) token.safeTransfer(registry.payoutOfOperator(c.host), hostSum);
        if (treasurySum != 0) token.safeTransfer(treasury, treasurySum);
    }

    /// @notice Start the close; by the payer. The host has closeSeconds to claim its last voucher.
    function startClose(bytes32 channel) external {
        Channel storage c = _open(channel);
        if (msg.sender != c.payer) revert NotPayer(channel, msg.sender);
        if (c.closesAt != 0) revert ChannelIsClosing(channel);
        c.closesAt = block.timestamp + closeSeconds;
        emit ChannelClosing(channel, c.closesAt);
    }

    /// @notice Refund the payer after the delay; by anyone. The id stays taken for ever.
    function close(bytes32 channel) external {
        Channel storage c = _open(channel);
        if (c.closesAt == 0 || block.timestamp < c.closesAt) revert CloseAhead(c.closesAt);
        uint256 refund = c.deposit - c.spent;
        c.deposit = c.spent;
        c.host = address(0);
        emit ChannelClosed(channel, refund);
        if (refund != 0) token.safeTransfer(c.payer, refund);
    }

    /// @notice A channel's facts; the host is zero once it is closed, the payer for an unknown one.
    function channelOf(
        bytes32 channel
    )
        external
        view
        returns (address payer, address host, uint256 deposit, uint256 spent, uint256 closesAt)
    {
        Channel storage c = _channels[channel];
        return (c.payer, c.host, c.deposit, c.spent, c.closesAt);
    }

    /// @notice Base units claimed so far for an asset under a rule version.
    function usedOf(
        bytes32 channel,
        bytes32 asset,
        uint32 ruleVersion
    ) external view returns (uint256) {
        return _used[channel][asset][ruleVersion];
    }

    function _open(bytes32 channel) private view returns (Channel storage c) {
        c = _channels[channel];
        if (c.host == address(0)) revert UnknownChannel(channel);
    }

    function _checkSigner(
        address payer,
        bytes32 channel,
        uint256 ceiling,
        Usage[] calldata usage,
        bytes calldata signature
    ) private view {
        bytes32 usageHash = keccak256(abi.encode(usage));
        bytes32 voucher = keccak256(abi.encode(VOUCHER_TYPEHASH, channel, ceiling, usageHash));
        address signer = ECDSA.recoverCalldata(_hashTypedDataV4(voucher), signature);
        if (signer != payer) revert WrongSigner(signer, payer);
    }

    function _checkOrder(Usage[] calldata usage, uint256 i) private pure {
        Usage calldata left = usage[i - 1];
        Usage calldata right = usage[i];
        bool ascends = left.asset < right.asset ||
            (left.asset == right.asset && left.ruleVersion < right.ruleVersion);
        if (!ascends) revert UsageUnsorted(i);
    }

    function _advance(
        bytes32 channel,
        uint256 ceiling,
        Usage calldata entry
    ) private returns (uint256) {
        uint256 before = _used[channel][entry.asset][entry.ruleVersion];
        if (entry.cumulative > ceiling) {
            revert UsageAboveCeiling(entry.asset, entry.cumulative, ceiling);
        }
        if (entry.cumulative < before) {
            revert UsageNotMonotone(entry.asset, entry.cumulative, before);
        }
        _used[channel][entry.asset][entry.ruleVersion] = entry.cumulative;
        return entry.cumulative - before;
    }

    function _split(
        bytes32 channel,
        bytes32 asset,
        uint256 delta
    ) private returns (uint256 forHost, uint256 forTreasury) {
        forHost = (delta * hostBps) / 10_000;
        uint256 forContributors = (delta * contributorsBps) / 10_000;
        address payout = registry.modelPayout(asset);
        uint256 forOwner = payout == address(0) ? 0 : (delta * ownerBps) / 10_000;
        forTreasury = delta - forHost - forContributors - forOwner;
        emit FeeSplit(channel, asset, delta, forHost, forOwner, forContributors, forTreasury);
        if (forContributors != 0) _credit(channel, asset, forContributors);
        if (forOwner != 0) token.safeTransfer(payout, forOwner);
    }

    function _credit(bytes32 channel, bytes32 asset, uint256 amount) private {
        bytes32 pot = feePot(channel, asset);
        (, , , , , , uint256 touched) = pool.potOf(pot);
        if (touched != 0) pool.topUp(pot, amount);
        else pool.fund(keccak256(abi.encode(channel, asset)), amount, 0, 0, asset);
    }
}
