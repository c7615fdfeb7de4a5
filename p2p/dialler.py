"""Connections that a node needs now: to whom it must ask, at the addresses that are known for that peer.

A node seeks some connections for company; in a large network whom it must ask is often none of them.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import trio

from p2p.backoff import Backoff
from p2p.slots import STANDING
from protocol.errors import PeerError
from protocol.seams import Clock, PeerId, Transport

LINK_S = 10.0  # for several peers at once
GUEST_S = 600.0  # whom we dialled for a question stays connected so long at least


class Dialler:
    """``addrs`` gives a peer's addresses, none for whom it may not be dialled."""

    def __init__(
        self, transport: Transport, clock: Clock, addrs: Callable[[PeerId], Sequence[str]]
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._addrs = addrs
        self._pauses = Backoff()
        self._under_way: dict[PeerId, trio.Event] = {}
        self._guests: dict[PeerId, float] = {}  # dialled for a question -> when
        self._counts: Counter[str] = Counter()

    def counters(self) -> dict[str, int]:
        """Who could not be reached, by reason code."""
        return dict(self._counts)

    async def reach(self, peer: PeerId) -> None:
        """Be connected to a peer. Raises PeerError ``unreachable``: it cannot be dialled, or could not just now."""
        if peer in self._under_way:
            await self._under_way[peer].wait()
        if peer in self._transport.peers():
            return
        now, ended = self._clock.monotonic(), trio.Event()
        if not self._pauses.due(peer, now):
            raise PeerError("unreachable", f"{peer} did not answer a moment ago")
        self._pauses.tried(peer, now)
        self._under_way[peer] = ended
        try:
            await self._dial(peer)
        except PeerError as error:
            self._counts[f"reach-{error.code}"] += 1
            raise PeerError("unreachable", error.text) from error
        finally:
            del self._under_way[peer]
            ended.set()
        self._pauses.reached(peer)
        self._guests[peer] = now

    async def _dial(self, peer: PeerId) -> None:
        fault = PeerError("no-address", peer)
        for addr in self._addrs(peer):
            try:
                await self._transport.dial(addr)
            except PeerError as error:
                fault = error
            else:
                return
        raise fault

    async def link(self, peers: Sequence[PeerId]) -> list[PeerId]:
        """Those of the peers that are connected, or can be in a moment, in the same order."""
        linked: set[PeerId] = set()

        async def link(peer: PeerId) -> None:
            try:
                await self.reach(peer)
            except PeerError:  # counted by ``reach``, or was the last time
                return
            linked.add(peer)

        with trio.move_on_after(LINK_S):
            async with trio.open_nursery() as nursery:
                for peer in peers:
                    nursery.start_soon(link, peer)
        return [peer for peer in peers if peer in linked]

    async def part(self) -> None:
        """Hang up on peers that were dialled for one question, where slots are wanted for others."""
        now = self._clock.monotonic()
        for peer in [peer for peer, since in self._guests.items() if now >= since + GUEST_S]:
            del self._guests[peer]
            connected = self._transport.peers()
            if peer in connected and len(connected) > STANDING:
                await self._transport.drop(peer, "guest-left")
