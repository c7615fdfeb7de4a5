"""Stake, slasher, registry, token: what an operator key can and cannot do."""

from dataclasses import replace

import pytest

from protocol import typed_data
from protocol.ids import address_bytes, datanet_id
from protocol.params import OPEN
from settlement.models.token import Permit
from tests.contracts.scene import EVIDENCE, NOBODY, STAKE, UNIT, Scene
from tests.settlement.pair import ACCOUNTS, KEYS, PARAMS, START

POOL, STAKES, SLASHER, REGISTRY = (
    "AttributionPool",
    "WorkerStake",
    "Arbiter",
    "AssetRegistry",
)


def test_a_slash_burns_all_but_a_tenth_for_the_first_challenger(scene: Scene) -> None:
    supply = scene.read("OpenToken", "totalSupply")
    scene.anchor()
    scene.done(2, SLASHER, "accuse", UNIT, b"B" * 32, EVIDENCE)
    scene.slash(2 * OPEN, reporter=2)
    assert scene.read(STAKES, "stakeOf", ACCOUNTS[4]) == STAKE - 2 * OPEN
    assert scene.balance(2) == OPEN // 5
    assert scene.read("OpenToken", "totalSupply") == supply - 2 * OPEN + OPEN // 5


def test_the_reward_is_capped_at_three_checks(scene: Scene) -> None:
    scene.anchor()
    scene.done(2, SLASHER, "accuse", UNIT, b"B" * 32, EVIDENCE)
    scene.slash(PARAMS.unit_stake, reporter=2)
    assert scene.balance(2) == PARAMS.court.reward_cap < PARAMS.unit_stake // 10


def test_without_a_challenger_all_is_burnt(scene: Scene) -> None:
    supply = scene.read("OpenToken", "totalSupply")
    scene.anchor()
    scene.slash(7)
    assert scene.read("OpenToken", "totalSupply") == supply - 7


def test_only_the_arbiter_touches_stake(scene: Scene) -> None:
    order, _ = scene.slash_args(4, OPEN)
    assert scene.refused(8, STAKES, "slash", *order) == "NotSlasher"
    assert scene.refused(8, STAKES, "seize", ACCOUNTS[4], UNIT, 1) == "NotSlasher"
    assert scene.refused(8, STAKES, "hold", ACCOUNTS[4], UNIT, True) == "NotSlasher"
    assert scene.refused(8, STAKES, "lock", ACCOUNTS[4], UNIT, 1) == "NotKeeper"
    assert scene.refused(8, STAKES, "unlock", ACCOUNTS[4], UNIT) == "NotKeeper"


def test_stake_on_its_way_out_goes_to_the_payout_address_after_the_time(scene: Scene) -> None:
    scene.done(4, STAKES, "unbond", ACCOUNTS[4], STAKE)
    assert scene.refused(8, STAKES, "withdraw", ACCOUNTS[4]) == "StillUnbonding"
    scene.wait(PARAMS.unbonding_seconds)
    scene.done(3, STAKES, "withdraw", ACCOUNTS[4])
    assert scene.balance(8) == STAKE
    assert scene.refused(3, STAKES, "withdraw", ACCOUNTS[4]) == "NothingUnbonding"


def test_a_further_unbonding_restarts_the_clock(scene: Scene) -> None:
    scene.done(4, STAKES, "unbond", ACCOUNTS[4], OPEN)
    scene.wait(PARAMS.unbonding_seconds - 1)
    scene.done(8, STAKES, "unbond", ACCOUNTS[4], OPEN)
    scene.wait(1)
    assert scene.refused(8, STAKES, "withdraw", ACCOUNTS[4]) == "StillUnbonding"


def test_locked_stake_neither_leaves_nor_pays_for_another_unit(scene: Scene) -> None:
    other = scene.read(POOL, "unitId", ACCOUNTS[4], b"v" * 32)
    scene.anchor()
    scene.done(4, POOL, "reserve", scene.job, b"v" * 32)
    free = STAKE - 2 * PARAMS.unit_stake
    assert scene.refused(4, STAKES, "unbond", ACCOUNTS[4], free + 1) == "InsufficientStake"
    scene.slash(PARAMS.unit_stake)
    assert scene.read(STAKES, "lockOf", other) == (ACCOUNTS[4], PARAMS.unit_stake)
    assert scene.read(STAKES, "lockedOf", ACCOUNTS[4]) == PARAMS.unit_stake
    assert scene.read(STAKES, "lockOf", UNIT) == (NOBODY, 0)


def test_a_slash_below_the_lock_frees_the_rest(scene: Scene) -> None:
    scene.anchor()
    scene.slash(OPEN)
    assert scene.read(STAKES, "lockedOf", ACCOUNTS[4]) == 0
    assert scene.read(STAKES, "stakeOf", ACCOUNTS[4]) == STAKE - OPEN


def test_history_is_what_stood_at_the_end_of_an_epoch(scene: Scene) -> None:
    scene.wait(PARAMS.court.epoch_seconds)
    first = scene.read(STAKES, "stakeEpoch")
    scene.done(4, STAKES, "unbond", ACCOUNTS[4], 30 * OPEN)
    scene.done(0, STAKES, "deposit", ACCOUNTS[4], OPEN)
    scene.wait(PARAMS.court.epoch_seconds)
    scene.done(0, STAKES, "deposit", ACCOUNTS[4], OPEN)
    seen = [scene.read(STAKES, "stakeAt", ACCOUNTS[4], first + at) for at in (-1, 0, 1)]
    assert seen == [STAKE, STAKE - 29 * OPEN, STAKE - 28 * OPEN]
    assert scene.read(STAKES, "stakeAt", ACCOUNTS[8], first) == 0


def test_jurors_own_points_by_their_stake_of_an_epoch(scene: Scene) -> None:
    """Whoever comes later, or leaves, changes nothing in the epochs before."""
    assert scene.refused(8, STAKES, "enlist", True) == "NotRegistered"
    for who in (3, 1, 2):
        scene.done(who, STAKES, "enlist", True)
    before = scene.read(STAKES, "stakeEpoch")
    scene.wait(PARAMS.court.epoch_seconds)
    scene.done(3, STAKES, "enlist", False)
    scene.done(4, STAKES, "enlist", True)
    scene.done(1, STAKES, "unbond", ACCOUNTS[1], STAKE - 1)
    drawn = [scene.read(STAKES, "jurorAt", before, at * STAKE)[0] for at in range(3)]
    assert drawn == [ACCOUNTS[3], ACCOUNTS[1], ACCOUNTS[2]]
    assert scene.read(STAKES, "jurorAt", before, 3 * STAKE) == "NoJuror"
    now = scene.read(STAKES, "stakeEpoch")
    assert scene.read(STAKES, "jurorStakeAt", now) == 2 * STAKE + 1
    points = [scene.read(STAKES, "jurorAt", now, at)[0] for at in (0, 1, STAKE, STAKE + 1)]
    assert points == [ACCOUNTS[1], ACCOUNTS[2], ACCOUNTS[2], ACCOUNTS[4]]
    assert scene.read(STAKES, "jurorAt", before - 1, 0) == "NoJuror"
    ranges = [scene.read(STAKES, "jurorRange", now, ACCOUNTS[at]) for at in (1, 2, 3, 4, 8)]
    assert ranges == [(0, 1), (1, STAKE), (0, 0), (STAKE + 1, STAKE), (0, 0)]
    assert scene.read(STAKES, "jurorRange", before, ACCOUNTS[4]) == (0, 0)


def test_a_stolen_operator_key_sends_stake_to_the_payout_address_only(scene: Scene) -> None:
    """It may start a change of address; the address itself cancels that within the delay."""
    scene.done(4, STAKES, "unbond", ACCOUNTS[4], STAKE)
    scene.done(4, REGISTRY, "setPayout", 3, ACCOUNTS[4])
    assert scene.read(REGISTRY, "payoutOf", 3) == ACCOUNTS[8]
    scene.done(8, REGISTRY, "setPayout", 3, ACCOUNTS[7])
    scene.wait(PARAMS.payout_delay + PARAMS.unbonding_seconds)
    scene.done(4, STAKES, "withdraw", ACCOUNTS[4])
    assert scene.balance(7) == STAKE
    assert scene.balance(4) == 0


def test_an_operator_s_change_of_payout_acts_after_the_delay(scene: Scene) -> None:
    scene.done(4, REGISTRY, "setPayout", 3, ACCOUNTS[6])
    scene.wait(PARAMS.payout_delay - 1)
    assert scene.read(REGISTRY, "payoutOf", 3) == ACCOUNTS[8]
    scene.wait(1)
    assert scene.read(REGISTRY, "ownerAt", 3) == (ACCOUNTS[4], ACCOUNTS[6])
    assert scene.refused(8, REGISTRY, "setPayout", 3, ACCOUNTS[8]) == "NotOwner"
    scene.done(6, REGISTRY, "setPayout", 3, ACCOUNTS[5])
    assert scene.read(REGISTRY, "payoutOfOperator", ACCOUNTS[4]) == ACCOUNTS[5]


def test_owners_are_numbered_in_order_once(scene: Scene) -> None:
    assert scene.read(REGISTRY, "ownerCount") == 4
    assert scene.refused(1, REGISTRY, "registerOwner", ACCOUNTS[1]) == "AlreadyRegistered"
    assert scene.refused(8, REGISTRY, "registerOwner", NOBODY) == "ZeroPayout"
    scene.done(8, REGISTRY, "registerOwner", ACCOUNTS[7])
    assert scene.read(REGISTRY, "ownerIndex", ACCOUNTS[8]) == 4
    assert scene.read(REGISTRY, "operatorOf", 4) == ACCOUNTS[8]
    assert scene.read(REGISTRY, "operatorOf", 5) == "UnknownOwner"
    assert scene.read(REGISTRY, "ownerIndex", ACCOUNTS[7]) == "NotRegistered"


def test_assets_have_one_owner(scene: Scene) -> None:
    datanet = datanet_id(address_bytes(ACCOUNTS[1]), b"d" * 32)
    scene.done(1, REGISTRY, "registerDatanet", b"d" * 32, 2)
    assert scene.read(REGISTRY, "datanetOf", datanet) == (0, 2)
    assert scene.refused(1, REGISTRY, "registerDatanet", b"d" * 32, 0) == "AssetExists"
    assert scene.refused(2, REGISTRY, "registerDatanet", b"e" * 32, 3) == "BadDataClass"
    model = scene.model(2, b"m" * 32, (b"b" * 32,), 500)
    assert scene.refused(2, REGISTRY, "registerModel", b"m" * 32, [], 0) == "AssetExists"
    assert scene.read(REGISTRY, "modelOwner", model) == 1
    assert scene.read(REGISTRY, "royaltyOf", model) == 500
    assert scene.read(REGISTRY, "modelPayout", model) == ACCOUNTS[6]
    assert scene.read(REGISTRY, "modelPayout", b"n" * 32) == NOBODY
    assert scene.read(REGISTRY, "modelOwner", b"n" * 32) == "UnknownAsset"
    long = [bytes(32)] * 65
    assert scene.refused(2, REGISTRY, "registerModel", b"n" * 32, long, 0) == "LineageTooLong"
    assert scene.refused(2, REGISTRY, "registerModel", b"n" * 32, [], 10_001) == "BadRoyalty"
    assert scene.refused(8, REGISTRY, "registerModel", b"n" * 32, [], 0) == "NotRegistered"


def test_who_registers_content_first_takes_nobody_s_asset(scene: Scene) -> None:
    manifest, adapter = b"d" * 32, b"m" * 32
    for who, data_class, royalty in ((2, 0, 10_000), (1, 2, 0)):  # the stranger comes first
        scene.done(who, REGISTRY, "registerDatanet", manifest, data_class)
        scene.done(who, REGISTRY, "registerModel", adapter, [], royalty)
    for who, data_class, royalty in ((2, 0, 10_000), (1, 2, 0)):
        datanet = scene.read(REGISTRY, "datanetId", ACCOUNTS[who], manifest)
        model = scene.read(REGISTRY, "modelId", ACCOUNTS[who], adapter)
        assert scene.read(REGISTRY, "datanetOf", datanet) == (who - 1, data_class)
        assert scene.read(REGISTRY, "modelOwner", model) == who - 1
        assert scene.read(REGISTRY, "royaltyOf", model) == royalty
    for content in (manifest, adapter):  # what a thing is names nobody's asset
        assert scene.read(REGISTRY, "datanetOf", content) == "UnknownAsset"
        assert scene.read(REGISTRY, "modelOwner", content) == "UnknownAsset"


def test_ids_of_datanets_and_models_never_meet(scene: Scene) -> None:
    scene.done(1, REGISTRY, "registerDatanet", b"c" * 32, 0)
    datanet = scene.read(REGISTRY, "datanetId", ACCOUNTS[1], b"c" * 32)
    assert datanet != scene.read(REGISTRY, "modelId", ACCOUNTS[1], b"c" * 32)
    assert scene.read(REGISTRY, "modelOwner", datanet) == "UnknownAsset"


def test_stake_is_only_for_registered_operators_and_is_listed_once(scene: Scene) -> None:
    assert scene.refused(0, STAKES, "deposit", ACCOUNTS[8], OPEN) == "NotRegistered"
    assert scene.refused(0, STAKES, "deposit", ACCOUNTS[1], 0) == "ZeroAmount"
    scene.done(0, STAKES, "deposit", ACCOUNTS[1], OPEN)
    assert scene.read(STAKES, "stakerCount") == 4
    assert [scene.read(STAKES, "stakerAt", at) for at in range(4)] == ACCOUNTS[1:5]
    assert scene.read(STAKES, "stakerAt", 4) == "Panic"


def test_the_log_keeps_order_and_author(scene: Scene) -> None:
    entries = [(bytes([at]) * 32, b"s" * 32, b"v" * 32) for at in range(3)]
    events = scene.done(6, "CommitLog", "commitMany", entries).events
    assert [args["topic"][0] for _, _, args in events] == [0, 1, 2]
    assert {args["operator"] for _, _, args in events} == {ACCOUNTS[6]}


@pytest.mark.parametrize("fault", ["", "late", "signer", "replay"])
def test_a_permit_is_spent_once_in_time_by_its_owner(scene: Scene, fault: str) -> None:
    permit = Permit(ACCOUNTS[0], ACCOUNTS[5], 9, 0, START + 5)
    domain = replace(scene.domain("OpenToken"), name="OPEN")
    signature = typed_data.sign(KEYS[1 if fault == "signer" else 0], permit.digest(domain))
    assert scene.read("OpenToken", "nonces", ACCOUNTS[0]) == 0
    args = (ACCOUNTS[0], ACCOUNTS[5], 9, START + 5, signature[64], signature[:32], signature[32:64])
    if fault == "late":
        scene.wait(6)
        assert scene.refused(8, "OpenToken", "permit", *args) == "ERC2612ExpiredSignature"
        return
    if fault == "signer":
        assert scene.refused(8, "OpenToken", "permit", *args) == "ERC2612InvalidSigner"
        return
    scene.done(8, "OpenToken", "permit", *args)
    assert scene.read("OpenToken", "allowance", ACCOUNTS[0], ACCOUNTS[5]) == 9
    if fault == "replay":
        assert scene.refused(8, "OpenToken", "permit", *args) == "ERC2612InvalidSigner"
    scene.done(5, "OpenToken", "burnFrom", ACCOUNTS[0], 9)
    assert scene.refused(5, "OpenToken", "burnFrom", ACCOUNTS[0], 1) == "ERC20InsufficientAllowance"
