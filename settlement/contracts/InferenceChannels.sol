// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {FeeSplitter} from "./FeeSplitter.sol";
import {AssetRegistry} from "./AssetRegistry.sol";
import {AttributionPool} from "./AttributionPool.sol";
import {OpenToken} from "./OpenToken.sol";
import {RuleRegistry} from "./RuleRegistry.sol";
import {IInferenceChannels} from "./interfaces/IInferenceChannels.sol";

/// @dev See IInferenceChannels: its invariants are this contract's.
contract InferenceChannels is FeeSplitter, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for OpenToken;

    struct Channel {
        address payer;
        uint64 closesAt; // unix seconds; 0: open
        bool closed;
        bool hosting;
        address host;
        uint128 deposit;
        uint128 spent;
    }

    /// One entry's books. Normally both are of one version, hence one slot.
    struct Account {
        uint128 claimed; // of the entry of this version
        uint128 due; // booked under this version, not swept
    }

    bytes32 public constant VOUCHER_TYPEHASH =
        keccak256("Voucher(bytes32 channel,uint256 ceiling,bytes32 usageHash)");
    /// Most entries in a usage list.
    uint256 public constant MAX_USAGE = 32;
    /// Seconds from startClose to close, in which the host may still claim.
    uint256 public immutable closeSeconds;

    mapping(bytes32 id => Channel) private _channels;
    mapping(bytes32 id => mapping(bytes32 asset => mapping(uint32 rule => Account))) private _accounts;

    constructor(
        OpenToken token_,
        AssetRegistry registry_,
        AttributionPool pool_,
        RuleRegistry rules_,
        address treasury_,
        uint32 closeSeconds_
    ) FeeSplitter(token_, registry_, pool_, rules_, treasury_) EIP712("InferenceChannels", "1") {
        closeSeconds = closeSeconds_;
    }

    /// @inheritdoc IInferenceChannels
    function channelId(address payer, bytes32 salt) public pure override returns (bytes32) {
        return keccak256(abi.encode(payer, salt));
    }

    /// @inheritdoc IInferenceChannels
    function open(
        bytes32 salt,
        address host,
        uint256 amount
    ) external override nonReentrant returns (bytes32) {
        return _open(salt, host, amount, false);
    }

    /// @inheritdoc IInferenceChannels
    function openHosting(
        bytes32 salt,
        address host,
        uint256 amount
    ) external override nonReentrant returns (bytes32) {
        return _open(salt, host, amount, true);
    }

    /// @inheritdoc IInferenceChannels
    function openWithPermit(
        bytes32 salt,
        address host,
        uint256 amount,
        Permit calldata p
    ) external override nonReentrant returns (bytes32) {
        // Whoever saw the permit may have used it first: then the allowance is there all the same.
        try token.permit(msg.sender, address(this), amount, p.deadline, p.v, p.r, p.s) {} catch {}
        return _open(salt, host, amount, false);
    }

    /// @inheritdoc IInferenceChannels
    function topUp(bytes32 channel, uint256 amount) external override nonReentrant {
        Channel storage c = _live(channel);
        if (c.closesAt != 0) revert ChannelIsClosing(channel);
        _checkAmount(amount);
        c.deposit += uint128(amount);
        emit ChannelToppedUp(channel, msg.sender, amount);
        _take(amount);
    }

    /// @inheritdoc IInferenceChannels
    function claim(
        bytes32 channel,
        uint256 ceiling,
        Usage[] calldata usage,
        bytes calldata signature
    ) external override {
        Channel storage c = _live(channel);
        (uint256 deposit, uint256 spent) = (c.deposit, c.spent);
        if (ceiling > deposit) revert CeilingAboveDeposit(ceiling, deposit);
        if (usage.length == 0 || usage.length > MAX_USAGE) revert BadUsageLength(usage.length);
        address payer = c.payer;
        _checkSigner(payer, channel, ceiling, usage, signature);
        if (c.hosting) _checkOwner(payer, usage);
        uint256 paid = _bookAll(channel, ceiling, usage);
        if (paid == 0) revert NothingToClaim(channel);
        if (spent + paid > ceiling) revert SpentAboveCeiling(spent + paid, ceiling);
        c.spent = uint128(spent + paid);
        emit VoucherClaimed(channel, paid);
    }

    /// @inheritdoc IInferenceChannels
    function claimMany(Voucher[] calldata vouchers) external override {
        for (uint256 i = 0; i < vouchers.length; ++i) {
            Voucher calldata v = vouchers[i];
            try this.claim(v.channel, v.ceiling, v.usage, v.signature) {
                continue;
            } catch {
                emit ClaimSkipped(v.channel);
            }
        }
    }

    /// @inheritdoc IInferenceChannels
    function sweep(bytes32 channel, Booked[] calldata parts) external override nonReentrant {
        Channel storage c = _channels[channel];
        if (c.payer == address(0)) revert UnknownChannel(channel);
        uint256 forHost = 0;
        uint256 forTreasury = 0;
        for (uint256 i = 0; i < parts.length; ++i) {
            Booked calldata part = parts[i];
            Account storage account = _accounts[channel][part.asset][part.ruleVersion];
            uint256 due = account.due;
            if (due == 0) revert NothingDue(part.asset, part.ruleVersion);
            account.due = 0;
            (uint256 host, uint256 rest) = c.hosting
                ? _keep(channel, part, due)
                : _split(channel, part, due);
            forHost += host;
            forTreasury += rest;
        }
        if (forHost != 0) token.safeTransfer(registry.payoutOfOperator(c.host), forHost);
        if (forTreasury != 0) token.safeTransfer(treasury, forTreasury);
    }

    /// @inheritdoc IInferenceChannels
    function startClose(bytes32 channel) external override {
        Channel storage c = _live(channel);
        if (msg.sender != c.payer) revert NotPayer(channel, msg.sender);
        if (c.closesAt != 0) revert ChannelIsClosing(channel);
        c.closesAt = uint64(block.timestamp + closeSeconds);
        emit ChannelClosing(channel, c.closesAt);
    }

    /// @inheritdoc IInferenceChannels
    function close(bytes32 channel) external override nonReentrant {
        Channel storage c = _live(channel);
        if (c.closesAt == 0 || block.timestamp < c.closesAt) revert CloseAhead(c.closesAt);
        uint256 refund = c.deposit - c.spent;
        c.deposit = c.spent;
        c.closed = true;
        emit ChannelClosed(channel, refund);
        if (refund != 0) token.safeTransfer(c.payer, refund);
    }

    /// @inheritdoc IInferenceChannels
    function channelOf(
        bytes32 channel
    )
        external
        view
        override
        returns (
            address payer,
            address host,
            uint256 deposit,
            uint256 spent,
            uint256 closesAt,
            bool closed,
            bool hosting
        )
    {
        Channel storage c = _channels[channel];
        return (c.payer, c.host, c.deposit, c.spent, c.closesAt, c.closed, c.hosting);
    }

    /// @inheritdoc IInferenceChannels
    function usedOf(
        bytes32 channel,
        bytes32 asset,
        uint32 ruleVersion
    ) external view override returns (uint256) {
        return _accounts[channel][asset][ruleVersion].claimed;
    }

    /// @inheritdoc IInferenceChannels
    function dueOf(
        bytes32 channel,
        bytes32 asset,
        uint32 ruleVersion
    ) external view override returns (uint256) {
        return _accounts[channel][asset][ruleVersion].due;
    }

    function _open(
        bytes32 salt,
        address host,
        uint256 amount,
        bool hosting
    ) private returns (bytes32 channel) {
        if (rules.paused()) revert OpensPaused();
        _checkAmount(amount);
        registry.ownerIndex(host);
        channel = channelId(msg.sender, salt);
        if (_channels[channel].payer != address(0)) revert ChannelExists(channel);
        _channels[channel] = Channel(msg.sender, 0, false, hosting, host, uint128(amount), 0);
        emit ChannelOpened(channel, msg.sender, host, salt, amount, hosting);
        _take(amount);
    }

    function _live(bytes32 channel) private view returns (Channel storage c) {
        c = _channels[channel];
        if (c.payer == address(0) || c.closed) revert UnknownChannel(channel);
    }

    function _checkAmount(uint256 amount) private pure {
        if (amount == 0 || amount > type(uint128).max) revert BadAmount(amount);
    }

    /// @dev The deposit counts what was promised, so exactly that must arrive.
    function _take(uint256 amount) private {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 arrived = token.balanceOf(address(this)) - before;
        if (arrived != amount) revert WrongCoin(arrived, amount);
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

    function _checkOwner(address payer, Usage[] calldata usage) private view {
        for (uint256 i = 0; i < usage.length; ++i) {
            bytes32 asset = usage[i].asset;
            if (registry.operatorOf(registry.modelOwner(asset)) != payer) {
                revert NotModelOwner(asset, payer);
            }
        }
    }

    function _bookAll(
        bytes32 channel,
        uint256 ceiling,
        Usage[] calldata usage
    ) private returns (uint256 paid) {
        uint32 inForce = rules.versionAt(block.timestamp);
        for (uint256 i = 0; i < usage.length; ++i) {
            if (i != 0) _checkOrder(usage, i);
            Usage calldata entry = usage[i];
            if (entry.ruleVersion > inForce) revert RulesAhead(entry.ruleVersion, inForce);
            paid += _book(channel, ceiling, entry, inForce);
        }
    }

    function _checkOrder(Usage[] calldata usage, uint256 i) private pure {
        Usage calldata left = usage[i - 1];
        Usage calldata right = usage[i];
        bool ascends = left.asset < right.asset ||
            (left.asset == right.asset && left.ruleVersion < right.ruleVersion);
        if (!ascends) revert UsageUnsorted(i);
    }

    function _book(
        bytes32 channel,
        uint256 ceiling,
        Usage calldata entry,
        uint32 inForce
    ) private returns (uint256 delta) {
        (bytes32 asset, uint32 version) = (entry.asset, entry.ruleVersion);
        Account storage account = _accounts[channel][asset][version];
        uint256 before = account.claimed;
        uint256 cumulative = entry.cumulative;
        // The ceiling is at most the deposit, which fits 128 bits.
        if (cumulative > ceiling) revert UsageAboveCeiling(asset, cumulative, ceiling);
        if (cumulative < before) revert UsageNotMonotone(asset, cumulative, before);
        delta = cumulative - before;
        if (delta == 0) return 0;
        account.claimed = uint128(cumulative);
        uint32 under = version;
        if (version != inForce && _isOver(version)) {
            under = inForce;
            account = _accounts[channel][asset][inForce];
        }
        account.due += uint128(delta);
        emit UsageBooked(channel, asset, version, under, delta);
    }

    /// @dev Whether the version's successor has been in force for longer than closeSeconds. Version 0
    /// never was in force.
    function _isOver(uint32 version) private view returns (bool) {
        return version == 0 || block.timestamp > rules.effectiveAt(version + 1) + closeSeconds;
    }
}
