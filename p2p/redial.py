"""Keep configured addresses connected: redial with jittered, growing pauses, each on its own."""

from collections import Counter

import trio

from protocol.errors import PeerError
from protocol.seams import Clock, Randomness, Transport

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 4.0  # a restarted peer is back within 5 s
CHECK_SECONDS = 1.0  # between looks at a connection that stands


class Redialer:
    """Dials every address in parallel, for ever; a node that finds nobody keeps trying."""

    def __init__(
        self, transport: Transport, addrs: tuple[str, ...], clock: Clock, randomness: Randomness
    ) -> None:
        self._transport = transport
        self._addrs = addrs
        self._clock = clock
        self._randomness = randomness
        self._counts: Counter[str] = Counter()
        self.last_error: dict[str, str] = {}  # by address, for people

    def counters(self) -> dict[str, int]:
        """Dials that failed, by reason code."""
        return dict(self._counts)

    async def run(self) -> None:
        """Until cancelled; the transport must be running."""
        async with trio.open_nursery() as nursery:
            for addr in self._addrs:
                if not addr.endswith(f"/p2p/{self._transport.peer_id}"):
                    nursery.start_soon(self._keep, addr)

    async def _keep(self, addr: str) -> None:
        peer = addr.rpartition("/p2p/")[2]
        pause = FIRST_PAUSE_SECONDS
        while True:
            if peer in self._transport.peers() or await self._dial(addr):
                pause = FIRST_PAUSE_SECONDS
                await self._clock.sleep(CHECK_SECONDS)
            else:
                await self._clock.sleep(self._jitter(pause))
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _dial(self, addr: str) -> bool:
        try:
            await self._transport.dial(addr)
        except PeerError as error:
            self._counts[error.code] += 1
            self.last_error[addr] = error.text
            return False
        self.last_error.pop(addr, None)
        return True

    def _jitter(self, pause: float) -> float:
        """Half to all of ``pause``: nodes that lost the same seed do not return in step."""
        return pause * (1 + self._randomness.token(1)[0] / 255) / 2
