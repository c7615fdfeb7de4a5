// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AssetRegistry} from "settlement/AssetRegistry.sol";
import {AttributionPool} from "settlement/AttributionPool.sol";
import {OpenToken} from "settlement/OpenToken.sol";
import {WorkerStake} from "settlement/WorkerStake.sol";
import {IAttributionPool} from "settlement/interfaces/IAttributionPool.sol";
import {Trees} from "./Trees.sol";
import {Typed} from "./Typed.sol";
import {World} from "./World.sol";

/// @title Registered and staked operators, and honest commits of any amounts.
abstract contract Scene is World {
    using Trees for Trees.Tree;

    uint256 internal constant OWNERS = 4;
    uint256 internal constant STAKE = 100 * OPEN;
    bytes32 internal constant GENESIS = bytes32(0);

    OpenToken internal token;
    AssetRegistry internal registry;
    WorkerStake internal stake;
    AttributionPool internal pool;

    /// One commit, ready to be signed, with what claims on it need.
    struct Plan {
        IAttributionPool.Commit epoch;
        IAttributionPool.Draw[] draws;
        IAttributionPool.Root root;
        Trees.Tree tree;
        uint256[] amounts;
    }

    function settle() internal {
        deploy();
        token = OpenToken(place("OpenToken"));
        registry = AssetRegistry(place("AssetRegistry"));
        stake = WorkerStake(place("WorkerStake"));
        pool = AttributionPool(place("AttributionPool"));
        allow(0, address(stake));
        allow(0, address(pool));
        for (uint256 i = 1; i <= OWNERS; ++i) {
            vm.prank(account(i));
            registry.registerOwner(account(i + OWNERS));
            vm.prank(account(0));
            stake.deposit(account(i), STAKE);
        }
    }

    function allow(uint256 owner, address spender) internal {
        vm.prank(account(owner));
        token.approve(spender, type(uint256).max);
    }

    /// @dev The next commit of a pool that pays these cumulative amounts by index.
    function planned(
        bytes32 poolId,
        uint256[] memory amounts,
        IAttributionPool.Draw[] memory draws
    ) internal view returns (Plan memory plan) {
        plan.tree = treeOf(amounts);
        (plan.draws, plan.amounts) = (draws, amounts);
        (uint64 last, , , uint32 ruleVersion) = pool.runningEpoch(poolId);
        (, bytes32 previous) = pool.activeHead(poolId);
        plan.epoch = IAttributionPool.Commit(
            poolId,
            last + 1,
            previous,
            plan.tree.root(),
            plan.tree.total(),
            uint32(amounts.length),
            "evidence",
            ruleVersion
        );
        plan.root = IAttributionPool.Root(
            plan.tree.root(),
            plan.tree.total(),
            amounts.length,
            drawsHash(draws)
        );
    }

    function treeOf(uint256[] memory amounts) internal view returns (Trees.Tree memory) {
        bytes32[] memory owners = new bytes32[](amounts.length);
        for (uint256 i = 0; i < owners.length; ++i) {
            owners[i] = bytes32(uint256(uint160(registry.operatorOf(i))));
        }
        return Trees.build(owners, amounts);
    }

    function signed(
        Plan memory plan,
        uint256 first,
        uint256 second
    ) internal view returns (bytes memory) {
        if (account(first) > account(second)) (first, second) = (second, first);
        bytes32 digest = digestOf(plan);
        return abi.encodePacked(signature(first, digest), signature(second, digest));
    }

    function digestOf(Plan memory plan) internal view returns (bytes32) {
        return digestFor(plan, block.chainid, address(pool));
    }

    function digestFor(
        Plan memory plan,
        uint256 chain,
        address verifier
    ) internal pure returns (bytes32) {
        bytes32 body = keccak256(
            abi.encode(
                keccak256(
                    "EpochCommit(bytes32 pool,uint64 epoch,bytes32 previous,bytes32 root,uint256 total,uint32 leafCount,bytes32 evidence,uint32 ruleVersion,Draw[] draws)Draw(bytes32 pot,uint256 amount)"
                ),
                plan.epoch,
                drawsHash(plan.draws)
            )
        );
        return Typed.digest("AttributionPool", chain, verifier, body);
    }

    function drawsHash(IAttributionPool.Draw[] memory draws) internal pure returns (bytes32) {
        bytes32 typehash = keccak256("Draw(bytes32 pot,uint256 amount)");
        bytes memory hashes;
        for (uint256 i = 0; i < draws.length; ++i) {
            hashes = abi.encodePacked(hashes, keccak256(abi.encode(typehash, draws[i])));
        }
        return keccak256(hashes);
    }

    /// @dev The call that pays an owner `amount` in all.
    function claimData(
        Plan memory plan,
        bytes32 poolId,
        uint256 index,
        uint256 amount,
        bytes memory proof
    ) internal view returns (bytes memory) {
        bytes32 owner = bytes32(uint256(uint160(registry.operatorOf(index))));
        return
            abi.encodeCall(
                pool.claim,
                (poolId, plan.root.leafCount, plan.root.draws, index, owner, amount, proof)
            );
    }

    function one(
        bytes32 pot,
        uint256 amount
    ) internal pure returns (IAttributionPool.Draw[] memory draws) {
        draws = new IAttributionPool.Draw[](1);
        draws[0] = IAttributionPool.Draw(pot, amount);
    }

    function amountsOf(
        uint256 first,
        uint256 second,
        uint256 third,
        uint256 fourth
    ) internal pure returns (uint256[] memory amounts) {
        amounts = new uint256[](OWNERS);
        (amounts[0], amounts[1], amounts[2], amounts[3]) = (first, second, third, fourth);
    }

    /// @dev A call that must be refused with exactly this error.
    function refused(address who, address target, bytes memory data, bytes4 selector) internal {
        vm.prank(who);
        (bool accepted, bytes memory answer) = target.call(data);
        check(!accepted, "what must be refused was accepted");
        check(bytes4(answer) == selector, "refused for another reason");
    }
}
