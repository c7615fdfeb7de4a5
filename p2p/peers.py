"""The peer book: what is known of every peer, kept by the Store seam. Time is a parameter."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from protocol.seams import PeerId, Store

MAX_PEERS = 2000
MAX_ADDRS = 8  # per peer, the newest

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS peers (peer TEXT PRIMARY KEY, addrs TEXT NOT NULL,"
    " last_seen REAL NOT NULL, latency REAL, agent TEXT NOT NULL, roles TEXT NOT NULL,"
    " loss TEXT NOT NULL, ban_reason TEXT NOT NULL, ban_until REAL NOT NULL)",
)
_COLUMNS = "peer, addrs, last_seen, latency, agent, roles, loss, ban_reason, ban_until"


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer. Times in unix seconds, latency in seconds (None: not measured)."""

    peer: PeerId
    addrs: tuple[str, ...] = ()
    last_seen: float = 0.0
    latency: float | None = None
    agent: str = ""
    roles: tuple[str, ...] = ()
    loss: str = ""  # reason of the last loss
    ban_reason: str = ""
    ban_until: float = 0.0


class PeerBook:
    """All known peers in memory, every change written through."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._peers: dict[PeerId, Peer] = {}

    async def load(self) -> None:
        """Read the book; once, at start, after SCHEMA was run."""
        rows = await self._store.query(f"SELECT {_COLUMNS} FROM peers ORDER BY peer")
        self._peers = {row[0]: _from_row(row) for row in rows}

    def get(self, peer: PeerId) -> Peer:
        """What is known; an empty entry for a stranger."""
        return self._peers.get(peer, Peer(peer))

    def all(self) -> tuple[Peer, ...]:
        """Everyone, by peer id."""
        return tuple(self._peers[peer] for peer in sorted(self._peers))

    def banned(self, peer: PeerId, now: float) -> bool:
        """Whether a ban is in force."""
        return self.get(peer).ban_until > now

    def dialable(self, now: float) -> tuple[Peer, ...]:
        """Peers with an address and no ban, the last seen first."""
        able = (peer for peer in self.all() if peer.addrs and not self.banned(peer.peer, now))
        return tuple(sorted(able, key=lambda peer: -peer.last_seen))

    async def met(
        self, peer: PeerId, addrs: Sequence[str], agent: str, roles: Sequence[str], now: float
    ) -> None:
        """A handshake succeeded: its addresses come first, older ones follow."""
        known = self.get(peer)
        merged = tuple(dict.fromkeys((*addrs, *known.addrs)))[:MAX_ADDRS]
        await self._put(
            replace(known, addrs=merged, agent=agent, roles=tuple(roles), last_seen=now)
        )

    async def heard_of(self, peer: PeerId, addr: str) -> None:
        """Somebody named an address; it is tried last."""
        known = self.get(peer)
        if addr not in known.addrs and len(known.addrs) < MAX_ADDRS:
            await self._put(replace(known, addrs=(*known.addrs, addr)))

    async def measured(self, peer: PeerId, latency: float, now: float) -> None:
        """A round trip took ``latency`` seconds."""
        await self._put(replace(self.get(peer), latency=latency, last_seen=now))

    async def lost(self, peer: PeerId, reason: str) -> None:
        """The connection ended, and why."""
        await self._put(replace(self.get(peer), loss=reason))

    async def ban(self, peer: PeerId, reason: str, until: float) -> None:
        """Refuse the peer until then; a longer ban in force stands."""
        known = self.get(peer)
        if until > known.ban_until:
            await self._put(replace(known, ban_reason=reason, ban_until=until))

    async def _put(self, entry: Peer) -> None:
        gone = self._surplus(entry)
        self._peers[entry.peer] = entry  # before the await: two changes at once must both count
        for peer in gone:
            del self._peers[peer]
        insert = (f"INSERT OR REPLACE INTO peers ({_COLUMNS}) VALUES ({_MARKS})", _row(entry))
        deletes = [("DELETE FROM peers WHERE peer = ?", (peer,)) for peer in gone]
        await self._store.transaction([insert, *deletes])

    def _surplus(self, entry: Peer) -> list[PeerId]:
        """Whom to forget for ``entry``: who was not seen for longest; bans are kept longest."""
        if entry.peer in self._peers or len(self._peers) < MAX_PEERS:
            return []
        oldest = min(self._peers.values(), key=lambda peer: (peer.ban_until, peer.last_seen))
        return [oldest.peer]


_MARKS = ", ".join("?" * len(_COLUMNS.split(",")))


def _row(entry: Peer) -> tuple[object, ...]:
    return (
        entry.peer,
        json.dumps(entry.addrs),
        entry.last_seen,
        entry.latency,
        entry.agent,
        json.dumps(entry.roles),
        entry.loss,
        entry.ban_reason,
        entry.ban_until,
    )


def _from_row(row: tuple[object, ...]) -> Peer:
    peer, addrs, last_seen, latency, agent, roles, loss, ban_reason, ban_until = row
    return Peer(
        str(peer),
        tuple(json.loads(str(addrs))),
        float(str(last_seen)),
        None if latency is None else float(str(latency)),
        str(agent),
        tuple(json.loads(str(roles))),
        str(loss),
        str(ban_reason),
        float(str(ban_until)),
    )
