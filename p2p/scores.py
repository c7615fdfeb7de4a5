"""What each peer did wrong lately, in points that fade; too many are a ban, which expires. Pure."""

from collections import OrderedDict
from dataclasses import dataclass

from protocol.seams import PeerId

BAN_POINTS = 100.0
BAN_SECONDS = 600.0
HALF_LIFE_SECONDS = 600.0
MAX_PEERS = 4_000

# By prefix of the reason code; the longest that fits counts. What is not named costs nothing: an
# absent blob, an expired message or a full queue are nobody's fault.
POINTS = {
    "exchange-lying": 60.0,
    "exchange-bad-manifest": 60.0,
    "exchange-wrong": 20.0,
    "exchange-not": 20.0,
    "exchange-overtaken": 2.0,
    "exchange-timeout": 5.0,
    "gossip-rejected": 5.0,  # a neighbour judges before it forwards
    "request-refused-bad-frame": 5.0,
    "request-refused-not": 5.0,
    "request-refused-wrong": 5.0,
    "request-refused-too-large": 5.0,
    "stream-invalid": 10.0,
    "stream-slow": 5.0,
    "stream-too-many": 1.0,
}
WORDS = {
    "request-refused-not-drawn": 0.0,  # a verdict on what was asked, not on its bytes
    "request-refused-not-mine": 0.0,
    "request-refused-wrong-amount": 0.0,
}


@dataclass(frozen=True, slots=True)
class Score:
    """Points as of a time; banned until another. Seconds of one monotonic clock."""

    points: float
    at: float
    banned_until: float = 0.0


def points_of(code: str) -> float:
    """What a reason code costs."""
    if code in WORDS:
        return WORDS[code]
    fits = [prefix for prefix in POINTS if code.startswith(prefix)]
    return POINTS[max(fits, key=len)] if fits else 0.0


class Scores:
    """The points of all peers that have any; the longest unheard of is forgotten first."""

    def __init__(self, ban_points: float = BAN_POINTS, ban_seconds: float = BAN_SECONDS) -> None:
        self._ban_points = ban_points
        self._ban_seconds = ban_seconds
        self._scores: OrderedDict[PeerId, Score] = OrderedDict()

    def fault(self, peer: PeerId, code: str, now: float) -> bool:
        """Note a fault; True when it is the one that bans the peer."""
        cost = points_of(code)
        if not cost or self.banned(peer, now):
            return False
        points = self.points(peer, now) + cost
        banned = points >= self._ban_points
        # a ban settles the account: who comes back starts with half of what led to it
        entry = Score(points / 2, now, now + self._ban_seconds) if banned else Score(points, now)
        self._scores[peer] = entry
        self._scores.move_to_end(peer)
        if len(self._scores) > MAX_PEERS:
            self._scores.popitem(last=False)
        return banned

    def points(self, peer: PeerId, now: float) -> float:
        """Points that have not faded yet."""
        score = self._scores.get(peer)
        if score is None:
            return 0.0
        faded: float = 0.5 ** ((now - score.at) / HALF_LIFE_SECONDS)
        return score.points * faded

    def banned(self, peer: PeerId, now: float) -> bool:
        """Whether a ban is in force."""
        score = self._scores.get(peer)
        return score is not None and score.banned_until > now

    def worst(self, now: float, limit: int = 50) -> list[tuple[PeerId, float, float]]:
        """(peer, points, seconds of ban left), the worst first."""
        all_of = [
            (peer, self.points(peer, now), max(0.0, score.banned_until - now))
            for peer, score in self._scores.items()
        ]
        return sorted(all_of, key=lambda entry: (-entry[2], -entry[1], entry[0]))[:limit]
