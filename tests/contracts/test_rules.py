"""RuleRegistry at deployment: version 1 is the genesis, nothing is in force before it."""

from dataclasses import replace

import pytest

from settlement.deploy import DeployParams
from tests.contracts.scene import Scene
from tests.settlement.pair import ACCOUNTS, PARAMS, START, Pair

RULES = "RuleRegistry"


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
    "slash": (PARAMS.rules.unit_stake + 1,),
    "window_seconds": (4, 21),
}


@pytest.mark.parametrize(("field", "value"), [(f, v) for f in OFF for v in OFF[f]])
def test_no_genesis_is_off_the_rails(field: str, value: int) -> None:
    """The constructor refuses on the bytecode (no code there) and in the model."""
    params: DeployParams = replace(PARAMS, rules=replace(PARAMS.rules, **{field: value}))
    with pytest.raises(Exception, match="OffTheRails"):
        Pair(params)
