"""Datanets at this node: committing and revealing one's own shards, and a job's data as all nodes see it.

A job's data are the shards that a quorum of aggregators held before its block (``node/hold.py``), so nobody
can stop a job by withholding. The training set keeps commit order; what a record yields to earlier ones was
decided in that order; a record that kept less than half is not trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from datanet import manifest as manifests
from datanet import precedence
from datanet.intake import read_records
from datanet.precedence import Kept, Placed
from datanet.record import Record, RecordList, record_id
from datanet.reserve import reserved
from datanet.reveal import (
    Reveal,
    RevealRules,
    check_training,
    make_private_reveal,
    make_reveal,
    open_commitment,
    reserved_of,
)
from datanet.shard import Shard, commitment, make_shard
from node.context import Context
from node.jobs import PRIVATE, Job
from node.join import node_records
from protocol.codec import pack, unpack
from protocol.compute import StepState
from protocol.credit import Row
from protocol.errors import DecodeError, OperatorError, PeerError, Reject
from protocol.ids import Hash, checksum, datanet_id, short
from protocol.messages import HELD, REVEAL, SHARD, DatanetRecord
from tasks.entries import ShardEntry

T = TypeVar("T")

TRAINED_PPM = (
    500_000  # a record that yielded more than half is a copy: training on it twice helps nobody
)


@dataclass(frozen=True, slots=True)
class States:
    """A unit's states as journalled by its worker."""

    states: tuple[StepState, ...]


@dataclass(frozen=True, slots=True)
class OwnShard:
    """A shard of ours from its commitment to its reveal, as journalled."""

    shard: Shard
    salt: Hash
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """A revealed shard that passed every rule; ``aside`` are the indices of its reserved records."""

    entry: ShardEntry
    reveal: Reveal
    aside: tuple[int, ...]
    training: tuple[tuple[int, Record], ...]  # (index in the shard, record)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A job's data: one row a training record, in commit order, and the shards they came from."""

    shards: tuple[Opened, ...]
    rows: tuple[Row, ...]
    texts: tuple[Record, ...]
    kept: tuple[Kept, ...]
    void: dict[bytes, str]  # commitment -> why the shard does not count
    most_words: int | None = None  # of a record, that precedence measures

    @property
    def trained(self) -> tuple[int, ...]:
        """Positions of the rows that are trained on."""
        return tuple(i for i, row in enumerate(self.rows) if row.kept_ppm >= TRAINED_PPM)


def rules(ctx: Context) -> RevealRules:
    """The parameters in force for reveals."""
    p = ctx.params
    return RevealRules(p.reserve_ppm, p.reserve_min, p.reveal_seconds, p.max_records)


# -- one's own shards ---


async def found(ctx: Context, name: str, data_class: str, licence: str, description: str) -> bytes:
    """Found a Datanet: register its manifest's hash on chain and announce it. Returns its id."""
    record = manifests.make_manifest(name, 1, data_class, licence, description)
    content = manifests.manifest_id(record)
    datanet = datanet_id(ctx.operator, content)
    if datanet in ctx.board.datanets:
        raise OperatorError(
            "datanet-exists",
            f"You have founded the Datanet {name!r} already.",
            "Add a shard to it.",
        )
    number = manifests.DATA_CLASSES.index(record.data_class)
    await ctx.write("AssetRegistry", "registerDatanet", content, number)
    await ctx.announce(record)
    ctx.note("data", f"founded Datanet {name} ({data_class})")
    return datanet


def by_name(ctx: Context, name: str) -> bytes:
    """A Datanet's id by its name or hex id. Raises OperatorError naming what is known.

    Anybody may found another of the same name: then only the id says whose is meant.
    """
    found = called(ctx, name)
    if len(found) > 1:
        founders = (checksum(ctx.board.datanets[datanet].founder) for datanet in found)
        each = ", ".join(f"{d.hex()} of {who}" for d, who in zip(found, founders, strict=True))
        text = f"{len(found)} Datanets are called {name!r}."
        raise OperatorError("ambiguous-datanet", text, f"Name one by its id: {each}.")
    if not found:
        known = ", ".join(sorted({r.name for r in names(ctx).values()})) or "none yet"
        text = f"No Datanet is called {name!r}."
        raise OperatorError("unknown-datanet", text, f"Known here: {known}.")
    return found[0]


def called(ctx: Context, name: str) -> list[bytes]:
    """Ids of the Datanets of a name, in order of registration; of the one that a hex id names."""
    exact = [datanet for datanet in ctx.board.datanets if datanet.hex() == name]
    if exact:  # first: a name may look like an id
        return exact
    return [datanet for datanet, record in names(ctx).items() if record.name == name]


def names(ctx: Context) -> dict[bytes, DatanetRecord]:
    """Manifests by Datanet id. One that states another class than its founder registered is none."""
    known = {manifests.manifest_id(r): r for r in ctx.mail.bodies(DatanetRecord)}
    return {
        datanet: known[entry.content]
        for datanet, entry in ctx.board.datanets.items()
        if entry.content in known
        and known[entry.content].data_class == manifests.DATA_CLASSES[entry.data_class]
    }


async def commit_shard(ctx: Context, name: str, path: Path) -> tuple[bytes, int]:
    """Take in a file and commit it; the reveal follows by itself. Returns (commitment, records)."""
    datanet = by_name(ctx, name)
    records = read_records([path]).records
    private = ctx.board.datanets[datanet].data_class == PRIVATE
    least = 1 if private else ctx.params.reserve_min + 1
    shard = make_shard(ctx.operator, datanet, records, least, ctx.params.max_records)
    own = OwnShard(shard, ctx.seams.randomness.token(32), records)
    key = commitment(shard, own.salt)
    await ctx.did(f"shard/{key.hex()}", pack(own))
    await ctx.post(SHARD, datanet, key)
    ctx.note("data", f"committed {len(records)} records to {name} as {short(key)}")
    return key, len(records)


async def reveal_shards(ctx: Context) -> None:
    """Open every commitment of ours whose beacon is known and that is not open yet."""
    for entry in list(ctx.board.shards.values()):
        if entry.owner != ctx.operator or entry.reveal is not None:
            continue
        body = await ctx.done(f"shard/{entry.commitment.hex()}")
        beacon = await ctx.beacon(entry.block + ctx.params.beacon_delay)
        if body is None or beacon is None:
            continue
        await _reveal(ctx, entry, unpack(OwnShard, body), beacon)


async def _reveal(ctx: Context, entry: ShardEntry, own: OwnShard, beacon: bytes) -> None:
    if ctx.board.datanets[entry.datanet].data_class == PRIVATE:
        parts = make_private_reveal(own.shard, own.salt, own.records)
    else:
        recipients = seal_keys(ctx)
        patience = entry.time + ctx.params.reveal_seconds // 20
        wanted = len(ctx.board.seats) if ctx.head.time <= patience else ctx.network.quorum
        if len(recipients) < wanted:
            return  # the aggregators' records have not arrived yet
        aside = reserved(
            beacon,
            entry.commitment,
            len(own.records),
            ctx.params.reserve_ppm,
            ctx.params.reserve_min,
        )
        token = ctx.seams.randomness.token(64)
        parts = make_reveal(own.shard, own.salt, own.records, aside, recipients, token)
        ctx.seams.blobs.put(parts.training)
        ctx.seams.blobs.put(parts.sealed)
    blob = ctx.put(parts.reveal)
    await ctx.share(blob, parts.reveal.training, parts.reveal.sealed)
    receipt = await ctx.post(REVEAL, entry.commitment, blob)
    await ctx.reached(receipt.block)
    ctx.holders.provide(entry.commitment)
    ctx.note("data", f"revealed shard {short(entry.commitment)}")


def seal_keys(ctx: Context) -> list[bytes]:
    """The aggregators' X25519 keys, in seat order, as far as their records have arrived."""
    records = node_records(ctx)
    return [records[seat].seal_key for seat in ctx.board.seats if seat in records]


# -- a job's data ---


def held(ctx: Context, entry: ShardEntry, before: int | None = None) -> bool:
    """Whether a shard counts: a quorum of aggregators said, before a block, that it holds all of it.

    A private shard stays at home; there the reveal is enough.
    """
    reveal = entry.reveal
    if reveal is None or ctx.board.datanets[entry.datanet].data_class == PRIVATE:
        return reveal is not None and (before is None or reveal.block < before)
    holders = {
        post.operator
        for post in ctx.board.posted(HELD, entry.commitment)
        if post.value == reveal.value and (before is None or post.block < before)
    }
    return len(holders & set(ctx.board.seats)) >= ctx.network.quorum


async def read(
    ctx: Context, cls: type[T], blob: bytes, *first: bytes, shard: bytes | None = None
) -> T:
    """A published value. Raises PeerError while nobody serves it, Reject when its bytes are none:
    the first may pass, the second never does.
    """
    body = await ctx.fetch(blob, *first, shard=shard)
    try:
        return unpack(cls, body)
    except DecodeError as error:
        raise Reject(error.text) from error


async def dataset(ctx: Context, job: Job) -> Dataset:
    """A job's data, assembled once. Raises PeerError when a body cannot be fetched yet."""
    cache: dict[bytes, Dataset] = ctx.private.setdefault("datasets", {})
    if job.id not in cache:
        cache[job.id] = await _assemble(ctx, job)
    return cache[job.id]


async def _assemble(ctx: Context, job: Job) -> Dataset:
    shards: list[Opened] = []
    void: dict[bytes, str] = {}
    for entry in list(ctx.board.shards.values()):
        ours = entry.datanet in job.spec.datanets and held(ctx, entry, job.pot.block)
        if not ours or ctx.board.datanets[entry.datanet].data_class == PRIVATE:
            continue
        try:
            shards.append(await open_shard(ctx, entry))
        except Reject as verdict:
            void[entry.commitment] = verdict.reason
    owners = tuple(ctx.board.owners.index(shard.entry.owner) for shard in shards)
    return arranged(tuple(shards), owners, void, ctx.params.max_tokens)


def arranged(
    shards: tuple[Opened, ...], owners: tuple[int, ...], void: dict[bytes, str], most: int
) -> Dataset:
    """All training records in commit order, each with what it keeps; ``owners``: the shards' by index."""
    places = [
        (
            opened.entry,
            index,
            Placed((opened.entry.block, opened.entry.log_index, at), owner, record),
        )
        for opened, index in zip(shards, owners, strict=True)
        for owner in (opened.entry.owner,)
        for at, record in opened.training
    ]
    kept = precedence.place_all(tuple(place for _, _, place in places), most)
    rows = tuple(
        _row(place.record, index, entry.datanet, keeps.kept_ppm)
        for (entry, index, place), keeps in zip(places, kept, strict=True)
    )
    texts = tuple(place.record for _, _, place in places)
    return Dataset(shards, rows, texts, kept, void, most)


def _row(record: Record, owner: int, datanet: bytes, kept_ppm: int) -> Row:
    return Row(record_id(record), owner, datanet, kept_ppm, _tokens(record))


def _tokens(record: Record) -> int:
    """Words, as far as anybody can count them without the base's tokenizer."""
    return len(record.prompt.split()) + len(record.completion.split())


async def open_shard(ctx: Context, entry: ShardEntry) -> Opened:
    """Fetch a revealed shard and judge it by every rule. Raises Reject, or PeerError: not now."""
    assert entry.reveal is not None, "only revealed shards are opened"
    holders, shard = (entry.owner, *ctx.board.seats), entry.commitment
    reveal = await read(ctx, Reveal, entry.reveal.value, *holders, shard=shard)
    _check_owner(ctx, entry, reveal)
    open_commitment(reveal, entry.commitment, entry.reveal.time - entry.time, False, rules(ctx))
    beacon = await ctx.beacon(entry.block + ctx.params.beacon_delay)
    if beacon is None:
        raise PeerError("no-beacon", f"shard {short(entry.commitment)} was revealed before it")
    aside = reserved_of(reveal, beacon, rules(ctx))
    body = await read(ctx, RecordList, reveal.training, *holders, shard=shard)
    return Opened(entry, reveal, aside, check_training(reveal, aside, body))


def _check_owner(ctx: Context, entry: ShardEntry, reveal: Reveal) -> None:
    # [REJECT] somebody else's commitment, posted before its owner did
    if (reveal.shard.owner, reveal.shard.datanet) != (entry.owner, entry.datanet):
        raise Reject("the commitment names another owner or Datanet")
    # [REJECT] an owner that no share could be booked to
    if ctx.board.index_of(entry.owner) is None:
        raise Reject("its operator is not a registered owner")


async def sealed_of(ctx: Context, shard: Opened) -> bytes:
    """The body with a shard's reserved records. Raises PeerError when nobody serves it."""
    entry = shard.entry
    holders = entry.owner, *ctx.board.seats
    return await ctx.fetch(shard.reveal.sealed, *holders, shard=entry.commitment)


async def training_set(ctx: Context, job: Job, *, home: bool = False) -> tuple[bytes, int]:
    """(blob id, size) of the records that units train on; at home, of one's own private records."""
    if home:
        return _put(ctx, await _private_records(ctx, job))
    known: dict[bytes, tuple[bytes, int]] = ctx.private.setdefault("training-sets", {})
    if job.id not in known or not ctx.seams.blobs.has(known[job.id][0]):
        data = await dataset(ctx, job)
        known[job.id] = _put(ctx, [data.texts[i] for i in data.trained])
    return known[job.id]


def _put(ctx: Context, records: Sequence[Record]) -> tuple[bytes, int]:
    if not records:
        raise PeerError("empty-datanet", "the job's Datanets hold no record to train on")
    return ctx.put(RecordList(tuple(records))), len(records)


async def _private_records(ctx: Context, job: Job) -> Sequence[Record]:
    records: list[Record] = []
    for entry in ctx.board.shards.values():
        private = ctx.board.datanets[entry.datanet].data_class == PRIVATE
        if entry.owner != ctx.operator or not private or entry.block > job.pot.block:
            continue
        body = await ctx.done(f"shard/{entry.commitment.hex()}")
        if body is not None:
            records += unpack(OwnShard, body).records
    return records


async def all_rows(ctx: Context, job: Job) -> bytes:
    """Blob id of the record list that influence rows stand for: every training record, copies too."""
    return ctx.put(RecordList((await dataset(ctx, job)).texts))
