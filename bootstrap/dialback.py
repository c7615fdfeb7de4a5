"""Dial-back: a node asks a seed whether it can be dialled; the seed tries over a new connection.

Only the address that the asker's own connection comes from is ever dialled, on ports that it names:
nobody can turn a seed against a third party.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import trio

from bootstrap.reach import Report, ip_of, port_of
from p2p.gossip import RateBook
from protocol.codec import Max, pack, unpack
from protocol.errors import Ignore, OpenLedgerError, PeerError
from protocol.ids import Name
from protocol.seams import Clock, Link, PeerId, Transport

DIALBACK_PROTOCOL = "/openledger/dialback/1"
ASK_BYTES = 1024
ANSWER_BYTES = 2048
ASK_SECONDS = 8.0  # the seed's own attempts end before (p2p/libp2p_host.py, PROBE_SECONDS)
MAX_PORTS = 2
EVERY_SECONDS = 10.0  # a peer may ask so often
MAX_AT_ONCE = 8

Addr = Annotated[str, Max(256)]


@dataclass(frozen=True, slots=True)
class WantDial:
    """Request: dial me on the ports of these addresses."""

    addrs: Annotated[tuple[Addr, ...], Max(8)]


@dataclass(frozen=True, slots=True)
class Dialled:
    """Response: where the asker's connection comes from, what was tried, what answered."""

    observed: Name
    tried: Annotated[tuple[Addr, ...], Max(MAX_PORTS)]
    reached: Annotated[tuple[Addr, ...], Max(MAX_PORTS)]


def candidates(peer: PeerId, links: Sequence[Link], offered: Sequence[str]) -> tuple[str, ...]:
    """What a seed dials for a peer: the observed address with the offered ports. Raises Ignore."""
    direct = [link for link in links if link.peer == peer and not link.relayed]
    if not direct:
        raise Ignore("no-direct-link")
    remote = direct[0].remote
    if not ip_of(remote):  # the memory transport's addresses carry no port
        return (f"{remote}/p2p/{peer}",)
    family = remote.split("/")[1]
    ports = dict.fromkeys(port for addr in offered if (port := port_of(addr)))
    if not ports:
        raise Ignore("no-port")
    where = f"/{family}/{ip_of(remote)}/tcp"
    return tuple(f"{where}/{port}/p2p/{peer}" for port in list(ports)[:MAX_PORTS])


class DialBack:
    """Serves dial-backs, and asks for them."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._rates = RateBook(rate=1 / EVERY_SECONDS, burst=2.0)
        self._busy = 0

    def serve(self) -> None:
        """Register the handler; before the transport runs."""
        self._transport.handle(DIALBACK_PROTOCOL, self._answer, ASK_BYTES)

    async def _answer(self, peer: PeerId, body: bytes) -> bytes:
        wanted = unpack(WantDial, body, limit=ASK_BYTES)
        if self._busy >= MAX_AT_ONCE or not self._rates.take(peer, self._clock.now()):
            raise Ignore("dialback-rate")
        links = self._transport.links()
        tried = candidates(peer, links, wanted.addrs)
        remote = next(link.remote for link in links if link.peer == peer and not link.relayed)
        self._busy += 1
        try:
            reached = await self._try(tried)
        finally:
            self._busy -= 1
        return pack(Dialled(ip_of(remote) or remote[-64:], tried, reached))

    async def _try(self, addrs: tuple[str, ...]) -> tuple[str, ...]:
        """Which of them answer and prove the peer's key."""
        reached: list[str] = []

        async def one(addr: str) -> None:
            try:
                await self._transport.probe(addr)
            except PeerError:
                return  # the answer says so: tried, and not reached
            reached.append(addr)

        async with trio.open_nursery() as nursery:
            for addr in addrs:
                nursery.start_soon(one, addr)
        return tuple(addr for addr in addrs if addr in reached)

    async def ask(self, seed: PeerId, addrs: Sequence[str]) -> Report:
        """What a connected seed finds; a fault stands in the report."""
        body = pack(WantDial(tuple(addrs)[:8]))
        try:
            raw = await self._transport.request(
                seed, DIALBACK_PROTOCOL, body, timeout=ASK_SECONDS, max_response=ANSWER_BYTES
            )
            said = unpack(Dialled, raw, limit=ANSWER_BYTES)
        except OpenLedgerError as error:
            return Report(seed, fault=f"{error.code} ({error.text})")
        return Report(seed, said.observed, said.tried, said.reached)
