"""Connections of the library as values, and a visit that proves an address without leaving one."""

from collections.abc import Callable

import trio
from libp2p.connection_types import ConnectionType
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo, info_from_p2p_addr
from libp2p.rcmgr import Direction
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.transport.tcp.tcp import TCP
from multiaddr import Multiaddr

from p2p.libp2p_gossip import LIBRARY
from p2p.libp2p_yamux import WholeYamux
from protocol.errors import PeerError
from protocol.seams import Link, PeerId

CLOSE_SECONDS = 1.0


def conns_of(network: Swarm, peer: ID) -> list[SwarmConn]:
    """All connections to a peer, closed ones that are still listed included."""
    return [conn for conn in network.get_connections(peer) if isinstance(conn, SwarmConn)]


def muxers_of(network: Swarm, peer: PeerId) -> list[WholeYamux]:
    """What carries the streams of each open connection to a peer."""
    conns = [conn for conn in conns_of(network, ID.from_string(peer)) if not conn.is_closed]
    return [conn.muxed_conn for conn in conns if isinstance(conn.muxed_conn, WholeYamux)]


def links_of(network: Swarm, latency: Callable[[PeerId], float | None]) -> list[Link]:
    """Every open connection, with the address that its socket shows."""
    table = network.get_connections_map()
    conns = [conn for peer in table for conn in conns_of(network, peer) if not conn.is_closed]
    return [_link(conn, latency) for conn in conns]


async def knock(network: Swarm, info: PeerInfo) -> None:
    """TCP and Noise on a connection of its own: the other end proves its key, then we hang up."""
    raw = await TCP().dial(info.addrs[0])
    try:
        await network.upgrader.upgrade_security(raw, True, info.peer_id)
    finally:
        with last_moment():
            await raw.close()


def last_moment() -> trio.CancelScope:
    """A short shield for closing things while being cancelled."""
    return trio.CancelScope(deadline=trio.current_time() + CLOSE_SECONDS, shield=True)


def _link(conn: SwarmConn, latency: Callable[[PeerId], float | None]) -> Link:
    peer, muxed = str(conn.muxed_conn.peer_id), conn.muxed_conn
    found = muxed.get_remote_address() if isinstance(muxed, Yamux) else None
    inbound = conn.direction is Direction.INBOUND
    relayed = conn.get_connection_type() is ConnectionType.RELAYED
    return Link(peer, inbound, socket_addr(found), relayed, latency(peer))


def socket_addr(found: tuple[str, int] | None) -> str:
    """A socket's other end as a multiaddr; empty for a stream that has none."""
    if found is None:
        return ""
    host, port = found
    return f"/{'ip6' if ':' in host else 'ip4'}/{host}/tcp/{port}"


def peer_info(addr: str) -> PeerInfo:
    """Whom a full multiaddr names, and where. Raises PeerError ``dial-failed``."""
    try:
        return info_from_p2p_addr(Multiaddr(addr))
    except (ValueError, *LIBRARY) as error:
        raise PeerError("dial-failed", f"{addr} is no address of a peer: {error}") from error
