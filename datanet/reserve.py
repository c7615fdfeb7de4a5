"""Reserved query records: which records of a shard a later beacon sets aside.

They are never trained on and earn nothing; they are what others' records are scored against, so
nobody who can be paid chooses what is scored.
"""

from protocol.merkle import blake3

PPM = 1_000_000


def reserve_count(records: int, ppm: int, minimum: int) -> int:
    """How many of ``records`` are reserved: the share ``ppm`` rounded up, at least ``minimum``.

    Raises ValueError when nothing would be left to train on.
    """
    count = max(minimum, -(-records * ppm // PPM))
    if not 0 <= count < records:
        raise ValueError(f"{count} of {records} records cannot be reserved")
    return count


def reserved(
    beacon: bytes, commitment: bytes, records: int, ppm: int, minimum: int
) -> tuple[int, ...]:
    """Ascending indices of the reserved records: those whose hash with the beacon is lowest.

    ``beacon`` (32 bytes) must be later than ``commitment``, which names the shard.
    Raises ValueError as ``reserve_count``.
    """
    count = reserve_count(records, ppm, minimum)
    seed = beacon + commitment
    order = sorted(range(records), key=lambda index: blake3(seed + index.to_bytes(4, "big")))
    return tuple(sorted(order[:count]))
