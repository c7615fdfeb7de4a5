"""Governance from a node: its commands, its API, and what it does on a chain."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from node import actions, govern, pay
from node.context import Context
from protocol.errors import OperatorError
from protocol.ids import checksum
from protocol.params import OPEN, SIMNET
from protocol.rules import genesis
from simnet.seams import run_world
from simnet.world import Member, World, running
from tests.node.fake_values import GOVERNANCE
from tests.node.test_cli import fault, home, network_file, online  # noqa: F401

PAIR = (
    Member("ann", ("contributor", "aggregator", "verifier"), open_tokens=20_001_000),
    Member("bob", ("contributor", "verifier", "host")),
)
VOTES = 20_000_000 * OPEN


# -- commands and API ---


async def test_reads_show_rules_and_proposals(online: Any, fake_node: Any) -> None:  # noqa: F811
    async with online(fake_node) as ask:
        assert json.loads((await ask("govern", "show", "--json")).stdout) == GOVERNANCE
        shown = (await ask("govern", "show")).stdout
        assert "Rule version 1 is in force" in shown
        assert "version 2: contributors_bps=3000" in shown
        assert "10 gOPEN to vote with" in shown
        assert "New business of AttributionPool belongs to 0x2222" in shown
        listed = (await ask("govern", "list")).stdout
        assert "active" in listed
        assert "less to" in listed
        proposals = json.loads((await ask("govern", "list", "--json")).stdout)
        assert proposals == GOVERNANCE["proposals"]


async def test_actions_pass_their_arguments_on(online: Any, fake_node: Any) -> None:  # noqa: F811
    address = "0x52908400098527886E0F7030069857D2E4169EE7"
    number = "1f" * 32
    async with online(fake_node) as ask:
        made = await ask("govern", "propose", "samples=4", "contributors_bps=3000", "--why", "w")
        assert number in made.stdout
        assert "2026-01-01" in made.stdout
        await ask("govern", "propose", f"guardian={address}", "--why", "w")
        await ask("govern", "propose", f"successor={address}:{address}", "--why", "w")
        assert "7 gOPEN cast for" in (await ask("govern", "vote", number, "for")).stdout
        assert "queued" in (await ask("govern", "queue", number)).stdout
        assert "executed" in (await ask("govern", "execute", number)).stdout
        assert "5 gOPEN" in (await ask("govern", "wrap", "5")).stdout
        await ask("govern", "unwrap", "0.5")
        await ask("govern", "delegate")
        assert fault(await ask("govern", "vote", number, "maybe")).code == "bad-choice"
    changes = {"samples": 4, "contributors_bps": 3000}
    assert fake_node.actions[:9] == [
        ("govern", "propose", {"changes": changes, "start": 0, "text": "w"}),
        ("govern", "guardian", {"address": address, "text": "w"}),
        ("govern", "successor", {"old": address, "next": address, "text": "w"}),
        ("govern", "vote", {"proposal": number, "choice": "for"}),
        ("govern", "queue", {"proposal": number}),
        ("govern", "execute", {"proposal": number}),
        ("govern", "wrap", {"amount": "5"}),
        ("govern", "unwrap", {"amount": "0.5"}),
        ("govern", "delegate", {"address": ""}),
    ]


@pytest.mark.parametrize("change", ["samples", "=4", "samples=", "samples=many", "samples=-1"])
async def test_a_change_is_a_name_and_a_whole_number(
    online: Any,  # noqa: F811
    fake_node: Any,
    change: str,
) -> None:
    async with online(fake_node) as ask:
        assert fault(await ask("govern", "propose", change, "--why", "w")).code == "bad-change"
    assert fake_node.actions == []


async def test_amounts_are_decimals(online: Any, fake_node: Any) -> None:  # noqa: F811
    async with online(fake_node) as ask:
        for amount in ("ten", "1e3", "nan"):
            assert fault(await ask("govern", "wrap", amount)).code == "bad-request"
    assert fake_node.actions == []


# -- on a chain ---


def play(scene: Any) -> None:
    async def main() -> None:
        async with running(PAIR, SIMNET, b"govern") as world:
            await world.clock.sleep(15)  # until the treasury has paid ann
            await scene(world, world.nodes["ann"], world.nodes["bob"])

    run_world(main, seed=1)


async def refusal(act: Any) -> OperatorError:
    with pytest.raises(OperatorError) as caught:
        await act
    return caught.value


def test_a_proposal_s_whole_way_as_the_api_shows_it() -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        own = checksum(ann.operator)
        await govern.act(ann, "wrap", {"amount": "20000000"})
        held = await govern.act(ann, "delegate", {"address": ""})
        assert held == {"gopen": str(VOTES), "delegate": own, "votes": str(VOTES)}
        await world.clock.sleep(1.0)
        body = {"changes": {"samples": 4}, "start": 0, "text": "safer"}
        made = await govern.act(ann, "propose", body)
        (shown,) = (await govern.view(bob))["proposals"]
        assert (shown["proposal"], shown["state"]) == (made["proposal"], "pending")
        assert shown["calls"] == [f"rules from {made['start']}: samples=4"]
        begin = made["proposal"][:12]
        early = await refusal(govern.act(ann, "vote", {"proposal": begin, "choice": "for"}))
        assert early.code == "not-yet"
        await world.clock.sleep(SIMNET.vote_delay_seconds + 1)
        none = await refusal(govern.act(bob, "vote", {"proposal": begin, "choice": "for"}))
        assert none.code == "no-votes"
        cast = await govern.act(ann, "vote", {"proposal": begin, "choice": "for"})
        assert cast == {"votes": str(VOTES)}
        twice = await refusal(govern.act(ann, "vote", {"proposal": begin, "choice": "for"}))
        assert twice.code == "GovernorAlreadyCastVote"
        soon = await refusal(govern.act(bob, "queue", {"proposal": begin}))
        assert soon.code == "GovernorUnexpectedProposalState"
        await world.clock.sleep(SIMNET.vote_seconds)
        assert await govern.act(bob, "queue", {"proposal": begin}) == {"state": "queued"}
        locked = await refusal(govern.act(bob, "execute", {"proposal": begin}))
        assert locked.code == "TimelockUnexpectedOperationState"
        await world.clock.sleep(SIMNET.timelock_seconds)
        assert await govern.act(bob, "execute", {"proposal": begin}) == {"state": "executed"}
        value = await govern.view(bob)
        assert value["version"] == 1
        assert value["versions"][1]["start"] == made["start"]
        assert value["versions"][1]["rules"] == asdict(replace(genesis(SIMNET), samples=4))
        await world.clock.sleep(made["start"] - bob.head.time + 3)
        assert (await govern.view(bob))["rules"]["samples"] == 4

    play(scene)


def test_nothing_new_is_begun_in_a_contract_that_has_a_successor() -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        chain = world.chain
        await govern.act(ann, "wrap", {"amount": "20000000"})
        await govern.act(ann, "delegate", {"address": ""})
        await world.clock.sleep(1.0)
        for number, old in enumerate(("AttributionPool", "InferenceChannels")):
            ann.check_current(old)
            body = {"old": chain.address(old), "next": chain.address("CommitLog"), "text": old}
            made = await govern.act(ann, "successor", body)
            await world.clock.sleep(SIMNET.vote_delay_seconds + 1)
            await govern.act(ann, "vote", {"proposal": made["proposal"], "choice": "for"})
            await world.clock.sleep(SIMNET.vote_seconds)
            await govern.act(ann, "queue", {"proposal": made["proposal"]})
            await world.clock.sleep(SIMNET.timelock_seconds)
            await govern.act(ann, "execute", {"proposal": made["proposal"]})
            assert len((await govern.view(ann))["successors"]) == number + 1
        assert (await refusal(actions.submit_job(ann, ""))).code == "has-successor"
        assert (await refusal(pay.ask(ann, b"a" * 32, "why?", 3))).code == "has-successor"

    play(scene)


def test_what_would_be_refused_after_the_vote_is_refused_before_it() -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        def body(changes: dict[str, int], start: int = 0) -> dict[str, Any]:
            return {"changes": changes, "start": start, "text": "t"}

        faults = {
            "unknown-rule": body({"sampels": 4}),
            "off-the-rails": body({"samples": 1}),
            "starts-too-early": body({"samples": 4}, ann.head.time + 5),
            "GovernorInsufficientProposerVotes": body({"samples": 4}),
        }
        for code, asked in faults.items():
            assert (await refusal(govern.act(ann, "propose", asked))).code == code
        wrong = {"address": checksum(ann.operator).lower(), "text": "t"}
        assert (await refusal(govern.act(ann, "guardian", wrong))).code == "bad-address"
        nothing = await refusal(govern.act(ann, "queue", {"proposal": "ab"}))
        assert nothing.code == "no-proposal"
        poor = await refusal(govern.act(bob, "wrap", {"amount": "1"}))
        assert poor.code == "ERC20InsufficientBalance"

    play(scene)
