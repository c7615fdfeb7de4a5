"""What noise earns beside records that mean something."""

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.messages import EpochBody


@dataclass(frozen=True, slots=True)
class Noise:
    """Of the contributors' parts that influence divided, smallest units."""

    got: int
    equal: int  # what it would have got if all records counted alike
    pots: int


def noise(bodies: Sequence[EpochBody], owners: frozenset[int]) -> Noise:
    """What these owners got. Where no record moved anything tokens are paid: such pots are left out."""
    got = equal = count = 0
    for pot in (pot for body in bodies for pot in body.pots):
        if not any(row.influence > 0 for row in pot.credits):
            continue
        parts = [s for s in pot.shares if s.role == "contributor"]
        rows = sum(row.owner in owners for row in pot.credits)
        equal += sum(s.amount for s in parts) * rows // len(pot.credits)
        got += sum(s.amount for s in parts if s.owner in owners)
        count += 1
    return Noise(got, equal, count)
