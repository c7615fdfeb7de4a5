// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {AssetRegistry} from "./AssetRegistry.sol";
import {AttributionPool} from "./AttributionPool.sol";
import {OpenToken} from "./OpenToken.sol";
import {RuleRegistry} from "./RuleRegistry.sol";
import {IInferenceChannels} from "./interfaces/IInferenceChannels.sol";
import {IRuleRegistry} from "./interfaces/IRuleRegistry.sol";

/// @dev Divides a fee by the rules of a version. Everybody gets floor(bps) but the contributors' pot,
/// the named party of the remainder: what an unregistered model's owner and ancestors would have got
/// goes to those whose data made the answer, and the treasury never gets more than its rail.
abstract contract FeeSplitter is IInferenceChannels {
    using SafeERC20 for OpenToken;

    uint256 private constant ALL_BPS = 10_000;

    OpenToken public immutable token;
    AssetRegistry public immutable registry;
    AttributionPool public immutable pool;
    RuleRegistry public immutable rules;
    address public immutable treasury;

    constructor(
        OpenToken token_,
        AssetRegistry registry_,
        AttributionPool pool_,
        RuleRegistry rules_,
        address treasury_
    ) {
        if (treasury_ == address(0)) revert ZeroTreasury();
        token = token_;
        registry = registry_;
        pool = pool_;
        rules = rules_;
        treasury = treasury_;
        token_.approve(address(pool_), type(uint256).max);
    }

    /// @inheritdoc IInferenceChannels
    function feePot(bytes32 channel, bytes32 asset) public view returns (bytes32) {
        return pool.potId(address(this), keccak256(abi.encode(channel, asset)));
    }

    /// @dev Pay owner, ancestors and pot of `delta`; the caller pays host and treasury.
    function _split(
        bytes32 channel,
        Booked calldata part,
        uint256 delta
    ) internal returns (uint256 forHost, uint256 forTreasury) {
        IRuleRegistry.Rules memory r = rules.rulesOf(part.ruleVersion);
        forHost = (delta * r.feeHostBps) / ALL_BPS;
        forTreasury = (delta * r.feeTreasuryBps) / ALL_BPS;
        uint256 forOwner = _payOwner(part.asset, (delta * r.feeOwnerBps) / ALL_BPS);
        uint256 forLineage = _payLineage(part.asset, delta, r.feeLineageBps);
        uint256 rest = delta - forHost - forTreasury - forOwner - forLineage;
        emit FeeSplit(
            channel,
            part.asset,
            part.ruleVersion,
            delta,
            forHost,
            forOwner,
            forLineage,
            forTreasury,
            rest
        );
        if (rest != 0) _credit(channel, part.asset, rest);
    }

    /// @dev A hosting channel's part: all of it the host's.
    function _keep(
        bytes32 channel,
        Booked calldata part,
        uint256 delta
    ) internal returns (uint256 forHost, uint256 forTreasury) {
        emit FeeSplit(channel, part.asset, part.ruleVersion, delta, delta, 0, 0, 0, 0);
        return (delta, 0);
    }

    function _payOwner(bytes32 asset, uint256 amount) private returns (uint256) {
        address payout = registry.modelPayout(asset);
        if (payout == address(0) || amount == 0) return 0;
        token.safeTransfer(payout, amount);
        return amount;
    }

    /// @dev Each registered ancestor gets its royalty of the fee; all together at most `capBps`, then
    /// each in proportion to its royalty.
    function _payLineage(
        bytes32 asset,
        uint256 delta,
        uint256 capBps
    ) private returns (uint256 paid) {
        if (capBps == 0) return 0;
        bytes32[] memory ancestors = registry.lineageOf(asset);
        uint256 sum = 0;
        for (uint256 i = 0; i < ancestors.length; ++i) sum += registry.royaltyBpsOf(ancestors[i]);
        if (sum == 0) return 0;
        (uint256 most, uint256 scale) = sum > capBps ? (capBps, sum) : (1, 1);
        for (uint256 i = 0; i < ancestors.length; ++i) {
            uint256 royalty = registry.royaltyBpsOf(ancestors[i]);
            uint256 amount = (delta * royalty * most) / (ALL_BPS * scale);
            if (amount == 0) continue;
            paid += amount;
            address payout = registry.modelPayout(ancestors[i]);
            emit RoyaltyPaid(ancestors[i], payout, amount);
            token.safeTransfer(payout, amount);
        }
    }

    function _credit(bytes32 channel, bytes32 asset, uint256 amount) private {
        bytes32 pot = feePot(channel, asset);
        (, , , , , , uint256 touched) = pool.potOf(pot);
        if (touched != 0) pool.topUp(pot, amount);
        else pool.fund(keccak256(abi.encode(channel, asset)), amount, 0, 0, asset);
    }
}
