"""Where a blob comes from: some peers after the others are asked for it; who finds more of them for a shard."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from p2p.exchange import Exchange
from protocol.errors import PeerError
from protocol.seams import PeerId

OTHERS = 8  # peers that nobody named, asked for one blob
FIRST_SOURCES = 3  # peers asked for a blob at once; when they fail the next wave is larger


@dataclass(frozen=True, slots=True)
class Figures:
    """Records kept for others, shards provided, lookups by outcome: ``found``, ``empty``, ``silent``."""

    records: int
    provided: int
    lookups: dict[str, int]


class Finder(Protocol):
    """Who holds a shard, beyond what the chain and gossip say (``node/holders.py``)."""

    def provide(self, shard: bytes) -> None:
        """This node holds all bodies of a shard, named by its commitment, and will serve them."""
        ...

    async def find(self, shard: bytes, named: Sequence[PeerId]) -> list[PeerId]:
        """Connected peers that should hold a shard; they, and ``named`` ones, are dialled if need be."""
        ...

    def counters(self) -> dict[str, int]:
        """What was refused or failed, by reason code."""
        ...

    def figures(self) -> Figures:
        """For people."""
        ...

    async def run(self) -> None:
        """Tell keepers what this node provides, for ever; the transport must be running."""
        ...


async def ask(exchange: Exchange, blob: bytes, sources: Sequence[PeerId], limit: int) -> None:
    """Ask wave after wave of sources: the likely ones answer, and nobody asks the whole network.

    Raises PeerError when none of them serves the blob.
    """
    if not sources:
        raise PeerError("no-source", f"blob {blob.hex()[:8]}: no peer is connected")
    asked = 0
    while True:
        wave = sources[asked : 2 * asked + FIRST_SOURCES]
        asked += len(wave)
        try:
            return await exchange.fetch(blob, wave, limit)
        except PeerError:
            if asked >= len(sources):
                raise


async def served(exchange: Exchange, blob: bytes, sources: Sequence[PeerId], limit: int) -> bool:
    """Whether one of the sources served the blob."""
    try:
        await ask(exchange, blob, sources, limit)
    except PeerError:  # counted by the exchange
        return False
    return True
