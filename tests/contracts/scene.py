"""What the contract tests share: accounts 1..4 are operators, 1..3 aggregators and committee."""

from collections.abc import Sequence
from typing import Any

from protocol import typed_data
from protocol.ids import address_bytes, model_id
from protocol.params import OPEN
from settlement import claims, vouchers
from settlement.deploy import DeployParams
from settlement.models.arbiter import order_id
from settlement.models.pots import unit_id
from settlement.sumtree import SumTree
from tests.settlement.pair import ACCOUNTS, CHAIN_ID, KEYS, PARAMS, Outcome, Pair

OPERATORS = 4
SALT = b"j" * 32
TASK = b"u" * 32
UNIT = unit_id(ACCOUNTS[4], TASK)  # account 4's
STAKE = 100 * OPEN
EVIDENCE = b"e" * 32
NOBODY = "0x" + "00" * 20
GENESIS = claims.GENESIS_POOL


class Scene(Pair):
    """A pair with a job of 40 OPEN, 10 OPEN a unit, 30 seconds a unit."""

    def __init__(self, params: DeployParams = PARAMS, *, box: bool = False) -> None:
        super().__init__(params, box=box)
        self.roots: dict[bytes, claims.RootTuple] = {}  # by merkle root, as committed
        for owner in range(1, OPERATORS + 1):
            self.done(owner, "AssetRegistry", "registerOwner", ACCOUNTS[owner + 4])
        for contract in ("WorkerStake", "AttributionPool", "FraudProofs", "InferenceChannels"):
            self.done(0, "OpenToken", "approve", self.addresses[contract], 2**256 - 1)
        for owner in range(1, OPERATORS + 1):
            self.done(0, "WorkerStake", "deposit", ACCOUNTS[owner], STAKE)
        self.job = claims.pot_id(ACCOUNTS[0], SALT)
        self.done(0, "AttributionPool", "fund", SALT, 40 * OPEN, 10 * OPEN, 30, b"s" * 32)

    def done(self, who: int, contract: str, function: str, *args: Any) -> Outcome:
        """A transaction that must succeed."""
        outcome = self.write(who, contract, function, *args)
        assert not outcome.error, outcome.error
        return outcome

    def refused(self, who: int, contract: str, function: str, *args: Any) -> str:
        """A transaction that must revert: the error's name."""
        outcome = self.write(who, contract, function, *args)
        assert outcome.error
        return outcome.error

    def domain(self, contract: str) -> typed_data.Domain:
        return claims.contract_domain(contract, CHAIN_ID, self.addresses[contract])

    def tree(self, *earned: int) -> SumTree:
        """Cumulative amounts of the operators by index, the missing ones zero."""
        return claims.tree_of(ACCOUNTS[1 : OPERATORS + 1], dict(enumerate(earned)))

    def epoch(
        self, tree: SumTree, *draws: typed_data.Draw, pool: bytes = GENESIS
    ) -> typed_data.EpochCommit:
        """The honest next commit."""
        number, _, _, rules = self.read("AttributionPool", "runningEpoch", pool)
        previous = self.read("AttributionPool", "activeHead", pool)[1]
        facts = (tree.root, tree.total, len(tree.leaves), EVIDENCE, rules)
        return typed_data.EpochCommit(pool, number + 1, previous, *facts, draws)

    def commit_args(
        self,
        epoch: typed_data.EpochCommit,
        signers: Sequence[int] = (1, 2),
        domain: typed_data.Domain | None = None,
    ) -> tuple[Any, ...]:
        where = domain or self.domain("AttributionPool")
        signatures = [typed_data.sign(KEYS[who], epoch.digest(where)) for who in signers]
        return claims.commit_args(epoch, where, signatures)

    def commit(self, epoch: typed_data.EpochCommit, signers: Sequence[int] = (1, 2)) -> Outcome:
        """Commit an epoch that must be taken."""
        args = self.commit_args(epoch, signers)
        self.roots[epoch.root] = claims.root_args(epoch)
        return self.done(5, "AttributionPool", "commit", *args)

    def pending(self, *earned: int, job: bytes = b"", pool: bytes = GENESIS) -> SumTree:
        """Commit a draw on the job that pays these cumulative amounts."""
        tree = self.tree(*earned)
        added = tree.total - self.total(pool)
        self.commit(self.epoch(tree, typed_data.Draw(job or self.job, added), pool=pool))
        return tree

    def settle(self, *earned: int, job: bytes = b"") -> SumTree:
        """The same, and wait out the window."""
        tree = self.pending(*earned, job=job)
        self.wait(PARAMS.window)
        return tree

    def total(self, pool: bytes = GENESIS) -> int:
        """Of the last commit."""
        total = self.read("AttributionPool", "poolOf", pool)[2]
        assert isinstance(total, int)
        return total

    def another(self, salt: bytes, amount: int, pool: bytes = GENESIS, pay: int = OPEN) -> bytes:
        """One more pot of account 0: a job, or a standing pot without pay."""
        args = (pool, salt, amount, pay, 30 if pay else 0, EVIDENCE)
        self.done(0, "AttributionPool", "fundIn", *args)
        return claims.pot_id(ACCOUNTS[0], salt)

    def claim_args(self, tree: SumTree, index: int, pool: bytes = GENESIS) -> tuple[Any, ...]:
        """Arguments of ``claim``."""
        return pool, *self.roots[tree.root][2:], *claims.claim_args(tree, index)

    def slash_args(
        self,
        operator: int,
        amount: int,
        reporter: int | None = None,
        signers: Sequence[int] = (2, 3),
        unit: bytes = UNIT,
    ) -> tuple[Any, ...]:
        told = bytes(20) if reporter is None else address_bytes(ACCOUNTS[reporter])
        order = typed_data.Slash(address_bytes(ACCOUNTS[operator]), unit, amount, EVIDENCE, told)
        domain = self.domain("Arbiter")
        signatures = [typed_data.sign(KEYS[who], order.digest(domain)) for who in signers]
        return claims.slash_args(order, domain, signatures)

    def anchor(self) -> None:
        """Account 4 reserves its unit and anchors it."""
        self.done(4, "AttributionPool", "reserve", self.job, TASK)
        self.done(4, "AttributionPool", "anchor", UNIT, b"r" * 32, b"a" * 32)

    def slash(self, amount: int, reporter: int | None = None) -> Outcome:
        """The committee orders the slash of account 4's anchored unit; nobody appeals."""
        self.done(8, "Arbiter", "order", *self.slash_args(4, amount, reporter))
        self.wait(PARAMS.court.appeal_seconds)
        case = order_id(ACCOUNTS[4], UNIT)
        return self.done(8, "Arbiter", "execute", case)

    def balance(self, account: int | str) -> int:
        holder = ACCOUNTS[account] if isinstance(account, int) else self.addresses[account]
        amount = self.read("OpenToken", "balanceOf", holder)
        assert isinstance(amount, int)
        return amount

    def channel(self, amount: int = 10 * OPEN) -> bytes:
        """A channel from account 0 to operator 1."""
        self.done(0, "InferenceChannels", "open", SALT, ACCOUNTS[1], amount)
        return vouchers.channel_id(ACCOUNTS[0], SALT)

    def model(
        self, who: int, content: bytes, lineage: Sequence[bytes] = (), royalty_bps: int = 0
    ) -> bytes:
        """Register content as an operator's model; its id."""
        self.done(who, "AssetRegistry", "registerModel", content, lineage, royalty_bps)
        return model_id(address_bytes(ACCOUNTS[who]), content)

    def voucher(
        self, channel: bytes, ceiling: int, *usage: vouchers.Usage, key: bytes = KEYS[0]
    ) -> vouchers.SignedVoucher:
        return vouchers.sign_voucher(key, self.domain("InferenceChannels"), channel, ceiling, usage)


def high_s(signature: bytes) -> bytes:
    """The same signature's other form, with s in the upper half."""
    order = 2 * typed_data.HALF_ORDER + 1
    s = order - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])
