"""Gas of the settlement's frequent transactions: ``python -m tests.bench.gas``.

1,024 leaves, a quorum of 3, on py-evm under Cancun rules. The first commit writes fresh storage, so
the third is shown too; figures to beat stand in the last column.
"""

import sys
from dataclasses import replace

from protocol import typed_data
from protocol.params import OPEN
from settlement import claims
from settlement.sumtree import SumLeaf, SumTree
from settlement.vouchers import Usage
from tests.contracts.scene import TASK, UNIT, Scene
from tests.settlement.pair import ACCOUNTS, KEYS, PARAMS

LEAVES = 1024
EPOCHS = 3


def main() -> None:
    """Print the table."""
    scene = Scene(replace(PARAMS, aggregator_threshold=3), box=True)
    rows = [*epochs(scene), *batch(scene), *channel(scene), *units(scene)]
    sys.stdout.write(f"{'transaction':44}{'gas':>10}{'at most':>10}\n")
    for name, gas, limit in rows:
        sys.stdout.write(
            f"{name:44}{gas:>10,}{limit:>10,}\n" if limit else f"{name:44}{gas:>10,}\n"
        )


def tree_of(amount: int) -> SumTree:
    """The four operators with ``amount`` each, and owners that nobody registered."""
    known = [claims.owner_id(account) for account in ACCOUNTS[1:5]]
    owners = known + [bytes([7]) * 32] * (LEAVES - len(known))
    return SumTree(
        [SumLeaf(at, owner, amount if at < len(known) else 1) for at, owner in enumerate(owners)]
    )


def commit(scene: Scene, amount: int) -> tuple[SumTree, int]:
    """Fund a pot, commit an epoch that draws it; the tree and the commit's gas."""
    salt = amount.to_bytes(32, "big")
    tree, total = tree_of(amount), scene.read("AttributionPool", "lastRoot")[2]
    scene.done(0, "AttributionPool", "fund", salt, tree.total - total, 1, 30, salt)
    draw = typed_data.Draw(claims.pot_id(ACCOUNTS[0], salt), tree.total - total)
    args = scene.commit_args(scene.epoch(tree, draw), (1, 2, 3))
    gas = scene.done(5, "AttributionPool", "commit", *args).gas
    scene.wait(PARAMS.window)
    return tree, gas


def epochs(scene: Scene) -> list[tuple[str, int, int]]:
    """Commits and single claims over three epochs."""
    rows = []
    for epoch in range(1, EPOCHS + 1):
        tree, gas = commit(scene, epoch * OPEN)
        rows.append((f"commit {epoch}, one pot, 3 signatures", gas, 110_000))
        paid = scene.done(8, "AttributionPool", "claim", *claims.claim_args(tree, 0)).gas
        name = "first claim, fresh payout address" if epoch == 1 else "claim again"
        rows.append((name, paid, 105_000 if epoch == 1 else 71_000))
    return rows


def batch(scene: Scene) -> list[tuple[str, int, int]]:
    """Three owners' claims in one transaction, the second time."""
    rows = []
    for epoch, limit in ((EPOCHS + 1, 68_000), (EPOCHS + 2, 34_000)):
        tree, _ = commit(scene, epoch * OPEN)
        items = [claims.claim_args(tree, index) for index in range(1, 4)]
        gas = scene.done(8, "AttributionPool", "claimBatch", items).gas // len(items)
        name = "first" if limit == 68_000 else "again"
        rows.append((f"batch of 3, per claim, {name}", gas, limit))
    return rows


def channel(scene: Scene) -> list[tuple[str, int, int]]:
    """One voucher for 1,000 answers of one asset."""
    rows, opened = [], scene.channel()
    for total in (OPEN, 2 * OPEN):
        voucher = scene.voucher(opened, total, Usage(b"m" * 32, 1, total), key=KEYS[0])
        gas = scene.done(8, "InferenceChannels", "claim", *voucher.claim_args()).gas
        name = "first" if total == OPEN else "again"
        rows.append((f"voucher over 1,000 answers, {name} claim", gas, 74_000))
    parts = [(b"m" * 32, 1)]
    gas = scene.done(8, "InferenceChannels", "sweep", opened, parts).gas
    return [*rows, ("sweep of one asset, fresh pot", gas, 0)]


def units(scene: Scene) -> list[tuple[str, int, int]]:
    """A unit's way: reserved, anchored."""
    reserved = scene.done(4, "AttributionPool", "reserve", scene.job, TASK).gas
    anchored = scene.done(4, "AttributionPool", "anchor", UNIT, b"r" * 32, b"a" * 32).gas
    return [("reserve a unit", reserved, 0), ("anchor a unit", anchored, 0)]


if __name__ == "__main__":
    main()
