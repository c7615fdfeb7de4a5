"""Watching: events enter the board once; mail is renewed and learnt; what happens is logged."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog

from datanet.manifest import make_manifest, manifest_id
from node import data, learn, watch
from node.context import START, Context
from node.mail import LIFETIME_S
from protocol.codec import pack
from protocol.errors import ChainError, PeerError
from protocol.messages import BlobHint, DatanetRecord, EpochVote, SlashVote
from protocol.params import SIMNET
from protocol.seams import Chain
from simnet.seams import run_world
from simnet.world import Member, World, running

PAIR = (Member("ann", ("aggregator", "verifier")), Member("bob", ("verifier",)))


class Endpoint:
    """A chain as one endpoint tells it."""

    def __init__(self, chain: Chain, first: int = 0) -> None:
        self._chain = chain
        self._first = first
        self.times = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)


class Failing(Endpoint):
    """It does not give a block, twice."""

    async def block(self, number: int) -> Any:
        self.times += 1
        if self.times in (self._first, self._first + 1):
            raise ChainError("unreachable", "no answer")
        return await self._chain.block(number)


@pytest.fixture(autouse=True)
def no_log_left() -> Iterator[None]:
    yield
    structlog.reset_defaults()


Scene = Callable[[World, Context, Context], Awaitable[None]]


def play(scene: Scene) -> None:
    async def main() -> None:
        async with running(PAIR, SIMNET, b"watch") as world:
            await scene(world, world.nodes["ann"], world.nodes["bob"])

    run_world(main, seed=1)


@pytest.mark.parametrize("first", range(1, 7))
def test_a_chain_that_fails_midway_folds_nothing_twice(first: int) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        bob.seams = replace(bob.seams, chain=Failing(bob.seams.chain, first))
        for number in range(4):
            await ann.post("topic", b"s" * 32, number.to_bytes(32, "big"))
        await world.until(lambda: len(ann.board.posted("topic", b"s" * 32)) == 4, 20, "ann")
        await world.clock.sleep(10)
        assert bob.failures["unreachable"].count >= 1
        assert bob.board.posted("topic", b"s" * 32) == ann.board.posted("topic", b"s" * 32)

    play(scene)


def posted(ctx: Context) -> list[int]:
    return [post.value[-1] for post in ctx.board.posted("topic", b"s" * 32)]


async def say(ctx: Context, *numbers: int) -> None:
    for number in numbers:
        await ctx.post("topic", b"s" * 32, number.to_bytes(32, "big"))


def test_a_reorganised_chain_is_followed_back() -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        await say(ann, 1, 2)
        await world.clock.sleep(10)
        await say(ann, 3, 4, 5)
        nodes = [ann, bob]
        await world.until(lambda: all(posted(c) == [1, 2, 3, 4, 5] for c in nodes), 20, "folded")
        seen, beacons = bob.head, [await bob.beacon(h) for h in range(bob.head.number + 1)]
        bob.private["due/1"] = 7
        fork = ann.board.posted("topic", b"s" * 32)[2].block - 1
        depth = (await world.chain.head()).number - fork
        world.chain.reorganise(depth, lambda tx: tx.values[-1][-1:] != b"\x04")
        await world.until(lambda: all(posted(c) == [1, 2, 3, 5] for c in nodes), 20, "refolded")
        assert bob.failures["reorganised"].count == 1
        assert "due/1" not in bob.private and "session" in bob.private
        now = [await bob.beacon(h) for h in range(seen.number + 1)]
        differs = [old != new for old, new in zip(beacons, now, strict=True)]
        assert differs == [height > fork for height in range(seen.number + 1)]
        await say(ann, 4)
        await world.until(lambda: all(posted(c) == [1, 2, 3, 5, 4] for c in nodes), 20, "goes on")
        assert bob.board.owners == ann.board.owners and len(bob.board.nodes) == 2

    play(scene)


def test_a_reorganisation_deeper_than_the_trail_unfolds_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        await say(ann, 1)
        await world.clock.sleep(60)
        while len(bob.trail) > 3:
            bob.trail.popleft()
        head = await world.chain.head()
        fork = ann.board.posted("topic", b"s" * 32)[0].block - 1
        world.chain.reorganise(head.number - fork, lambda tx: False)
        await world.until(lambda: posted(bob) == posted(ann) == [], 20, "unfolded")
        await world.until(lambda: bob.head.number > head.number, 20, "folded again")
        assert bob.board.owners == ann.board.owners and len(bob.board.nodes) == 2

    play(scene)


class Behind(Endpoint):
    """It does not have the newest blocks."""

    async def head(self) -> Any:
        return await self._chain.block((await self._chain.head()).number - 30)


def test_an_endpoint_that_is_behind_unfolds_nothing() -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        await world.clock.sleep(40)
        await say(ann, 1)
        await world.until(lambda: posted(bob) == [1], 20, "folded")
        before, bob.seams = bob.head, replace(bob.seams, chain=Behind(bob.seams.chain))
        await world.clock.sleep(10)
        assert (bob.head, posted(bob)) == (before, [1])
        assert bob.failures["chain-behind"].count >= 1
        assert "reorganised" not in bob.failures
        await world.clock.sleep(40)
        assert bob.head.number > before.number

    play(scene)


class Forgetful(Endpoint):
    """It leaves out the registration of an owner, until it is asked often enough."""

    async def events(self, first: int, last: int) -> Any:
        found = await self._chain.events(first, last)
        self.times += 1
        return found if self.times > self._first else [e for e in found if e.args.get("index") != 1]


class Stopped(Endpoint):
    """Its head does not move."""

    async def head(self) -> Any:
        return await self._chain.block(self._first)


def test_a_chain_that_stands_still_is_told_and_left_when_it_moves() -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        chain, at = bob.seams.chain, bob.head.number
        bob.seams = replace(bob.seams, chain=Stopped(chain, at))
        await world.clock.sleep(watch.STALLED_S - 5)
        assert "chain-stalled" not in bob.failures
        await world.clock.sleep(15)
        assert bob.failures["chain-stalled"].count >= 1
        bob.seams = replace(bob.seams, chain=chain)
        await world.until(lambda: bob.head.number > at, 10, "it stays")

    play(scene)


def test_events_that_cannot_be_are_counted_and_asked_again() -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        bob.seams = replace(bob.seams, chain=Forgetful(bob.seams.chain, 4))
        bob.unwind(START)
        await world.clock.sleep(10)
        assert bob.failures["impossible-event"].count >= 1
        assert bob.board.owners == ann.board.owners

    play(scene)


def test_letters_that_are_needed_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "RENEW_S", LIFETIME_S - 20)

    async def scene(world: World, ann: Context, bob: Context) -> None:
        slash = SlashVote(bytes(32), bytes(20), 1, bytes(32), bytes(20), bytes(65))
        open_, over = EpochVote(1, bytes(32), bytes(65)), EpochVote(0, bytes(32), bytes(65))
        hint = BlobHint((b"b" * 32,))
        for body in (slash, open_, over, hint):
            await ann.announce(body)
        sent = world.clock.now()
        await world.clock.sleep(35)
        kinds = (SlashVote, EpochVote, BlobHint)
        letters = [letter for kind in kinds for letter in bob.mail.letters(kind)]
        renewed = {x.body: x.envelope.issued > sent + 10 for x in letters}
        assert renewed == {slash: True, open_: True, over: False, hint: False}

    play(scene)


def test_a_name_on_chain_is_learnt_from_a_blob_when_its_letter_is_gone() -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        datanet = await data.found(ann, "kjv", "open", "PD", "a text")
        content = manifest_id(make_manifest("kjv", 1, "open", "PD", "a text"))
        await world.until(lambda: bob.mail.learnt(DatanetRecord, content), 30, "not learnt")
        await world.clock.sleep(10)
        bob.mail._learnt.clear()
        bob.mail.drop(world.clock.now() + LIFETIME_S)
        bob.seams.blobs._bodies.pop(content)  # type: ignore[attr-defined]
        assert bob.mail.bodies(DatanetRecord) == []
        await world.until(lambda: bob.mail.learnt(DatanetRecord, content), 60, "not fetched")
        assert data.names(bob)[datanet].name == "kjv"

    play(scene)


def test_the_blob_of_a_manifest_has_its_id() -> None:
    record = make_manifest("kjv", 1, "open", "PD", "a text")

    async def scene(world: World, ann: Context, bob: Context) -> None:
        assert ann.seams.blobs.put(learn.DATANET_TAG + pack(record)) == manifest_id(record)

    play(scene)


def test_a_name_that_nobody_serves_is_asked_for_ever_more_seldom() -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        await ann.write("AssetRegistry", "registerDatanet", b"n" * 32, 0)
        await world.clock.sleep(600)
        assert 3 <= bob.failures["no-source"].count <= 10

    play(scene)


def test_notes_are_logged_and_a_failure_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        with structlog.testing.capture_logs() as logs:
            ann.note("data", "founded")
            for _ in range(3):
                ann.fail("sync", PeerError("timeout", "no answer"))
        assert logs == [
            {"event": "founded", "stage": "data", "log_level": "info"},
            {"event": "no answer", "stage": "sync", "code": "timeout", "log_level": "warning"},
        ]
        assert ann.failures["timeout"].count == 3

    play(scene)


def test_a_program_that_configures_no_log_prints_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        ann.note("data", "founded")

    play(scene)
    assert capsys.readouterr() == ("", "")
