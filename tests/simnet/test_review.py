"""An epoch whose scores say something else than it pays: verifiers derive it again and a jury voids it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache
from typing import cast
from unittest.mock import patch

import pytest

from node import court, dues, epoch, explain, guard
from node.context import Context
from node.money import Money
from node.outbox import OutboxChain
from protocol.errors import ChainError, OperatorError
from protocol.ids import content_id
from protocol.messages import SCORED, SCORES, EpochBody, PotShares
from protocol.params import OPEN, SIMNET
from protocol.seams import TxReceipt
from settlement.claims import commit_args
from simnet.world import Member, World
from tasks.court import JURY, REJECT, UPHOLD, Case
from tests.simnet.story import DEMO, Cast, Told, told

CROOKS = ("ann", "bob")  # of three seats: a quorum
SHORT = replace(SIMNET, rounds=1, attribute_seconds=60)
HONEST = ("ann", "bob", "cyd", "dan", "fay", "gus")  # eve loses a unit's stake as in the demo
SIGNER_SLASH = SIMNET.aggregator_stake // 10


async def _due(world: World) -> dict[bytes, PotShares]:
    """The pots that are due once the scores are checked; the crooks' nodes are off then, so nobody commits."""
    cyd = world.nodes["cyd"]
    job = next(iter(cyd.board.pots))

    def checked() -> bool:
        checks = [
            cyd.board.posted(SCORED, scores.value) for scores in cyd.board.posted(SCORES, job)
        ]
        return any(len(posts) == SIMNET.verifiers for posts in checks)

    async def found(ctx: Context) -> dict[bytes, PotShares]:
        crook = ctx.operator in [world.nodes[name].operator for name in CROOKS]
        return {} if crook else await dues.due_pots(ctx)

    with patch.object(epoch, "due_pots", found):  # they sign nothing honest meanwhile
        await world.until(checked, 900, "no scores are checked")
    for name in CROOKS:
        world.stop(name)
    while not (due := await dues.due_pots(cyd)):
        await world.clock.sleep(5.0)
    return due


def moved(pot: PotShares, victim: int, thief: int) -> PotShares:
    """What one owner's records earned goes to another; the sum stays."""
    taken = [share for share in pot.shares if share.owner == victim]
    shares = [s for s in pot.shares if s.owner != victim]
    return replace(pot, shares=(*shares, *(replace(share, owner=thief) for share in taken)))


async def _commit(world: World, body: EpochBody) -> None:
    """By hand, as a quorum of seats may; cyd's node keeps and serves the body."""
    cyd, nodes = world.nodes["cyd"], [world.nodes[name] for name in CROOKS]
    statement = epoch.statement(cyd, body, cyd.put(body))
    domain = cyd.contract_domain("AttributionPool")
    signatures = [node.sign(statement, domain) for node in nodes]
    args = commit_args(statement, domain, signatures)
    await world.chain.write(nodes[0].keys.operator_key, "AttributionPool", "commit", *args)


async def _crime(world: World, body: Callable[[Context, int], Awaitable[EpochBody]]) -> None:
    """The crooks commit it for ann's good, it is voided, then their nodes run again as anybody's would."""
    cyd = world.nodes["cyd"]
    thief = cyd.board.index_of(world.nodes["ann"].operator)
    assert thief is not None
    await _commit(world, await body(cyd, thief))
    await world.until(lambda: cyd.board.voids == 1, 600, "the crime stands")
    await world.until(lambda: cyd.board.voided is None, 60, "its draws are not restored")
    for name in CROOKS:
        await world.start(name)


async def theft(world: World) -> object:
    """Ann and bob give cyd's shares to ann; returns what was due."""
    due = await _due(world)

    async def body(cyd: Context, thief: int) -> EpochBody:
        victim = cyd.board.index_of(cyd.operator)
        assert victim is not None
        pots = tuple(moved(pot, victim, thief) for pot in due.values())
        assert pots != tuple(due.values())  # cyd has earned something
        return await dues.derive(cyd, 1, pots, len(cyd.board.owners))

    await _crime(world, body)
    return due


async def invention(world: World) -> object:
    """Ann and bob settle the job under a made-up answer of its pot, to ann alone."""
    (pot,) = (await _due(world)).values()

    async def body(cyd: Context, thief: int) -> EpochBody:
        share = replace(pot.shares[0], owner=thief, amount=pot.amount)
        subject = content_id(b"never asked")
        made_up = replace(pot, kind="answer", subject=subject, shares=(share,))
        return await dues.derive(cyd, 1, (made_up,), len(cyd.board.owners))

    await _crime(world, body)
    return None


async def slander(world: World) -> object:
    """Dan, a person, challenges an honest epoch against the advice of his node; returns what it said."""
    dan = world.nodes["dan"]
    money, said = Money(dan, cast(OutboxChain, None)), []
    with pytest.raises(OperatorError, match="no-epoch"):
        await money.review()
    await world.until(lambda: bool(dan.board.epochs), 1_500, "no epoch")
    said.append(await money.review())
    for number, anyway, code in ((1, False, "nothing-found"), (2, True, "not-pending")):
        with pytest.raises(OperatorError, match=code):
            await money.challenge(number, anyway)
    await money.challenge(1, True)
    with pytest.raises(OperatorError, match="on-trial"):
        await money.challenge(1, True)
    said.append(await money.review())
    said.append(await explain.proof(dan))
    return said


async def perjury(world: World) -> object:
    """Dan challenges an honest epoch, and the one juror says that he is right."""
    truth = court.opinion

    async def opinion(ctx: Context, case: Case) -> int:
        panels = [p for p in ctx.board.court.panels.values() if p.case == case.case]
        return UPHOLD if len(panels) == 1 and case.stage == JURY else await truth(ctx, case)

    dan = world.nodes["dan"]
    await world.until(lambda: bool(dan.board.epochs), 1_500, "no epoch")
    with patch.object(court, "opinion", opinion):
        await guard.challenge(dan, 1, content_id(b"a friend is on the jury"))
        await world.until(lambda: dan.board.voids == 1, 600, "not voided")
    await world.until(lambda: not dan.board.court.open(), 600, "nobody appeals")
    return None


THEFT = replace(DEMO, params=SHORT, answers=0, disturb=theft, seed=11)
INVENTION = replace(THEFT, disturb=invention, seed=12)
SLANDER = replace(THEFT, disturb=slander, seed=13)
PERJURY = replace(
    THEFT,
    members=(*DEMO.members, Member("fay", ("verifier",)), Member("gus", ("verifier",))),
    params=replace(SHORT, jurors=1),
    disturb=perjury,
    seed=14,
)
story = cache(told)


def challenges(story: Told) -> list[Case]:
    return [case for case in story.board.court.cases.values() if case.epoch]


def lost(story: Told, name: str) -> int:
    before, after = story.stake[name]
    return before - after


@pytest.mark.parametrize("crime", [THEFT, INVENTION], ids=["theft", "invention"])
def test_a_quorum_that_pays_what_nobody_derives_is_voided_and_loses_stake(crime: Cast) -> None:
    ended = story(crime)
    (case,) = challenges(ended)
    assert case.panel is not None and case.panel.votes
    assert set(case.panel.votes.values()) == {UPHOLD}
    crooks = {ended.nodes[name].operator for name in CROOKS}
    assert not crooks & {case.appellant, *case.panel.jurors}
    assert ended.board.voids == 1
    for name in CROOKS:
        assert lost(ended, name) == SIGNER_SLASH


def test_what_was_stolen_is_paid_to_its_owner_by_the_next_commit() -> None:
    ended = story(THEFT)
    assert isinstance(ended.seen, dict)
    assert [pot for body in ended.bodies for pot in body.pots] == list(ended.seen.values())
    assert ended.earned("cyd", "contributor") > 0
    assert ended.claimed["cyd"] == sum(
        share.amount
        for pot in ended.seen.values()
        for share in pot.shares
        if share.owner == ended.owner["cyd"]
    )


def test_who_signed_and_finds_the_jury_right_does_not_appeal() -> None:
    court = story(THEFT).board.court
    assert len([p for p in court.panels.values() if court.cases[p.case].epoch]) == 1


def test_a_challenge_of_an_honest_epoch_costs_its_bond_and_the_epoch_stands() -> None:
    ended = story(SLANDER)
    (case,) = challenges(ended)
    assert case.panel is not None
    assert set(case.panel.votes.values()) == {REJECT}
    assert ended.board.voids == 0
    assert lost(ended, "dan") == SIMNET.min_stake
    assert [lost(ended, name) for name in ("ann", "bob", "cyd")] == [0, 0, 0]
    assert ended.claimed["ann"] > 0


def test_who_challenges_is_told_what_the_node_finds_and_how_it_stands() -> None:
    ended = story(SLANDER)
    assert isinstance(ended.seen, list)
    before, after, proof = ended.seen
    assert (before["fault"], before["on_trial"], before["bond"]) == ("", False, str(10 * OPEN))
    assert (after["fault"], after["on_trial"], after["bond"]) == ("", True, str(20 * OPEN))
    assert (proof["claimable_at"], proof["seconds_left"]) == (None, None)


def test_signers_whom_a_jury_condemns_wrongly_appeal_and_its_jurors_pay() -> None:
    ended = story(PERJURY)
    (case,) = challenges(ended)
    first, second = (p for p in ended.board.court.panels.values() if p.case == case.case)
    signers = {ended.nodes[name].operator for name in ("ann", "bob", "cyd")}
    assert set(first.votes.values()) == {UPHOLD}
    assert case.appellant in signers
    assert set(second.votes.values()) == {REJECT}
    assert not case.slashed
    jurors = [ended.nodes[name].operator in first.jurors for name in HONEST]
    assert [lost(ended, name) for name in HONEST] == [SIMNET.check_pay * sat for sat in jurors]
    assert ended.claimed["ann"] > 0  # committed again


async def theft_on_a_bad_line(world: World) -> object:
    """The theft, while the first challenge of every node is lost on its way to the chain."""
    sent: set[bytes] = set()
    sends = guard.challenge

    async def lossy(ctx: Context, number: int, evidence: bytes) -> TxReceipt:
        if ctx.operator not in sent:
            sent.add(ctx.operator)
            raise ChainError("unreachable", "the endpoint does not answer")
        return await sends(ctx, number, evidence)

    with patch.object(guard, "challenge", lossy):
        return await theft(world)


def test_a_challenge_that_does_not_get_through_is_sent_again() -> None:
    ended = story(
        replace(THEFT, disturb=theft_on_a_bad_line, params=replace(SHORT, window_seconds=60))
    )
    assert ended.board.voids == 1
