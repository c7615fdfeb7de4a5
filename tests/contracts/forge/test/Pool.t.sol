// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Signers} from "settlement/Signers.sol";
import {IAggregatorSets} from "settlement/interfaces/IAggregatorSets.sol";
import {IAttributionPool} from "settlement/interfaces/IAttributionPool.sol";
import {IPotBook} from "settlement/interfaces/IPotBook.sol";
import {Scene} from "./Scene.sol";
import {Trees} from "./Trees.sol";

/// @title One commit and one claim at a time: every limit at its edge.
contract PoolTest is Scene {
    using Trees for Trees.Tree;

    uint256 private constant ORDER =
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    bytes32 private _pot;

    function setUp() public {
        settle();
        vm.prank(account(0));
        _pot = pool.fund("job", 400 * OPEN, 10 * OPEN, 30, "spec");
    }

    function test_only_exactly_m_ordered_distinct_seats_sign() public {
        Plan memory plan = _simple(OPEN);
        bytes32 digest = digestOf(plan);
        (uint256 low, uint256 high) = account(1) < account(2) ? (1, 2) : (2, 1);
        bytes memory first = signature(low, digest);
        bytes memory second = signature(high, digest);
        _refuse(plan, first, Signers.WrongSignatureCount.selector);
        _refuse(plan, "", Signers.WrongSignatureCount.selector);
        _refuse(plan, abi.encodePacked(first, first), Signers.SignersUnsorted.selector);
        _refuse(plan, abi.encodePacked(second, first), Signers.SignersUnsorted.selector);
        bytes memory third = signature(3, digest);
        bytes memory three = abi.encodePacked(first, second, third);
        _refuse(plan, three, Signers.WrongSignatureCount.selector);
        bytes memory stranger = abi.encodePacked(first, signature(4, digest));
        if (account(4) < account(low)) stranger = abi.encodePacked(signature(4, digest), first);
        _refuse(plan, stranger, IAggregatorSets.NotSeated.selector);
        _refuse(plan, abi.encodePacked(_highS(low, digest), second), ECDSA.ECDSAInvalidSignatureS.selector);
        _accept(plan);
    }

    /// @dev The signers of another chain, contract or pool have signed nothing here.
    function testFuzz_signatures_are_for_one_chain_contract_and_pool(uint64 chain, address other) public {
        vm.assume(chain != block.chainid && other != address(pool));
        vm.prank(account(0));
        bytes32 second = pool.openPool(0, account(0));
        Plan memory plan = _simple(OPEN);
        _refuseDigest(plan, digestFor(plan, chain, address(pool)));
        _refuseDigest(plan, digestFor(plan, block.chainid, other));
        Plan memory elsewhere = planned(second, plan.amounts, plan.draws);
        _refuseDigest(plan, digestOf(elsewhere));
        _accept(plan);
    }

    /// @dev A fork of the chain under another id takes no signature that was made before it.
    function testFuzz_signatures_do_not_follow_a_fork(uint64 chain) public {
        chain = uint64(within(chain, 1, type(uint64).max));
        vm.assume(chain != block.chainid);
        Plan memory plan = _simple(OPEN);
        bytes32 digest = digestOf(plan);
        uint256 before = block.chainid;
        vm.chainId(chain);
        _refuseDigest(plan, digest);
        vm.chainId(before);
        _accept(plan);
    }

    /// @dev Every field of a commit and every draw is under the signature.
    function testFuzz_every_field_is_signed(uint256 field, bytes32 other) public {
        Plan memory plan = _simple(OPEN);
        bytes32 digest = digestOf(plan);
        field = field % 3;
        if (field == 0) plan.epoch.evidence = other;
        if (field == 1) plan.epoch.root = other;
        if (field == 2) plan.draws[0].amount = within(uint256(other), 0, 40 * OPEN);
        if (digestOf(plan) == digest) return;
        _refuseDigest(plan, digest);
    }

    /// @dev An epoch is committed once: what was signed serves no second time, before or after.
    function test_a_commit_is_never_replayed() public {
        Plan memory plan = _simple(OPEN);
        bytes memory signatures = signed(plan, 1, 2);
        _accept(plan);
        _refuse(plan, signatures, IAttributionPool.EpochPending.selector);
        vm.warp(block.timestamp + pool.windowOf(GENESIS));
        _refuse(plan, signatures, IAttributionPool.WrongEpoch.selector);
    }

    /// @dev Signers repeat no number and leave none out.
    function testFuzz_epochs_are_numbered_without_a_gap(uint64 number) public {
        Plan memory first = _simple(OPEN);
        _accept(first);
        vm.warp(block.timestamp + pool.windowOf(GENESIS));
        vm.prank(account(0));
        bytes32 pot = pool.fund("next", OPEN, OPEN, 30, "spec");
        Plan memory next = planned(GENESIS, amountsOf(2 * OPEN, 0, 0, 0), one(pot, OPEN));
        uint64[4] memory near = [0, 1, 3, number];
        for (uint256 i = 0; i < near.length; ++i) {
            if (near[i] == 2) continue;
            next.epoch.epoch = near[i];
            _refuse(next, signed(next, 1, 2), IAttributionPool.WrongEpoch.selector);
        }
        next.epoch.epoch = 2;
        _accept(next);
    }

    /// @dev Two pools, one pair of signers: while the first commit is pending its stake is not there for
    /// the second.
    function test_one_stake_backs_one_pending_commit() public {
        vm.prank(account(0));
        bytes32 second = pool.openPool(0, account(0));
        vm.prank(account(0));
        bytes32 pot = pool.fundIn(second, "other", OPEN, OPEN, 30, "spec");
        _accept(_simple(OPEN));
        Plan memory other = planned(second, amountsOf(OPEN, 0, 0, 0), one(pot, OPEN));
        _refuse(other, signed(other, 1, 2), Signers.StakeElsewhere.selector);
        vm.warp(block.timestamp + pool.windowOf(GENESIS));
        _accept(other);
    }

    /// @dev Nothing is paid before the last second of the window is over.
    function test_the_window_is_waited_out_to_the_second() public {
        Plan memory plan = _simple(OPEN);
        _accept(plan);
        vm.warp(block.timestamp + pool.windowOf(GENESIS) - 1);
        bytes memory data = _claimData(plan, 0);
        refused(account(9), address(pool), data, IAttributionPool.BadProof.selector);
        vm.warp(block.timestamp + 1);
        (bool paid, ) = address(pool).call(data);
        check(paid && token.balanceOf(account(5)) == plan.amounts[0], "claimable after the window");
    }

    function testFuzz_a_commit_adds_at_most_half_the_signers_stake(uint256 taken, uint256 more) public {
        taken = within(taken, 0, STAKE);
        vm.prank(account(1));
        if (taken != 0) stake.unbond(account(1), taken);
        uint256 limit = (2 * STAKE - taken) / 2;
        more = within(more, 1, 400 * OPEN - limit);
        Plan memory above = _simple(limit + more);
        _refuse(above, signed(above, 1, 2), IAttributionPool.AboveStakeLimit.selector);
        _accept(_simple(limit));
    }

    function testFuzz_a_draw_takes_at_most_its_pot(uint256 amount) public {
        vm.prank(account(0));
        bytes32 small = pool.fund("small", 7, 1, 30, "spec");
        amount = within(amount, 8, type(uint256).max);
        Plan memory plan = planned(GENESIS, amountsOf(7, 0, 0, 0), one(small, amount));
        bytes4 answer = _answer(plan, signed(plan, 1, 2));
        check(answer == IPotBook.DrawAboveEscrow.selector, "above the pot");
    }

    /// @dev The cap of a pool: its total is what it drew from its own pots, to the base unit.
    function testFuzz_a_pool_owes_only_what_its_own_pots_gave(uint256 more) public {
        vm.prank(account(0));
        bytes32 second = pool.openPool(0, account(0));
        vm.prank(account(0));
        bytes32 pot = pool.fundIn(second, "other", 5 * OPEN, OPEN, 30, "spec");
        Plan memory stolen = planned(second, amountsOf(5 * OPEN, 0, 0, 0), one(_pot, 5 * OPEN));
        _refuse(stolen, signed(stolen, 1, 2), IPotBook.PotElsewhere.selector);
        more = within(more, 1, type(uint128).max - 5 * OPEN);
        Plan memory above = planned(second, amountsOf(5 * OPEN + more, 0, 0, 0), one(pot, 5 * OPEN));
        _refuse(above, signed(above, 1, 2), IAttributionPool.WrongTotal.selector);
        Plan memory below = planned(second, amountsOf(5 * OPEN - 1, 0, 0, 0), one(pot, 5 * OPEN));
        _refuse(below, signed(below, 1, 2), IAttributionPool.WrongTotal.selector);
        _accept(planned(second, amountsOf(5 * OPEN, 0, 0, 0), one(pot, 5 * OPEN)));
    }

    /// @dev Dishonest signers: leaves that sum to more than the draws pay nobody.
    function testFuzz_a_root_above_its_total_pays_nobody(uint256 greed) public {
        greed = within(greed, 1, type(uint128).max);
        Plan memory plan = planned(GENESIS, amountsOf(OPEN + greed, OPEN, 0, 0), one(_pot, 2 * OPEN));
        plan.epoch.total = plan.root.total = 2 * OPEN;
        _accept(plan);
        vm.warp(block.timestamp + pool.windowOf(GENESIS));
        for (uint256 i = 0; i < 2; ++i) {
            refused(account(9), address(pool), _claimData(plan, i), IAttributionPool.BadProof.selector);
        }
        _claimBatch(plan);
        check(token.balanceOf(account(5)) + token.balanceOf(account(6)) == 0, "a batch skips them");
    }

    /// @dev A hand-made root over two leaves that have the whole total each: sums are added on the way.
    function test_a_root_whose_sums_are_not_added_pays_nobody() public {
        Plan memory plan = _twoLeaves(OPEN, OPEN, OPEN);
        bytes memory proof = abi.encodePacked(_leaf(1, OPEN), uint128(OPEN));
        bytes memory data = claimData(plan, GENESIS, 0, OPEN, proof);
        refused(account(9), address(pool), data, IAttributionPool.BadProof.selector);
    }

    /// @dev A sibling's sum is under the root's hash: nobody chooses it to reach the total.
    function test_a_sibling_s_sum_is_what_the_root_says() public {
        Plan memory plan = _twoLeaves(OPEN / 4, 0, OPEN);
        bytes memory proof = abi.encodePacked(_leaf(1, 0), uint128(OPEN - OPEN / 4));
        bytes memory data = claimData(plan, GENESIS, 0, OPEN / 4, proof);
        refused(account(9), address(pool), data, IAttributionPool.BadProof.selector);
    }

    /// @dev A leaf of nearly 2^256 and another that makes the sum wrap around to the total.
    function testFuzz_sums_that_wrap_pay_nobody(uint128 filler) public {
        filler = uint128(within(filler, 2 * OPEN + 1, type(uint128).max));
        uint256 greed;
        unchecked {
            greed = 2 * OPEN - uint256(filler);
        }
        Plan memory plan = planned(GENESIS, amountsOf(greed, filler, 0, 0), one(_pot, 2 * OPEN));
        check(plan.root.total == 2 * OPEN, "the sums wrap");
        _accept(plan);
        vm.warp(block.timestamp + pool.windowOf(GENESIS));
        for (uint256 i = 0; i < 2; ++i) {
            refused(account(9), address(pool), _claimData(plan, i), IAttributionPool.BadProof.selector);
        }
    }

    /// @dev A leaf of index 3 in a tree of two positions, committed as a tree of four.
    function test_a_proof_of_a_flatter_tree_pays_nobody() public {
        Plan memory plan = _simple(OPEN);
        bytes32 owner = bytes32(uint256(uint160(account(4))));
        bytes32 leaf = keccak256(abi.encodePacked(uint8(0), uint256(3), owner, OPEN));
        plan.epoch.root = plan.root.root = keccak256(
            abi.encodePacked(uint8(1), bytes32(0), uint256(0), leaf, OPEN)
        );
        _accept(plan);
        vm.warp(block.timestamp + pool.windowOf(GENESIS));
        bytes memory data = claimData(plan, GENESIS, 3, OPEN, abi.encodePacked(bytes32(0), uint128(0)));
        refused(account(9), address(pool), data, IAttributionPool.BadProof.selector);
    }

    /// @dev Aggregators that died: after the stall any staker proposes, limited by its own stake, and
    /// waits twice the window.
    function testFuzz_a_stalled_quorum_is_replaced_under_the_same_limits(uint256 more) public {
        Plan memory plan = _simple(STAKE / 2);
        bytes memory data = abi.encodeCall(pool.commitFallback, (plan.epoch, plan.draws));
        refused(account(4), address(pool), data, IAttributionPool.QuorumActive.selector);
        vm.warp(block.timestamp + pool.stallSeconds());
        Plan memory above = _simple(STAKE / 2 + within(more, 1, 300 * OPEN));
        bytes memory greedy = abi.encodeCall(pool.commitFallback, (above.epoch, above.draws));
        refused(account(4), address(pool), greedy, IAttributionPool.AboveStakeLimit.selector);
        refused(account(9), address(pool), data, IAttributionPool.AboveStakeLimit.selector);
        vm.prank(account(4));
        pool.commitFallback(plan.epoch, plan.draws);
        vm.warp(block.timestamp + 2 * pool.windowOf(GENESIS) - 1);
        refused(account(9), address(pool), _claimData(plan, 0), IAttributionPool.BadProof.selector);
        vm.warp(block.timestamp + 1);
        _claim(plan, 0);
    }

    /// @dev Two depths for one index, against the pool itself.
    function test_a_proof_of_another_depth_pays_nobody() public {
        Plan memory plan = _simple(OPEN);
        bytes32 root = plan.root.root;
        // A root one level higher, with the honest one on its left: a proof of three levels leads to it.
        plan.epoch.root = plan.root.root = keccak256(
            abi.encodePacked(uint8(1), root, plan.root.total, bytes32(0), uint256(0))
        );
        _accept(plan);
        vm.warp(block.timestamp + pool.windowOf(GENESIS));
        bytes memory longer = abi.encodePacked(plan.tree.proof(0), bytes32(0), uint128(0));
        bytes memory data = claimData(plan, GENESIS, 0, plan.amounts[0], longer);
        refused(account(9), address(pool), data, IAttributionPool.BadProof.selector);
    }

    /// @dev Signers who give an owner's paid coins to another free no coin of a third.
    function test_a_lowered_amount_frees_no_coins() public {
        Plan memory first = _simple(3 * OPEN);
        _accept(first);
        vm.warp(block.timestamp + pool.windowOf(GENESIS));
        _claim(first, 0);
        vm.prank(account(0));
        bytes32 pot = pool.fund("next", OPEN, OPEN, 30, "spec");
        Plan memory moved = planned(GENESIS, amountsOf(0, 4 * OPEN, 0, 0), one(pot, OPEN));
        _accept(moved);
        vm.warp(block.timestamp + pool.windowOf(GENESIS));
        refused(account(9), address(pool), _claimData(moved, 1), IAttributionPool.ClaimAboveTotal.selector);
        IAttributionPool.ClaimItem[] memory items = new IAttributionPool.ClaimItem[](1);
        bytes32 owner = bytes32(uint256(uint160(account(2))));
        items[0] = IAttributionPool.ClaimItem(1, owner, 4 * OPEN, moved.tree.proof(1));
        pool.claimBatch(GENESIS, moved.root, items);
        check(token.balanceOf(account(6)) == 0, "a batch skips it");
    }

    /// @dev Each owner of a root gets its amount, once, by single claims as by a batch.
    function test_every_owner_is_paid_once() public {
        Plan memory plan = planned(GENESIS, amountsOf(1, 2 * OPEN, 3, 4 * OPEN), one(_pot, 6 * OPEN + 4));
        _accept(plan);
        vm.warp(block.timestamp + pool.windowOf(GENESIS));
        bytes4 nothing = IAttributionPool.NothingToClaim.selector;
        for (uint256 i = 0; i < 2; ++i) {
            _claim(plan, i);
            refused(account(9), address(pool), _claimData(plan, i), nothing);
        }
        _claimBatch(plan);
        _claimBatch(plan);
        for (uint256 i = 0; i < OWNERS; ++i) {
            check(token.balanceOf(account(5 + i)) == plan.amounts[i], "its amount, once");
            refused(account(9), address(pool), _claimData(plan, i), nothing);
        }
    }

    /// @dev Pay that is reserved for a unit stays, however long its pot lies idle.
    function test_reserved_pay_is_not_reclaimed() public {
        vm.prank(account(4));
        bytes32 unit = pool.reserve(_pot, "task");
        vm.warp(block.timestamp + 2 * pool.reclaimSeconds());
        bytes memory data = abi.encodeCall(pool.reclaim, (_pot));
        refused(account(0), address(pool), data, IPotBook.NotIdle.selector);
        pool.expire(unit);
        refused(account(0), address(pool), data, IPotBook.NotIdle.selector);
        vm.warp(block.timestamp + pool.reclaimSeconds());
        uint256 before = token.balanceOf(account(0));
        vm.prank(account(0));
        pool.reclaim(_pot);
        check(token.balanceOf(account(0)) == before + 400 * OPEN, "free again, all of it");
    }

    function testFuzz_units_reserve_no_more_than_the_pot(uint256 amount, uint256 pay) public {
        amount = within(amount, 1, 100 * OPEN);
        pay = within(pay, 1, amount);
        vm.prank(account(0));
        bytes32 pot = pool.fund("units", amount, pay, 30, "spec");
        uint256 fits = amount / pay;
        for (uint256 i = 0; i < 20 && i <= fits; ++i) {
            address operator = account(1 + (i % OWNERS));
            bytes memory data = abi.encodeCall(pool.reserve, (pot, bytes32(i)));
            if (i == fits) {
                refused(operator, address(pool), data, IPotBook.PotExhausted.selector);
            } else {
                vm.prank(operator);
                pool.reserve(pot, bytes32(i));
            }
        }
    }

    /// @dev A pot of 1 wei, and no leaf but one has anything.
    function test_one_wei() public {
        vm.prank(account(0));
        bytes32 pot = pool.fund("wei", 1, 1, 30, "spec");
        Plan memory plan = planned(GENESIS, amountsOf(0, 0, 1, 0), one(pot, 1));
        _accept(plan);
        vm.warp(block.timestamp + pool.windowOf(GENESIS));
        _claim(plan, 2);
        check(token.balanceOf(account(7)) == 1, "one wei");
        refused(account(9), address(pool), _claimData(plan, 0), IAttributionPool.NothingToClaim.selector);
    }

    /// @dev 10,000 registered owners of a pot of one wei: the last of them has it.
    function test_one_wei_of_ten_thousand_registered_owners() public {
        uint256 owners = 10_000;
        for (uint256 i = OWNERS; i < owners; ++i) {
            vm.prank(address(uint160(0x10000 + i)));
            registry.registerOwner(address(uint160(0x20000 + i)));
        }
        check(registry.ownerCount() == owners, "all are registered");
        vm.prank(account(0));
        bytes32 pot = pool.fund("wei", 1, 1, 30, "spec");
        uint256[] memory amounts = new uint256[](owners);
        amounts[owners - 1] = 1;
        Plan memory plan = planned(GENESIS, amounts, one(pot, 1));
        _accept(plan);
        vm.warp(block.timestamp + pool.windowOf(GENESIS));
        refused(
            account(9),
            address(pool),
            _claimData(plan, 0),
            IAttributionPool.NothingToClaim.selector
        );
        _claim(plan, owners - 1);
        check(token.balanceOf(address(uint160(0x20000 + owners - 1))) == 1, "one wei");
        check(token.balanceOf(address(pool)) == 400 * OPEN, "nothing else has moved");
    }

    /// @dev A challenge in each of 20 epochs delays each, and stops no claim on the last good root.
    function test_a_challenge_in_each_of_20_epochs() public {
        Plan memory good = _simple(OPEN);
        _accept(good);
        vm.warp(block.timestamp + pool.windowOf(GENESIS));
        uint256 paid = 0;
        for (uint256 i = 0; i < 20; ++i) {
            vm.prank(account(0));
            bytes32 pot = pool.fund(bytes32(i + 1), OPEN, OPEN, 30, "spec");
            uint256 first = good.amounts[0] + OPEN;
            Plan memory next = planned(GENESIS, amountsOf(first, 0, 0, 0), one(pot, OPEN));
            _accept(next);
            vm.prank(place("Arbiter"));
            pool.freeze(GENESIS, next.epoch.epoch);
            vm.warp(block.timestamp + 1_000);
            _claim(good, 0); // of the last good root, while the next one is challenged
            paid = good.amounts[0];
            check(token.balanceOf(account(5)) == paid, "claims go on");
            refused(account(9), address(pool), _claimData(next, 0), IAttributionPool.BadProof.selector);
            bool voided = i % 3 == 0;
            vm.prank(place("Arbiter"));
            pool.resolve(GENESIS, next.epoch.epoch, voided);
            if (voided) {
                pool.restore(GENESIS, next.root, next.draws);
                next = planned(GENESIS, next.amounts, next.draws);
                _accept(next);
            }
            vm.warp(block.timestamp + pool.windowOf(GENESIS));
            good = next;
        }
        _claim(good, 0);
        check(token.balanceOf(account(5)) == good.amounts[0], "all of it, at last");
    }

    /// @dev A payout address that changes between two epochs changes no leaf and spoils no proof.
    function test_a_payout_rotated_between_two_epochs() public {
        Plan memory plan = _simple(OPEN);
        _accept(plan);
        vm.prank(account(5));
        registry.setPayout(0, account(8));
        vm.warp(block.timestamp + pool.windowOf(GENESIS));
        uint256 before = token.balanceOf(account(8));
        _claim(plan, 0);
        check(token.balanceOf(account(8)) == before + plan.amounts[0], "to the new address");
        check(token.balanceOf(account(5)) == 0, "nothing to the old one");
    }

    function _simple(uint256 amount) private view returns (Plan memory) {
        return planned(GENESIS, amountsOf(amount, 0, 0, 0), one(_pot, amount));
    }

    function _accept(Plan memory plan) private {
        bytes memory signatures = signed(plan, 1, 2);
        vm.prank(account(9));
        pool.commit(plan.epoch, plan.draws, signatures);
    }

    function _claim(Plan memory plan, uint256 index) private {
        vm.prank(account(9));
        (bool paid, ) = address(pool).call(_claimData(plan, index));
        check(paid, "a claim");
    }

    /// @dev All owners in one transaction.
    function _claimBatch(Plan memory plan) private {
        IAttributionPool.ClaimItem[] memory items = new IAttributionPool.ClaimItem[](OWNERS);
        for (uint256 i = 0; i < OWNERS; ++i) {
            bytes32 owner = bytes32(uint256(uint160(registry.operatorOf(i))));
            items[i] = IAttributionPool.ClaimItem(i, owner, plan.amounts[i], plan.tree.proof(i));
        }
        vm.prank(account(9));
        pool.claimBatch(plan.epoch.pool, plan.root, items);
    }

    /// @dev An active commit of a root over two leaves with these amounts, whatever the total says.
    function _twoLeaves(
        uint256 left,
        uint256 right,
        uint256 total
    ) private returns (Plan memory plan) {
        plan = _simple(total);
        plan.epoch.root = plan.root.root = keccak256(
            abi.encodePacked(uint8(1), _leaf(0, left), left, _leaf(1, right), right)
        );
        plan.root.leafCount = plan.epoch.leafCount = 2;
        _accept(plan);
        vm.warp(block.timestamp + pool.windowOf(GENESIS));
    }

    function _leaf(uint256 index, uint256 amount) private view returns (bytes32) {
        bytes32 owner = bytes32(uint256(uint160(registry.operatorOf(index))));
        return keccak256(abi.encodePacked(uint8(0), index, owner, amount));
    }

    function _claimData(Plan memory plan, uint256 index) private view returns (bytes memory) {
        bytes memory proof = plan.tree.proof(index);
        return claimData(plan, plan.epoch.pool, index, plan.amounts[index], proof);
    }

    function _answer(Plan memory plan, bytes memory signatures) private returns (bytes4) {
        bytes memory data = abi.encodeCall(pool.commit, (plan.epoch, plan.draws, signatures));
        vm.prank(account(9));
        (bool accepted, bytes memory answer) = address(pool).call(data);
        check(!accepted, "what must be refused was accepted");
        return bytes4(answer);
    }

    function _refuse(Plan memory plan, bytes memory signatures, bytes4 selector) private {
        check(_answer(plan, signatures) == selector, "refused for another reason");
    }

    /// @dev Signatures of another digest recover strangers.
    function _refuseDigest(Plan memory plan, bytes32 digest) private {
        (uint256 low, uint256 high) = account(1) < account(2) ? (1, 2) : (2, 1);
        bytes memory both = abi.encodePacked(signature(low, digest), signature(high, digest));
        bytes4 answer = _answer(plan, both);
        check(
            answer == IAggregatorSets.NotSeated.selector || answer == Signers.SignersUnsorted.selector,
            "strangers' signatures"
        );
    }

    function _highS(uint256 signer, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key(signer), digest);
        return abi.encodePacked(r, bytes32(ORDER - uint256(s)), v == 27 ? uint8(28) : uint8(27));
    }
}
