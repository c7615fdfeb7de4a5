"""A node that slept catches up by set reconciliation; older peers are asked page by page."""

from typing import Any

import pytest

from node import runtime, sync, watch
from node.context import Context
from protocol.codec import pack
from protocol.errors import PeerError
from protocol.messages import BlobHint
from protocol.params import SIMNET
from protocol.seams import PeerId
from simnet.seams import run_world
from simnet.world import Member, World, running

PAIR = (Member("ann", ("aggregator", "verifier")), Member("bob", ("verifier",)))
LETTERS = 600


def hints(ctx: Context) -> int:
    return len(ctx.mail.letters(BlobHint))


async def slept(world: World) -> tuple[Context, Context, Any]:
    """Ann and bob, cut off from each other while ann spoke; and the wires."""
    ann, bob = world.nodes["ann"], world.nodes["bob"]
    wires = ann.seams.transport._network  # type: ignore[attr-defined]
    await world.clock.sleep(5)
    wires.partition([bob.seams.transport.peer_id])
    for number in range(LETTERS):
        await ann.announce(BlobHint((number.to_bytes(32, "big"),)))
    await world.clock.sleep(5)
    assert hints(bob) == 0
    wires.heal()
    return ann, bob, wires


@pytest.mark.parametrize("old", [False, True])
def test_what_was_said_while_it_slept_arrives(old: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if old:  # both peers are of a version that knows no reconciliation
        monkeypatch.delitem(runtime.HANDLERS, sync.RECONCILE_PROTOCOL)

    async def main() -> None:
        async with running(PAIR, SIMNET, b"sync") as world:
            ann, bob, _ = await slept(world)
            await bob.seams.transport.dial(ann.seams.transport.addrs[0])
            await world.until(lambda: hints(bob) == LETTERS, 60, "caught up")
            # before ann was known; a record of hers that a newer one overtook
            assert set(bob.mail.refused) <= {"no-stake", "superseded"}

    run_world(main, seed=1)


def test_a_letter_that_was_refused_is_not_asked_for_again_at_once() -> None:
    async def main() -> None:
        async with running(PAIR, SIMNET, b"sync") as world:
            ann, bob, _ = await slept(world)
            bob.mail._standing = lambda author: False
            await bob.seams.transport.dial(ann.seams.transport.addrs[0])
            peer = ann.seams.transport.peer_id
            assert await sync.pull(bob, peer, watch._accept) == 0
            refused = bob.mail.refused["no-stake"]
            assert refused >= LETTERS
            assert await sync.pull(bob, peer, watch._accept) == 0
            assert bob.mail.refused["no-stake"] == refused

    run_world(main, seed=1)


def test_a_letter_whose_author_stakes_a_moment_later_is_asked_for_again_soon() -> None:
    """A node that just joined was unknown for five minutes to whoever synced a block too early."""

    async def main() -> None:
        async with running(PAIR, SIMNET, b"sync") as world:
            ann, bob, _ = await slept(world)
            known = bob.mail._standing
            bob.mail._standing = lambda author: False
            await bob.seams.transport.dial(ann.seams.transport.addrs[0])
            assert await sync.pull(bob, ann.seams.transport.peer_id, watch._accept) == 0
            bob.mail._standing = known
            await world.until(lambda: hints(bob) == LETTERS, 60, "caught up")

    run_world(main, seed=1)


@pytest.mark.parametrize("answer", [b"\xff", pack(sync.WantLetters(()))])
def test_a_peer_that_answers_nonsense_is_at_fault(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nonsense(ctx: Context, peer: PeerId, request: bytes) -> bytes:
        return answer

    monkeypatch.setitem(runtime.HANDLERS, sync.RECONCILE_PROTOCOL, nonsense)

    async def main() -> None:
        async with running(PAIR, SIMNET, b"sync") as world:
            ann, bob = world.nodes["ann"], world.nodes["bob"]
            with pytest.raises(PeerError):
                await sync.pull(bob, ann.seams.transport.peer_id, watch._accept)

    run_world(main, seed=1)
