"""Who may hold a connection: limits per peer and per address, and half of all for staked peers. Pure.

Identities are free, so whoever floods a node with them gets at most half of its slots: one honest
staked peer is enough not to be cut off.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from protocol.seams import Link, PeerId

# Connections that a node seeks for company. The others, a quarter of ``total``, are for whoever comes to
# join or to fetch something: else all slots of a large network would be taken, and nobody could be reached.
STANDING = 96
# Others seek company too: of more than these, one after the other is sent away.
CROWDED = 112

Staked = Callable[[PeerId], bool]


@dataclass(frozen=True, slots=True)
class Slots:
    """Counts of connections."""

    total: int = 128
    per_peer: int = 3  # two who dial each other at once have two
    per_address: int = 48  # inbound, those in their handshake included


def host_of(remote: str) -> str:
    """The address without its port, of ``/ip4/../tcp/..``."""
    return remote.rpartition("/tcp/")[0]


def refuse_address(remote: str, pending: int, links: Sequence[Link], slots: Slots) -> str | None:
    """Why a connection is not even shaken hands with; ``pending`` of its address are in theirs."""
    host = host_of(remote)
    standing = sum(link.inbound and host_of(link.remote) == host for link in links)
    return "address-slots" if standing + pending >= slots.per_address else None


def refuse_peer(peer: PeerId, links: Sequence[Link], staked: Staked, slots: Slots) -> str | None:
    """Why a peer that proved its key gets no slot, or None."""
    if sum(link.peer == peer for link in links) >= slots.per_peer:
        return "peer-slots"
    if len(links) >= slots.total:
        return "all-slots"
    free = sum(not staked(link.peer) for link in links)
    if free >= slots.total // 2 and not staked(peer):
        return "free-slots"
    return None
