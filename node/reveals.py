"""What a worker must show to those who were drawn to look, and when its silence is a finding.

Everything here is the worker's to give: its leaves, its states, its gradients, its adapter. A body that
cannot be had, or an answer that cannot be read, is silence. Silence about one thing raises PeerError, to
ask again, and Withheld once it has lasted for a third of the judging time and for several questions.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from node.context import Context
from node.train import REVEAL_PROTOCOL, serve_reveal
from protocol.codec import pack, unpack
from protocol.errors import DecodeError, PeerError
from protocol.ids import ZERO, checksum, short
from protocol.merkle import MerkleTree, keccak256
from protocol.messages import UNIT, RevealAnswer, RevealRequest, UnitBody
from protocol.typed_data import WorkCommitment, recover
from tasks.entries import UnitEntry

REVEAL_TIMEOUT_S = 20.0
TRIES = 3  # at once: a lost message should not cost all the questions before it again
# Consecutive failures before silence counts. One message in ten lost fails a body (four messages) in a
# third of the tries, six times in a row in one of 700 bodies; a slash needs a quorum that saw that.
MISSES = 6
T = TypeVar("T")


@dataclass(slots=True)
class Silence:
    """Since when (chain time) a worker does not show one thing, and how often it was asked."""

    since: int
    misses: int = 0
    last: PeerError | None = None


class Withheld(PeerError):
    """The worker was silent about one thing for a third of the judging time."""


async def unit_body(ctx: Context, entry: UnitEntry) -> UnitBody | None:
    """The worker's published leaves, None when it did not publish what it anchored."""
    for post in ctx.board.posted(UNIT, entry.unit):
        if post.operator != entry.operator:
            continue
        try:
            body = unpack(UnitBody, await fetch(ctx, entry, post.value))
        except (Withheld, DecodeError) as error:
            ctx.fail("verify", error)
            continue
        if matches(ctx, entry, body):
            return body
    if ctx.head.time <= entry.anchor_time + ctx.params.unit_seconds // 4:
        raise PeerError("no-unit-body", f"unit {short(entry.unit)}: its leaves are not there yet")
    return None


def matches(ctx: Context, entry: UnitEntry, body: UnitBody) -> bool:
    """Whether a body is the one that its worker anchored and signed."""
    if not body.leaves or len(body.leaves) != len(body.states):
        return False
    root = MerkleTree(body.leaves, keccak256).root
    statement = WorkCommitment(entry.unit, root, body.adapter)
    try:
        signer = recover(statement.digest(ctx.statements), body.signature)
    except PeerError:  # no signature at all
        return False
    same = (body.unit, body.worker, body.adapter) == (entry.unit, entry.operator, entry.adapter)
    return same and root == entry.root and signer == entry.operator


async def ask(ctx: Context, entry: UnitEntry, step: int, commitment: bytes) -> RevealAnswer:
    """A step's digests; its gradient too when a commitment to our own is given."""
    about = step.to_bytes(4, "big") + bytes([commitment != ZERO])
    return await _patiently(ctx, entry, about, lambda: _request(ctx, entry, step, commitment))


async def fetch(ctx: Context, entry: UnitEntry, *blobs: bytes) -> bytes:
    """Bodies that the worker named; returns the last."""
    body = b""
    for blob in blobs:
        body = await _patiently(ctx, entry, blob, partial(ctx.fetch, blob, entry.operator))
    return body


async def _request(ctx: Context, entry: UnitEntry, step: int, commitment: bytes) -> RevealAnswer:
    peer = ctx.peer_of(entry.operator)
    if peer is None:
        raise PeerError("no-peer", f"worker {checksum(entry.operator)} has no peer id")
    request = pack(RevealRequest(entry.unit, step, commitment))
    if entry.operator == ctx.operator:  # accused, it looks at its own work as a juror would
        return unpack(RevealAnswer, await serve_reveal(ctx, peer, request))
    await ctx.dialler.reach(peer)
    answer = await ctx.seams.transport.request(
        peer,
        REVEAL_PROTOCOL,
        request,
        timeout=REVEAL_TIMEOUT_S,
        max_response=64 * 1024,
    )
    return unpack(RevealAnswer, answer)


async def _patiently(
    ctx: Context, entry: UnitEntry, about: bytes, attempt: Callable[[], Awaitable[T]]
) -> T:
    silences: dict[tuple[bytes, bytes], Silence] = ctx.private.setdefault("silences", {})
    silence = silences.setdefault((entry.unit, about), Silence(ctx.head.time))
    for _ in range(TRIES):
        try:
            value = await attempt()
        except PeerError as error:
            silence.misses, silence.last = silence.misses + 1, error
        else:
            silences.pop((entry.unit, about), None)  # verifying and ruling may ask at once
            return value
    assert silence.last is not None, "every try failed"
    long = ctx.head.time >= silence.since + ctx.params.judge_seconds // 3
    if long and silence.misses >= MISSES:
        raise Withheld("no-reveal", silence.last.text) from silence.last
    raise silence.last
