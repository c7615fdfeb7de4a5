// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {WorkerStake} from "./WorkerStake.sol";
import {IAggregatorSets} from "./interfaces/IAggregatorSets.sol";

/// @title Signatures of a pool's aggregators, and whose stake stands behind them.
/// @dev Invariants: exactly `threshold` signatures are taken, in strictly ascending order of the signers'
/// addresses, which makes repeats impossible; ECDSA refuses high s. A signer's stake backs one pool at a
/// time and leaves it only while that pool has no pending commit, so it never covers two.
abstract contract Signers {
    /// Where a signer sat when it signed last: one slot, so that signing again costs one read.
    struct Backing {
        uint32 poolPlusOne; // number of the pool, plus one; 0: never signed
        uint16 set;
        uint8 position;
    }

    uint256 private constant SIGNATURE = 65;
    /// The set of a staker that proposes alone.
    uint16 internal constant FALLBACK = type(uint16).max;

    WorkerStake public immutable stake;
    /// Who sits in which set.
    IAggregatorSets public immutable sets;

    mapping(address signer => Backing) private _backing;

    /// Exactly `needed` signatures of 65 bytes are taken.
    error WrongSignatureCount(uint256 bytesGiven, uint256 needed);
    /// Signatures must be ordered by signer, each once.
    error SignersUnsorted(address previous, address signer);
    /// The signer's stake still backs a pending commit of this pool.
    error StakeElsewhere(address signer, bytes32 pool);

    constructor(WorkerStake stake_, IAggregatorSets sets_) {
        stake = stake_;
        sets = sets_;
        (address[] memory seats, ) = sets_.seatsOf(0);
        for (uint256 i = 0; i < seats.length; ++i) _backing[seats[i]] = Backing(1, 0, uint8(i));
    }

    /// @dev Whether a pool has a commit that is not active yet.
    function _pending(bytes32 pool) internal view virtual returns (bool);

    /// @dev The signers of `digest` as bits of their positions, and the sum of their stakes; binds them
    /// to the pool. Reverts unless exactly `threshold` seats of the set signed.
    function _signers(
        bytes32 pool,
        uint256 set,
        uint256 threshold,
        bytes32 digest,
        bytes calldata signatures
    ) internal returns (uint256 positions, uint256 staked) {
        if (signatures.length != threshold * SIGNATURE) {
            revert WrongSignatureCount(signatures.length, threshold);
        }
        address previous = address(0);
        for (uint256 start = 0; start < signatures.length; start += SIGNATURE) {
            address signer = ECDSA.recoverCalldata(digest, signatures[start:start + SIGNATURE]);
            if (signer <= previous) revert SignersUnsorted(previous, signer);
            previous = signer;
            positions |= 1 << _bind(pool, set, signer);
            staked += stake.stakeOf(signer);
        }
    }

    /// @dev The signer's position in the set (0 for FALLBACK); its stake stands behind the pool from
    /// now on.
    function _bind(bytes32 pool, uint256 set, address signer) internal returns (uint256 position) {
        Backing memory backing = _backing[signer];
        uint256 poolPlusOne = uint256(pool) + 1;
        bool here = backing.poolPlusOne == poolPlusOne;
        if (here && backing.set == set) return backing.position;
        if (set != FALLBACK) position = sets.positionOf(set, signer);
        bytes32 other = bytes32(uint256(backing.poolPlusOne) - (backing.poolPlusOne == 0 ? 0 : 1));
        if (backing.poolPlusOne != 0 && !here && _pending(other)) revert StakeElsewhere(signer, other);
        _backing[signer] = Backing(uint32(poolPlusOne), uint16(set), uint8(position));
    }

    /// @dev The seats at these positions, ascending by address.
    function _signersAt(uint256 set, uint256 positions) internal view returns (address[] memory) {
        (address[] memory seats, ) = sets.seatsOf(set);
        uint256 found = 0;
        for (uint256 i = 0; i < seats.length; ++i) {
            if ((positions >> i) & 1 != 0) seats[found++] = seats[i];
        }
        assembly ("memory-safe") {
            mstore(seats, found)
        }
        return seats;
    }
}
