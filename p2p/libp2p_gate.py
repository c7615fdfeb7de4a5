"""The gate half of the libp2p door: who gets a connection, and a count of everyone who does not.

The library takes whoever comes until its total is reached, and refuses in silence.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from libp2p.abc import IMuxedConn, IRawConnection
from libp2p.network.exceptions import SwarmException
from libp2p.network.swarm import Swarm
from multiaddr import Multiaddr

from p2p.guard import Guard
from p2p.libp2p_gossip import LIBRARY
from p2p.libp2p_links import last_moment, links_of, socket_addr
from p2p.slots import Slots, Staked, host_of, refuse_address, refuse_peer
from protocol.seams import Link, PeerId


class NotAdmitted(SwarmException):
    """A connection that we refused; counted already."""


class Gate:
    """Slots and bans around one swarm's inbound and outbound connections."""

    def __init__(
        self,
        counts: Counter[str],
        slots: Slots,
        banned: Callable[[PeerId], bool],
        staked: Staked,
    ) -> None:
        self._counts = counts
        self._slots = slots
        self._banned = banned
        self._staked = staked
        self._pending: Counter[str] = Counter()  # handshakes under way, by address

    def guard(self, network: Swarm) -> None:
        """Stand before the swarm's two ways in."""
        upgrade, add = network.upgrade_inbound_raw_conn, network.add_conn

        async def inbound(raw: IRawConnection, maddr: Multiaddr) -> Any:
            remote = socket_addr(raw.get_remote_address())
            host = host_of(remote)
            reason = refuse_address(remote, self._pending[host], self._links(network), self._slots)
            if reason is not None:
                await self._refuse(raw, reason)
            self._pending[host] += 1
            try:
                return await upgrade(raw, maddr)
            except NotAdmitted:
                raise
            except SwarmException:
                self._counts["inbound-handshake-failed"] += 1
                raise
            finally:
                self._pending[host] -= 1
                if not self._pending[host]:
                    del self._pending[host]

        async def admit(muxed: IMuxedConn, direction: str = "unknown") -> Any:
            peer = str(muxed.peer_id)
            if self._banned(peer):
                await self._refuse(muxed, "banned")
            reason = refuse_peer(peer, self._links(network), self._staked, self._slots)
            if reason is not None:
                await self._refuse(muxed, reason)
            return await add(muxed, direction)

        vars(network)["upgrade_inbound_raw_conn"] = inbound
        vars(network)["add_conn"] = admit

    def _links(self, network: Swarm) -> list[Link]:
        return links_of(network, lambda peer: None)

    async def _refuse(self, conn: Any, reason: str) -> None:
        self._counts[f"connection-refused-{reason}"] += 1
        with last_moment(), Guard(self._counts, "refused-close", LIBRARY):
            await conn.close()
        raise NotAdmitted(reason)
