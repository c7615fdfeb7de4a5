// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A public, ordered notebook: who committed to what, and when. Events only, no storage.
/// @notice The order is the order of the chain: block, then position. Topics and subjects have no
/// meaning here; readers filter by (topic, subject, operator) and judge.
contract CommitLog {
    struct Entry {
        bytes32 topic;
        bytes32 subject;
        bytes32 value;
    }

    event Committed(
        bytes32 indexed topic,
        bytes32 indexed subject,
        address indexed operator,
        bytes32 value
    );

    /// @notice Commit to one value.
    function commit(bytes32 topic, bytes32 subject, bytes32 value) external {
        emit Committed(topic, subject, msg.sender, value);
    }

    /// @notice Commit to many values in one transaction, in order.
    function commitMany(Entry[] calldata entries) external {
        for (uint256 i = 0; i < entries.length; ++i) {
            emit Committed(entries[i].topic, entries[i].subject, msg.sender, entries[i].value);
        }
    }
}
