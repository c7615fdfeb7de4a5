"""A batch of records by one owner, and the commitment that fixes it before anybody sees it.

The commitment H goes on chain (``CommitLog``, topic ``shard``, subject the Datanet id); its block
and position are the shard's place in the order of precedence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from datanet.record import Record, record_id
from protocol.codec import pack
from protocol.errors import OperatorError
from protocol.ids import Address, Hash, chain_id_of
from protocol.merkle import MerkleTree, blake3


@dataclass(frozen=True, slots=True)
class Shard:
    """What is committed: whose, for which Datanet, the records' Merkle root (BLAKE3 over ids)."""

    owner: Address
    datanet: Hash
    root: Hash
    records: int
    text_bytes: int


def make_shard(
    owner: bytes, datanet: bytes, records: Sequence[Record], minimum: int, maximum: int
) -> Shard:
    """The shard of ``records`` in this order; ``minimum`` and ``maximum`` are counts.

    ``minimum`` is one more than the least number of reserved records: a shard that has nothing to
    train on is none, and one too small to reserve from would spare its owner the reserve.
    Raises OperatorError: ``too-few-records``, ``too-many-records``.
    """
    count = len(records)
    if count < minimum:
        raise OperatorError(
            "too-few-records",
            f"A shard needs at least {minimum} records, this has {count}.",
            "Add rows, or wait until there are more.",
        )
    if count > maximum:
        raise OperatorError(
            "too-many-records",
            f"A shard takes at most {maximum} records, this has {count}.",
            "Split the file into several shards.",
        )
    return Shard(owner, datanet, records_root(ids_of(records)), count, text_bytes(records))


def ids_of(records: Sequence[Record]) -> tuple[bytes, ...]:
    """Record ids in order."""
    return tuple(record_id(record) for record in records)


def records_root(ids: Sequence[bytes]) -> bytes:
    """BLAKE3 Merkle root over record ids in order (at least one)."""
    return MerkleTree(ids, blake3).root


def text_bytes(records: Sequence[Record]) -> int:
    """UTF-8 bytes of all prompts and completions."""
    return sum(len(row.prompt.encode()) + len(row.completion.encode()) for row in records)


def commitment(shard: Shard, salt: bytes) -> bytes:
    """keccak-256 of (shard, salt). The 32-byte salt hides texts that could be guessed."""
    return chain_id_of("openledger/shard", pack(shard), salt)
