"""InferenceChannels: only what the payer signed is booked and paid, to the last unit; the rest returns."""

from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from protocol import typed_data
from protocol.ids import address_bytes
from protocol.params import OPEN
from settlement import abi
from settlement.deploy import create_address
from settlement.models.token import Permit
from settlement.vouchers import SignedVoucher, Usage, channel_id, usage_hash
from tests.contracts.ballot import Assembly
from tests.contracts.odd_coin import TAKES_A_UNIT, calls_back, coin
from tests.contracts.scene import NOBODY, SALT, Scene, high_s
from tests.settlement.pair import ACCOUNTS, CHAIN_ID, KEYS, PARAMS, TREASURY, Outcome

CHANNELS, POOL, REGISTRY = "InferenceChannels", "AttributionPool", "AssetRegistry"
ASSET, OTHER, BASE, OLDER = b"m" * 32, b"n" * 32, b"b" * 32, b"o" * 32


def signed(scene: Scene, channel: bytes, ceiling: int, *usage: Usage) -> SignedVoucher:
    """Sign any list in the order given, also one that an honest payer would not."""
    voucher = typed_data.Voucher(channel, ceiling, usage_hash(usage))
    signature = typed_data.sign(KEYS[0], voucher.digest(scene.domain(CHANNELS)))
    return SignedVoucher(channel, ceiling, usage, signature)


def claim(scene: Scene, channel: bytes, *usage: Usage, ceiling: int = OPEN) -> Outcome:
    return scene.done(8, CHANNELS, "claim", *scene.voucher(channel, ceiling, *usage).claim_args())


def swept(scene: Scene, channel: bytes, *parts: tuple[bytes, int]) -> list[dict[str, Any]]:
    """Pay out; what each part's split says."""
    outcome = scene.done(8, CHANNELS, "sweep", channel, parts)
    return [args for _, name, args in outcome.events if name == "FeeSplit"]


def shares(split: dict[str, Any]) -> tuple[int, ...]:
    return tuple(split[n] for n in ("host", "owner", "lineage", "treasury", "contributors"))


def pot_of(scene: Scene, channel: bytes, asset: bytes) -> int:
    pot = scene.read(CHANNELS, "feePot", channel, asset)
    return int(scene.read(POOL, "potOf", pot)[1])


def test_a_claim_books_and_a_sweep_pays(scene: Scene) -> None:
    asset, nobody_s = scene.model(2, ASSET), b"\xff" * 32
    channel = scene.channel()
    before = scene.balance(CHANNELS)
    claim(scene, channel, Usage(asset, 1, 10_007), Usage(nobody_s, 1, 3))
    assert scene.balance(CHANNELS) == before
    assert scene.read(CHANNELS, "dueOf", channel, asset, 1) == 10_007
    splits = swept(scene, channel, (asset, 1), (nobody_s, 1))
    # host 20 %, owner 10 %, ancestors up to 5 %, treasury 5 %, each rounded down; the rest to the pot
    assert [shares(split) for split in splits] == [(2_001, 1_000, 0, 500, 6_506), (0, 0, 0, 0, 3)]
    assert scene.balance(5) == 2_001
    assert scene.balance(6) == 1_000
    assert scene.read("OpenToken", "balanceOf", TREASURY) == 500
    assert [pot_of(scene, channel, each) for each in (asset, nobody_s)] == [6_506, 3]
    assert scene.balance(CHANNELS) == before - 10_010
    assert scene.refused(8, CHANNELS, "sweep", channel, [(asset, 1)]) == "NothingDue"
    assert scene.refused(8, CHANNELS, "sweep", b"?" * 32, []) == "UnknownChannel"


def test_whoever_registers_a_model_s_content_first_gets_nothing_of_it(scene: Scene) -> None:
    theirs, asset = scene.model(3, ASSET, (), 10_000), scene.model(2, ASSET)
    assert asset != theirs
    channel = scene.channel()
    claim(scene, channel, Usage(asset, 1, 10_000))
    (split,) = swept(scene, channel, (asset, 1))
    assert shares(split) == (2_000, 1_000, 0, 500, 6_500)
    assert (scene.balance(6), scene.balance(7)) == (1_000, 0)  # payouts of 2 and 3


def test_ancestors_get_their_royalty_and_together_at_most_the_cap(scene: Scene) -> None:
    base, older = scene.model(3, BASE, (), 200), scene.model(4, OLDER, (), 800)
    # an unregistered ancestor, and the content of a registered one, which is no id
    first = scene.model(2, ASSET, (base, b"?" * 32, OLDER))
    second = scene.model(2, OTHER, (base, older))
    assert scene.read(REGISTRY, "lineageOf", second) == (base, older)
    channel = scene.channel()
    claim(scene, channel, *(Usage(asset, 1, 10_000) for asset in sorted((first, second))))
    one, two = swept(scene, channel, (first, 1), (second, 1))
    assert shares(one) == (2_000, 1_000, 200, 500, 6_300)
    assert shares(two) == (2_000, 1_000, 500, 500, 6_000)  # 200 + 800 bps share the cap of 500
    assert (scene.balance(7), scene.balance(8)) == (200 + 100, 400 + 2 * 500)  # 8: the treasury too


def test_vouchers_are_cumulative(scene: Scene) -> None:
    channel = scene.channel()
    first = scene.voucher(channel, OPEN, Usage(ASSET, 1, 1_000))
    second = scene.voucher(channel, OPEN, Usage(ASSET, 1, 1_500), Usage(OTHER, 1, 100))
    scene.done(8, CHANNELS, "claim", *first.claim_args())
    scene.done(8, CHANNELS, "claim", *second.claim_args())
    assert scene.read(CHANNELS, "channelOf", channel)[3] == 1_600
    assert scene.refused(8, CHANNELS, "claim", *second.claim_args()) == "NothingToClaim"
    assert scene.refused(8, CHANNELS, "claim", *first.claim_args()) == "UsageNotMonotone"
    assert scene.read(CHANNELS, "usedOf", channel, ASSET, 1) == 1_500
    assert scene.read(CHANNELS, "dueOf", channel, ASSET, 1) == 1_500


def test_a_fee_pot_stays_open_over_draws(scene: Scene) -> None:
    channel = scene.channel()
    claim(scene, channel, Usage(ASSET, 1, 1_000))
    swept(scene, channel, (ASSET, 1))
    pot, escrow = scene.read(CHANNELS, "feePot", channel, ASSET), pot_of(scene, channel, ASSET)
    epoch = scene.epoch(scene.tree(escrow), typed_data.Draw(pot, escrow))
    scene.done(5, POOL, "commit", *scene.commit_args(epoch))
    claim(scene, channel, Usage(ASSET, 1, 2_000))
    swept(scene, channel, (ASSET, 1))
    assert pot_of(scene, channel, ASSET) == escrow
    assert scene.refused(8, POOL, "reserve", pot, b"u" * 32) == "NoUnits"


def test_a_voucher_pays_for_what_was_signed_only(scene: Scene) -> None:
    channel = scene.channel()
    good = scene.voucher(channel, OPEN, Usage(ASSET, 1, 1_000))
    wrong = {
        "asset": replace(good, usage=(Usage(OTHER, 1, 1_000),)),
        "rule version": replace(good, usage=(Usage(ASSET, 2, 1_000),)),
        "amount": replace(good, usage=(Usage(ASSET, 1, 1_001),)),
        "ceiling": replace(good, ceiling=2 * OPEN),
        "signer": scene.voucher(channel, OPEN, Usage(ASSET, 1, 1_000), key=KEYS[3]),
    }
    for voucher in wrong.values():
        assert scene.refused(8, CHANNELS, "claim", *voucher.claim_args()) == "WrongSigner"
    high = replace(good, signature=high_s(good.signature))
    assert scene.refused(8, CHANNELS, "claim", *high.claim_args()) == "ECDSAInvalidSignatureS"
    elsewhere = replace(good, channel=b"?" * 32)
    assert scene.refused(8, CHANNELS, "claim", *elsewhere.claim_args()) == "UnknownChannel"


def test_a_list_that_is_not_strictly_ascending_is_refused(scene: Scene) -> None:
    channel = scene.channel()
    lists = [
        (Usage(OTHER, 1, 5), Usage(ASSET, 1, 5)),
        (Usage(ASSET, 1, 5), Usage(ASSET, 1, 6)),
        (Usage(ASSET, 1, 5), Usage(ASSET, 0, 5)),
    ]
    for usage in lists:
        voucher = signed(scene, channel, OPEN, *usage)
        assert scene.refused(8, CHANNELS, "claim", *voucher.claim_args()) == "UsageUnsorted"
    many = signed(scene, channel, OPEN, *(Usage(bytes([at]) * 32, 1, 1) for at in range(33)))
    assert scene.refused(8, CHANNELS, "claim", *many.claim_args()) == "BadUsageLength"
    none = signed(scene, channel, OPEN)
    assert scene.refused(8, CHANNELS, "claim", *none.claim_args()) == "BadUsageLength"


def test_no_more_than_ceiling_and_deposit_is_paid(scene: Scene) -> None:
    channel = scene.channel(1_000)
    above = signed(scene, channel, 1_001, Usage(ASSET, 1, 1_001))
    assert scene.refused(8, CHANNELS, "claim", *above.claim_args()) == "CeilingAboveDeposit"
    entry = signed(scene, channel, 500, Usage(ASSET, 1, 501))
    assert scene.refused(8, CHANNELS, "claim", *entry.claim_args()) == "UsageAboveCeiling"
    summed = signed(scene, channel, 500, Usage(ASSET, 1, 300), Usage(OTHER, 1, 201))
    assert scene.refused(8, CHANNELS, "claim", *summed.claim_args()) == "SpentAboveCeiling"
    scene.done(
        8, CHANNELS, "claim", *signed(scene, channel, 500, Usage(ASSET, 1, 500)).claim_args()
    )
    left_out = signed(scene, channel, 600, Usage(OTHER, 1, 101))
    assert scene.refused(8, CHANNELS, "claim", *left_out.claim_args()) == "SpentAboveCeiling"
    scene.done(
        8, CHANNELS, "claim", *signed(scene, channel, 600, Usage(OTHER, 1, 100)).claim_args()
    )


def test_many_claims_in_one_transaction_and_a_bad_one_stops_no_other(scene: Scene) -> None:
    first = scene.channel()
    scene.done(0, CHANNELS, "open", b"k" * 32, ACCOUNTS[2], OPEN)
    second = channel_id(ACCOUNTS[0], b"k" * 32)
    good = [scene.voucher(each, OPEN, Usage(ASSET, 1, 700)) for each in (first, second)]
    bad = replace(good[0], ceiling=2 * OPEN)
    args = [each.claim_args() for each in (good[0], bad, good[0], good[1])]
    outcome = scene.done(8, CHANNELS, "claimMany", args)
    skipped = [args["channel"] for _, name, args in outcome.events if name == "ClaimSkipped"]
    assert skipped == [first, first]  # badly signed; nothing new
    for channel in (first, second):
        assert scene.read(CHANNELS, "dueOf", channel, ASSET, 1) == 700


def test_the_payer_closes_with_a_delay_in_which_the_host_claims(scene: Scene) -> None:
    channel = scene.channel(1_000)
    before = scene.balance(0)
    assert scene.refused(1, CHANNELS, "startClose", channel) == "NotPayer"
    assert scene.refused(0, CHANNELS, "close", channel) == "CloseAhead"
    scene.done(0, CHANNELS, "startClose", channel)
    assert scene.refused(0, CHANNELS, "topUp", channel, 1) == "ChannelIsClosing"
    scene.wait(PARAMS.close_seconds - 1)
    assert scene.refused(0, CHANNELS, "close", channel) == "CloseAhead"
    last = scene.voucher(channel, 1_000, Usage(ASSET, 1, 400))
    scene.done(1, CHANNELS, "claim", *last.claim_args())
    scene.wait(1)
    scene.done(8, CHANNELS, "close", channel)
    assert scene.balance(0) == before + 600
    for call in (("close", channel), ("topUp", channel, 1), ("startClose", channel)):
        assert scene.refused(0, CHANNELS, *call) == "UnknownChannel"
    assert scene.refused(0, CHANNELS, "claim", *last.claim_args()) == "UnknownChannel"
    assert scene.refused(0, CHANNELS, "open", SALT, ACCOUNTS[1], 1) == "ChannelExists"
    assert scene.balance(CHANNELS) == 400
    swept(scene, channel, (ASSET, 1))  # what was booked is paid after the close too
    assert scene.balance(CHANNELS) == 0


@pytest.mark.parametrize("close_first", [True, False])
def test_a_close_and_a_claim_that_race_pay_the_same_coins_once(
    scene: Scene, close_first: bool
) -> None:
    """Both are ready in one second: whoever is mined first wins, and nothing is paid twice."""
    channel = scene.channel(1_000)
    before = scene.balance(0)
    scene.done(0, CHANNELS, "startClose", channel)
    scene.wait(PARAMS.close_seconds)
    last = scene.voucher(channel, 1_000, Usage(ASSET, 1, 400))
    if close_first:
        scene.done(0, CHANNELS, "close", channel)
        assert scene.refused(1, CHANNELS, "claim", *last.claim_args()) == "UnknownChannel"
        assert scene.balance(0) == before + 1_000
    else:
        scene.done(1, CHANNELS, "claim", *last.claim_args())
        scene.done(0, CHANNELS, "close", channel)
        assert scene.balance(0) == before + 600
        swept(scene, channel, (ASSET, 1))
    assert scene.balance(CHANNELS) == 0


@pytest.mark.parametrize("host", [ACCOUNTS[8], NOBODY])
def test_a_host_is_a_registered_operator(scene: Scene, host: str) -> None:
    assert scene.refused(0, CHANNELS, "open", SALT, host, OPEN) == "NotRegistered"
    for amount in (0, 2**128):
        assert scene.refused(0, CHANNELS, "open", SALT, ACCOUNTS[1], amount) == "BadAmount"


def test_a_stranger_cannot_take_a_channel_s_fee_pot(scene: Scene) -> None:
    """Whoever funds the same salt first opens another pot: ids bind their funder."""
    channel = scene.channel()
    scene.done(0, POOL, "fund", keccak(channel + ASSET), OPEN, OPEN, 30, bytes(32))
    claim(scene, channel, Usage(ASSET, 1, 1_000))
    swept(scene, channel, (ASSET, 1))
    pot = scene.read(CHANNELS, "feePot", channel, ASSET)
    assert scene.read(POOL, "potOf", pot)[0] == scene.addresses[CHANNELS]


# -- permits ---


def permit(scene: Scene, amount: int, deadline: int) -> tuple[int, int, bytes, bytes]:
    """Account 0's permit for the channels, as openWithPermit takes it."""
    nonce = scene.read("OpenToken", "nonces", ACCOUNTS[0])
    asked = Permit(ACCOUNTS[0], scene.addresses[CHANNELS], amount, nonce, deadline)
    at = address_bytes(scene.addresses["OpenToken"])
    domain = typed_data.Domain("OPEN", CHAIN_ID, at)
    signature = typed_data.sign(KEYS[0], asked.digest(domain))
    return deadline, signature[64], signature[:32], signature[32:64]


def test_a_channel_opens_with_a_permit_that_somebody_else_may_have_used(scene: Scene) -> None:
    scene.done(0, "OpenToken", "approve", scene.addresses[CHANNELS], 0)
    for number in range(2):
        given = permit(scene, OPEN, scene.now + 100)
        if number:
            where = (ACCOUNTS[0], scene.addresses[CHANNELS], OPEN)
            scene.done(7, "OpenToken", "permit", *where, *given)
        salt = bytes([number]) * 32
        scene.done(0, CHANNELS, "openWithPermit", salt, ACCOUNTS[1], OPEN, given)
    late = permit(scene, OPEN, scene.now - 1)
    refused = scene.refused(0, CHANNELS, "openWithPermit", b"z" * 32, ACCOUNTS[1], OPEN, late)
    assert refused == "ERC20InsufficientAllowance"


# -- hosting ---


def test_hosting_pays_the_host_alone_and_only_for_the_payer_s_models(scene: Scene) -> None:
    asset, other = scene.model(2, ASSET), scene.model(3, ASSET)
    scene.done(0, "OpenToken", "transfer", ACCOUNTS[2], OPEN)
    scene.done(2, "OpenToken", "approve", scene.addresses[CHANNELS], OPEN)
    scene.done(2, CHANNELS, "openHosting", SALT, ACCOUNTS[1], OPEN)
    channel = channel_id(ACCOUNTS[2], SALT)
    for epoch in (1, 2):  # two epochs that the owner's probes found served
        voucher = scene.voucher(channel, OPEN, Usage(asset, 1, epoch * 10_000), key=KEYS[2])
        scene.done(1, CHANNELS, "claim", *voucher.claim_args())
    (split,) = swept(scene, channel, (asset, 1))
    assert shares(split) == (20_000, 0, 0, 0, 0)
    assert scene.balance(5) == 20_000
    for each, error in ((other, "NotModelOwner"), (ASSET, "UnknownAsset")):
        voucher = scene.voucher(channel, OPEN, Usage(each, 1, 1), key=KEYS[2])
        assert scene.refused(1, CHANNELS, "claim", *voucher.claim_args()) == error


# -- rules ---


def appended(assembly: Assembly, start: int) -> None:
    """Version 2: the host gets half, contributors 30 %."""
    rules = replace(
        PARAMS.rules,
        fee_host_bps=5_000,
        fee_contributors_bps=3_000,
        fee_owner_bps=1_000,
        fee_lineage_bps=0,
        fee_treasury_bps=1_000,
    )
    assembly.enacted(("RuleRegistry", "append", (rules.astuple(), start)))


def test_each_entry_is_split_by_its_own_version_while_that_is_timely() -> None:
    assembly = Assembly()
    start = assembly.now + 100
    channel = assembly.channel()
    appended(assembly, start)
    ahead = assembly.voucher(channel, OPEN, Usage(ASSET, 2, 1))
    assert assembly.refused(8, CHANNELS, "claim", *ahead.claim_args()) == "RulesAhead"
    assembly.wait(start - assembly.now + PARAMS.close_seconds)  # the last second for version 1
    claim(assembly, channel, Usage(ASSET, 1, 10_000), Usage(ASSET, 2, 10_000))
    one, two = swept(assembly, channel, (ASSET, 1), (ASSET, 2))
    assert shares(one) == (2_000, 0, 0, 500, 7_500)
    assert shares(two) == (5_000, 0, 0, 1_000, 4_000)
    assembly.wait(1)  # what is claimed of version 1 from now on is split by version 2
    outcome = claim(assembly, channel, Usage(ASSET, 1, 11_000), Usage(ASSET, 2, 10_000))
    assert outcome.events[0][2]["bookedUnder"] == 2
    assert assembly.read(CHANNELS, "usedOf", channel, ASSET, 1) == 11_000
    (late,) = swept(assembly, channel, (ASSET, 2))
    assert shares(late) == (500, 0, 0, 100, 400)


def test_a_pause_stops_new_channels_and_nothing_else(scene: Scene) -> None:
    channel = scene.channel()
    scene.done(7, "RuleRegistry", "pause", 7 * 86_400)
    for function in ("open", "openHosting"):
        assert scene.refused(0, CHANNELS, function, b"k" * 32, ACCOUNTS[1], 1) == "OpensPaused"
    claim(scene, channel, Usage(ASSET, 1, 1_000))
    swept(scene, channel, (ASSET, 1))
    scene.done(0, CHANNELS, "topUp", channel, 1)
    scene.done(0, CHANNELS, "startClose", channel)
    scene.wait(PARAMS.close_seconds)
    scene.done(0, CHANNELS, "close", channel)
    scene.wait(7 * 86_400)
    scene.done(0, CHANNELS, "open", b"k" * 32, ACCOUNTS[1], 1)


# -- coins that cheat ---


def channels_over(scene: Scene, code: bytes) -> tuple[str, str]:
    """A coin of this code, and channels over it: their addresses."""
    coin, channels = (create_address(ACCOUNTS[7], nonce) for nonce in (0, 1))
    at = scene.addresses
    args = (coin, at[REGISTRY], at[POOL], at["RuleRegistry"], TREASURY, PARAMS.close_seconds)
    words = encode([param.canonical for param in abi.constructor(CHANNELS)], args)
    for each in (code, abi.artifact(CHANNELS).bytecode + words):
        scene.engine.create(KEYS[7], ACCOUNTS[7], each)
    assert abi.artifact(CHANNELS).same_code(scene.engine.code(channels))
    return coin, channels


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (coin(TAKES_A_UNIT), "WrongCoin"),
        (coin(calls_back("close(bytes32)")), "ReentrancyGuardReentrantCall"),
        (coin(calls_back("sweep(bytes32,(bytes32,uint32)[])")), "ReentrancyGuardReentrantCall"),
    ],
    ids=["takes fees", "re-enters close", "re-enters sweep"],
)
def test_a_coin_that_takes_fees_or_calls_back_opens_no_channel(code: bytes, error: str) -> None:
    """The network's own coin does neither; the channels do not rely on it."""
    scene = Scene(box=True)
    _, channels = channels_over(scene, code)
    for function in ("open", "openHosting"):
        data = abi.function(CHANNELS, function, view=False).call_data((SALT, ACCOUNTS[1], OPEN))
        done = scene.engine.send(KEYS[0], ACCOUNTS[0], channels, data)
        assert done.failed
        assert abi.error_name(done.data) == error


def test_an_honest_coin_of_the_same_make_opens_one() -> None:
    """What is refused above is the cheat, not the make of the coin."""
    scene = Scene(box=True)
    honest = TAKES_A_UNIT.replace("1 68 calldataload sub", "68 calldataload", 1)
    _, channels = channels_over(scene, coin(honest))
    data = abi.function(CHANNELS, "open", view=False).call_data((SALT, ACCOUNTS[1], OPEN))
    assert not scene.engine.send(KEYS[0], ACCOUNTS[0], channels, data).failed
