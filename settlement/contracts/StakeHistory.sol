// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IStakeHistory} from "./interfaces/IStakeHistory.sol";

/// @title Stake by epoch, and a Fenwick tree over the enlisted jurors for draws by it.
/// @dev Places are 1, 2, 3, ... in order of first enlisting and never reused. Node p of the tree holds
/// the sum of the weights of places (p - lowbit(p), p], with its history. Invariants: the sum over the
/// places up to p is what the nodes on p's path hold, in every epoch; the weight of an enlisted juror
/// is its bonded stake, of every other operator zero. An update writes one node for each bit of the
/// number of places, a draw reads as many.
abstract contract StakeHistory is IStakeHistory {
    using Checkpoints for Checkpoints.Trace208;

    /// Seconds of a stake epoch.
    uint256 public immutable epochSeconds;

    /// Whether the operator takes part in draws.
    mapping(address operator => bool) public isJuror;

    mapping(address operator => Checkpoints.Trace208) private _bonded;
    mapping(address operator => uint256) private _place;
    address[] private _jurors; // by place - 1
    Checkpoints.Trace208 private _places; // how many there were
    mapping(uint256 place => Checkpoints.Trace208) private _nodes;
    mapping(uint256 place => uint256) private _weights;

    constructor(uint32 epochSeconds_) {
        epochSeconds = epochSeconds_;
    }

    /// @inheritdoc IStakeHistory
    function stakeEpoch() public view returns (uint48) {
        return uint48(block.timestamp / epochSeconds);
    }

    /// @inheritdoc IStakeHistory
    function stakeAt(address operator, uint48 epoch) external view returns (uint256) {
        return _bonded[operator].upperLookupRecent(epoch);
    }

    /// @inheritdoc IStakeHistory
    function jurorStakeAt(uint48 epoch) external view returns (uint256) {
        return _sum(_places.upperLookupRecent(epoch), epoch);
    }

    /// @inheritdoc IStakeHistory
    function jurorAt(
        uint48 epoch,
        uint256 point
    ) external view returns (address juror, uint256 start, uint256 weight) {
        uint256 count = _places.upperLookupRecent(epoch);
        uint256 before = 0; // places whose points all lie at or below `point`
        uint256 left = point;
        for (uint256 step = _highbit(count); step != 0; step >>= 1) {
            uint256 next = before + step;
            if (next > count) continue;
            uint256 sum = _nodes[next].upperLookupRecent(epoch);
            if (sum <= left) (before, left) = (next, left - sum);
        }
        if (before == count) revert NoJuror(epoch, point);
        start = point - left;
        return (_jurors[before], start, _sum(before + 1, epoch) - start);
    }

    /// @inheritdoc IStakeHistory
    function jurorRange(
        uint48 epoch,
        address operator
    ) external view returns (uint256 start, uint256 weight) {
        uint256 place = _place[operator];
        if (place == 0 || place > _places.upperLookupRecent(epoch)) return (0, 0);
        start = _sum(place - 1, epoch);
        weight = _sum(place, epoch) - start;
    }

    /// @inheritdoc IStakeHistory
    function jurorCount() external view returns (uint256) {
        return _jurors.length;
    }

    /// @dev To be called after every change of an operator's bonded stake.
    function _record(address operator, uint256 bonded) internal {
        // Bonded coins exist, and the supply fits 128 bits.
        _bonded[operator].push(stakeEpoch(), uint208(bonded));
        if (isJuror[operator]) _weigh(_place[operator], bonded);
    }

    function _enlist(address operator, bool enlisted, uint256 bonded) internal {
        isJuror[operator] = enlisted;
        if (_place[operator] == 0) _place[operator] = _append(operator);
        _weigh(_place[operator], enlisted ? bonded : 0);
    }

    /// @dev Weight of the places up to one.
    function _sum(uint256 place, uint48 epoch) private view returns (uint256 sum) {
        for (uint256 p = place; p != 0; p -= _lowbit(p)) {
            sum += _nodes[p].upperLookupRecent(epoch);
        }
    }

    /// @dev A new node starts with what the nodes below it hold; the new place itself weighs nothing.
    function _append(address operator) private returns (uint256 place) {
        _jurors.push(operator);
        place = _jurors.length;
        uint256 first = place - _lowbit(place);
        uint208 sum = 0;
        for (uint256 p = place - 1; p > first; p -= _lowbit(p)) sum += _nodes[p].latest();
        _nodes[place].push(stakeEpoch(), sum);
        _places.push(stakeEpoch(), uint208(place));
    }

    function _weigh(uint256 place, uint256 weight) private {
        uint208 less = uint208(_weights[place]);
        uint208 more = uint208(weight);
        _weights[place] = weight;
        uint48 epoch = stakeEpoch();
        for (uint256 p = place; p <= _jurors.length; p += _lowbit(p)) {
            _nodes[p].push(epoch, _nodes[p].latest() - less + more);
        }
    }

    function _lowbit(uint256 number) private pure returns (uint256) {
        return number & (~number + 1);
    }

    function _highbit(uint256 number) private pure returns (uint256 bit) {
        if (number == 0) return 0;
        bit = 1;
        while (bit <= number >> 1) bit <<= 1;
    }
}
