"""Commit, beacon, reveal: an honest shard passes, and each broken rule voids it with its reason."""

from dataclasses import replace

import pytest
from nacl.public import PrivateKey

from datanet.record import Record, RecordList
from datanet.reserve import reserved
from datanet.reveal import (
    Parts,
    RevealRules,
    check_opened,
    check_training,
    make_private_reveal,
    make_reveal,
    open_commitment,
    reserved_of,
)
from datanet.sealed import open_sealed
from datanet.shard import Shard, commitment, ids_of, make_shard, records_root
from protocol.codec import pack, unpack
from protocol.errors import OperatorError, Reject
from protocol.ids import ZERO, content_id

RULES = RevealRules(reserve_ppm=200_000, reserve_min=2, reveal_seconds=86_400, max_records=40)
OWNER, DATANET, SALT, BEACON = b"o" * 20, b"d" * 32, b"s" * 32, b"b" * 32
SECRET = b"k" * 32
RECORDS = tuple(Record("", f"record number {n}") for n in range(12))
SHARD = make_shard(OWNER, DATANET, RECORDS, 3, 40)
H = commitment(SHARD, SALT)
ASIDE = reserved(BEACON, H, 12, 200_000, 2)


def _parts() -> Parts:
    key = bytes(PrivateKey(SECRET).public_key)
    return make_reveal(SHARD, SALT, RECORDS, ASIDE, [key], bytes(range(64)))


def _shard_of(records: tuple[Record, ...]) -> Shard:
    ids = ids_of(records)
    return replace(SHARD, root=records_root(ids), records=len(ids))


def test_an_honest_shard_goes_all_the_way() -> None:
    parts = _parts()
    reveal = parts.reveal
    open_commitment(reveal, H, 86_400, False, RULES)
    assert reserved_of(reveal, BEACON, RULES) == ASIDE
    assert content_id(parts.training) == reveal.training
    assert content_id(parts.sealed) == reveal.sealed
    rows = check_training(reveal, ASIDE, unpack(RecordList, parts.training))
    opened = open_sealed(parts.sealed, SECRET)
    check_opened(reveal, ASIDE, opened)
    assert dict(rows) | dict(zip(ASIDE, opened, strict=True)) == dict(enumerate(RECORDS))


def test_a_late_reveal_is_void() -> None:
    with pytest.raises(Reject, match="86401 s after"):
        open_commitment(_parts().reveal, H, 86_401, False, RULES)


@pytest.mark.parametrize(
    "change",
    [{"owner": b"x" * 20}, {"datanet": b"x" * 32}, {"records": 11}, {"text_bytes": 1}],
)
def test_every_committed_field_is_bound(change: dict[str, bytes]) -> None:
    reveal = replace(_parts().reveal, shard=replace(SHARD, **change))
    with pytest.raises(Reject, match="does not open the commitment"):
        open_commitment(reveal, H, 0, False, RULES)


def test_another_salt_does_not_open_it() -> None:
    with pytest.raises(Reject, match="does not open"):
        open_commitment(replace(_parts().reveal, salt=ZERO), H, 0, False, RULES)


def test_other_ids_than_committed_are_void() -> None:
    reveal = _parts().reveal
    swapped = replace(reveal, ids=(reveal.ids[1], reveal.ids[0], *reveal.ids[2:]))
    with pytest.raises(Reject, match="root"):
        open_commitment(swapped, H, 0, False, RULES)
    with pytest.raises(Reject, match="11 ids"):
        open_commitment(replace(reveal, ids=reveal.ids[:-1]), H, 0, False, RULES)


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ((RECORDS[0], RECORDS[0], *RECORDS[1:]), "twice"),
        (RECORDS[:2], "cannot be reserved"),
        (tuple(Record("", f"{n}") for n in range(41)), "limit 40"),
    ],
)
def test_a_shard_that_no_honest_node_makes_is_void(
    records: tuple[Record, ...], reason: str
) -> None:
    shard = _shard_of(records)
    reveal = replace(_parts().reveal, shard=shard, ids=ids_of(records))
    with pytest.raises(Reject, match=reason):
        open_commitment(reveal, commitment(shard, SALT), 0, False, RULES)


@pytest.mark.parametrize("count", [0, 2, 41])
def test_a_shard_has_a_least_and_a_greatest_size(count: int) -> None:
    with pytest.raises(OperatorError, match="records"):
        make_shard(OWNER, DATANET, [Record("", f"{n}") for n in range(count)], 3, 40)


def test_training_on_a_reserved_record_is_refused() -> None:
    reveal, body = _parts().reveal, unpack(RecordList, _parts().training)
    with pytest.raises(Reject, match="less the reserved"):
        check_training(reveal, ASIDE, RecordList(RECORDS))
    with pytest.raises(Reject, match="less the reserved"):
        check_training(reveal, ASIDE, RecordList(body.records[1:]))
    with pytest.raises(Reject, match="less the reserved"):
        check_training(reveal, ASIDE[1:], body)


def test_a_committed_second_spelling_is_refused() -> None:
    records = (Record("", "cafe\u0301"), *RECORDS[1:])
    reveal = replace(_parts().reveal, shard=_shard_of(records), ids=ids_of(records))
    with pytest.raises(Reject, match="normal form"):
        check_training(reveal, (5, 6), RecordList(records[:5] + records[7:]))


def test_more_text_than_committed_is_refused() -> None:
    reveal = replace(_parts().reveal, shard=replace(SHARD, text_bytes=3))
    with pytest.raises(Reject, match="more text"):
        check_training(reveal, ASIDE, unpack(RecordList, _parts().training))


def test_opening_other_reserved_records_is_refused() -> None:
    opened = open_sealed(_parts().sealed, SECRET)
    for wrong in (opened[:-1], opened[::-1], (Record("", "new"), *opened[1:])):
        with pytest.raises(Reject, match="not the reserved ones"):
            check_opened(_parts().reveal, ASIDE, wrong)


def test_a_private_shard_reveals_ids_alone() -> None:
    parts = make_private_reveal(SHARD, SALT, RECORDS)
    open_commitment(parts.reveal, H, 0, True, RULES)
    assert (parts.training, parts.sealed) == (b"", b"")
    assert b"record number" not in pack(parts.reveal)
    with pytest.raises(Reject, match="must not name blobs"):
        open_commitment(_parts().reveal, H, 0, True, RULES)
