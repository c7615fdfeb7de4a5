"""Which shards a job uses, and whom a shard is sealed to."""

from dataclasses import replace

import pytest

from datanet.manifest import make_manifest, manifest_id
from datanet.record import Record, RecordList
from datanet.reserve import reserved
from datanet.reveal import Parts, make_reveal
from datanet.shard import commitment, make_shard
from node import data, hold
from node.context import Context
from node.jobs import PRIVATE
from node.join import node_records
from protocol.codec import pack
from protocol.errors import OperatorError, PeerError
from protocol.ids import ZERO, checksum, content_id, datanet_id
from protocol.messages import HELD, NodeRecord
from protocol.params import SIMNET
from protocol.signing import WIRE_VERSION, Envelope, public_key, seal, seal_key
from protocol.typed_data import RowRoot, sign
from tasks.entries import DatanetEntry, Posted, ShardEntry
from tests.node import bare

NAMES = ("ann", "bob", "cyd", "dan")
SEATS = NAMES[:3]
DATANET = content_id(b"datanet")
RECORDS = tuple(Record("", f"a text of its own, number {n}") for n in range(5))


@pytest.fixture
async def ctx() -> Context:
    ctx = bare.node("ann", NAMES, SEATS)
    ctx.board.datanets[DATANET] = DatanetEntry(bare.operator("ann"), ZERO, 0)
    bare.at(ctx, 200)
    return ctx


async def revealed(
    ctx: Context, name: str, block: int, sealed_to: tuple[str, ...] = SEATS
) -> Parts:
    """A member's shard, committed at a block and revealed ten later; its blobs are here."""
    shard = make_shard(bare.operator(name), DATANET, RECORDS, 3, 40)
    key = commitment(shard, ZERO)
    beacon = await ctx.beacon(block + SIMNET.beacon_delay)
    assert beacon is not None
    aside = reserved(beacon, key, len(RECORDS), SIMNET.reserve_ppm, SIMNET.reserve_min)
    keys = [seal_key(bare.keys(seat).seal_key) for seat in sealed_to]
    parts = make_reveal(shard, ZERO, RECORDS, aside, keys, content_id(name.encode()) * 2)
    for blob in (pack(parts.reveal), parts.training, parts.sealed):
        ctx.seams.blobs.put(blob)
    enter(ctx, name, key, content_id(pack(parts.reveal)), block)
    return parts


def enter(ctx: Context, name: str, key: bytes, reveal: bytes, block: int) -> ShardEntry:
    who = bare.operator(name)
    post = Posted(who, reveal, "", block + 10, block + 10, 0)
    entry = ShardEntry(DATANET, who, key, block, block, 0, post)
    ctx.board.shards[key] = entry
    return entry


def attest(ctx: Context, entry: ShardEntry, names: tuple[str, ...], block: int = 50) -> None:
    assert entry.reveal is not None
    for name in names:
        bare.post(ctx, HELD, entry.commitment, name, entry.reveal.value, block)


# -- held ---


@pytest.mark.parametrize(
    ("names", "block", "counts"),
    [
        (("ann", "bob"), 50, True),
        (("ann", "ann"), 50, False),
        (("ann", "dan"), 50, False),  # dan has no seat
        (("ann", "bob"), 100, False),  # not before the job
    ],
)
async def test_a_shard_counts_when_a_quorum_held_it_before_the_job(
    ctx: Context, names: tuple[str, ...], block: int, counts: bool
) -> None:
    entry = enter(ctx, "dan", ZERO, content_id(b"reveal"), 10)
    attest(ctx, entry, names, block)
    assert data.held(ctx, entry, bare.JOB_BLOCK) is counts


async def test_holding_another_reveal_does_not_count(ctx: Context) -> None:
    entry = enter(ctx, "dan", ZERO, content_id(b"reveal"), 10)
    for name in SEATS:
        bare.post(ctx, HELD, ZERO, name, content_id(b"another"), 50)
    assert not data.held(ctx, entry)


async def test_a_private_shard_is_held_by_its_owner_alone(ctx: Context) -> None:
    known = ctx.board.datanets[DATANET]
    ctx.board.datanets[DATANET] = replace(known, data_class=PRIVATE)
    entry = enter(ctx, "dan", ZERO, content_id(b"reveal"), 10)
    assert data.held(ctx, entry)
    assert not data.held(ctx, replace(entry, reveal=None))


# -- names ---


def founded(ctx: Context, founder: str, name: str, registered: int = 0) -> bytes:
    """A Datanet whose manifest says ``open``; its id."""
    manifest = make_manifest(name, 1, "open", "PD", "")
    content = manifest_id(manifest)
    datanet = datanet_id(bare.operator(founder), content)
    ctx.board.datanets[datanet] = DatanetEntry(bare.operator(founder), content, registered)
    ctx.mail.learn(content, manifest)
    return datanet


async def test_of_two_datanets_of_one_name_only_an_id_names_one(ctx: Context) -> None:
    theirs, own = founded(ctx, "bob", "kjv"), founded(ctx, "ann", "kjv")
    assert theirs != own  # of the very same manifest
    with pytest.raises(OperatorError) as caught:
        data.by_name(ctx, "kjv")
    assert caught.value.code == "ambiguous-datanet"
    for datanet, founder in ((theirs, "bob"), (own, "ann")):
        assert data.by_name(ctx, datanet.hex()) == datanet
        assert f"{datanet.hex()} of {checksum(bare.operator(founder))}" in caught.value.remedy


async def test_a_datanet_that_calls_itself_as_another_s_id_is_not_that_one(ctx: Context) -> None:
    own = founded(ctx, "ann", "kjv")
    founded(ctx, "bob", own.hex())
    assert data.by_name(ctx, own.hex()) == own


async def test_a_datanet_of_another_class_than_its_manifest_says_has_no_name(ctx: Context) -> None:
    theirs, own = founded(ctx, "bob", "kjv", PRIVATE), founded(ctx, "ann", "kjv")
    assert data.by_name(ctx, "kjv") == own
    assert data.names(ctx).keys() == {own}
    assert data.by_name(ctx, theirs.hex()) == theirs  # an id needs no name
    with pytest.raises(OperatorError) as caught:
        data.by_name(ctx, "faq")
    assert caught.value.code == "unknown-datanet"


# -- a job's data ---


async def test_a_shard_that_nobody_serves_does_not_stop_a_job(ctx: Context) -> None:
    await revealed(ctx, "dan", 10)
    attest(ctx, next(iter(ctx.board.shards.values())), ("ann", "bob"))
    enter(ctx, "cyd", content_id(b"withheld"), content_id(b"nowhere"), 20)
    dataset = await data.dataset(ctx, bare.job(ctx, "ann", DATANET))
    assert [shard.entry.owner for shard in dataset.shards] == [bare.operator("dan")]
    assert len(dataset.rows) == len(RECORDS) - SIMNET.reserve_min


async def test_bytes_that_are_no_reveal_make_a_shard_void_at_once(ctx: Context) -> None:
    entry = enter(ctx, "dan", ZERO, ctx.seams.blobs.put(b"no reveal"), 10)
    attest(ctx, entry, SEATS)
    dataset = await data.dataset(ctx, bare.job(ctx, "ann", DATANET))
    assert dataset.shards == ()
    assert ZERO in dataset.void


async def test_another_owners_commitment_is_void(ctx: Context) -> None:
    parts = await revealed(ctx, "dan", 10)
    (key, entry), *_ = ctx.board.shards.items()
    ctx.board.shards[key] = stolen = replace(entry, owner=bare.operator("cyd"))
    attest(ctx, stolen, SEATS)
    dataset = await data.dataset(ctx, bare.job(ctx, "ann", DATANET))
    assert "another owner" in dataset.void[commitment(parts.reveal.shard, ZERO)]


async def test_a_held_shard_that_cannot_be_had_right_now_is_waited_for(ctx: Context) -> None:
    attest(ctx, enter(ctx, "dan", ZERO, content_id(b"nowhere"), 10), SEATS)
    with pytest.raises(PeerError):
        await data.dataset(ctx, bare.job(ctx, "ann", DATANET))


# -- holding ---


def held_posts(ctx: Context) -> int:
    chain = ctx.seams.chain
    assert isinstance(chain, bare.Blocks)
    return len(chain.written)


async def test_an_aggregator_says_once_that_it_holds_a_shard(ctx: Context) -> None:
    await revealed(ctx, "dan", 10)
    await hold.hold_shards(ctx)
    await hold.hold_shards(ctx)
    assert held_posts(ctx) == 1


async def test_it_does_not_hold_what_it_cannot_open(ctx: Context) -> None:
    await revealed(ctx, "dan", 10, sealed_to=("bob", "cyd"))
    await hold.hold_shards(ctx)
    assert held_posts(ctx) == 0


async def test_it_does_not_hold_other_training_records(ctx: Context) -> None:
    parts = await revealed(ctx, "dan", 10)
    forged = replace(parts.reveal, training=ctx.put(RecordList(RECORDS[:3])))
    enter(ctx, "dan", commitment(parts.reveal.shard, ZERO), ctx.put(forged), 10)
    await hold.hold_shards(ctx)
    assert held_posts(ctx) == 0


# -- node records ---


def letter(ctx: Context, sender: str, record: NodeRecord) -> bytes:
    """A sealed envelope with a node record."""
    seed = bare.keys(sender).peer_seed
    envelope = Envelope(
        version=WIRE_VERSION,
        network=ctx.network.id,
        kind="NodeRecord",
        author=public_key(seed),
        epoch=0,
        issued=0,
        expires=3_000,
        body=pack(record),
        signature=bytes(64),
    )
    return pack(seal(envelope, seed))


def record(ctx: Context, name: str, signer: str, peer: str) -> NodeRecord:
    """What ``name`` announces, signed with ``signer``'s operator key for ``peer``'s peer key."""
    key = bytes([len(signer)]) * 31 + peer.encode()[:1]
    unsigned = NodeRecord(bare.operator(name), 1, (), key, "test", bytes(20), "", bytes(65))
    root = RowRoot(public_key(bare.keys(peer).peer_seed), content_id(pack(unsigned)))
    signature = sign(bare.keys(signer).operator_key, root.digest(ctx.statements))
    return replace(unsigned, operator_signature=signature)


async def test_an_operators_own_record_counts(ctx: Context) -> None:
    own = record(ctx, "bob", "bob", "bob")
    ctx.mail.accept(letter(ctx, "bob", own), 1.0)
    assert node_records(ctx) == {bare.operator("bob"): own}
    assert data.seal_keys(ctx) == [own.seal_key]


@pytest.mark.parametrize(
    ("signer", "peer", "sender"),
    [
        ("dan", "dan", "dan"),  # a staked peer puts its key in a seat's place
        ("dan", "bob", "bob"),
        ("bob", "bob", "dan"),
        ("bob", "dan", "dan"),
    ],
)
async def test_a_record_that_its_operator_or_its_peer_did_not_sign_is_none(
    ctx: Context, signer: str, peer: str, sender: str
) -> None:
    ctx.mail.accept(letter(ctx, sender, record(ctx, "bob", signer, peer)), 1.0)
    assert data.seal_keys(ctx) == []
