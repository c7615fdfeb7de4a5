// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Signers} from "settlement/Signers.sol";
import {IAttributionPool} from "settlement/interfaces/IAttributionPool.sol";
import {IPotBook} from "settlement/interfaces/IPotBook.sol";
import {Scene} from "./Scene.sol";
import {Trees} from "./Trees.sol";

/// @title What anybody may do to two pools, in any order, and what must be refused on the way.
/// @dev Forge calls the `do_` functions at random. Each chooses arguments that must succeed, or checks
/// the exact error; any other revert fails the run. `must_fail_` functions try what never may succeed.
contract PoolPlay is Scene {
    using Trees for Trees.Tree;

    uint256 public constant POOLS = 2;
    uint256 private constant MOST_POTS = 12;

    bytes32[] public pots;
    bytes32[] public units;
    mapping(bytes32 pot => bytes32) public poolOfPot;
    /// The last good or pending plan of a pool and the one before it.
    mapping(bytes32 poolId => bytes) private _last;
    mapping(bytes32 poolId => bytes) private _before;
    /// What the payout addresses got, by owner index.
    mapping(uint256 index => uint256) public received;
    uint256 public paidIn;
    uint256 public paidOut;
    mapping(bytes32 poolId => uint256) public highestClaimed;
    /// How often each thing was really done: a play that only returns early shows nothing.
    mapping(string what => uint256) public did;
    uint256 private _salt;

    constructor() {
        settle();
        vm.prank(account(0));
        pool.openPool(0, account(0));
        _funded(GENESIS, 20 * OPEN, OPEN);
        _funded(bytes32(uint256(1)), 20 * OPEN, 0);
    }

    function do_fund(uint256 which, uint256 amount, uint256 pay) external {
        amount = within(amount, 1, 200 * OPEN);
        pay = pay % 3 == 0 ? 0 : within(pay, 1, amount);
        _funded(_poolAt(which), amount, pay);
    }

    function do_topUp(uint256 which, uint256 amount) external {
        bytes32 pot = pots[which % pots.length];
        amount = within(amount, 1, 50 * OPEN);
        bytes memory data = abi.encodeCall(pool.topUp, (pot, amount));
        (, , , , , uint256 drawnEpoch, ) = pool.potOf(pot);
        if (drawnEpoch != 0) {
            refused(account(0), address(pool), data, IPotBook.PotClosed.selector);
            return;
        }
        vm.prank(account(0));
        pool.topUp(pot, amount);
        ++did["top up"];
        paidIn += amount;
    }

    function do_reserve(uint256 which, uint256 who, bytes32 task) external {
        bytes32 pot = pots[which % pots.length];
        address operator = account(1 + (who % OWNERS));
        (, uint256 escrow, uint256 reserved, uint256 pay, uint256 time, uint256 drawn, ) = pool.potOf(pot);
        uint256 free = stake.stakeOf(operator) - stake.lockedOf(operator);
        bytes32 unit = pool.unitId(operator, task);
        (, , , IPotBook.UnitState state) = pool.unitOf(unit);
        bool can = drawn == 0 && time != 0 && escrow - reserved >= pay && free >= pool.unitStake();
        if (!can || state != IPotBook.UnitState.None) return;
        vm.prank(operator);
        pool.reserve(pot, task);
        ++did["reserve"];
        units.push(unit);
    }

    function do_work(uint256 which, uint256 way) external {
        if (units.length == 0) return;
        uint256 recent = units.length < 20 ? units.length : 20;
        bytes32 unit = units[units.length - 1 - (which % recent)];
        (bytes32 pot, address operator, uint256 deadline, IPotBook.UnitState state) = pool.unitOf(unit);
        (, , , , , uint256 drawn, ) = pool.potOf(pot);
        if (state == IPotBook.UnitState.Reserved) {
            if (block.timestamp > deadline) {
                pool.expire(unit);
                ++did["expire"];
            } else if (way % 3 == 0) {
                vm.prank(operator);
                pool.handBack(unit);
                ++did["hand back"];
            } else if (drawn == 0) {
                vm.prank(operator);
                pool.anchor(unit, "root", "adapter");
                ++did["anchor"];
            }
        } else if (state == IPotBook.UnitState.Anchored) {
            if (drawn != 0 && drawn <= pool.activeEpoch(poolOfPot[pot])) {
                pool.settleUnit(unit);
                ++did["settle"];
            } else {
                bytes memory data = abi.encodeCall(pool.settleUnit, (unit));
                refused(account(9), address(pool), data, IPotBook.NotSettled.selector);
            }
        }
    }

    function do_commit(uint256 which, uint256 first, uint256 second, uint256 amount, uint256 owner) external {
        bytes32 poolId = _poolAt(which);
        if (!_free(poolId)) return;
        owner = owner % 12;
        (Plan memory plan, uint256 added) = _plan(poolId, first, second, amount, owner);
        if (added == 0) return;
        uint256 pair = owner % 3;
        (uint256 one_, uint256 two) = (1 + pair, 1 + ((pair + 1) % 3));
        bytes memory data = abi.encodeCall(pool.commit, (plan.epoch, plan.draws, signed(plan, one_, two)));
        uint256 staked = stake.stakeOf(account(one_)) + stake.stakeOf(account(two));
        if (_elsewhere(poolId)) {
            // A seat that signed the other pool's pending commit lends its stake to nobody else.
            vm.prank(account(9));
            (bool accepted, bytes memory answer) = address(pool).call(data);
            if (!accepted) {
                check(
                    bytes4(answer) == Signers.StakeElsewhere.selector ||
                        bytes4(answer) == IAttributionPool.AboveStakeLimit.selector,
                    "a commit is refused for another reason"
                );
                if (bytes4(answer) == Signers.StakeElsewhere.selector) ++did["stake elsewhere"];
                return;
            }
            check(added <= staked / 2, "above the stake limit");
        } else if (added > staked / 2) {
            refused(account(9), address(pool), data, IAttributionPool.AboveStakeLimit.selector);
            ++did["stake limit"];
            return;
        } else {
            vm.prank(account(9));
            pool.commit(plan.epoch, plan.draws, signed(plan, one_, two));
        }
        _before[poolId] = _last[poolId];
        _last[poolId] = _kept(plan);
        ++did["commit"];
    }

    function do_claim(uint256 which, uint256 index) external {
        bytes32 poolId = _poolAt(which);
        index = index % OWNERS;
        Plan memory plan = activePlan(poolId);
        if (plan.amounts.length == 0) return;
        uint256 due = plan.amounts[index] - pool.claimed(poolId, index);
        bytes memory data = claimData(plan, poolId, index, plan.amounts[index], plan.tree.proof(index));
        if (due == 0) {
            refused(account(9), address(pool), data, IAttributionPool.NothingToClaim.selector);
            return;
        }
        address payout = registry.payoutOf(index);
        uint256 before = token.balanceOf(payout);
        (bool paid, ) = address(pool).call(data);
        check(paid, "a claim");
        check(token.balanceOf(payout) - before == due, "a claim pays what is due");
        ++did["claim"];
        _paid(poolId, index, due);
    }

    /// @dev Some items fail: another amount, an index that is no owner's, one twice.
    function do_claimBatch(uint256 which, uint256 seed) external {
        bytes32 poolId = _poolAt(which);
        Plan memory plan = activePlan(poolId);
        if (plan.amounts.length == 0) return;
        IAttributionPool.ClaimItem[] memory items = new IAttributionPool.ClaimItem[](OWNERS + 2);
        seed = seed % 12;
        for (uint256 i = 0; i < items.length; ++i) {
            uint256 index = (seed + i) % OWNERS;
            uint256 greed = i == OWNERS ? 1 : 0;
            items[i] = IAttributionPool.ClaimItem(
                i == OWNERS + 1 ? OWNERS + (seed % 3) : index,
                bytes32(uint256(uint160(registry.operatorOf(index)))),
                plan.amounts[index] + greed,
                plan.tree.proof(index)
            );
        }
        uint256[] memory due = new uint256[](OWNERS);
        for (uint256 i = 0; i < OWNERS; ++i) due[i] = plan.amounts[i] - pool.claimed(poolId, i);
        uint256[] memory before = new uint256[](OWNERS);
        for (uint256 i = 0; i < OWNERS; ++i) before[i] = token.balanceOf(registry.payoutOf(i));
        pool.claimBatch(poolId, plan.root, items);
        ++did["batch"];
        for (uint256 i = 0; i < OWNERS; ++i) {
            check(token.balanceOf(registry.payoutOf(i)) - before[i] == due[i], "a batch pays what is due");
            _paid(poolId, i, due[i]);
        }
    }

    function do_reclaim(uint256 which) external {
        bytes32 pot = pots[which % pots.length];
        (, uint256 escrow, uint256 reserved, , uint256 time, uint256 drawn, uint256 touched) = pool.potOf(pot);
        if (time == 0) {
            refused(account(0), address(pool), abi.encodeCall(pool.reclaim, (pot)), IPotBook.NotFunder.selector);
            return;
        }
        bool idle = reserved == 0 && pool.clockOf(poolOfPot[pot]) >= touched + pool.reclaimSeconds();
        bool settled = drawn != 0 && drawn <= pool.activeEpoch(poolOfPot[pot]);
        if (escrow != 0 && reserved != 0 && drawn == 0) {
            // Reserved coins leave only by a commit, or when their unit is over.
            bytes memory data = abi.encodeCall(pool.reclaim, (pot));
            refused(account(0), address(pool), data, IPotBook.NotIdle.selector);
            ++did["reserved stays"];
        }
        if (escrow == 0 || !(drawn == 0 ? idle : settled)) return;
        vm.prank(account(0));
        pool.reclaim(pot);
        ++did["reclaim"];
        paidOut += escrow;
    }

    /// @dev The Arbiter's part: freeze the pending commit, and some time later decide.
    function do_challenge(uint256 which, uint256 wait, bool voided) external {
        bytes32 poolId = _poolAt(which);
        (uint64 epoch, , , ) = pool.pendingHead(poolId);
        (bool verdict, ) = pool.waits(poolId);
        if (epoch == 0 || verdict) return;
        vm.prank(place("Arbiter"));
        pool.freeze(poolId, epoch);
        uint256 clock = pool.clockOf(poolId);
        vm.warp(block.timestamp + within(wait, 0, 500));
        check(pool.clockOf(poolId) == clock, "the clock stands still under challenge");
        vm.prank(place("Arbiter"));
        pool.resolve(poolId, epoch, voided);
        ++did[voided ? "voided" : "upheld"];
        if (voided) _restore(poolId);
    }

    /// @dev An objective proof: the commit is gone at once, its signers pay.
    function do_condemn(uint256 which, uint256 amount) external {
        bytes32 poolId = _poolAt(which);
        (uint64 epoch, , , ) = pool.pendingHead(poolId);
        if (epoch == 0) return;
        uint256 supply = token.totalSupply();
        vm.prank(place("FraudProofs"));
        pool.condemn(poolId, within(amount, 0, OPEN), "proof", account(9));
        check(token.totalSupply() <= supply, "slashing burns");
        ++did["condemn"];
        _restore(poolId);
    }

    function do_stake(uint256 who, uint256 amount) external {
        address operator = account(1 + (who % OWNERS));
        vm.prank(account(0));
        stake.deposit(operator, within(amount, 1, 20 * OPEN));
    }

    function do_unbond(uint256 who, uint256 amount) external {
        address operator = account(1 + (who % OWNERS));
        uint256 free = stake.stakeOf(operator) - stake.lockedOf(operator);
        if (free == 0) return;
        vm.prank(operator);
        stake.unbond(operator, within(amount, 1, free));
        ++did["unbond"];
    }

    function do_wait(uint256 seconds_) external {
        vm.warp(block.timestamp + within(seconds_, 0, 60));
        vm.roll(block.number + 1);
    }

    // -- what never may succeed ---

    function must_fail_commit_with_a_defect(uint256 which, uint256 defect, uint256 amount) external {
        bytes32 poolId = _poolAt(which);
        if (!_free(poolId)) return;
        (Plan memory plan, uint256 added) = _plan(poolId, 0, 0, amount, 0);
        if (added == 0) return;
        bytes4 expected = _spoil(plan, defect % 7);
        bytes memory data = abi.encodeCall(pool.commit, (plan.epoch, plan.draws, signed(plan, 1, 2)));
        vm.prank(account(9));
        (bool accepted, bytes memory answer) = address(pool).call(data);
        check(!accepted, "a commit with a defect was accepted");
        // Another rule may speak first when stake is short or lent to the other pool.
        bytes4 said = bytes4(answer);
        check(
            said == expected ||
                said == Signers.StakeElsewhere.selector ||
                said == IAttributionPool.AboveStakeLimit.selector,
            "a defect is refused for another reason"
        );
        ++did["defect"];
    }

    function must_fail_claim_more(uint256 which, uint256 index, uint256 greed) external {
        bytes32 poolId = _poolAt(which);
        index = index % OWNERS;
        Plan memory plan = activePlan(poolId);
        if (plan.amounts.length == 0) return;
        uint256 most = plan.root.total + 2 * OPEN - plan.amounts[index];
        uint256 amount = plan.amounts[index] + within(greed, 1, most);
        refused(
            account(index + 1),
            address(pool),
            claimData(plan, poolId, index, amount, plan.tree.proof(index)),
            IAttributionPool.BadProof.selector
        );
    }

    function must_fail_claim_from_a_pending_root(uint256 which, uint256 index) external {
        bytes32 poolId = _poolAt(which);
        (uint64 epoch, , , ) = pool.pendingHead(poolId);
        if (epoch == 0) return;
        index = index % OWNERS;
        Plan memory plan = _loaded(_last[poolId]);
        refused(
            account(index + 1),
            address(pool),
            claimData(plan, poolId, index, plan.amounts[index], plan.tree.proof(index)),
            IAttributionPool.BadProof.selector
        );
    }

    // -- reading ---

    function potCount() external view returns (uint256) {
        return pots.length;
    }

    function activePlan(bytes32 poolId) public view returns (Plan memory) {
        (uint64 pending, , , ) = pool.pendingHead(poolId);
        return _loaded(pending == 0 ? _last[poolId] : _before[poolId]);
    }

    // -- inside ---

    /// @dev Of a plan only amounts, draws and root are kept; its tree follows from them.
    function _kept(Plan memory plan) private pure returns (bytes memory) {
        return abi.encode(plan.amounts, plan.draws, plan.root);
    }

    function _loaded(bytes memory kept) private view returns (Plan memory plan) {
        if (kept.length == 0) return plan;
        (plan.amounts, plan.draws, plan.root) = abi.decode(
            kept,
            (uint256[], IAttributionPool.Draw[], IAttributionPool.Root)
        );
        plan.tree = treeOf(plan.amounts);
    }

    function _poolAt(uint256 which) private pure returns (bytes32) {
        return bytes32(which % POOLS);
    }

    function _funded(bytes32 poolId, uint256 amount, uint256 pay) private {
        uint256 spent = _spent();
        if (spent == pots.length && spent == MOST_POTS) return;
        bytes32 salt = bytes32(++_salt);
        vm.prank(account(0));
        bytes32 pot = pool.fundIn(poolId, salt, amount, pay, pay == 0 ? 0 : 30, "spec");
        if (spent == pots.length) pots.push(pot);
        else pots[spent] = pot;
        poolOfPot[pot] = poolId;
        paidIn += amount;
    }

    /// @dev A pot that is over (its draw active, empty, no unit open), or the end of the list. A draw that
    /// may still be voided returns to its pot.
    function _spent() private view returns (uint256 position) {
        for (; position < pots.length; ++position) {
            (, uint256 escrow, uint256 reserved, , , uint256 drawn, ) = pool.potOf(pots[position]);
            bool over = drawn != 0 && drawn <= pool.activeEpoch(poolOfPot[pots[position]]);
            if (pots.length == MOST_POTS && over && escrow + reserved == 0) break;
        }
    }

    function _free(bytes32 poolId) private view returns (bool) {
        (uint64 pending, , , ) = pool.pendingHead(poolId);
        (bool verdict, bool draws) = pool.waits(poolId);
        return pending == 0 && !verdict && !draws;
    }

    function _elsewhere(bytes32 poolId) private view returns (bool) {
        (uint64 pending, , , ) = pool.pendingHead(bytes32(1 - uint256(poolId)));
        return pending != 0;
    }

    /// @dev Draws on one or two pots of the pool; what they add goes to one owner and, a third, to the
    /// next one.
    function _plan(
        bytes32 poolId,
        uint256 first,
        uint256 second,
        uint256 amount,
        uint256 owner
    ) private view returns (Plan memory plan, uint256 added) {
        (bytes32 a, bytes32 b) = (_openPot(poolId, first), _openPot(poolId, second));
        if (a == 0) return (plan, 0);
        IAttributionPool.Draw[] memory draws = new IAttributionPool.Draw[](a == b ? 1 : 2);
        draws[0] = _drawn(a, amount);
        if (a != b) draws[1] = _drawn(b, amount / 3);
        for (uint256 i = 0; i < draws.length; ++i) added += draws[i].amount;
        uint256[] memory amounts = new uint256[](OWNERS);
        uint256[] memory had = _loaded(_last[poolId]).amounts;
        for (uint256 i = 0; i < had.length; ++i) amounts[i] = had[i];
        amounts[owner % OWNERS] += added - added / 3;
        amounts[(owner + 1) % OWNERS] += added / 3;
        plan = planned(poolId, amounts, draws);
    }

    function _drawn(
        bytes32 pot,
        uint256 amount
    ) private view returns (IAttributionPool.Draw memory) {
        (, uint256 escrow, , , , , ) = pool.potOf(pot);
        return IAttributionPool.Draw(pot, within(amount, 0, escrow < 60 * OPEN ? escrow : 60 * OPEN));
    }

    function _openPot(bytes32 poolId, uint256 from) private view returns (bytes32) {
        for (uint256 i = 0; i < pots.length; ++i) {
            bytes32 pot = pots[(from % pots.length + i) % pots.length];
            (, uint256 escrow, , , , uint256 drawn, ) = pool.potOf(pot);
            if (poolOfPot[pot] == poolId && drawn == 0 && escrow != 0) return pot;
        }
        return 0;
    }

    function _spoil(Plan memory plan, uint256 defect) private view returns (bytes4) {
        if (defect == 0) plan.epoch.epoch += 1;
        if (defect == 1) plan.epoch.previous = "other";
        if (defect == 2) plan.epoch.leafCount = 0;
        if (defect == 3) plan.epoch.ruleVersion += 1;
        if (defect == 4) plan.epoch.total += 1;
        if (defect == 5) (, plan.draws[0].amount, , , , , ) = pool.potOf(plan.draws[0].pot);
        if (defect == 5) plan.draws[0].amount += 1;
        if (defect == 6) plan.draws[0].pot = _openPot(bytes32(1 - uint256(plan.epoch.pool)), 0);
        if (defect == 0) return IAttributionPool.WrongEpoch.selector;
        if (defect == 1) return IAttributionPool.WrongPrevious.selector;
        if (defect == 2) return IAttributionPool.NoLeaves.selector;
        if (defect == 3) return IAttributionPool.WrongRuleVersion.selector;
        if (defect == 4) return IAttributionPool.WrongTotal.selector;
        if (defect == 5) return IPotBook.DrawAboveEscrow.selector;
        return plan.draws[0].pot == 0 ? IPotBook.UnknownPot.selector : IPotBook.PotElsewhere.selector;
    }

    function _restore(bytes32 poolId) private {
        Plan memory plan = _loaded(_last[poolId]);
        refused(
            account(9),
            address(pool),
            abi.encodeCall(pool.restore, (poolId, plan.root, one("pot", 1))),
            IAttributionPool.WrongHead.selector
        );
        pool.restore(poolId, plan.root, plan.draws);
        _last[poolId] = _before[poolId];
    }

    function _paid(bytes32 poolId, uint256 index, uint256 amount) private {
        received[index] += amount;
        paidOut += amount;
        (, , , , uint256 claimed) = pool.poolOf(poolId);
        check(claimed >= highestClaimed[poolId], "what was paid never falls");
        highestClaimed[poolId] = claimed;
    }
}
