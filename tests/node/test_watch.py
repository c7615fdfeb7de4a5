"""Watching: events enter the board once; mail is renewed and learnt; what happens is logged."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog

from datanet.manifest import datanet_id, make_manifest
from node import data, learn, watch
from node.context import Context
from node.mail import LIFETIME_S
from protocol.codec import pack
from protocol.errors import ChainError, PeerError
from protocol.messages import BlobHint, DatanetRecord, EpochVote, SlashVote
from protocol.params import SIMNET
from protocol.seams import Chain
from simnet.seams import run_world
from simnet.world import Member, World, running

PAIR = (Member("ann", ("aggregator", "verifier")), Member("bob", ("verifier",)))


class Failing:
    """A chain that does not give one block for a while."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.times = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)

    async def block(self, number: int) -> Any:
        self.times += 1
        if self.times in (2, 3):
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


def test_a_chain_that_fails_midway_folds_nothing_twice() -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        bob.seams = replace(bob.seams, chain=Failing(bob.seams.chain))
        for number in range(4):
            await ann.post("topic", b"s" * 32, number.to_bytes(32, "big"))
        await world.until(lambda: len(ann.board.posted("topic", b"s" * 32)) == 4, 20, "ann")
        await world.clock.sleep(10)
        assert bob.failures["unreachable"].count >= 1
        assert bob.board.posted("topic", b"s" * 32) == ann.board.posted("topic", b"s" * 32)

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
        await world.until(lambda: bob.mail.learnt(DatanetRecord, datanet), 30, "not learnt")
        await world.clock.sleep(10)
        bob.mail._learnt.clear()
        bob.mail.drop(world.clock.now() + LIFETIME_S)
        bob.seams.blobs._bodies.pop(datanet)  # type: ignore[attr-defined]
        assert bob.mail.bodies(DatanetRecord) == []
        await world.until(lambda: bob.mail.learnt(DatanetRecord, datanet), 60, "not fetched")
        assert data.names(bob)[datanet].name == "kjv"

    play(scene)


def test_the_blob_of_a_datanet_has_its_id() -> None:
    record = make_manifest("kjv", 1, "open", "PD", "a text")

    async def scene(world: World, ann: Context, bob: Context) -> None:
        assert ann.seams.blobs.put(learn.DATANET_TAG + pack(record)) == datanet_id(record)

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
