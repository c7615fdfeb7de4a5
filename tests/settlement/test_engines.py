"""revm and the chain in a box run the same bytecode to the same result."""

import pytest

from protocol.params import OPEN
from settlement import claims
from settlement.vouchers import Usage
from tests.contracts.scene import TASK, UNIT, Scene
from tests.settlement.engines import HAS_REVM
from tests.settlement.pair import ACCOUNTS, PARAMS, Outcome, Pair


class Recorded(Scene):
    """A scene that keeps what every transaction did."""

    def __init__(self, *, box: bool) -> None:
        self.outcomes: list[Outcome] = []
        super().__init__(box=box)

    def write(self, who: int, contract: str, function: str, *args: object) -> Outcome:
        outcome = super().write(who, contract, function, *args)
        self.outcomes.append(outcome)
        return outcome


def story(*, box: bool) -> list[Outcome]:
    """Writes, refunds, burns, signatures, refusals and clocks."""
    scene = Recorded(box=box)
    scene.done(4, "AttributionPool", "reserve", scene.job, TASK)
    scene.done(4, "AttributionPool", "anchor", UNIT, b"r" * 32, b"a" * 32)
    tree = scene.settle(7 * OPEN, 0, 3 * OPEN)
    scene.done(8, "AttributionPool", "claim", *scene.claim_args(tree, 0))
    scene.refused(8, "AttributionPool", "claim", *scene.claim_args(tree, 0))
    items = [claims.claim_args(tree, index) for index in range(4)]
    scene.done(
        8, "AttributionPool", "claimBatch", claims.GENESIS_POOL, scene.roots[tree.root], items
    )
    channel = scene.channel()
    voucher = scene.voucher(channel, OPEN, Usage(b"m" * 32, 1, OPEN))
    scene.done(8, "InferenceChannels", "claim", *voucher.claim_args())
    scene.done(0, "InferenceChannels", "startClose", channel)
    scene.wait(PARAMS.close_seconds)
    scene.done(8, "InferenceChannels", "close", channel)
    scene.done(8, "AttributionPool", "settleUnit", UNIT)
    return scene.outcomes


@pytest.mark.skipif(not HAS_REVM, reason="pyrevm has no wheel for this platform")
def test_both_engines_do_the_same() -> None:
    on_revm, on_box = story(box=False), story(box=True)
    assert on_revm == on_box
    assert all(outcome.gas is None for outcome in on_revm)
    assert all(outcome.gas or outcome.error for outcome in on_box)


def test_a_view_changes_nothing_and_sees_the_clock() -> None:
    pair = Pair()
    pair.write(1, "AssetRegistry", "registerOwner", ACCOUNTS[5])
    pair.write(1, "AssetRegistry", "setPayout", 0, ACCOUNTS[6])
    assert pair.read("AssetRegistry", "payoutOf", 0) == ACCOUNTS[5]
    pair.wait(PARAMS.payout_delay)
    assert pair.read("AssetRegistry", "payoutOf", 0) == ACCOUNTS[6]
