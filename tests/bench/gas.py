"""Gas of the settlement's frequent transactions beside the anchors: ``python -m tests.bench.gas``.

Py-evm under Cancun rules, a quorum of 3, amounts of eighteen digits, owners at the first 32 indices and
strangers behind them. The trees are sparse: only what a proof of the first 32 leaves needs is computed,
so a root over a million leaves costs no more here than one over a thousand.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace

from eth_utils.crypto import keccak

from protocol import typed_data
from protocol.ids import address_bytes, checksum
from protocol.params import OPEN
from protocol.typed_data import address_of
from settlement import claims
from settlement.models.registry import Owner
from settlement.sumtree import SumLeaf, SumNode, SumTree, depth, pack_proof, parent
from settlement.vouchers import Usage
from tests.contracts.scene import GENESIS, TASK, UNIT, Scene
from tests.settlement.pair import ACCOUNTS, KEYS, PARAMS

LEAVES = (1_000, 1_024, 10_000, 100_000, 1_000_000)
COMPARED = 1_024  # leaves, as the anchors were measured
KNOWN = 32  # leaves that are real, a full subtree
BATCH = 20
OWNERS = range(1, 1 + BATCH + 4)  # accounts that are registered, in this order
PAID = 50 * OPEN  # what an average leaf gets in an epoch
STAKE = 100_000 * OPEN
COMMIT, FIRST, AGAIN, BATCH_FIRST, BATCH_AGAIN, VOUCHER = (
    110_000,
    105_000,
    71_000,
    68_000,
    34_000,
    74,
)

Row = tuple[str, int, int]


def main() -> None:
    """Print the table."""
    for number in range(len(KEYS) + 1, OWNERS.stop + 1):
        KEYS.append(bytes([number]) * 32)
        ACCOUNTS.append(checksum(address_of(KEYS[-1])))
    table = [row for leaves in LEAVES for row in measured(leaves)]
    table += [*channel(Scene(box=True)), *units(Scene(box=True))]
    sys.stdout.write(f"{'transaction':52}{'gas':>10}{'at most':>10}\n")
    for name, gas, limit in table:
        sys.stdout.write(f"{name:52}{gas:>10,}{f'{limit:>10,}' if limit else ''}\n")


class Sparse:
    """The tree over ``count`` leaves of which the first 32 are the known owners'."""

    def __init__(self, count: int, epoch: int) -> None:
        average = min(PAID, STAKE // (2 * count))
        leaves = [
            SumLeaf(at, claims.owner_id(account), epoch * average + _noise(at, epoch) % average)
            for at, account in enumerate(known())
        ]
        self.count = count
        self._below = SumTree(leaves)
        node = SumNode(self._below.root, self._below.total)
        self._above = []
        for level in range(depth(KNOWN), depth(count)):
            amount = (epoch * average << level) + _noise(level, epoch) % average
            self._above.append(SumNode(keccak(b"%d %d" % (level, epoch)), amount))
            node = parent(node, self._above[-1])
        self.root, self.total = node.hash, node.sum

    def item(self, index: int) -> claims.ClaimArgs:
        """The claim of a known owner."""
        proof = (*self._below.proof(index), *self._above)
        leaf = self._below.leaves[index]
        return index, leaf.owner_id, leaf.cumulative, pack_proof(proof)


def known() -> list[str]:
    """Registered operators by index, padded with strangers."""
    accounts = [ACCOUNTS[who] for who in OWNERS]
    return accounts + ["0x" + "07" * 20] * (KNOWN - len(accounts))


def _noise(at: int, epoch: int) -> int:
    return int.from_bytes(keccak(b"%d/%d" % (at, epoch)), "big")


def opened(leaves: int) -> Scene:
    """A scene with rich signers, all known owners and as many strangers as the tree has leaves."""
    scene = Scene(replace(PARAMS, aggregator_threshold=3), box=True)
    for who in OWNERS[4:]:
        scene.done(who, "AssetRegistry", "registerOwner", payout(who))
    for who in (1, 2, 3):
        scene.done(0, "WorkerStake", "deposit", ACCOUNTS[who], STAKE)
    fill(scene, leaves)
    return scene


def payout(who: int) -> str:
    """A payout address that has never held a coin."""
    return checksum(keccak(b"payout %d" % who)[:20])


def fill(scene: Scene, count: int) -> None:
    """Let the registry count ``count`` owners: a length in storage, and the same in the model."""
    chain = scene.engine.chain._chain  # type: ignore[attr-defined]
    state = chain.get_vm(chain.header).state
    registry = address_bytes(scene.addresses["AssetRegistry"])
    slot = next(at for at in range(8) if state.get_storage(registry, at) == len(OWNERS))
    state.set_storage(registry, slot, count)
    state.persist()
    chain.header = chain.header.copy(state_root=state.state_root)
    owners = scene.models["AssetRegistry"]._owners  # type: ignore[attr-defined]
    strangers = (Owner("0x" + "00" * 20, "0x" + "00" * 20, 0),) * (count - len(OWNERS))
    owners.value = (*owners.value, *strangers)
    scene.done(8, "CommitLog", "commit", b"t" * 32, b"s" * 32, b"v" * 32)  # mines the change
    assert scene.read("AssetRegistry", "ownerCount") == count


def commit(scene: Scene, tree: Sparse, pots: int = 1) -> int:
    """Fund pots, commit an epoch that draws all of them; the commit's gas."""
    added = tree.total - scene.total()
    parts = [added // pots] * (pots - 1) + [added - added // pots * (pots - 1)]
    draws = []
    for at, amount in enumerate(parts):
        salt = keccak(b"%d of %d" % (at, tree.total))
        draws.append(typed_data.Draw(scene.another(salt, amount + 1, pay=1), amount))
    number, _, _, rules = scene.read("AttributionPool", "runningEpoch", GENESIS)
    previous = scene.read("AttributionPool", "activeHead", GENESIS)[1]
    facts = (tree.root, tree.total, tree.count, keccak(tree.root), rules)
    epoch = typed_data.EpochCommit(GENESIS, number + 1, previous, *facts, tuple(draws))
    gas = scene.commit(epoch, (1, 2, 3)).gas
    scene.wait(PARAMS.window)
    return gas


def measured(leaves: int) -> list[Row]:
    """Commits and claims over a tree of so many leaves."""
    scene, rows = opened(leaves), []
    trees = [Sparse(leaves, epoch) for epoch in range(1, 7)]
    for number, tree in enumerate(trees[:3], 1):
        rows.append((f"commit {number}, {leaves:,} leaves, one pot", commit(scene, tree), COMMIT))
        if leaves == COMPARED:
            name = "first claim, fresh payout address" if number == 1 else "claim again"
            gas = scene.done(8, "AttributionPool", "claim", *claim(scene, tree, 22)).gas
            rows.append((name, gas, FIRST if number == 1 else AGAIN))
    if leaves != COMPARED:
        return rows[2:]
    for tree, limit in zip(trees[3:5], (BATCH_FIRST, BATCH_AGAIN), strict=True):
        commit(scene, tree)
        args = (GENESIS, scene.roots[tree.root], [tree.item(at) for at in range(4, 4 + BATCH - 2)])
        args[2].extend(tree.item(at) for at in (2, 3))
        outcome = scene.done(8, "AttributionPool", "claimBatch", *args)
        assert sum(name == "Claimed" for _, name, _ in outcome.events) == BATCH
        word = "first" if limit == BATCH_FIRST else "again"
        rows.append((f"batch of {BATCH}, per claim, {word}", outcome.gas // BATCH, limit))
    two = commit(scene, trees[5], pots=2)
    rows.append(("each further pot of a commit", two - _last(rows), 0))
    return rows


def _last(rows: Sequence[Row]) -> int:
    """Gas of the last commit among the rows."""
    return next(gas for name, gas, _ in reversed(rows) if name.startswith("commit"))


def claim(scene: Scene, tree: Sparse, index: int) -> tuple[object, ...]:
    return GENESIS, *scene.roots[tree.root][2:], *tree.item(index)


def channel(scene: Scene) -> list[Row]:
    """One voucher for 1,000 answers of one asset, booked; the pots paid by the sweep."""
    rows, name_ = [], scene.channel()
    for total in (OPEN, 2 * OPEN):
        voucher = scene.voucher(name_, total, Usage(b"m" * 32, 1, total), key=KEYS[0])
        gas = scene.done(8, "InferenceChannels", "claim", *voucher.claim_args()).gas
        name = "first" if total == OPEN else "again"
        rows.append((f"voucher over 1,000 answers, {name} claim", gas, VOUCHER))
    gas = scene.done(8, "InferenceChannels", "sweep", name_, [(b"m" * 32, 1)]).gas
    return [*rows, ("sweep of one asset, fresh pot", gas, 0)]


def units(scene: Scene) -> list[Row]:
    """A unit's way: reserved, anchored."""
    reserved = scene.done(4, "AttributionPool", "reserve", scene.job, TASK).gas
    anchored = scene.done(4, "AttributionPool", "anchor", UNIT, b"r" * 32, b"a" * 32).gas
    return [("reserve a unit", reserved, 0), ("anchor a unit", anchored, 0)]


if __name__ == "__main__":
    main()
