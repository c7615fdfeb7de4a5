"""Coins through a node: stake, pots, channels, claims for many; and where the money is, told in full."""

import copy
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from node import explain
from node.cli.output import short
from node.context import Context
from node.money import Money, open_units
from node.outbox import OutboxChain, Parcel
from protocol.errors import OperatorError
from protocol.ids import checksum
from protocol.params import OPEN, SIMNET
from simnet.seams import run_world
from simnet.world import Member, World, running
from tests.node.fake_money import FAKE_PROOF
from tests.node.fake_values import OWNERS, full_snapshot

PAIR = (
    Member("ann", ("aggregator", "verifier"), open_tokens=1_000),
    Member("bob", ("verifier", "host")),
)
Scene = Callable[[World, Context, Context, Money], Awaitable[None]]


class NoOutbox:
    """A simulated chain has none."""

    def pending(self) -> list[Parcel]:
        return []

    def all_faults(self) -> Counter[str]:
        return Counter(unreachable=2)


def play(scene: Scene) -> None:
    async def main() -> None:
        async with running(PAIR, SIMNET, b"money") as world:
            ann, bob = world.nodes["ann"], world.nodes["bob"]
            await world.until(lambda: len(ann.board.nodes) == 2, 60, "not joined")
            await scene(world, ann, bob, Money(ann, cast(OutboxChain, NoOutbox())))

    run_world(main, seed=1)


async def held(ctx: Context, account: bytes) -> int:
    return int(await ctx.seams.chain.read("OpenToken", "balanceOf", checksum(account)))


async def fault(asked: Awaitable[Any]) -> str:
    with pytest.raises(OperatorError) as caught:
        await asked
    return caught.value.code


def test_stake_goes_in_and_comes_out_to_the_payout_address() -> None:
    async def scene(world: World, ann: Context, bob: Context, money: Money) -> None:
        before, coins = ann.board.stake(ann.operator), await held(ann, ann.operator)
        done = await money.stake("12.5")
        assert int(done["stake"]) == before + 12 * OPEN + OPEN // 2
        assert await held(ann, ann.operator) == coins - 12 * OPEN - OPEN // 2
        left = await money.unstake("2.5")
        assert (left["unbonding"], left["locked"]) == (str(5 * OPEN // 2), "0")
        assert await fault(money.withdraw()) == "StillUnbonding"
        await world.clock.sleep(left["release_at"] - ann.head.time + 2)
        paid = await held(ann, ann.payout)
        assert (await money.withdraw())["withdrawn"] == str(5 * OPEN // 2)
        assert await held(ann, ann.payout) == paid + 5 * OPEN // 2
        assert await fault(money.stake("1e9")) in ("ERC20InsufficientBalance", "no-deposit")
        assert await fault(money.unstake("1e9")) == "InsufficientStake"

    play(scene)


def test_a_channel_is_opened_filled_closed_and_gives_back_the_rest() -> None:
    async def scene(world: World, ann: Context, bob: Context, money: Money) -> None:
        coins, host = await held(ann, ann.operator), checksum(bob.operator)
        one = (await money.open_channel(host, "3"))["channel"]
        two = (await money.open_channel(host, "1"))["channel"]
        assert one != two
        await money.top_up(one, "0.5")
        listed = {c["channel"]: c for c in await money.channels()}
        assert listed[one]["deposit"] == str(7 * OPEN // 2)
        assert [c["state"] for c in listed.values()] == ["open", "open"]
        assert (await money.close_channel(one))["state"] == "closing"
        for shown in (one[:8], short(one)):
            assert await fault(money.close_channel(shown)) == "closing"
        assert await fault(money.top_up(one, "1")) == "ChannelIsClosing"
        await world.clock.sleep(SIMNET.close_seconds + 3)
        assert (await money.close_channel(one))["state"] == "closed"
        assert await held(ann, ann.operator) == coins - OPEN
        theirs = Money(bob, cast(OutboxChain, NoOutbox()))
        await world.until(lambda: len(bob.board.channels) == 2, 20, "not heard")
        assert len(await theirs.channels()) == 2
        assert await fault(theirs.close_channel(two)) == "no-channel"

    play(scene)


def test_what_is_no_amount_id_or_address_is_told() -> None:
    async def scene(world: World, ann: Context, bob: Context, money: Money) -> None:
        asked = {
            "bad-amount": [money.stake("much"), money.unstake("-1"), money.fund("ab" * 32, "0")],
            "bad-pot": [money.fund("ab", "1"), money.fund("z" * 64, "1")],
            "no-pot": [money.fund("ab" * 32, "1")],
            "bad-address": [money.open_channel("0x12", "1")],
            "no-channel": [money.close_channel("ab" * 32), money.top_up("ab" * 32, "1")],
        }
        for code, acts in asked.items():
            assert [await fault(act) for act in acts] == [code] * len(acts)
        assert (await money.claim_batch())["owners"] == 0
        chain = await money.chain()
        assert chain["faults"] == {"unreachable": 2}
        assert chain["contracts"]["OpenToken"] == ann.seams.chain.address("OpenToken")

    play(scene)


def test_amounts_are_exact() -> None:
    assert open_units("0.000000000000000001") == 1
    assert open_units("12.5") == 25 * OPEN // 2
    for text in ("", "0", "-1", "nan", "1e40", "0.0000000000000000001"):
        with pytest.raises(OperatorError, match="bad-amount"):
            open_units(text)


# -- where is my money ---


def of(owner: str, **status: Any) -> dict[str, Any]:
    """The full snapshot as another of its owners sees it."""
    found = copy.deepcopy(full_snapshot())
    found["status"] |= {"operator": OWNERS[owner][0], "owner_index": OWNERS[owner][1], **status}
    return found


def test_a_task_is_followed_from_work_to_coins() -> None:
    (task,) = explain.told(of("kjv-1"), FAKE_PROOF)["tasks"]
    assert [unit["state"] for unit in task["units"]] == ["accepted", "judging"]
    assert task["score"] == {"records": 40, "influence": 91_240, "yielded_ppm": 0}
    assert task["shares"][0]["reason"] == "31 records above the threshold"
    assert task["root"] == "e5" * 32
    assert task["stage"] == "claimable"


def test_each_stage_says_what_it_waits_for() -> None:
    claimed = of("kjv-1", claimable_open="0")
    waits = copy.deepcopy(claimed)
    waits["epochs"][0]["active"] = False
    early = copy.deepcopy(claimed)
    early["attribution"], early["epochs"] = [], []
    failed = copy.deepcopy(early)
    failed["jobs"][0] |= {"state": "failed", "reason": "no verified unit was left in round 1"}
    nothing = copy.deepcopy(early)
    nothing["jobs"][0]["state"] = "settled"
    told = [explain.told(each, FAKE_PROOF) for each in (claimed, waits, early, failed, nothing)]
    stages = ["claimed", "in its window", "not committed", "failed", "settled"]
    assert [each["tasks"][0]["stage"] for each in told] == stages
    assert "no verified unit" in told[3]["tasks"][0]["why"]
    assert ("job", "failed") in {(r["what"], r["state"]) for r in told[3]["rejected"]}
    assert "challenge window" in told[1]["reason"]
    assert told[2]["reason"] == "no epoch is committed yet"


def test_what_failed_was_rejected_or_slashed_is_listed() -> None:
    cheat = explain.told(of("copycat"), FAKE_PROOF)
    assert [(r["what"], r["state"]) for r in cheat["rejected"]] == [("unit", "failed")]
    assert "0.237" in cheat["rejected"][0]["why"]
    findings = cheat["tasks"][0]["units"][0]["findings"]
    assert findings == [] or all("step" in line for line in findings)
    slashed = explain.told(of("kjv-1"), FAKE_PROOF)["rejected"]
    assert [(r["what"], r["state"]) for r in slashed] == [("slash", "-8 OPEN")]


def test_a_body_that_does_not_fit_its_root_is_said_aloud() -> None:
    told = explain.told(of("kjv-1", claimable_open="0"), {**FAKE_PROOF, "valid": False})
    assert "does not fit its root" in told["reason"]
