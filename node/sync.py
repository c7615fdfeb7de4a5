"""Catching up by set reconciliation: what a peer holds and we do not, for bytes that grow with the difference.

A late joiner, or a node that slept, does not hope for gossip. Peers of an older version, which do not
reconcile, are asked by ``/openledger/sync/1`` (``node/watch.py``).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from node.context import Context
from p2p.reconcile import Branches, Probe, Search, answer
from protocol.codec import Max, pack, unpack
from protocol.errors import Ignore, PeerError, Reject
from protocol.ids import Hash
from protocol.messages import SyncAnswer

RECONCILE_PROTOCOL = "/openledger/reconcile/1"
LETTERS_PROTOCOL = "/openledger/letters/1"
ASK_SECONDS = 10.0
BRANCHES_BYTES = 128 * 1024
LETTERS_BYTES = 4 * 1024 * 1024
MAX_PROBES = 64  # of one search: with 128 prefixes each, 100,000 missing ids
BATCH = 256  # letters asked for at once
MAX_LETTERS = 8_192  # taken from one peer in its turn


@dataclass(frozen=True, slots=True)
class WantLetters:
    """Request: the envelopes with these ids; those that are gone are left out of the answer."""

    ids: Annotated[tuple[Hash, ...], Max(BATCH)]


async def serve_reconcile(ctx: Context, peer: str, request: bytes) -> bytes:
    """What this node holds under the prefixes of a probe."""
    return pack(answer(ctx.mail.sorted_ids(ctx.seams.clock.now()), unpack(Probe, request)))


async def serve_letters(ctx: Context, peer: str, request: bytes) -> bytes:
    """The envelopes that are asked for, as far as they are here."""
    found = (ctx.mail.raw(letter) for letter in unpack(WantLetters, request).ids)
    return pack(SyncAnswer(tuple(raw for raw in found if raw is not None)))


async def pull(ctx: Context, peer: str, accept: Callable[[Context, bytes], None]) -> int:
    """Take what ``peer`` holds and we lack; how many were accepted. Raises PeerError."""
    missing = await _search(ctx, peer)
    taken = 0
    async with ctx.seams.transport.conversation(peer, LETTERS_PROTOCOL) as ask:
        for wanted in _batches(missing[:MAX_LETTERS]):
            raw = await ask(
                pack(WantLetters(wanted)), timeout=ASK_SECONDS, max_response=LETTERS_BYTES
            )
            envelopes = unpack(SyncAnswer, raw, limit=LETTERS_BYTES).envelopes
            if len(envelopes) > len(wanted):
                raise PeerError("bad-letters", f"{len(envelopes)} for {len(wanted)} ids")
            accepted, refused = _take(ctx, envelopes, accept)
            taken += accepted
            if "author-rate" not in refused:  # else they are welcome again when the rate allows
                early = "no-stake" in refused
                ctx.mail.declined(wanted, ctx.seams.clock.now(), early)
    return taken


async def _search(ctx: Context, peer: str) -> list[bytes]:
    """Ids that the peer holds, we do not, and we did not decline lately."""
    now = ctx.seams.clock.now()
    search = Search(ctx.mail.sorted_ids(now), ctx.seams.randomness.token(32))
    async with ctx.seams.transport.conversation(peer, RECONCILE_PROTOCOL) as ask:
        for _ in range(MAX_PROBES):
            probe = search.probe()
            if probe is None:
                break
            raw = await ask(pack(probe), timeout=ASK_SECONDS, max_response=BRANCHES_BYTES)
            search.take(unpack(Branches, raw, limit=BRANCHES_BYTES))
    return [letter for letter in search.missing if ctx.mail.wants(letter, now)]


def _batches(ids: Sequence[bytes]) -> Iterator[tuple[bytes, ...]]:
    return (tuple(ids[at : at + BATCH]) for at in range(0, len(ids), BATCH))


def _take(
    ctx: Context, envelopes: Sequence[bytes], accept: Callable[[Context, bytes], None]
) -> tuple[int, set[str]]:
    """How many were accepted, and why others were not (the mail counts them)."""
    accepted, refused = 0, set[str]()
    for envelope in envelopes:
        try:
            accept(ctx, envelope)
        except (Ignore, Reject) as verdict:
            refused.add(verdict.reason)
            continue
        accepted += 1
    return accepted, refused
