"""Bodies that the chain names by hash: job specs and Datanet manifests, kept and served as blobs.

Gossip brings them first; who came late, or was away for longer than a letter lives, fetches them by the
name on chain. A name that nobody serves is asked for ever more seldom: anyone can fund one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from datanet.manifest import manifest_id
from node.context import Context
from protocol.codec import pack, unpack
from protocol.errors import DecodeError
from protocol.ids import short
from protocol.messages import DatanetRecord, JobSpec

LEAST_WAIT_S, MOST_WAIT_S = 5.0, 600.0
BODY_BYTES = 16 * 1024
DATANET_TAG = b"openledger/datanet\x00"  # a Datanet's content hashes this before its manifest


@dataclass(frozen=True, slots=True)
class Named:
    """A body by its name on chain; ``tag`` stands before it in the blob."""

    kind: type[JobSpec] | type[DatanetRecord]
    name: bytes
    tag: bytes
    first: tuple[bytes, ...] = ()  # operators to ask first


async def learn_bodies(ctx: Context) -> None:
    """Learn what the chain names, for ever."""
    while True:
        for named in list(unknown(ctx)):
            await ctx.attempt("learn", learn, named)
        await ctx.seams.clock.sleep(ctx.pace.learn)


def unknown(ctx: Context) -> Iterator[Named]:
    """What the chain names and this node has not learnt."""
    for pot in ctx.board.pots.values():  # a fee's pot pays no units and has no spec
        if pot.unit_pay and not ctx.mail.learnt(JobSpec, pot.spec):
            yield Named(JobSpec, pot.spec, b"", (pot.funder,))
    for entry in ctx.board.datanets.values():
        if not ctx.mail.learnt(DatanetRecord, entry.content):
            yield Named(DatanetRecord, entry.content, DATANET_TAG, (entry.founder,))


async def learn(ctx: Context, named: Named) -> None:
    """Take a body from a letter, else from the blob of that name. Raises PeerError or DecodeError."""
    body = _in_mail(ctx, named)
    if body is not None:
        ctx.seams.blobs.put(named.tag + pack(body))
    elif ctx.seams.blobs.has(named.name) or _due(ctx, named.name):
        raw = await ctx.fetch(named.name, *named.first, limit=BODY_BYTES)
        if not raw.startswith(named.tag):
            raise DecodeError("wrong-tag", f"{short(named.name)} names another kind of body")
        body = unpack(named.kind, raw.removeprefix(named.tag))
    if body is not None:
        ctx.mail.learn(named.name, body)
        ctx.touch()


def _in_mail(ctx: Context, named: Named) -> JobSpec | DatanetRecord | None:
    if named.kind is JobSpec:
        specs = {spec.digest: spec for spec in ctx.mail.bodies(JobSpec)}
        return specs.get(named.name)
    records = {manifest_id(record): record for record in ctx.mail.bodies(DatanetRecord)}
    return records.get(named.name)


def _due(ctx: Context, name: bytes) -> bool:
    """Whether to ask now; gossip gets the first chance, then every wait doubles."""
    waits: dict[bytes, tuple[float, float]] = ctx.private.setdefault("learning", {})
    now = ctx.seams.clock.monotonic()
    at, wait = waits.setdefault(name, (now + LEAST_WAIT_S, LEAST_WAIT_S))
    if now < at:
        return False
    wait = min(2 * wait, MOST_WAIT_S)
    waits[name] = (now + wait, wait)
    return True
