// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Guardian} from "./Guardian.sol";
import {IRuleRegistry} from "./interfaces/IRuleRegistry.sol";
import {ISuccessors} from "./interfaces/ISuccessors.sol";

/// @title What governance may say: the rules by version, who may pause, what comes after a contract.
/// @dev See IRuleRegistry, IGuardian, ISuccessors. One contract, so that a commit reads version and
/// pause at one warm address.
contract RuleRegistry is IRuleRegistry, ISuccessors, Guardian {
    uint256 private constant ALL_BPS = 10_000;
    uint256 private constant MIN_CONTRIBUTORS_BPS = 1_000;
    uint256 private constant MAX_CONTRIBUTORS_BPS = 9_000;
    uint256 private constant MAX_TREASURY_BPS = 2_000;
    uint256 private constant MIN_SAMPLES = 2;
    uint256 private constant MIN_VERIFIERS = 2;
    uint256 private constant MIN_STAKE_PER_PAY = 4;

    /// @inheritdoc IRuleRegistry
    address public immutable timelock;
    /// @inheritdoc IRuleRegistry
    uint256 public immutable minWindow;
    /// @inheritdoc IRuleRegistry
    uint256 public immutable maxWindow;
    /// @inheritdoc IRuleRegistry
    uint256 public immutable unitStake;

    /// Starts by version - 1; they never fall.
    uint64[] private _starts;
    mapping(uint32 version => Rules) private _rules;
    mapping(address old => address) private _successors;

    /// @param genesis the rules of version 1, held to the same rails.
    constructor(
        address timelock_,
        address guardian_,
        uint32 minWindow_,
        uint32 maxWindow_,
        Rules memory genesis
    ) Guardian(guardian_) {
        timelock = timelock_;
        minWindow = minWindow_;
        maxWindow = maxWindow_;
        unitStake = genesis.unitStake;
        _checkPot(genesis);
        _checkFee(genesis);
        _checkWork(genesis);
        if (genesis.window < minWindow_ || genesis.window > maxWindow_) revert OffTheRails("window");
        _append(genesis, block.timestamp);
    }

    /// @inheritdoc IRuleRegistry
    function append(Rules calldata rules, uint256 start) external returns (uint32 version) {
        _onlyTimelock();
        _checkPot(rules);
        _checkFee(rules);
        _checkWork(rules);
        if (rules.window < minWindow || rules.window > maxWindow) revert OffTheRails("window");
        uint256 least = block.timestamp + 1;
        uint256 last = _starts[_starts.length - 1];
        if (last > least) least = last;
        if (start < least || start > type(uint64).max) revert StartTooEarly(start, least);
        return _append(rules, start);
    }

    /// @inheritdoc ISuccessors
    function nameSuccessor(address old, address next) external {
        _onlyTimelock();
        if (next == old || next.code.length == 0) revert BadSuccessor(next);
        if (_successors[old] != address(0)) revert SuccessorExists(old, _successors[old]);
        _successors[old] = next;
        emit SuccessorNamed(old, next);
    }

    /// @inheritdoc IRuleRegistry
    function versionAt(uint256 time) external view returns (uint32 version) {
        uint256 known = _starts.length;
        // From the newest on: whoever asks, asks about now or a little before.
        while (known != 0 && _starts[known - 1] > time) --known;
        if (known == 0) revert BeforeGenesis(time);
        return uint32(known);
    }

    /// @inheritdoc IRuleRegistry
    function rulesOf(uint32 version) external view returns (Rules memory) {
        _known(version);
        return _rules[version];
    }

    /// @inheritdoc IRuleRegistry
    function effectiveAt(uint32 version) external view returns (uint256) {
        _known(version);
        return _starts[version - 1];
    }

    /// @inheritdoc IRuleRegistry
    function lastVersion() external view returns (uint32) {
        return uint32(_starts.length);
    }

    /// @inheritdoc ISuccessors
    function successorOf(address old) external view returns (address) {
        return _successors[old];
    }

    function _append(Rules memory rules, uint256 start) private returns (uint32 version) {
        _starts.push(uint64(start));
        version = uint32(_starts.length);
        _rules[version] = rules;
        emit RulesAppended(version, start, rules);
    }

    function _known(uint32 version) private view {
        if (version == 0 || version > _starts.length) revert UnknownVersion(version);
    }

    function _checkPot(Rules memory r) private pure {
        uint256 part = r.contributorsBps;
        if (part < MIN_CONTRIBUTORS_BPS || part > MAX_CONTRIBUTORS_BPS) {
            revert OffTheRails("contributorsBps");
        }
        if (part + r.modelOwnerBps > ALL_BPS) revert OffTheRails("modelOwnerBps");
        if (r.privateCapBps > part) revert OffTheRails("privateCapBps");
    }

    function _checkFee(Rules memory r) private pure {
        uint256 part = r.feeContributorsBps;
        if (part < MIN_CONTRIBUTORS_BPS || part > MAX_CONTRIBUTORS_BPS) {
            revert OffTheRails("feeContributorsBps");
        }
        if (r.feeTreasuryBps > MAX_TREASURY_BPS) revert OffTheRails("feeTreasuryBps");
        uint256 sum = part + r.feeHostBps + r.feeOwnerBps + r.feeLineageBps + r.feeTreasuryBps;
        if (sum != ALL_BPS) revert OffTheRails("fee");
    }

    function _checkWork(Rules memory r) private view {
        if (r.samples < MIN_SAMPLES) revert OffTheRails("samples");
        if (r.verifiers < MIN_VERIFIERS) revert OffTheRails("verifiers");
        // 4 R < 2**130 cannot overflow 256 bits.
        bool covered = r.unitStake >= MIN_STAKE_PER_PAY * r.unitPay;
        if (!covered || r.unitStake != unitStake) revert OffTheRails("unitStake");
        if (r.slash > r.unitStake) revert OffTheRails("slash");
    }

    function _onlyTimelock() internal view override {
        if (msg.sender != timelock) revert NotTimelock(msg.sender);
    }
}
