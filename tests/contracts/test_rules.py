"""RuleRegistry at deployment: version 1 is the genesis, nothing is in force before it."""

from dataclasses import replace

import pytest

from protocol.errors import OperatorError, Reverted
from settlement.models.ledger import Env
from settlement.models.world import build
from tests.contracts.court import Court
from tests.contracts.scene import Scene
from tests.settlement.pair import ACCOUNTS, CHAIN_ID, KEYS, PARAMS, START

RULES = "RuleRegistry"


@pytest.fixture
def boxed() -> Scene:
    """In the box, where also the timelock may begin a call."""
    return Scene(box=True)


def test_version_1_is_the_genesis_and_in_force_since_deployment(scene: Scene) -> None:
    assert scene.read(RULES, "lastVersion") == 1
    assert scene.read(RULES, "rulesOf", 1) == PARAMS.rules.astuple()
    assert scene.read(RULES, "effectiveAt", 1) == START
    assert scene.read(RULES, "versionAt", START) == 1
    assert scene.read(RULES, "versionAt", 2**64) == 1
    assert (scene.read(RULES, "minWindow"), scene.read(RULES, "maxWindow")) == (5, 20)


def test_only_the_timelock_appends_and_names(scene: Scene) -> None:
    start = scene.now + 100
    for who in (0, 7):
        assert scene.refused(who, RULES, "append", PARAMS.rules.astuple(), start) == "NotTimelock"
        assert scene.refused(who, RULES, "nameGuardian", ACCOUNTS[1]) == "NotTimelock"
        pair = (scene.addresses["OpenToken"], scene.addresses["WorkerStake"])
        assert scene.refused(who, RULES, "nameSuccessor", *pair) == "NotTimelock"


def test_the_guardian_pauses_once_and_briefly(scene: Scene) -> None:
    assert scene.read(RULES, "guardian") == ACCOUNTS[7]
    assert scene.refused(0, RULES, "pause", 1) == "NotGuardian"
    for duration in (0, 7 * 86_400 + 1):
        assert scene.refused(7, RULES, "pause", duration) == "PauseTooLong"
    assert scene.refused(7, RULES, "unpause") == "NotPaused"
    scene.done(7, RULES, "pause", 7 * 86_400)
    assert scene.read(RULES, "paused")
    assert scene.refused(7, RULES, "pause", 1) == "NotGuardian"
    assert scene.refused(0, RULES, "unpause") == "NotTimelock"
    scene.wait(7 * 86_400)
    assert not scene.read(RULES, "paused")


def test_the_guardian_ends_its_pause(scene: Scene) -> None:
    scene.done(7, RULES, "pause", 100)
    scene.done(7, RULES, "unpause")
    assert not scene.read(RULES, "paused")
    assert scene.refused(7, RULES, "pause", 100) == "NotGuardian"


OFF = {
    "contributors_bps": (999, 9_001),
    "model_owner_bps": (5_001,),
    "private_cap_bps": (5_001,),
    "fee_treasury_bps": (2_001,),
    "fee_host_bps": (1_999, 2_001),
    "samples": (0, 1),
    "verifiers": (0, 1),
    "unit_pay": (PARAMS.rules.unit_stake // 4 + 1,),
    "unit_stake": (PARAMS.unit_stake - 1, PARAMS.unit_stake + 1),
    "slash": (PARAMS.rules.unit_stake + 1,),
    "window_seconds": (4, 21),
}


def test_no_vote_leaves_the_rails(boxed: Scene) -> None:
    """Also one that passed: the timelock itself is refused."""
    timelock, later = boxed.addresses["OpenTimelock"], boxed.now + 1
    for field, value in [(f, v) for f in OFF for v in OFF[f]]:
        rules = replace(PARAMS.rules, **{field: value})
        assert boxed.would(timelock, RULES, "append", rules.astuple(), later) == "OffTheRails"


def test_rules_at_the_rails_are_taken(boxed: Scene) -> None:
    timelock, later = boxed.addresses["OpenTimelock"], boxed.now + 1
    p = PARAMS.rules
    edges = [
        replace(p, contributors_bps=1_000, model_owner_bps=9_000),
        replace(p, contributors_bps=9_000, model_owner_bps=1_000, private_cap_bps=9_000),
        replace(p, fee_contributors_bps=1_000, fee_host_bps=5_500, fee_treasury_bps=2_000),
        replace(
            p,
            fee_contributors_bps=9_000,
            fee_host_bps=1_000,
            fee_owner_bps=0,
            fee_lineage_bps=0,
            fee_treasury_bps=0,
        ),
        replace(p, samples=2, verifiers=2, unit_pay=p.unit_stake // 4, slash=p.unit_stake),
        replace(p, window_seconds=5),
        replace(p, window_seconds=20),
    ]
    for rules in edges:
        assert not boxed.would(timelock, RULES, "append", rules.astuple(), later)


def test_no_version_starts_in_the_past_or_before_another(boxed: Scene) -> None:
    timelock, rules = boxed.addresses["OpenTimelock"], PARAMS.rules.astuple()
    for start in (0, boxed.now, 2**64):
        assert boxed.would(timelock, RULES, "append", rules, start) == "StartTooEarly"
    assert not boxed.would(timelock, RULES, "append", rules, boxed.now + 1)


def test_the_greatest_slash_that_can_be_voted_is_what_a_unit_locks() -> None:
    """Whatever is voted, an order for it is not refused as above the lock."""
    court = Court()
    most = replace(PARAMS.rules, slash=PARAMS.rules.unit_stake)
    assert not most.broken_rail(PARAMS.min_window, PARAMS.max_window, PARAMS.unit_stake)
    assert court.read(RULES, "unitStake") == court.read("AttributionPool", "unitStake")
    court.order(most.slash)
    over = replace(most, unit_stake=most.unit_stake + 1, slash=most.unit_stake + 1)
    assert over.broken_rail(PARAMS.min_window, PARAMS.max_window, PARAMS.unit_stake)


@pytest.mark.parametrize("field", ["unit_stake", "window"])
def test_a_pool_that_keeps_other_rules_than_version_1_is_not_deployed(field: str) -> None:
    with pytest.raises(OperatorError, match="bad-deploy"):
        replace(PARAMS, **{field: getattr(PARAMS, field) - 1})


def test_a_genesis_off_the_rails_is_not_deployed() -> None:
    bad = replace(PARAMS, rules=replace(PARAMS.rules, samples=1))
    with pytest.raises(Reverted, match="OffTheRails"):
        build(Env(CHAIN_ID, START), bad, KEYS[0])
