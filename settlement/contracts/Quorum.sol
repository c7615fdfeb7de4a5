// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title m of n fixed seats sign one digest.
/// @dev Invariants: seats are distinct and non-zero and never change; 0 < threshold <= seatCount.
/// Exactly `threshold` signatures are taken, in strictly ascending order of the signers' addresses,
/// which makes repeats impossible; ECDSA refuses high s.
abstract contract Quorum {
    /// Number of signatures needed.
    uint256 public immutable threshold;

    address[] private _seats;
    mapping(address seat => bool) public isSeat;

    /// Seats must be distinct, non-zero, and at least `threshold` many; the threshold is at least 1.
    error BadSeats();
    /// Exactly `needed` signatures are taken.
    error WrongSignatureCount(uint256 given, uint256 needed);
    /// The signer holds no seat.
    error NotSeated(address signer);
    /// Signatures must be ordered by signer, each once.
    error SignersUnsorted(address previous, address signer);

    constructor(address[] memory seats, uint256 threshold_) {
        if (threshold_ == 0 || threshold_ > seats.length) revert BadSeats();
        for (uint256 i = 0; i < seats.length; ++i) {
            if (seats[i] == address(0) || isSeat[seats[i]]) revert BadSeats();
            isSeat[seats[i]] = true;
        }
        _seats = seats;
        threshold = threshold_;
    }

    /// @notice Number of seats.
    function seatCount() external view returns (uint256) {
        return _seats.length;
    }

    /// @notice The seat at a position.
    function seatAt(uint256 position) external view returns (address) {
        return _seats[position];
    }

    /// @dev The signers of `digest`, ascending; reverts unless exactly `threshold` seats signed.
    function _signers(
        bytes32 digest,
        bytes[] calldata signatures
    ) internal view returns (address[] memory signers) {
        uint256 needed = threshold;
        if (signatures.length != needed) revert WrongSignatureCount(signatures.length, needed);
        signers = new address[](needed);
        address previous = address(0);
        for (uint256 i = 0; i < needed; ++i) {
            address signer = ECDSA.recoverCalldata(digest, signatures[i]);
            if (!isSeat[signer]) revert NotSeated(signer);
            if (signer <= previous) revert SignersUnsorted(previous, signer);
            signers[i] = signer;
            previous = signer;
        }
    }
}
