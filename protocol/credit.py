"""Credit values: what a record, a party and an owner earned, as integers that every node splits alike."""

from dataclasses import dataclass

from protocol.ids import Address, Hash, Name


@dataclass(frozen=True, slots=True)
class Row:
    """One training record in a pot: who owns it and how much of it is original."""

    record: Hash
    owner: int  # owner index on chain
    datanet: Hash
    kept_ppm: int  # 1_000_000 = nobody said it earlier
    tokens: int


@dataclass(frozen=True, slots=True)
class Share:
    """An integer part of a pot, with the reason it is paid for."""

    owner: int
    role: Name  # contributor, worker, verifier, aggregator, model-owner, host, treasury
    amount: int  # smallest unit
    reason: str


@dataclass(frozen=True, slots=True)
class Leaf:
    """(index, owner id, cumulative amount): one leaf of the epoch's merkle-sum tree."""

    index: int
    owner: Address
    cumulative: int
