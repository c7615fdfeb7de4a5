"""Request handlers by protocol name, shared by both transports: limits, refusals, counters."""

from collections import Counter
from collections.abc import Callable

from p2p.framing import accept, refuse
from protocol.errors import LocalError, OpenLedgerError, Verdict
from protocol.seams import PeerId, StreamHandler


class Services:
    """What this node answers."""

    def __init__(
        self, counts: Counter[str], blame: Callable[[PeerId, str], None] | None = None
    ) -> None:
        self._counts = counts
        self._blame = blame
        self._handlers: dict[str, tuple[StreamHandler, int]] = {}

    @property
    def protocols(self) -> tuple[str, ...]:
        return tuple(self._handlers)

    def add(self, protocol: str, handler: StreamHandler, max_request: int) -> None:
        """Raises LocalError ``protocol-taken``."""
        if protocol in self._handlers:
            raise LocalError("protocol-taken", f"{protocol} has a handler already")
        self._handlers[protocol] = (handler, max_request)

    def max_request(self, protocol: str) -> int:
        """Largest request body in bytes."""
        return self._handlers[protocol][1]

    def refusal(self, code: str, peer: PeerId) -> bytes:
        """A counted error response."""
        self._counts[f"request-refused-{code}"] += 1
        if self._blame is not None:
            self._blame(peer, f"request-refused-{code}")
        return refuse(code)

    async def answer(self, peer: PeerId, protocol: str, body: bytes) -> bytes:
        """Response body to one request; an expected error becomes a refusal with its code."""
        entry = self._handlers.get(protocol)
        if entry is None:
            return self.refusal("unknown-protocol", peer)
        handler, limit = entry
        if len(body) > limit:
            return self.refusal("too-large", peer)
        try:
            return accept(await handler(peer, body))
        except Verdict as verdict:
            return self.refusal(verdict.reason, peer)
        except OpenLedgerError as error:
            return self.refusal(error.code, peer)
