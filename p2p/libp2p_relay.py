"""Circuit relay v2 of the library: a place at a relay for who cannot be dialled, and dialling through one.

Notable: the library's own transport would also reserve a place for whoever merely dials, and its
listener is not needed: the stop handler upgrades what comes in by itself.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libp2p.abc import IHost
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.config import RelayConfig, RelayRole
from libp2p.relay.circuit_v2.dcutr import DCUtRProtocol
from libp2p.relay.circuit_v2.protocol import PROTOCOL_ID, CircuitV2Protocol
from libp2p.relay.circuit_v2.resources import RelayLimits
from libp2p.relay.circuit_v2.transport import CircuitV2Transport
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

from protocol.errors import PeerError

CIRCUIT = "/p2p-circuit/"
# What a relay gives to one reservation: enough for units, reveals and adapters, not for a base model.
LIMITS = RelayLimits(
    duration=3_600,  # seconds of one circuit
    data=256 * 1024 * 1024,  # bytes of one circuit, both ways
    max_circuit_conns=32,
    max_reservations=128,
)


class Relays:
    """The relay half of one running host. ``hop``: relay for others."""

    def __init__(self, hop: bool) -> None:
        self._hop = hop
        self._host: IHost | None = None
        self._client: CircuitV2Transport | None = None

    @asynccontextmanager
    async def running(self, host: IHost) -> AsyncIterator[None]:
        """Serve while the context is open; the host must run."""
        protocol = CircuitV2Protocol(host, LIMITS, allow_hop=self._hop)
        self._host = host
        self._client = CircuitV2Transport(host, protocol, RelayConfig(roles=RelayRole.STOP))
        async with (
            background_trio_service(protocol),
            background_trio_service(DCUtRProtocol(host)),
        ):
            try:
                yield
            finally:
                self._host = self._client = None

    async def reserve(self, relay: ID) -> None:
        """A place at a connected relay, or a longer stay. Raises PeerError ``no-relay``."""
        assert self._host is not None and self._client is not None
        stream = await self._host.new_stream(relay, [PROTOCOL_ID])
        try:
            if not await self._client._make_reservation(stream, relay):
                raise PeerError("no-relay", f"{relay} has no place for us")
        finally:
            await stream.close()

    async def dial(self, addr: str) -> None:
        """Connect through the relay that a circuit address names."""
        assert self._client is not None
        await self._client.dial(Multiaddr(addr))
