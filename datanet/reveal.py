"""The opening of a shard's commitment, and the rules by which every node judges it.

A reveal gives the ids of all records in committed order, the training records as a blob in clear,
the reserved ones as a blob sealed to the aggregators. A private Datanet reveals ids alone: its
owner trains at home and has no queries. A reveal that breaks a rule is void and the shard with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from datanet.record import Record, RecordList, check_record, record_id
from datanet.reserve import reserve_count, reserved
from datanet.sealed import seal
from datanet.shard import Shard, commitment, ids_of, records_root, text_bytes
from protocol.codec import pack
from protocol.errors import Reject
from protocol.ids import ZERO, Hash, content_id


@dataclass(frozen=True, slots=True)
class Reveal:
    """What the owner publishes; its blob id goes on chain (topic ``reveal``, subject H)."""

    shard: Shard
    salt: Hash
    ids: tuple[Hash, ...]
    training: Hash  # blob id of a RecordList; zero for a private Datanet
    sealed: Hash  # blob id of the sealed reserved records; zero for a private Datanet


@dataclass(frozen=True, slots=True)
class RevealRules:
    """The parameters that judge a reveal (``protocol/params.py``)."""

    reserve_ppm: int
    reserve_min: int
    reveal_seconds: int
    max_records: int


@dataclass(frozen=True, slots=True)
class Parts:
    """A reveal with the two blobs it names (empty for a private Datanet)."""

    reveal: Reveal
    training: bytes
    sealed: bytes


def make_reveal(
    shard: Shard,
    salt: bytes,
    records: Sequence[Record],
    aside: Sequence[int],
    recipients: Sequence[bytes],
    token: bytes,
) -> Parts:
    """The owner's reveal; ``aside`` are the reserved indices, sealed to ``recipients``."""
    held = frozenset(aside)
    open_rows = tuple(row for index, row in enumerate(records) if index not in held)
    training = pack(RecordList(open_rows))
    sealed = seal([records[index] for index in sorted(held)], recipients, token)
    ids = ids_of(records)
    return Parts(
        Reveal(shard, salt, ids, content_id(training), content_id(sealed)), training, sealed
    )


def make_private_reveal(shard: Shard, salt: bytes, records: Sequence[Record]) -> Parts:
    """The reveal of a shard that never leaves its owner: ids alone."""
    return Parts(Reveal(shard, salt, ids_of(records), ZERO, ZERO), b"", b"")


def open_commitment(
    reveal: Reveal, committed: bytes, seconds: int, private: bool, rules: RevealRules
) -> None:
    """Judge a reveal ``seconds`` after its commitment's block, by its ids alone. Raises Reject."""
    shard = reveal.shard
    # [REJECT] a commitment not opened in time is void: its place must not be held for ever
    if seconds > rules.reveal_seconds:
        raise Reject(f"revealed {seconds} s after the commitment, limit {rules.reveal_seconds} s")
    # [REJECT] other content than was committed
    if commitment(shard, reveal.salt) != committed:
        raise Reject("the reveal does not open the commitment")
    # [REJECT] ids that are not the committed ones
    if len(reveal.ids) != shard.records or not reveal.ids:
        raise Reject(f"{len(reveal.ids)} ids, committed were {shard.records}")
    if records_root(reveal.ids) != shard.root:
        raise Reject("the ids do not have the committed root")
    # [REJECT] more than the network takes from one shard, or too few to reserve from
    if shard.records > rules.max_records:
        raise Reject(f"{shard.records} records, limit {rules.max_records}")
    _check_class(reveal, private, rules)
    # [REJECT] one record twice
    if len(set(reveal.ids)) != len(reveal.ids):
        raise Reject("a record occurs twice")


def _check_class(reveal: Reveal, private: bool, rules: RevealRules) -> None:
    if private:
        # [REJECT] a private text on the network is a mistake nobody should spread
        if (reveal.training, reveal.sealed) != (ZERO, ZERO):
            raise Reject("a private shard must not name blobs")
        return
    # [REJECT] a shard too small to reserve from
    try:
        reserve_count(reveal.shard.records, rules.reserve_ppm, rules.reserve_min)
    except ValueError as error:
        raise Reject(str(error)) from error


def reserved_of(reveal: Reveal, beacon: bytes, rules: RevealRules) -> tuple[int, ...]:
    """Indices reserved by a beacon later than the commitment, of a reveal that was opened."""
    name = commitment(reveal.shard, reveal.salt)
    return reserved(beacon, name, reveal.shard.records, rules.reserve_ppm, rules.reserve_min)


def check_training(
    reveal: Reveal, aside: Sequence[int], body: RecordList
) -> tuple[tuple[int, Record], ...]:
    """(index in the shard, record) of every training record. Raises Reject."""
    held = frozenset(aside)
    places = [index for index in range(len(reveal.ids)) if index not in held]
    # [REJECT] training on a reserved record, or leaving one out
    if [reveal.ids[index] for index in places] != list(ids_of(body.records)):
        raise Reject("the training records are not the committed ones less the reserved")
    # [REJECT] a second spelling of one text
    for record in body.records:
        check_record(record)
    # [REJECT] more text than committed
    if text_bytes(body.records) > reveal.shard.text_bytes:
        raise Reject("more text than was committed")
    return tuple(zip(places, body.records, strict=True))


def check_opened(reveal: Reveal, aside: Sequence[int], records: Sequence[Record]) -> None:
    """Judge reserved records that an aggregator opened, in index order. Raises Reject."""
    # [REJECT] sealed something else than was committed
    if [reveal.ids[index] for index in sorted(aside)] != [record_id(row) for row in records]:
        raise Reject("the opened records are not the reserved ones")
    for record in records:
        check_record(record)
