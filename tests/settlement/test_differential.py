"""Random operations on the models and on the bytecode: same results, error names and events."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import typed_data
from protocol.ids import address_bytes, model_id
from protocol.params import OPEN
from settlement import claims, vouchers
from tests.settlement.courtroom import SMALL_COURT, Courtroom
from tests.settlement.operations import HUGE, OPS, Op, payer
from tests.settlement.pair import ACCOUNTS, CHAIN_ID, KEYS, PARAMS, TREASURY, Pair

POOL = claims.GENESIS_POOL
OWNERS = 4  # accounts 1..4 are registered operators, 1..3 sit on both quorums
SALTS = [bytes([letter]) * 32 for letter in b"abcdef"]
TASKS = [bytes([letter]) * 32 for letter in b"uvw"]
CONTENT = b"m" * 32
ASSETS = sorted(model_id(address_bytes(who), CONTENT) for who in ACCOUNTS[1:3])


class Story:
    """Turns steps into calls that are often valid, from what the chain says now."""

    def __init__(self) -> None:
        self.pair = Pair(SMALL_COURT)
        self.court = Courtroom(self.pair)
        self.committed: list[tuple[typed_data.EpochCommit, dict[int, int]]] = []
        self.trees: dict[bytes, Any] = {}
        self.demands = [b"?" * 32]
        self.pots = [b"?" * 32]
        self.units = [b"?" * 32]
        self.opened = [(0, b"?" * 32)]
        for owner in range(1, OWNERS + 1):
            assert self.pair.write(owner, "AssetRegistry", "registerOwner", ACCOUNTS[owner + 4])
        for contract in ("WorkerStake", "AttributionPool", "FraudProofs", "InferenceChannels"):
            spender = self.pair.addresses[contract]
            assert self.pair.write(0, "OpenToken", "approve", spender, HUGE)
            assert self.pair.write(5, "OpenToken", "approve", spender, 50 * OPEN)
        assert self.pair.write(0, "OpenToken", "transfer", ACCOUNTS[5], 40 * OPEN)
        for owner in range(1, OWNERS + 1):
            assert self.pair.write(0, "WorkerStake", "deposit", ACCOUNTS[owner], 20 * OPEN)
            assert self.pair.write(owner, "WorkerStake", "enlist", True)
        self.do_fund(Op("a job", 0, 0, 0, 20 * OPEN))
        self.do_fund(Op("a fee pot", 0, 3, 0, 3 * OPEN))
        self.do_open(Op("a channel", 0, 0, 1, 20 * OPEN))
        self.do_reserve(Op("a unit", 4, 0, 1, 0))
        self.pair.wait(2 * PARAMS.court.epoch_seconds)  # from then on jurors are drawn

    def step(self, op: Op) -> None:
        """Do one step on both sides; Pair compares them."""
        act: Callable[[Op], Any] = getattr(self, f"do_{op.name}")
        act(op)

    def pool(self, op: Op, function: str, *args: Any) -> Any:
        return self.pair.write(op.who, "AttributionPool", function, *args)

    def channels(self, who: int, function: str, *args: Any) -> Any:
        return self.pair.write(who, "InferenceChannels", function, *args)

    def pot(self, op: Op) -> bytes:
        return self.pots[-1 - op.other % len(self.pots)]

    def unit(self, op: Op) -> bytes:
        return self.units[-1 - op.which % len(self.units)]

    def holder(self, op: Op) -> Op:
        """The step by the unit's operator, unless it shall be a stranger's."""
        operator = self.pair.read("AttributionPool", "unitOf", self.unit(op))[1]
        known = operator in ACCOUNTS and op.other > 1
        return replace(op, who=ACCOUNTS.index(operator)) if known else op

    def do_fund(self, op: Op) -> None:
        pay = (2 * OPEN, OPEN, OPEN, 0)[op.which % 4]
        seconds = (30, 30, 30, 30, 30, 0)[op.other]
        who = payer(op)
        args = (SALTS[op.which], op.amount, pay, seconds, b"s" * 32)
        if self.pair.write(who, "AttributionPool", "fund", *args):
            self.pots.append(claims.pot_id(ACCOUNTS[who], SALTS[op.which]))

    def do_topUp(self, op: Op) -> None:
        self.pair.write(payer(op), "AttributionPool", "topUp", self.pot(op), op.amount)
        self.channels(payer(op), "topUp", self.channel(op)[1], op.amount)

    def do_reserve(self, op: Op) -> None:
        task = TASKS[op.which % 3]
        if self.pool(op, "reserve", self.pot(op), task):
            self.units.append(self.pair.read("AttributionPool", "unitId", ACCOUNTS[op.who], task))

    def do_anchor(self, op: Op) -> None:
        self.pool(self.holder(op), "anchor", self.unit(op), b"r" * 32, b"a" * 32)

    def do_handBack(self, op: Op) -> None:
        self.pool(self.holder(op), "handBack", self.unit(op))

    def do_expire(self, op: Op) -> None:
        self.pool(op, "expire", self.unit(op))

    def do_settle(self, op: Op) -> None:
        self.pool(op, "settleUnit", self.unit(op))

    def do_reclaim(self, op: Op) -> None:
        self.pair.write(payer(op), "AttributionPool", "reclaim", self.pot(op))

    def do_commit(self, op: Op) -> None:
        """Draw on one or two pots; now and then with a defect."""
        pots = (
            {self.pot(op), self.pot(replace(op, other=op.who))} if op.which > 3 else {self.pot(op)}
        )
        draws = tuple(typed_data.Draw(pot, min(op.amount, 4 * OPEN)) for pot in sorted(pots))
        earned, commit = self.next_commit(op, draws)
        signers = [KEYS[1], KEYS[2], KEYS[3]][op.who % 2 :][:2]
        if op.who == 5 and op.which in (4, 5):
            signers = [KEYS[1], KEYS[(1, 4)[op.which - 4]]]
        domain = self.domain("AttributionPool")
        signatures = [typed_data.sign(key, commit.digest(domain)) for key in signers]
        if self.pool(op, "commit", *claims.commit_args(commit, domain, signatures)):
            self.committed.append((commit, earned))

    def do_fallback(self, op: Op) -> None:
        draws = (typed_data.Draw(self.pot(op), min(op.amount, OPEN)),)
        earned, commit = self.next_commit(op, draws)
        if self.pool(op, "commitFallback", *claims.fallback_args(commit)):
            self.committed.append((commit, earned))

    def next_commit(
        self, op: Op, draws: tuple[typed_data.Draw, ...]
    ) -> tuple[dict[int, int], typed_data.EpochCommit]:
        """A commit on the last good root that may lower an amount, miss a leaf, or be refused."""
        epoch, _, _, rules = self.pair.read("AttributionPool", "runningEpoch", POOL)
        total = self.pair.read("AttributionPool", "poolOf", POOL)[2]
        previous = self.pair.read("AttributionPool", "activeHead", POOL)[1]
        added = sum(draw.amount for draw in draws)
        before = self.committed[-1][1] if self.committed else {}
        earned = {**before, op.other % OWNERS: before.get(op.other % OWNERS, 0) + added}
        if op.amount == 7 and earned.get(1):
            earned = {**earned, 1: earned[1] - 1, 2: earned.get(2, 0) + 1}
        earned = {index: amount for index, amount in earned.items() if amount}
        leaves = OWNERS - (op.who == 3 and 3 not in earned)
        tree = claims.tree_of(ACCOUNTS[1 : leaves + 1], earned)
        defect = op.which if op.who == 5 else -1
        facts = (
            tree.root,
            total + added + (defect == 2),
            0 if defect == 3 else leaves,
            b"e" * 32,
            rules,
            draws,
        )
        place = (POOL, epoch + 1 + (defect == 0), b"?" * 32 if defect == 1 else previous)
        self.trees[tree.root] = tree
        return earned, typed_data.EpochCommit(*place, *facts)

    def last(self, back: int = 0) -> tuple[typed_data.EpochCommit, Any] | None:
        """The last commit, or the one before it, with its tree."""
        known = self.committed[-1 - back : len(self.committed) - back or None]
        return (known[0][0], self.trees[known[0][0].root]) if known else None

    def do_claim(self, op: Op) -> None:
        found = self.last(op.which % 2)
        if found is None:
            return
        commit, tree = found
        _, _, leaves, draws = claims.root_args(commit)
        index, owner, cumulative, proof = self.item(op, tree)
        if op.amount == 1:
            cumulative += 1
        if op.amount == 7:
            proof = proof[:-1]
        self.pool(op, "claim", POOL, leaves, draws, index, owner, cumulative, proof)

    def do_batch(self, op: Op) -> None:
        found = self.last(op.other % 2)
        if found is not None:
            commit, tree = found
            items = [claims.claim_args(tree, at) for at in range(len(tree.leaves))]
            strange = (9, b"o" * 32, 5, b"")
            batch = [*items[: op.which], strange, *items]
            self.pool(op, "claimBatch", POOL, claims.root_args(commit), batch)

    def item(self, op: Op, tree: Any) -> claims.ClaimArgs:
        return claims.claim_args(tree, op.which % len(tree.leaves))

    def do_prove(self, op: Op) -> None:
        """All proofs, true or false, against whatever is pending."""
        now, before = self.last(), self.last(1)
        if now is None:
            return
        root = claims.root_args(now[0])
        index, owner, cumulative, proof = self.item(op, now[1])
        if before is not None and index < len(before[1].leaves):
            old = (
                POOL,
                claims.root_args(before[0]),
                root,
                index,
                claims.claim_args(before[1], index)[1:],
            )
            self.fraud(op, "proveDecrease", *old, (owner, cumulative, proof))
        self.fraud(op, "proveOwner", POOL, root, index, (owner, cumulative, proof))
        self.fraud(op, "proveOmission", POOL, root, op.other)
        self.fraud(op, "proveStranger", POOL, root)
        top = now[1].top()
        self.fraud(op, "proveSum", POOL, root, top, ())

    def do_demand(self, op: Op) -> None:
        found = self.last()
        if found is not None:
            root = claims.root_args(found[0])
            outcome = self.fraud(replace(op, who=payer(op)), "demand", POOL, root, op.which)
            if outcome:
                self.demands.append(outcome.events[0][2]["id"])

    def do_answer(self, op: Op) -> None:
        found = self.last()
        if found is not None:
            index, _, cumulative, proof = self.item(op, found[1])
            cumulative += op.amount == 1
            self.fraud(op, "answer", POOL, claims.root_args(found[0]), index, cumulative, proof)

    def do_unanswered(self, op: Op) -> None:
        self.fraud(op, "close", self.demands[-1 - op.which % len(self.demands)])

    def do_restore(self, op: Op) -> None:
        found = self.last()
        if found is not None:
            commit = found[0]
            draws = tuple((draw.pot, draw.amount) for draw in commit.draws)
            if self.pool(op, "restore", POOL, claims.root_args(commit), draws):
                self.committed.pop()

    def fraud(self, op: Op, function: str, *args: Any) -> Any:
        return self.pair.write(op.who, "FraudProofs", function, *args)

    def do_slash(self, op: Op) -> None:
        self.do_anchor(op)
        self.court.order(self.holder(op), self.unit(op), self.domain("Arbiter"))

    def do_accuse(self, op: Op) -> None:
        self.court.accuse(op, self.unit(op))

    def do_challenge(self, op: Op) -> None:
        self.court.challenge(op, POOL)

    def do_judge(self, op: Op) -> None:
        self.court.judge(op)

    def channel(self, op: Op) -> tuple[int, bytes]:
        return self.opened[-1 - op.which % len(self.opened)]

    def do_open(self, op: Op) -> None:
        who = payer(op)
        function = "openHosting" if op.who == 3 else "open"
        if self.channels(who, function, SALTS[op.which], ACCOUNTS[op.other], op.amount):
            self.opened.append((who, vouchers.channel_id(ACCOUNTS[who], SALTS[op.which])))

    def do_voucher(self, op: Op) -> None:
        self.channels(op.who, "claim", *self.voucher(op).claim_args())

    def do_many(self, op: Op) -> None:
        signed = [self.voucher(op), self.voucher(replace(op, who=5, which=0)), self.voucher(op)]
        self.channels(op.who, "claimMany", [each.claim_args() for each in signed])

    def do_sweep(self, op: Op) -> None:
        parts = [(asset, version) for asset in ASSETS for version in (0, 1)]
        self.channels(op.who, "sweep", self.channel(op)[1], parts[op.which % 4 :][: op.other + 1])
        channel = self.channel(op)[1]
        due = [p for p in parts if self.pair.read("InferenceChannels", "dueOf", channel, *p)]
        self.channels(op.who, "sweep", channel, due)

    def voucher(self, op: Op) -> vouchers.SignedVoucher:
        """A voucher over one or two assets, now and then badly signed, low or unsorted."""
        who, channel = self.channel(op)
        deposit = self.pair.read("InferenceChannels", "channelOf", channel)[2]
        seen = self.pair.read("InferenceChannels", "usedOf", channel, ASSETS[0], 1)
        first = vouchers.Usage(ASSETS[0], 1, seen + min(op.amount, deposit // 3))
        version = (0, 1, 2)[op.other % 3]  # never in force; in force; not yet
        second = vouchers.Usage(ASSETS[op.which % 2], version, min(op.amount, deposit // 3))
        usage = [first, second][: 1 + op.who % 2]
        if op.who == 5:
            usage.reverse()
        ceiling = deposit if op.who != 4 else deposit // 2
        key = KEYS[who if op.who != 3 else 7]
        voucher = typed_data.Voucher(channel, ceiling, vouchers.usage_hash(usage))
        signature = typed_data.sign(key, voucher.digest(self.domain("InferenceChannels")))
        return vouchers.SignedVoucher(channel, ceiling, tuple(usage), signature)

    def do_startClose(self, op: Op) -> None:
        who, channel = self.channel(op)
        self.channels(who if op.other else 5, "startClose", channel)

    def do_close(self, op: Op) -> None:
        self.channels(op.who, "close", self.channel(op)[1])

    def do_deposit(self, op: Op) -> None:
        args = (ACCOUNTS[op.which], op.amount)
        self.pair.write(payer(op), "WorkerStake", "deposit", *args)

    def do_unbond(self, op: Op) -> None:
        who = op.which if op.other > 1 else op.who + 3 * (op.other == 1)
        self.pair.write(who, "WorkerStake", "unbond", ACCOUNTS[op.which], min(op.amount, OPEN))

    def do_withdraw(self, op: Op) -> None:
        self.pair.write(op.who, "WorkerStake", "withdraw", ACCOUNTS[op.which])

    def do_payout(self, op: Op) -> None:
        who = (op.which + 1, op.which + 5, op.who)[op.amount % 3] % len(ACCOUNTS)
        self.pair.write(who, "AssetRegistry", "setPayout", op.which, ACCOUNTS[op.other])

    def do_model(self, op: Op) -> None:
        lineage = [(*ASSETS, b"l" * 32)[op.which % 3]] * op.other
        args = (CONTENT, lineage, op.amount % 2**16)
        self.pair.write(op.who, "AssetRegistry", "registerModel", *args)
        args = (SALTS[op.which % 2], op.other)
        self.pair.write(op.who, "AssetRegistry", "registerDatanet", *args)

    def do_transfer(self, op: Op) -> None:
        to = ACCOUNTS[op.which] if op.other else "0x" + "00" * 20
        self.pair.write(payer(op), "OpenToken", "transfer", to, op.amount)

    def do_wait(self, op: Op) -> None:
        self.pair.wait((1, 5, 10, 31, 120, 0)[op.which])

    def domain(self, contract: str) -> typed_data.Domain:
        return claims.contract_domain(contract, CHAIN_ID, self.pair.addresses[contract])

    def check(self) -> None:
        """The whole visible state agrees, and no coin is made or lost."""
        read, addresses = self.pair.read, self.pair.addresses
        holders = [*ACCOUNTS, *addresses.values()]
        balances = {holder: read("OpenToken", "balanceOf", holder) for holder in holders}
        assert sum(balances.values()) == read("OpenToken", "totalSupply")
        assert balances[TREASURY] >= 0
        assert not balances[addresses["Arbiter"]]
        bonded = 0
        for account in ACCOUNTS[:6]:
            stake, locked = (read("WorkerStake", f, account) for f in ("stakeOf", "lockedOf"))
            assert locked <= stake
            bonded += stake + read("WorkerStake", "unbondingOf", account)[0]
        assert bonded == balances[addresses["WorkerStake"]]
        for unit in self.units:
            read("AttributionPool", "unitOf", unit)
            read("WorkerStake", "lockOf", unit)
        for case in self.court.cases:
            read("Arbiter", "caseOf", case)
        read("AttributionPool", "activeHead", POOL)
        read("AttributionPool", "waits", POOL)
        read("AttributionPool", "clockOf", POOL)
        read("AttributionPool", "pendingHead", POOL)
        _, _, total, funded, claimed = read("AttributionPool", "poolOf", POOL)
        assert claimed <= total <= funded
        owed = total - claimed
        escrow = sum(read("AttributionPool", "potOf", pot)[1] for pot in self.all_pots())
        assert balances[addresses["AttributionPool"]] == escrow + owed
        channels = [read("InferenceChannels", "channelOf", each) for _, each in self.opened]
        held = sum(deposit - spent for _, _, deposit, spent, *_ in channels)
        due = sum(
            read("InferenceChannels", "dueOf", each, asset, version)
            for each in {each for _, each in self.opened}
            for asset in ASSETS
            for version in (0, 1, 2)
        )
        assert balances[addresses["InferenceChannels"]] == held + due

    def all_pots(self) -> list[bytes]:
        """Jobs' pots, and the fee pot of every asset in every channel."""
        channels = [channel for _, channel in self.opened]
        pairs = [(channel, asset) for channel in channels for asset in ASSETS]
        return self.pots + [self.pair.read("InferenceChannels", "feePot", *pair) for pair in pairs]


def play(ops: list[Op]) -> None:
    story = Story()
    for op in ops:
        story.step(op)
    story.check()


@given(st.lists(OPS, min_size=20, max_size=60))
@settings(max_examples=8)
def test_models_and_bytecode_agree(ops: list[Op]) -> None:
    play(ops)


@pytest.mark.slow
@given(st.lists(OPS, min_size=100, max_size=100))
@settings(max_examples=1_000)
def test_models_and_bytecode_agree_over_100_000_operations(ops: list[Op]) -> None:
    play(ops)
