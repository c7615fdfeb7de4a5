"""One start of a node. Two lives of one key at once mean two nodes, of which the younger has to go.

A life is signed by the peer key with the time at which it was said: only who holds the key can show
that it is alive somewhere else. Pure.
"""

from dataclasses import dataclass, replace
from typing import Annotated

from protocol.codec import Size, pack
from protocol.ids import Hash
from protocol.seams import PeerId
from protocol.signing import vouch, vouched

PURPOSE = b"openledger/life/1"
# Every node greets its peers again in this time, so that the life that holds a key stays heard.
# A greeting is a stream of its own: with 12 peers every 10 s they were most of an idle node's frames.
GREET_SECONDS = 20.0
ALIVE_SECONDS = 42.0  # two greetings missed


@dataclass(frozen=True, slots=True)
class Life:
    """``session`` is drawn at each start; ``started`` and ``time`` are Unix seconds of its clock."""

    network: Hash
    session: Annotated[bytes, Size(16)]
    started: int
    time: int
    signature: Annotated[bytes, Size(64)]


NO_LIFE = Life(bytes(32), bytes(16), 0, 0, bytes(64))  # of a node older than wire version 2


def alive(seed: bytes, network: bytes, session: bytes, started: int, now: int) -> Life:
    """What the holder of a peer key says of its own life."""
    unsigned = Life(network, session, started, now, bytes(64))
    return replace(unsigned, signature=vouch(seed, PURPOSE, pack(unsigned)))


def proves_another(shown: Life, ours: Life, key: bytes) -> bool:
    """Whether our key spoke elsewhere since we started: not an earlier life of ours, not a forgery."""
    unsigned = pack(replace(shown, signature=bytes(64)))
    return (
        shown.network == ours.network
        and shown.session != ours.session
        and shown.time > ours.started
        and vouched(key, PURPOSE, unsigned, shown.signature)
    )


@dataclass(slots=True)
class _Holder:
    life: Life
    heard: float


class Lives:
    """Which life of each peer id is known here."""

    def __init__(self) -> None:
        self._holders: dict[PeerId, _Holder] = {}

    def elder(self, peer: PeerId, life: Life, connections: int, now: float) -> Life | None:
        """The other life of a peer that was there before this one and still is; else keep this one.

        With one connection the other is gone: its connection ended before this one spoke.
        """
        if life == NO_LIFE:
            return None
        known = self._holders.get(peer)
        if known is not None and known.life.session != life.session:
            there = connections > 1 and now - known.heard < ALIVE_SECONDS
            if there and known.life.started <= life.started:
                return known.life
        self._holders[peer] = _Holder(life, now)
        return None

    def forget(self, peer: PeerId) -> None:
        """All its connections ended."""
        self._holders.pop(peer, None)
