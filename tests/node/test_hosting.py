"""An owner pays its host for periods in which its probes were answered, and for no other.

The chain is the simulated one; the model and its verifiers are stand-ins (tests/node/test_serve.py).
"""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from node import hosting, pay, receipts, serve, tabs
from node.context import Context
from node.tabs import HostedTab, OwnerTab
from protocol.codec import pack
from protocol.errors import OperatorError, PeerError
from protocol.ids import checksum, content_id, model_id
from protocol.messages import VoucherNote
from protocol.params import OPEN
from simnet.world import World
from tests.node.test_serve import Model, Scene, lose
from tests.node.test_serve import play as play_pair

RATE, EVERY = OPEN // 2, 600
ADAPTER = content_id(b"adapter")


@pytest.fixture
def verdict(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool | None]:
    """What the drawn verifiers say of every receipt; a test may change it."""
    said: dict[str, bool | None] = {"stands": True}

    async def servable(ctx: Context, wanted: bytes) -> Any:
        return SimpleNamespace()

    async def standing(ctx: Context, found: Any, post: Any) -> bool | None:
        return said["stands"]

    for module in (serve, hosting):
        monkeypatch.setattr(module, "attributed_job", servable)
    monkeypatch.setattr(hosting, "standing", standing)
    monkeypatch.setattr(receipts, "make", Model().make)
    return said


def play(scene: Scene) -> None:
    async def with_model(world: World, ann: Context, bob: Context) -> None:
        await ann.write("AssetRegistry", "registerModel", ADAPTER, [], 0)
        await scene(world, ann, bob)

    play_pair(with_model)


async def opened(ann: Context, bob: Context, deposit: int = 10 * OPEN) -> bytes:
    channel, _ = await hosting.open_hosting(ann, bob.operator, deposit, RATE, EVERY)
    return channel


async def terms(ann: Context, channel: bytes) -> OwnerTab:
    found = await tabs.load(ann, OwnerTab, channel)
    assert found is not None
    return found


async def settled(world: World, ann: Context, channel: bytes, amount: int) -> None:
    await world.until(lambda: tabs.settled(ann, channel) == amount, 60, f"{amount} is not claimed")


@pytest.mark.usefixtures("verdict")
def test_a_host_is_paid_for_each_period_in_which_it_answered() -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        channel = await opened(ann, bob)
        before = await world.chain.read("OpenToken", "balanceOf", checksum(bob.payout))
        await world.clock.sleep(4 * EVERY)
        tab = await terms(ann, channel)
        assert tab.missed == 0 and tab.served in (4, 5)  # the first period had begun
        await settled(world, ann, channel, tab.served * RATE)
        await world.clock.sleep(serve.SWEEP_S + 10)
        after = await world.chain.read("OpenToken", "balanceOf", checksum(bob.payout))
        assert after - before >= tab.served * RATE  # and its part of the probes' own fees
        asked = [u for u in ann.board.used if u.channel != channel]
        assert len(asked) == tab.served  # a probe is a paid question like any other

    play(scene)


@pytest.mark.usefixtures("verdict")
def test_a_host_that_is_gone_is_not_paid_and_paid_again_when_it_is_back() -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        channel = await opened(ann, bob)
        await world.clock.sleep(EVERY)
        served = (await terms(ann, channel)).served
        world.stop("bob")
        await world.clock.sleep(3 * EVERY)
        tab = await terms(ann, channel)
        assert tab.missed >= 2 and tab.served <= served + 1
        await world.start("bob")
        await world.clock.sleep(2 * EVERY)
        assert (await terms(ann, channel)).served > tab.served
        await settled(world, ann, channel, (await terms(ann, channel)).served * RATE)

    play(scene)


def test_a_refuted_answer_is_not_paid(verdict: dict[str, bool | None]) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        verdict["stands"] = None
        channel = await opened(ann, bob)
        await world.clock.sleep(2 * EVERY)
        assert (await terms(ann, channel)).now.state == "asked"  # one probe at a time is judged
        verdict["stands"] = False
        await world.clock.sleep(2 * EVERY)
        tab = await terms(ann, channel)
        assert tab.missed >= 2 and tab.served == tabs.settled(ann, channel) == 0

    play(scene)


@pytest.mark.usefixtures("verdict")
def test_a_voucher_that_is_lost_is_delivered_later_and_counts_once() -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        channel = await opened(ann, bob)
        lose(
            ann, tabs.VOUCHER_PROTOCOL, 2 * pay.TRIES, heard=True
        )  # of the probe, and of the period
        await world.clock.sleep(2 * EVERY)
        tab = await terms(ann, channel)
        assert tab.note is None and tab.served >= 1
        await settled(world, ann, channel, tab.served * RATE)

    play(scene)


@pytest.mark.usefixtures("verdict")
def test_a_deposit_that_is_used_up_promises_nothing_more() -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        channel = await opened(ann, bob, deposit=RATE)
        await world.clock.sleep(3 * EVERY)
        assert (await terms(ann, channel)).served == 1
        assert "deposit-short" in " ".join(ann.failures)
        await settled(world, ann, channel, RATE)

    play(scene)


@pytest.mark.usefixtures("verdict")
def test_a_host_takes_no_voucher_that_it_could_not_claim() -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        channel = await opened(ann, bob)
        await world.until(lambda: channel in bob.board.channels, 10, "bob has not seen it")
        model = model_id(ann.operator, ADAPTER)
        sums = tabs.grown((), model, 1, RATE)
        good = VoucherNote(channel, model, 1, RATE, pay.sign(ann, channel, sums))
        forged = replace(good, signature=pay.sign(bob, channel, sums))
        await bob.write("AssetRegistry", "registerModel", ADAPTER, [], 0)
        other = model_id(bob.operator, ADAPTER)  # the same content, and not ann's
        foreign = pay.sign(ann, channel, tabs.grown((), other, 1, RATE))
        for bad, why in (
            (forged, "bad-signature"),
            (replace(good, cumulative=RATE + 1), "bad-signature"),
            (replace(good, asset=other, signature=foreign), "not-owner"),
        ):
            with pytest.raises(PeerError) as caught:
                await serve.serve_voucher(bob, "ann", pack(bad))
            assert caught.value.code == why
        await serve.serve_voucher(bob, "ann", pack(good))
        await serve.serve_voucher(bob, "ann", pack(good))  # a repetition changes nothing
        with pytest.raises(PeerError) as caught:
            await serve.serve_voucher(bob, "ann", pack(replace(good, cumulative=RATE - 1)))
        assert caught.value.code == "wrong-amount"
        kept = await tabs.load(bob, HostedTab, channel)
        assert kept is not None and kept.voucher.ceiling == RATE

    play(scene)


@pytest.mark.parametrize(
    ("deposit", "rate", "every", "code"),
    [(OPEN, 0, EVERY, "bad-rate"), (OPEN, 2 * OPEN, EVERY, "bad-rate"), (OPEN, 1, 1, "bad-period")],
)
def test_terms_that_cannot_be_kept_are_refused(
    deposit: int, rate: int, every: int, code: str
) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        with pytest.raises(OperatorError) as caught:
            await hosting.open_hosting(ann, bob.operator, deposit, rate, every)
        assert caught.value.code == code and not ann.board.channels

    play(scene)
