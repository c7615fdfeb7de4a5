"""Model of ``AttributionPool``: pools, their epochs, and claims on the active roots."""

from collections.abc import Sequence
from dataclasses import replace

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from protocol import typed_data
from protocol.ids import address_bytes
from protocol.rules import Rules
from settlement.models.ledger import (
    MAX_UINT128,
    ZERO32,
    ZERO_ADDRESS,
    Env,
    Slot,
    Table,
    add,
    revert,
)
from settlement.models.pool_state import (
    EMPTY_HEAD,
    FALLBACK,
    MOST_WINDOW,
    NEVER,
    ClaimTuple,
    CommitTuple,
    DrawTuple,
    Pool,
    PoolTerms,
    RootTuple,
    climb,
    draws_hash,
    head_of,
    verify,
)
from settlement.models.pool_views import PoolViews
from settlement.models.quorum import recover
from settlement.models.registry import AssetRegistry
from settlement.models.rules import RuleRegistry
from settlement.models.sets import AggregatorSets
from settlement.models.stake import WorkerStake
from settlement.models.token import OpenToken


class AttributionPool(PoolViews):
    """Draws on pots, a cumulative merkle-sum root each epoch, claims; by pool.

    ``arbiter`` and ``fraud_proofs`` are set once their models exist.
    """

    NAME = "AttributionPool"

    def __init__(
        self,
        env: Env,
        address: str,
        token: OpenToken,
        registry: AssetRegistry,
        stake: WorkerStake,
        sets: AggregatorSets,
        rules: RuleRegistry,
        terms: PoolTerms,
    ) -> None:
        super().__init__(env, address, token, stake, terms.unit_stake, terms.reclaim_seconds)
        self._registry = registry
        self._sets = sets
        self._rules = rules
        self._terms = terms
        self._pools: Slot[tuple[Pool, ...]] = Slot(env, ())
        self._backing: Table[str, tuple[bytes, int] | None] = Table(env, None)  # pool, set
        self._claimed: Table[tuple[bytes, int], int] = Table(env, 0)
        for seat in sets.seatsOf(0)[0]:
            self._backing[seat] = (ZERO32, 0)
        self._open(0, 1, terms.window)

    # -- pools ---

    def openPool(self, _sender: str, set: int, controller: str) -> bytes:
        version = self._rules.versionAt(self.env.now)
        pool = self._open(set, version, self._window_of(version))
        if controller != ZERO_ADDRESS:
            self._sets.nameController(self.address, pool, controller)
        return pool

    def assignSet(self, sender: str, pool: bytes, set: int, threshold: int) -> None:
        if sender != self._sets.address:
            raise revert("NotSets", sender)
        self._check_free(pool)
        self._put(pool, set=set, threshold=threshold, signers=())

    # -- committing ---

    def commit(
        self,
        _sender: str,
        epoch: CommitTuple,
        draws: Sequence[DrawTuple],
        signatures: bytes,
    ) -> None:
        at = self._known(epoch[0])
        digest = self._digest(epoch, draws)
        signers = self._signers(epoch[0], at, digest, signatures)
        limit = sum(self._stake.stakeOf(signer) for signer in signers) // 2
        self._accept(epoch, draws, tuple(signers), at.set, limit, 1)

    def commitFallback(self, sender: str, epoch: CommitTuple, draws: Sequence[DrawTuple]) -> None:
        pool = epoch[0]
        stalled_at = self._known(pool).activates_at + self._terms.stall_seconds
        if self.env.now < stalled_at:
            raise revert("QuorumActive", stalled_at)
        for pot, _ in draws:
            self._check_stalled(pot, self._terms.stall_seconds)
        self._bind(pool, FALLBACK, sender)
        self.emit("FallbackUsed", {"pool": pool, "epoch": epoch[1], "proposer": sender})
        self._accept(epoch, draws, (sender,), FALLBACK, self._stake.stakeOf(sender) // 2, 2)

    def restore(
        self, _sender: str, pool: bytes, voided: RootTuple, draws: Sequence[DrawTuple]
    ) -> None:
        at = self._pool(pool)
        if not at.voided:
            raise revert("NothingToRestore", pool)
        epoch = at.epoch + 1
        given = head_of(*voided[:3], draws_hash(draws))
        if given != at.heads[epoch & 1]:
            raise revert("WrongHead", given, at.heads[epoch & 1])
        for pot, amount in draws:
            self._undraw(pot, amount, epoch)
        amount = sum(amount for _, amount in draws)
        self._put(pool, total=at.total - amount, voided=False)
        self.emit("DrawsRestored", {"pool": pool, "epoch": epoch, "amount": amount})

    # -- claiming ---

    def claim(
        self,
        _sender: str,
        pool: bytes,
        leafCount: int,
        draws: bytes,
        index: int,
        ownerId: bytes,
        cumulative: int,
        proof: bytes,
    ) -> None:
        head = self.activeHead(pool)[1]
        if index >= leafCount:
            raise revert("NoLeaf", index, leafCount)
        total = climb(head, leafCount, draws, (index, ownerId, cumulative, proof))
        if total is None:
            raise revert("BadProof", index)
        if cumulative <= self._claimed[pool, index]:
            raise revert("NothingToClaim", index)
        payout = self._registry.payoutAt(index)
        if payout == ZERO_ADDRESS:
            raise revert("NoOwner", index)
        amount = cumulative - self._claimed[pool, index]
        claimed = self._pool(pool).claimed + amount
        if claimed > total:
            raise revert("ClaimAboveTotal", claimed, total)
        self._pay(pool, index, payout, amount)

    def claimBatch(
        self,
        _sender: str,
        pool: bytes,
        active: RootTuple,
        items: Sequence[ClaimTuple],
    ) -> None:
        self._check_active(pool, active)
        for index, owner_id, cumulative, proof in items:
            paid, payout = self._claimed[pool, index], self._registry.payoutAt(index)
            good = index < active[2] and cumulative > paid and payout != ZERO_ADDRESS
            good = good and verify(active, index, owner_id, cumulative, proof)
            if not good or self._pool(pool).claimed + cumulative - paid > active[1]:
                self.emit("ClaimSkipped", {"pool": pool, "index": index})
                continue
            self._pay(pool, index, payout, cumulative - paid)

    # -- voiding ---

    def condemn(
        self, sender: str, pool: bytes, amountEach: int, evidence: bytes, reporter: str
    ) -> None:
        if sender != self.proofs:
            raise revert("NotFraudProofs", sender)
        at = self._pool(pool)
        if not self._pending(pool):
            raise revert("NotPending", pool, at.epoch)
        self._void(pool)
        number = at.condemned + 1
        self._put(pool, condemned=number)
        unique = keccak(
            encode(["bytes32", "uint64", "bytes32", "uint256"], [pool, at.epoch, evidence, number])
        )
        names = {"pool": pool, "epoch": at.epoch, "evidence": unique, "reporter": reporter}
        self.emit("SignersPunished", {**names, "amountEach": amountEach})
        self.court.punish(self.address, at.signers, amountEach, unique, reporter)

    def freeze(self, sender: str, poolId: bytes, epoch: int) -> None:
        if sender != self.court.address:
            raise revert("NotArbiter", sender)
        at = self._pool(poolId)
        if at.case or not self._pending(poolId) or at.epoch != epoch:
            raise revert("NotPending", poolId, epoch)
        left = at.activates_at - self.env.now
        self._put(poolId, left=left, activates_at=NEVER, frozen=True, case=True)
        self._put(poolId, frozen_at=self.env.now)
        self.emit("EpochFrozen", {"pool": poolId, "epoch": epoch})

    def resolve(self, sender: str, poolId: bytes, epoch: int, voided: bool) -> None:
        if sender != self.court.address:
            raise revert("NotArbiter", sender)
        at = self._pool(poolId)
        if not at.case:
            raise revert("NotPending", poolId, epoch)
        still = at.still + self.env.now - at.frozen_at
        self._put(poolId, still=still, frozen_at=0, case=False, frozen=False)
        if not at.frozen:
            self._put(poolId, activates_at=self.env.now)
        elif voided:
            self._void(poolId)
        else:
            activates_at = self.env.now + at.left
            self._put(poolId, activates_at=activates_at)
            facts = {"pool": poolId, "epoch": epoch, "activatesAt": activates_at}
            self.emit("EpochThawed", facts)

    # -- inside ---

    def _open(self, set: int, version: int, window: int) -> bytes:
        threshold, now = self._sets.seatsOf(set)[1], self.env.now
        pool = len(self._pools.value).to_bytes(32, "big")
        opened = Pool(set, threshold, now, now, now, window, version)
        self._pools.value = (*self._pools.value, replace(opened, heads=(EMPTY_HEAD, EMPTY_HEAD)))
        self.emit("PoolOpened", {"pool": pool, "set": set})
        return pool

    def _window_of(self, version: int) -> int:
        return min(Rules(*self._rules.rulesOf(version)).window_seconds, MOST_WINDOW)

    def _signers(self, pool: bytes, at: Pool, digest: bytes, signatures: bytes) -> list[str]:
        size = typed_data.SIGNATURE_BYTES
        if len(signatures) != size * at.threshold:
            raise revert("WrongSignatureCount", len(signatures), at.threshold)
        found: list[str] = []
        for start in range(0, len(signatures), size):
            signer = recover(digest, signatures[start : start + size])
            if int(signer, 16) <= int(found[-1] if found else ZERO_ADDRESS, 16):
                raise revert("SignersUnsorted", found[-1] if found else ZERO_ADDRESS, signer)
            self._bind(pool, at.set, signer)
            found.append(signer)
        return found

    def _bind(self, pool: bytes, set: int, signer: str) -> None:
        backing = self._backing[signer]
        if backing == (pool, set):
            return
        if set != FALLBACK:
            self._sets.positionOf(set, signer)
        if backing is not None and backing[0] != pool and self._pending(backing[0]):
            raise revert("StakeElsewhere", signer, backing[0])
        self._backing[signer] = (pool, set)

    def _accept(
        self,
        epoch: CommitTuple,
        draws: Sequence[DrawTuple],
        signers: tuple[str, ...],
        set: int,
        limit: int,
        windows: int,
    ) -> None:
        pool, number, previous, root, total, leaf_count, evidence, rule_version = epoch
        if self._rules.paused():
            raise revert("CommitsPaused")
        at = self._pool(pool)
        self._check_place(at, epoch)
        if not leaf_count:
            raise revert("NoLeaves")
        window = self._check_rules(at, rule_version)
        for pot, amount in draws:
            self._draw(pool, pot, amount, number)
        added = sum(amount for _, amount in draws)
        if not added:
            raise revert("NothingDrawn")
        if added > limit:
            raise revert("AboveStakeLimit", added, limit)
        expected = add(at.total, added)
        if total != expected or total > MAX_UINT128:
            raise revert("WrongTotal", total, expected)
        heads = list(at.heads)
        heads[number & 1] = head_of(root, total, leaf_count, draws_hash(draws))
        now = self.env.now
        self._put(
            pool,
            total=total,
            begun_at=now,
            begun_before=at.begun_at,
            activates_at=now + windows * window,
            window=window,
            rule_version=rule_version,
            epoch=number,
            signers=signers,
            gone=False,
            heads=tuple(heads),
        )
        roots = {"root": root, "previous": previous, "total": total, "leafCount": leaf_count}
        facts = {"evidence": evidence, "ruleVersion": rule_version}
        times = {"activatesAt": now + windows * window}
        names = {"pool": pool, "epoch": number}
        self.emit("EpochCommitted", {**names, **roots, **facts, **times})

    def _check_place(self, at: Pool, epoch: CommitTuple) -> None:
        self._check_free(epoch[0])
        if epoch[1] != at.epoch + 1:
            raise revert("WrongEpoch", epoch[1], at.epoch + 1)
        if epoch[2] != at.heads[at.epoch & 1]:
            raise revert("WrongPrevious", epoch[2], at.heads[at.epoch & 1])

    def _check_rules(self, at: Pool, rule_version: int) -> int:
        version = self._rules.versionAt(at.begun_at)
        if rule_version != version:
            raise revert("WrongRuleVersion", rule_version, version)
        return at.window if version == at.rule_version else self._window_of(version)

    def _check_free(self, pool: bytes) -> None:
        at = self._pool(pool)
        if at.case:
            raise revert("VerdictPending", pool)
        if at.voided:
            raise revert("DrawsPending", pool)
        if self._pending(pool):
            raise revert("EpochPending", at.activates_at)

    def _check_active(self, pool: bytes, active: RootTuple) -> None:
        head = self.activeHead(pool)[1]
        if head_of(*active) != head:
            raise revert("WrongHead", head_of(*active), head)

    def _void(self, pool: bytes) -> None:
        at = self._pool(pool)
        self._put(
            pool,
            epoch=at.epoch - 1,
            activates_at=self.env.now,
            frozen=False,
            voided=True,
            gone=True,
            begun_at=at.begun_before,
        )
        self.emit("EpochVoided", {"pool": pool, "epoch": at.epoch})

    def _digest(self, epoch: CommitTuple, draws: Sequence[DrawTuple]) -> bytes:
        listed = tuple(typed_data.Draw(*draw) for draw in draws)
        domain = typed_data.Domain(self.NAME, self.env.chain_id, address_bytes(self.address))
        return typed_data.EpochCommit(*epoch, listed).digest(domain)

    def _pay(self, pool: bytes, index: int, payout: str, amount: int) -> None:
        self._claimed[pool, index] += amount
        self._put(pool, claimed=self._pool(pool).claimed + amount)
        names = {"pool": pool, "index": index, "payout": payout, "amount": amount}
        self.emit("Claimed", names)
        self._token.transfer(self.address, payout, amount)

    def _noticed(self, pool: bytes) -> bool:
        return self._sets.noticed(pool)

    def _paid_in(self, pool: bytes, amount: int) -> int:
        at = self._known(pool)
        if at.funded + amount > MAX_UINT128:
            raise revert("Panic", 0x11)
        self._put(pool, funded=at.funded + amount)
        return self.clockOf(pool)

    def _paid_back(self, pool: bytes, amount: int) -> None:
        self._put(pool, funded=self._pool(pool).funded - amount)

    def _check_successor(self) -> None:
        following = self._rules.successorOf(self.address)
        if following != ZERO_ADDRESS:
            raise revert("Succeeded", following)
