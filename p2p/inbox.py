"""Gossip at the door of every transport: size, the forwarder's rate, duplicates, then the handler.

Both transports use it, so that a body reaches its handler once and every drop is counted.
"""

from collections import Counter
from collections.abc import Callable

from blake3 import blake3

from p2p.framing import GOSSIP_BYTES
from p2p.gossip import RateBook, SeenCache
from protocol.errors import Ignore, LocalError, OpenLedgerError, Reject
from protocol.seams import Clock, GossipHandler, PeerId

SEEN_SECONDS = 3600.0  # the longest life of an announcement
SEEN_LIMIT = 200_000  # 32-byte ids: about 20 MiB when full
FORWARD_BURST = 4000.0  # bodies at once from one neighbour, who relays for everybody
FORWARD_RATE = 500.0  # and a second


class Inbox:
    """Handlers by topic and what they have seen."""

    def __init__(
        self, clock: Clock, counts: Counter[str], blame: Callable[[PeerId, str], None] | None = None
    ) -> None:
        self._blame = blame
        self._clock = clock
        self._counts = counts
        self._handlers: dict[str, GossipHandler] = {}
        self._seen = SeenCache(SEEN_SECONDS, SEEN_LIMIT)
        self._rates = RateBook(FORWARD_RATE, FORWARD_BURST)

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(self._handlers)

    def subscribe(self, topic: str, handler: GossipHandler) -> None:
        """Raises LocalError ``topic-taken``."""
        if topic in self._handlers:
            raise LocalError("topic-taken", f"topic {topic} has a handler already")
        self._handlers[topic] = handler

    def published(self, topic: str, body: bytes) -> None:
        """Our own body: never deliver its echo. Raises LocalError ``too-large``."""
        if len(body) > GOSSIP_BYTES:
            raise LocalError("too-large", f"gossip of {len(body)} bytes, limit {GOSSIP_BYTES}")
        self._seen.add(_body_id(topic, body), self._clock.monotonic())

    async def accept(self, forwarder: PeerId, topic: str, body: bytes) -> bool:
        """Judge one body; True when it is new and its handler did not object, so: forward it."""
        try:
            await self._judge(forwarder, topic, body)
        except Ignore as verdict:
            self._counts[f"gossip-ignored-{verdict.reason}"] += 1
        except Reject as verdict:
            self._counts[f"gossip-rejected-{verdict.reason}"] += 1
            if self._blame is not None:
                self._blame(forwarder, f"gossip-rejected-{verdict.reason}")
        except OpenLedgerError as error:
            self._counts[f"gossip-failed-{error.code}"] += 1
        else:
            return True
        return False

    async def _judge(self, forwarder: PeerId, topic: str, body: bytes) -> None:
        now = self._clock.monotonic()
        # [REJECT] size: see p2p/gossip.py
        if len(body) > GOSSIP_BYTES:
            raise Reject("too-large")
        # [IGNORE] duplicate: whatever its first verdict was, it stands
        key = _body_id(topic, body)
        if self._seen.has(key, now):
            raise Ignore("duplicate")
        # [IGNORE] forwarder's rate: bounds the work that one neighbour can cause
        if not self._rates.take(forwarder, now):
            raise Ignore("forwarder-rate")
        handler = self._handlers.get(topic)
        if handler is None:
            raise Ignore("no-handler")
        self._seen.add(key, now)
        await handler(forwarder, topic, body)


def _body_id(topic: str, body: bytes) -> bytes:
    return blake3(len(topic).to_bytes(2, "big") + topic.encode() + body).digest()
