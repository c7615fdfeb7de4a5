// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInferenceChannels} from "settlement/interfaces/IInferenceChannels.sol";
import {IRuleRegistry} from "settlement/interfaces/IRuleRegistry.sol";
import {ChannelsScene} from "./ChannelsScene.sol";

/// @title Payers, hosts and votes in any order; what must be refused on the way.
/// @dev The payers are accounts 0 and 9, the hosts operators 1 to 4. Two models have owners, one has not.
contract ChannelsPlay is ChannelsScene {
    uint256 private constant MOST_CHANNELS = 6;
    uint256 public constant ASSETS = 3;

    bytes32[] public ids;
    mapping(bytes32 id => uint256) public payerOf;
    /// What the last voucher signed of an asset and a version; its highest ceiling; what is due.
    mapping(bytes32 id => mapping(uint256 asset => mapping(uint32 version => uint256))) public used;
    mapping(bytes32 id => mapping(uint256 asset => mapping(uint32 version => uint256))) public due;
    mapping(bytes32 id => uint256) public highest;
    mapping(bytes32 id => uint256) public spent;
    uint256 public dueInAll;
    mapping(string what => uint256) public did;
    uint256 private _salt;
    bytes32[ASSETS] private _assets;

    constructor() {
        found();
        bytes32[] memory lineage = new bytes32[](1);
        vm.prank(account(2));
        lineage[0] = registry.registerModel("adapter", new bytes32[](0), 500);
        vm.prank(account(3)); // the same content
        _assets = [lineage[0], registry.registerModel("adapter", lineage, 100), bytes32("nobody's")];
        vm.prank(account(0));
        token.transfer(account(9), 10_000 * OPEN);
        allowPayers();
    }

    function do_open(uint256 who, uint256 host, uint256 amount) external {
        uint256 place_ = _spent();
        if (place_ == MOST_CHANNELS) return;
        uint256 payer = 9 * (who % 2);
        vm.prank(account(payer));
        bytes32 id = channels.open(
            bytes32(++_salt),
            account(1 + (host % OWNERS)),
            within(amount, 1, 100 * OPEN)
        );
        payerOf[id] = payer;
        if (place_ == ids.length) ids.push(id);
        else ids[place_] = id;
        ++did["open"];
    }

    function do_topUp(uint256 which, uint256 amount) external {
        if (ids.length == 0) return;
        bytes32 id = ids[which % ids.length];
        (, , , , uint256 closesAt, bool closed, ) = channels.channelOf(id);
        amount = within(amount, 1, 50 * OPEN);
        bytes memory data = abi.encodeCall(channels.topUp, (id, amount));
        if (closed || closesAt != 0) {
            refusedCall(
                data,
                closed
                    ? IInferenceChannels.UnknownChannel.selector
                    : IInferenceChannels.ChannelIsClosing.selector
            );
        } else {
            vm.prank(account(0));
            channels.topUp(id, amount);
            ++did["top up"];
        }
    }

    function do_claim(uint256 which, uint256 seed, uint256 amount, uint256 slack) external {
        if (ids.length == 0) return;
        bytes32 id = ids[which % ids.length];
        (uint256 deposit, bool closed) = _deposit(id);
        if (closed) return;
        (IInferenceChannels.Usage[] memory usage, uint256 added) = _usage(id, seed, amount);
        uint256 ceiling = spent[id] + added;
        if (ceiling < deposit) ceiling += slack % (deposit - ceiling + 1);
        bytes memory data = claimData(id, ceiling, usage, payerOf[id]);
        if (ceiling > deposit) {
            refusedCall(data, IInferenceChannels.CeilingAboveDeposit.selector);
            ++did["above deposit"];
        } else if (added == 0) {
            refusedCall(data, IInferenceChannels.NothingToClaim.selector);
            ++did["nothing"];
        } else {
            (bool accepted, ) = address(channels).call(data);
            check(accepted, "an honest voucher");
            if (ceiling > highest[id]) highest[id] = ceiling;
            spent[id] += added;
            for (uint256 i = 0; i < usage.length; ++i) _booked(id, usage[i], i);
            refusedCall(data, IInferenceChannels.NothingToClaim.selector); // a voucher pays once
            ++did["claim"];
        }
    }

    function do_sweep(uint256 which) external {
        if (ids.length == 0) return;
        bytes32 id = ids[which % ids.length];
        uint32 last = rules.versionAt(block.timestamp);
        for (uint256 i = 0; i < ASSETS; ++i) {
            for (uint32 version = 1; version <= last; ++version) {
                IInferenceChannels.Booked[] memory parts = new IInferenceChannels.Booked[](1);
                parts[0] = IInferenceChannels.Booked(asset(i), version);
                uint256 amount = due[id][i][version];
                bytes memory data = abi.encodeCall(channels.sweep, (id, parts));
                if (amount == 0) {
                    if (which % 5 == 0) refusedCall(data, IInferenceChannels.NothingDue.selector);
                    continue;
                }
                uint256 before = token.balanceOf(address(channels));
                channels.sweep(id, parts);
                check(before - token.balanceOf(address(channels)) == amount, "a sweep pays all of it");
                due[id][i][version] = 0;
                dueInAll -= amount;
                ++did["sweep"];
            }
        }
    }

    function do_startClose(uint256 which) external {
        if (ids.length == 0) return;
        bytes32 id = ids[which % ids.length];
        (, , , , uint256 closesAt, bool closed, ) = channels.channelOf(id);
        if (closesAt != 0 || closed) return;
        refusedCall(
            abi.encodeCall(channels.close, (id)),
            IInferenceChannels.CloseAhead.selector
        );
        vm.prank(account(payerOf[id]));
        channels.startClose(id);
    }

    /// @dev After the delay the rest goes back; before it the host may still claim.
    function do_close(uint256 which) external {
        if (ids.length == 0) return;
        bytes32 id = ids[which % ids.length];
        (, , uint256 deposit, uint256 spent_, uint256 closesAt, bool closed, ) = channels.channelOf(id);
        if (closesAt == 0 || closed) return;
        if (block.timestamp < closesAt) {
            refusedCall(
                abi.encodeCall(channels.close, (id)),
                IInferenceChannels.CloseAhead.selector
            );
            return;
        }
        uint256 before = token.balanceOf(account(payerOf[id]));
        channels.close(id);
        check(token.balanceOf(account(payerOf[id])) - before == deposit - spent_, "the rest goes back");
        ++did["close"];
    }

    /// @dev A vote: other shares from a later second on.
    function do_vote(uint256 host, uint256 treasury_, uint256 wait) external {
        uint32 last = rules.lastVersion();
        if (last == 6) return;
        IRuleRegistry.Rules memory next = rules.rulesOf(last);
        next.feeHostBps = uint16(within(host, 0, 3_000));
        next.feeTreasuryBps = uint16(within(treasury_, 0, 2_000));
        next.feeContributorsBps =
            10_000 -
            next.feeHostBps -
            next.feeTreasuryBps -
            next.feeOwnerBps -
            next.feeLineageBps;
        uint256 start = block.timestamp + 1 + (wait % 30);
        if (start < rules.effectiveAt(last)) start = rules.effectiveAt(last);
        vm.prank(rules.timelock());
        rules.append(next, start);
        ++did["vote"];
    }

    function do_wait(uint256 seconds_) external {
        vm.warp(block.timestamp + within(seconds_, 0, 20));
    }

    // -- what never may succeed ---

    function must_fail_claim_with_a_defect(
        uint256 which,
        uint256 seed,
        uint256 amount,
        uint256 defect
    ) external {
        if (ids.length == 0) return;
        bytes32 id = ids[which % ids.length];
        (uint256 deposit, bool closed) = _deposit(id);
        (IInferenceChannels.Usage[] memory usage, uint256 added) = _usage(id, seed, amount);
        if (closed || added == 0 || spent[id] + added > deposit) return;
        _spoil(id, spent[id] + added, usage, defect % 6);
        ++did["defect"];
    }

    function must_fail_startClose_by_others(uint256 which) external {
        if (ids.length == 0) return;
        bytes32 id = ids[which % ids.length];
        (, , , , , bool closed, ) = channels.channelOf(id);
        if (closed) return;
        refusedCall(abi.encodeCall(channels.startClose, (id)), IInferenceChannels.NotPayer.selector);
    }

    // -- reading ---

    function count() external view returns (uint256) {
        return ids.length;
    }

    function asset(uint256 number) public view returns (bytes32) {
        return _assets[number];
    }

    // -- inside ---

    /// @dev A closed channel of which nothing is due, or the end of the list.
    function _spent() private view returns (uint256 position) {
        for (; position < ids.length; ++position) {
            (, , , , , bool closed, ) = channels.channelOf(ids[position]);
            if (closed && ids.length == MOST_CHANNELS && !_owes(ids[position])) break;
        }
    }

    function _owes(bytes32 id) private view returns (bool) {
        for (uint256 i = 0; i < ASSETS; ++i) {
            for (uint32 version = 1; version <= 6; ++version) {
                if (due[id][i][version] != 0) return true;
            }
        }
        return false;
    }

    /// @dev One to three entries, ascending by asset, each of some version in force so far.
    function _usage(
        bytes32 id,
        uint256 seed,
        uint256 amount
    ) private view returns (IInferenceChannels.Usage[] memory usage, uint256 added) {
        uint32 inForce = rules.versionAt(block.timestamp);
        uint256[] memory order = _ascending();
        usage = new IInferenceChannels.Usage[](1 + (seed % ASSETS));
        amount = within(amount, 0, 20 * OPEN);
        for (uint256 i = 0; i < usage.length; ++i) {
            uint32 version = uint32(1 + ((seed >> (8 * (i + 1))) % inForce));
            uint256 more = (amount >> i) % (10 * OPEN);
            uint256 before = used[id][order[i]][version];
            usage[i] = IInferenceChannels.Usage(asset(order[i]), version, before + more);
            added += more;
        }
    }

    function _ascending() private view returns (uint256[] memory order) {
        order = new uint256[](ASSETS);
        for (uint256 i = 0; i < ASSETS; ++i) {
            uint256 position = 0;
            for (uint256 j = 0; j < ASSETS; ++j) if (asset(j) < asset(i)) ++position;
            order[position] = i;
        }
    }

    function _booked(
        bytes32 id,
        IInferenceChannels.Usage memory entry,
        uint256 position
    ) private {
        uint256 number = _ascending()[position];
        uint32 version = entry.ruleVersion;
        uint256 delta = entry.cumulative - used[id][number][version];
        used[id][number][version] = entry.cumulative;
        check(channels.usedOf(id, entry.asset, version) == entry.cumulative, "what was claimed");
        uint32 inForce = rules.versionAt(block.timestamp);
        bool over = version != inForce &&
            block.timestamp > rules.effectiveAt(version + 1) + channels.closeSeconds();
        due[id][number][over ? inForce : version] += delta;
        dueInAll += delta;
    }

    function _deposit(bytes32 id) private view returns (uint256 deposit, bool closed) {
        (, , deposit, , , closed, ) = channels.channelOf(id);
    }

    /// @dev An honest voucher but for one thing, which must be refused for that.
    function _spoil(
        bytes32 id,
        uint256 ceiling,
        IInferenceChannels.Usage[] memory usage,
        uint256 defect
    ) private {
        uint256 payer = payerOf[id];
        if (defect == 0) {
            bytes memory data = claimData(id, ceiling, usage, 1);
            refusedCall(data, IInferenceChannels.WrongSigner.selector);
        } else if (defect == 1) {
            // signed for one asset, claimed for another
            bytes memory signed = signature(payer, digestOf(id, ceiling, usage));
            usage[0].asset = "another";
            bytes memory data = abi.encodeCall(channels.claim, (id, ceiling, usage, signed));
            refusedCall(data, IInferenceChannels.WrongSigner.selector);
        } else if (defect == 2) {
            usage[0].ruleVersion = rules.versionAt(block.timestamp) + 1;
            bytes memory data = claimData(id, ceiling, usage, payer);
            refusedCall(data, IInferenceChannels.RulesAhead.selector);
        } else if (defect == 3) {
            IInferenceChannels.Usage[] memory twice = new IInferenceChannels.Usage[](2);
            (twice[0], twice[1]) = (usage[0], usage[0]);
            bytes memory data = claimData(id, ceiling, twice, payer);
            refusedCall(data, IInferenceChannels.UsageUnsorted.selector);
        } else if (defect == 4) {
            bytes4 answer = answerOf(claimData(id, ceiling - 1, usage, payer));
            bool above = answer == IInferenceChannels.SpentAboveCeiling.selector;
            check(above || answer == IInferenceChannels.UsageAboveCeiling.selector, "the ceiling");
        } else {
            uint256 before = channels.usedOf(id, usage[0].asset, usage[0].ruleVersion);
            if (before == 0) return;
            usage[0].cumulative = before - 1;
            bytes memory data = claimData(id, ceiling, usage, payer);
            refusedCall(data, IInferenceChannels.UsageNotMonotone.selector);
            ++did["falls"];
        }
    }
}
