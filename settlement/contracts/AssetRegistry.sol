// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Owners in order of registration, and what they own.
/// @notice An owner is an operator key (online, holds gas only) with a payout address (needed
/// nowhere). Leaves of the payout tree name the owner's index; the payout address is looked up when
/// a claim is paid, so rotating it changes no leaf.
/// An asset is content under an operator: its id binds both, so whoever registers the content of another
/// gets an asset of its own, which nobody means who knows whose asset is meant.
/// @dev Invariants: indices are 0, 1, 2, ... and never reused; an operator has one index for ever; the
/// owner of an id is the operator in it.
contract AssetRegistry {
    struct Owner {
        address operator;
        uint64 registeredAt; // unix seconds
        address payout;
        uint64 payoutFrom; // unix seconds from which nextPayout is in force; 0: no change pending
        address nextPayout;
    }

    struct Datanet {
        uint64 owner; // index + 1; 0: unknown
        uint8 dataClass;
    }

    struct Model {
        uint64 owner; // index + 1; 0: unknown
        uint16 royaltyBps;
    }

    /// Highest data class: 0 open, 1 consented, 2 private.
    uint8 public constant MAX_DATA_CLASS = 2;
    /// Most ancestors that a model may name.
    uint256 public constant MAX_LINEAGE = 64;
    // What an id hashes first, as EIP-712 hashes structs: no id of one kind is one of the other.
    bytes32 private constant DATANET_TYPEHASH = keccak256("Datanet(address operator,bytes32 content)");
    bytes32 private constant MODEL_TYPEHASH = keccak256("Model(address operator,bytes32 content)");
    /// Seconds between an operator's call of setPayout and its effect.
    uint256 public immutable payoutDelay;

    Owner[] private _owners;
    mapping(address operator => uint256 indexPlusOne) private _index;
    mapping(bytes32 id => Datanet) private _datanets;
    mapping(bytes32 id => Model) private _models;
    mapping(bytes32 id => bytes32[]) private _lineages;

    event OwnerRegistered(uint256 indexed index, address indexed operator, address payout);
    event PayoutScheduled(uint256 indexed index, address payout, uint256 effectiveAt);
    event PayoutChanged(uint256 indexed index, address payout);
    event DatanetRegistered(
        bytes32 indexed id,
        uint256 indexed owner,
        bytes32 content,
        uint8 dataClass
    );
    event ModelRegistered(
        bytes32 indexed id,
        uint256 indexed owner,
        bytes32 content,
        bytes32[] lineage,
        uint16 royaltyBps
    );

    /// The payout address may not be zero.
    error ZeroPayout();
    /// The operator has this index already.
    error AlreadyRegistered(uint256 index);
    /// The address is no registered operator.
    error NotRegistered(address operator);
    /// No owner has this index.
    error UnknownOwner(uint256 index);
    /// Only the current payout address or the operator may change it.
    error NotOwner(uint256 index, address caller);
    /// The caller has registered this content before.
    error AssetExists(bytes32 id);
    /// No asset has this id.
    error UnknownAsset(bytes32 id);
    /// Data classes are 0, 1, 2.
    error BadDataClass(uint8 dataClass);
    /// A royalty is at most 10,000 basis points.
    error BadRoyalty(uint16 royaltyBps);
    /// A lineage has at most MAX_LINEAGE entries.
    error LineageTooLong(uint256 length);

    constructor(uint32 payoutDelay_) {
        payoutDelay = payoutDelay_;
    }

    /// @notice Register the caller as operator of the next index.
    function registerOwner(address payout) external returns (uint256 index) {
        if (payout == address(0)) revert ZeroPayout();
        if (_index[msg.sender] != 0) revert AlreadyRegistered(_index[msg.sender] - 1);
        index = _owners.length;
        _owners.push(Owner(msg.sender, uint64(block.timestamp), payout, 0, address(0)));
        _index[msg.sender] = index + 1;
        emit OwnerRegistered(index, msg.sender, payout);
    }

    /// @notice Change a payout address: at once by itself (which also cancels a pending change), after
    /// payoutDelay by the operator, so that a stolen operator key diverts nothing unnoticed.
    function setPayout(uint256 index, address newPayout) external {
        if (newPayout == address(0)) revert ZeroPayout();
        address current = payoutOf(index);
        Owner storage owner = _owners[index];
        if (msg.sender == current) {
            owner.payout = newPayout;
            owner.payoutFrom = 0;
            emit PayoutChanged(index, newPayout);
        } else if (msg.sender == owner.operator) {
            owner.payout = current;
            owner.nextPayout = newPayout;
            owner.payoutFrom = uint64(block.timestamp + payoutDelay);
            emit PayoutScheduled(index, newPayout, owner.payoutFrom);
        } else {
            revert NotOwner(index, msg.sender);
        }
    }

    /// @notice Register content as a Datanet of the caller's: its manifest's hash, and its class.
    function registerDatanet(bytes32 content, uint8 dataClass) external returns (bytes32 id) {
        uint256 owner = ownerIndex(msg.sender);
        if (dataClass > MAX_DATA_CLASS) revert BadDataClass(dataClass);
        id = datanetId(msg.sender, content);
        if (_datanets[id].owner != 0) revert AssetExists(id);
        _datanets[id] = Datanet(uint64(owner + 1), dataClass);
        emit DatanetRegistered(id, owner, content, dataClass);
    }

    /// @notice Register content as a model or adapter of the caller's, with the ids of its ancestors and
    /// its royalty.
    function registerModel(
        bytes32 content,
        bytes32[] calldata lineage,
        uint16 royaltyBps
    ) external returns (bytes32 id) {
        uint256 owner = ownerIndex(msg.sender);
        if (royaltyBps > 10_000) revert BadRoyalty(royaltyBps);
        if (lineage.length > MAX_LINEAGE) revert LineageTooLong(lineage.length);
        id = modelId(msg.sender, content);
        if (_models[id].owner != 0) revert AssetExists(id);
        _models[id] = Model(uint64(owner + 1), royaltyBps);
        _lineages[id] = lineage;
        emit ModelRegistered(id, owner, content, lineage, royaltyBps);
    }

    /// @notice The id of a Datanet: it binds whoever registers it.
    function datanetId(address operator, bytes32 content) public pure returns (bytes32) {
        return keccak256(abi.encode(DATANET_TYPEHASH, operator, content));
    }

    /// @notice The id of a model: it binds whoever registers it.
    function modelId(address operator, bytes32 content) public pure returns (bytes32) {
        return keccak256(abi.encode(MODEL_TYPEHASH, operator, content));
    }

    /// @notice Number of owners; the next index.
    function ownerCount() external view returns (uint256) {
        return _owners.length;
    }

    /// @notice Whether the address is a registered operator.
    function isRegistered(address operator) external view returns (bool) {
        return _index[operator] != 0;
    }

    /// @notice The index of an operator; reverts NotRegistered.
    function ownerIndex(address operator) public view returns (uint256) {
        uint256 indexPlusOne = _index[operator];
        if (indexPlusOne == 0) revert NotRegistered(operator);
        return indexPlusOne - 1;
    }

    /// @notice The operator of an index; reverts UnknownOwner.
    function operatorOf(uint256 index) public view returns (address) {
        if (index >= _owners.length) revert UnknownOwner(index);
        return _owners[index].operator;
    }

    /// @notice The payout address in force now; reverts UnknownOwner.
    function payoutOf(uint256 index) public view returns (address) {
        if (index >= _owners.length) revert UnknownOwner(index);
        Owner storage owner = _owners[index];
        uint256 from = owner.payoutFrom;
        return from != 0 && block.timestamp >= from ? owner.nextPayout : owner.payout;
    }

    /// @notice Operator and payout address of an index in one call.
    function ownerAt(uint256 index) external view returns (address operator, address payout) {
        return (operatorOf(index), payoutOf(index));
    }

    /// @notice The payout address in force now; zero for an index that nobody has. For contracts that
    /// ask for many: one read of storage.
    function payoutAt(uint256 index) external view returns (address) {
        if (index > type(uint64).max) return address(0);
        Owner storage owner;
        // An element of the list without a look at the list's length; beyond it storage is zero.
        assembly ("memory-safe") {
            mstore(0, _owners.slot)
            owner.slot := add(keccak256(0, 32), mul(index, 3))
        }
        uint256 from = owner.payoutFrom;
        return from != 0 && block.timestamp >= from ? owner.nextPayout : owner.payout;
    }

    /// @notice Unix seconds when an index was registered; reverts UnknownOwner.
    function registeredAt(uint256 index) external view returns (uint256) {
        operatorOf(index);
        return _owners[index].registeredAt;
    }

    /// @notice The payout address in force of a registered operator; reverts NotRegistered.
    function payoutOfOperator(address operator) external view returns (address) {
        return payoutOf(ownerIndex(operator));
    }

    /// @notice Owner index and class of a Datanet; reverts UnknownAsset.
    function datanetOf(bytes32 id) external view returns (uint256 owner, uint8 dataClass) {
        Datanet storage datanet = _datanets[id];
        if (datanet.owner == 0) revert UnknownAsset(id);
        return (datanet.owner - 1, datanet.dataClass);
    }

    /// @notice Owner index of a model; reverts UnknownAsset.
    function modelOwner(bytes32 id) public view returns (uint256) {
        uint256 indexPlusOne = _models[id].owner;
        if (indexPlusOne == 0) revert UnknownAsset(id);
        return indexPlusOne - 1;
    }

    /// @notice Royalty of a model in basis points; reverts UnknownAsset.
    function royaltyOf(bytes32 id) external view returns (uint16) {
        if (_models[id].owner == 0) revert UnknownAsset(id);
        return _models[id].royaltyBps;
    }

    /// @notice Royalty of a model in basis points, 0 for an unregistered one.
    function royaltyBpsOf(bytes32 id) external view returns (uint16) {
        return _models[id].royaltyBps;
    }

    /// @notice The ids of the ancestors that a model names, registered or not; none for an unregistered model.
    function lineageOf(bytes32 id) external view returns (bytes32[] memory) {
        return _lineages[id];
    }

    /// @notice The payout address of a model's owner, zero for an unregistered model.
    function modelPayout(bytes32 id) external view returns (address) {
        uint256 indexPlusOne = _models[id].owner;
        return indexPlusOne == 0 ? address(0) : payoutOf(indexPlusOne - 1);
    }
}
