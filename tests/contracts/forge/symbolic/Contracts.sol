// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AggregatorSets} from "settlement/AggregatorSets.sol";
import {AssetRegistry} from "settlement/AssetRegistry.sol";
import {AttributionPool} from "settlement/AttributionPool.sol";
import {OpenToken} from "settlement/OpenToken.sol";
import {RuleRegistry} from "settlement/RuleRegistry.sol";
import {WorkerStake} from "settlement/WorkerStake.sol";
import {IAggregatorSets} from "settlement/interfaces/IAggregatorSets.sol";
import {IAttributionPool} from "settlement/interfaces/IAttributionPool.sol";
import {IRuleRegistry} from "settlement/interfaces/IRuleRegistry.sol";

/// @dev The cheat codes that halmos knows and these properties use.
interface Vm {
    function addr(uint256 key) external pure returns (address);
    function assume(bool condition) external pure;
    function prank(address sender) external;
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function warp(uint256 time) external;
}

/// @title The contracts that hold money, from their own sources with the network's compiler settings.
/// @dev tests/contracts/symbolic.py compares their code with the committed artifacts. This contract is
/// funder, payer, only owner and only staker; it stands where Arbiter and timelock would.
abstract contract Contracts {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 internal constant STAKE = 1e20;
    uint256 internal constant START = 1_800_000_000;
    uint32 internal constant STALL = 60;
    uint32 internal constant WINDOW = 10;
    address internal constant PAYOUT = address(0x5001);
    address internal constant TREASURY = address(0x5002);
    bytes32 internal constant GENESIS = bytes32(0);

    OpenToken internal token;
    AssetRegistry internal registry;
    RuleRegistry internal rules;
    WorkerStake internal stake;
    AggregatorSets internal sets;
    AttributionPool internal pool;

    function deploy() internal {
        vm.warp(START);
        token = new OpenToken(type(uint128).max);
        // halmos numbers new addresses one after the other
        address poolAt = address(uint160(address(token)) + 5);
        registry = new AssetRegistry(20);
        rules = new RuleRegistry(address(this), address(this), 5, 20, _rules());
        stake = new WorkerStake(token, registry, address(this), poolAt, 1_000, 7, 1e18);
        address[] memory seats = new address[](1);
        seats[0] = address(this);
        sets = new AggregatorSets(IAttributionPool(poolAt), rules, seats, 1);
        pool = new AttributionPool(
            token,
            AttributionPool.Peers(
                registry,
                stake,
                IAggregatorSets(address(sets)),
                address(rules),
                address(this),
                address(this)
            ),
            AttributionPool.Terms(WINDOW, 20, 5e18, 100, STALL)
        );
        require(address(pool) == poolAt, "not at its predicted address");
        token.approve(address(stake), type(uint256).max);
        token.approve(address(pool), type(uint256).max);
        registry.registerOwner(PAYOUT);
        stake.deposit(address(this), STAKE);
    }

    /// @dev SIMNET's shares, see protocol/rules.py.
    function _rules() private pure returns (IRuleRegistry.Rules memory r) {
        (r.contributorsBps, r.modelOwnerBps, r.privateCapBps) = (5_000, 0, 1_000);
        (r.feeHostBps, r.feeContributorsBps, r.feeOwnerBps) = (2_000, 6_000, 1_000);
        (r.feeLineageBps, r.feeTreasuryBps) = (500, 500);
        (r.samples, r.verifiers, r.window) = (2, 2, WINDOW);
        (r.unitPay, r.unitStake, r.slash) = (1e18, 5e18, 5e18);
    }
}
