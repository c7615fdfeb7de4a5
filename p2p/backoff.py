"""When to try a peer again: after each failure twice as late, up to a limit. Pure; time is a parameter."""

from protocol.seams import PeerId

FIRST_SECONDS = 2.0
LONGEST_SECONDS = 120.0
MAX_PEERS = 4_000  # remembered failures


class Backoff:
    """Pauses by peer. A peer that was never tried, or was reached, is due at once."""

    def __init__(self) -> None:
        self._next: dict[PeerId, tuple[float, float]] = {}  # not before, pause after that

    def due(self, peer: PeerId, now: float) -> bool:
        """Whether the peer may be tried now."""
        return self._next.get(peer, (now, 0.0))[0] <= now

    def tried(self, peer: PeerId, now: float) -> None:
        """An attempt begins; it counts as failed until ``reached``."""
        _, pause = self._next.pop(peer, (now, FIRST_SECONDS))
        self._next[peer] = (now + pause, min(2 * pause, LONGEST_SECONDS))
        if len(self._next) > MAX_PEERS:
            del self._next[next(iter(self._next))]

    def reached(self, peer: PeerId) -> None:
        """The attempt succeeded."""
        self._next.pop(peer, None)
