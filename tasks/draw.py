"""Draws from a beacon: workers, verifiers, committees, steps, data order. Pure integer rules.

Everybody who knows the beacon and the roster gets the same draw, so nobody assigns work. Weighted draws
are by stake without replacement: ticket k picks the member whose stake interval it falls into.
"""

from collections.abc import Mapping
from functools import lru_cache

from eth_utils.crypto import keccak

from protocol.ids import chain_id_of

REMEMBERED = 512  # draws that are kept: every look at a unit asks for the same ones


def _number(beacon: bytes, label: str, *parts: bytes) -> int:
    return int.from_bytes(chain_id_of(f"openledger/draw/{label}", beacon, *parts), "big")


def weighted(
    beacon: bytes, label: str, subject: bytes, weights: Mapping[bytes, int], count: int
) -> tuple[bytes, ...]:
    """``count`` distinct members (all of them if there are fewer), by weight, in draw order."""
    return _drawn(beacon, label, subject, tuple(sorted(weights.items())), count)


@lru_cache(maxsize=REMEMBERED)
def _drawn(
    beacon: bytes, label: str, subject: bytes, weights: tuple[tuple[bytes, int], ...], count: int
) -> tuple[bytes, ...]:
    left = {member: weight for member, weight in weights if weight > 0}
    chosen: list[bytes] = []
    while left and len(chosen) < count:
        ticket = _number(beacon, label, subject, len(chosen).to_bytes(4, "big"))
        ticket %= sum(left.values())
        for member, weight in left.items():
            if ticket < weight:
                chosen.append(member)
                break
            ticket -= weight
        del left[chosen[-1]]
    return tuple(chosen)


@lru_cache(maxsize=REMEMBERED)
def permutation(beacon: bytes, label: str, subject: bytes, size: int) -> tuple[int, ...]:
    """A permutation of ``range(size)``: positions sorted by the hash of each."""
    seed = chain_id_of(f"openledger/order/{label}", beacon, subject)
    return tuple(sorted(range(size), key=lambda i: keccak(seed + i.to_bytes(8, "big"))))


def steps(beacon: bytes, unit: bytes, total: int, count: int) -> tuple[int, ...]:
    """``count`` distinct steps of ``range(total)``, ascending."""
    return tuple(sorted(permutation(beacon, "steps", unit, total)[:count]))


def verifiers(
    beacon: bytes, unit: bytes, step: int, weights: Mapping[bytes, int], count: int
) -> tuple[bytes, ...]:
    """The verifiers of one drawn step; each step has its own draw."""
    return weighted(beacon, "verifiers", unit + step.to_bytes(4, "big"), weights, count)


def committee(
    beacon: bytes, unit: bytes, weights: Mapping[bytes, int], count: int
) -> tuple[bytes, ...]:
    """The first instance of a dispute about a unit."""
    return weighted(beacon, "committee", unit, weights, count)


@lru_cache(maxsize=REMEMBERED)
def batches(
    beacon: bytes, unit: bytes, records: int, count: int, size: int
) -> tuple[tuple[int, ...], ...]:
    """``count`` batches of ``size`` record positions: passes over fresh permutations, end to end.

    Raises ValueError when there is no record to train on.
    """
    if records < 1:
        raise ValueError("no records to train on")
    order: list[int] = []
    passes = 0
    while len(order) < count * size:
        order += permutation(beacon, f"data/{passes}", unit, records)
        passes += 1
    return tuple(tuple(order[i * size : (i + 1) * size]) for i in range(count))
