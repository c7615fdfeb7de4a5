"""InferenceChannels: only what the payer signed is paid, to the last unit, and the rest returns."""

from dataclasses import replace

import pytest
from eth_utils.crypto import keccak

from protocol import typed_data
from protocol.params import OPEN
from settlement.vouchers import SignedVoucher, Usage, usage_hash
from tests.contracts.scene import NOBODY, SALT, Scene, high_s
from tests.settlement.pair import ACCOUNTS, KEYS, PARAMS, TREASURY

CHANNELS = "InferenceChannels"
ASSET, OTHER = b"m" * 32, b"n" * 32


def signed(scene: Scene, channel: bytes, ceiling: int, *usage: Usage) -> SignedVoucher:
    """Sign any list in the order given, also one that an honest payer would not."""
    voucher = typed_data.Voucher(channel, ceiling, usage_hash(usage))
    signature = typed_data.sign(KEYS[0], voucher.digest(scene.domain(CHANNELS)))
    return SignedVoucher(channel, ceiling, usage, signature)


def test_each_asset_s_fee_is_split_to_the_last_unit(scene: Scene) -> None:
    scene.done(2, "AssetRegistry", "registerModel", ASSET, [], 0)
    channel = scene.channel()
    voucher = scene.voucher(channel, OPEN, Usage(ASSET, 1, 10_007), Usage(OTHER, 1, 3))
    outcome = scene.done(8, CHANNELS, "claim", *voucher.claim_args())
    splits = [args for _, name, args in outcome.events if name == "FeeSplit"]
    parts = [(a["host"], a["owner"], a["contributors"], a["treasury"]) for a in splits]
    # host 20 %, owner 15 %, contributors 60 %, each rounded down; the rest to the treasury
    assert parts == [(2_001, 1_501, 6_004, 501), (0, 0, 1, 2)]
    assert scene.balance(5) == 2_001
    assert scene.balance(6) == 1_501
    assert scene.read("OpenToken", "balanceOf", TREASURY) == 503
    pots = [scene.read(CHANNELS, "feePot", channel, asset) for asset in (ASSET, OTHER)]
    assert [scene.read("AttributionPool", "potOf", pot)[1] for pot in pots] == [6_004, 1]


def test_vouchers_are_cumulative(scene: Scene) -> None:
    channel = scene.channel()
    first = scene.voucher(channel, OPEN, Usage(ASSET, 1, 1_000))
    second = scene.voucher(channel, OPEN, Usage(ASSET, 1, 1_500), Usage(ASSET, 2, 100))
    scene.done(8, CHANNELS, "claim", *first.claim_args())
    scene.done(8, CHANNELS, "claim", *second.claim_args())
    assert scene.read(CHANNELS, "channelOf", channel)[3] == 1_600
    assert scene.refused(8, CHANNELS, "claim", *second.claim_args()) == "NothingToClaim"
    assert scene.refused(8, CHANNELS, "claim", *first.claim_args()) == "UsageNotMonotone"
    assert scene.read(CHANNELS, "usedOf", channel, ASSET, 1) == 1_500


def test_a_fee_pot_stays_open_over_draws(scene: Scene) -> None:
    channel = scene.channel()
    usage = Usage(ASSET, 1, 1_000)
    scene.done(8, CHANNELS, "claim", *scene.voucher(channel, OPEN, usage).claim_args())
    pot = scene.read(CHANNELS, "feePot", channel, ASSET)
    epoch = scene.epoch(scene.tree(600), typed_data.Draw(pot, 600))
    scene.done(5, "AttributionPool", "commit", *scene.commit_args(epoch))
    usage = replace(usage, cumulative=2_000)
    scene.done(8, CHANNELS, "claim", *scene.voucher(channel, OPEN, usage).claim_args())
    assert scene.read("AttributionPool", "potOf", pot)[1] == 600
    assert scene.refused(8, "AttributionPool", "reserve", pot, b"u" * 32) == "NoUnits"


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
        (Usage(ASSET, 2, 5), Usage(ASSET, 1, 5)),
    ]
    for usage in lists:
        voucher = signed(scene, channel, OPEN, *usage)
        assert scene.refused(8, CHANNELS, "claim", *voucher.claim_args()) == "UsageUnsorted"
    many = signed(scene, channel, OPEN, *(Usage(ASSET, at, 1) for at in range(33)))
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
    assert scene.balance(CHANNELS) == 0
    for call in (("close", channel), ("topUp", channel, 1), ("startClose", channel)):
        assert scene.refused(0, CHANNELS, *call) == "UnknownChannel"
    assert scene.refused(0, CHANNELS, "claim", *last.claim_args()) == "UnknownChannel"
    assert scene.refused(0, CHANNELS, "open", SALT, ACCOUNTS[1], 1) == "ChannelExists"


@pytest.mark.parametrize("host", [ACCOUNTS[8], NOBODY])
def test_a_host_is_a_registered_operator(scene: Scene, host: str) -> None:
    assert scene.refused(0, CHANNELS, "open", SALT, host, OPEN) == "NotRegistered"
    assert scene.refused(0, CHANNELS, "open", SALT, ACCOUNTS[1], 0) == "ZeroAmount"


def test_a_stranger_cannot_take_a_channel_s_fee_pot(scene: Scene) -> None:
    """Whoever funds the same salt first opens another pot: ids bind their funder."""
    channel = scene.channel()
    scene.done(0, "AttributionPool", "fund", keccak(channel + ASSET), OPEN, OPEN, 30, bytes(32))
    voucher = scene.voucher(channel, OPEN, Usage(ASSET, 1, 1_000))
    scene.done(8, CHANNELS, "claim", *voucher.claim_args())
    pot = scene.read(CHANNELS, "feePot", channel, ASSET)
    assert scene.read("AttributionPool", "potOf", pot)[0] == scene.addresses[CHANNELS]
