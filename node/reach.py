"""Reachability: two seeds are asked to dial this node, at the start and then now and again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from bootstrap.dialback import DialBack
from bootstrap.reach import Listening, Report, conclude, port_of
from node.context import Context
from p2p.listen import own_ips
from protocol.errors import PeerError
from protocol.seams import PeerId

SEEDS = 2
RELAYS = 2
WAIT_S = 3.0  # for the second seed, once there is one: the verdict is due within 10 s
LOOK_S = 0.5
AGAIN_S = 600.0
SOON_S = 60.0  # after anything but "public": somebody may be opening a port right now
RETRY_S = 12.0  # after a verdict that fewer than two seeds could give


@dataclass(frozen=True, slots=True)
class Bound:
    """How the operator told the node to listen: which interfaces, whether on a port of choice."""

    host: str = "0.0.0.0"
    fixed: bool = False
    local: bool = False  # ask the local network for peers


class Reachability:
    """Keeps ``ctx.reach`` true. ``judges`` lists peers that could dial, ``relays`` those that relay."""

    def __init__(
        self,
        ctx: Context,
        dialback: DialBack,
        judges: Callable[[], Sequence[PeerId]],
        relays: Callable[[], Sequence[PeerId]],
        bound: Bound,
    ) -> None:
        self._ctx = ctx
        self._dialback = dialback
        self._judges = judges
        self._relays = relays
        self._bound = bound

    async def run(self) -> None:
        """Until cancelled; the transport must be running."""
        clock = self._ctx.seams.clock
        while True:
            judges = await self._gather()
            found = await self._ask(judges)
            public = conclude(found, (), self._listening()).verdict == "public"
            self._tell(found, () if public else await self._reserve())
            few = len(judges) < SEEDS
            await clock.sleep(RETRY_S if few else AGAIN_S if public else SOON_S)

    async def _gather(self) -> list[PeerId]:
        """The first two peers that could dial; after some seconds one must do."""
        clock = self._ctx.seams.clock
        since: float | None = None
        while True:
            judges = list(self._judges()[:SEEDS])
            if len(judges) >= SEEDS:
                return judges
            if judges:
                since = clock.monotonic() if since is None else since
                if clock.monotonic() - since >= WAIT_S:
                    return judges
            await clock.sleep(LOOK_S)

    async def _ask(self, judges: Sequence[PeerId]) -> list[Report]:
        found: dict[PeerId, Report] = {}
        addrs = tuple(self._ctx.seams.transport.addrs)

        async def ask(seed: PeerId) -> None:
            found[seed] = await self._dialback.ask(seed, addrs)

        async with trio.open_nursery() as nursery:
            for seed in judges:
                nursery.start_soon(ask, seed)
        return [found[seed] for seed in judges]

    async def _reserve(self) -> tuple[str, ...]:
        """Addresses through relays that have a place for us; also what keeps a place that we have."""
        found = []
        for relay in self._relays()[:RELAYS]:
            try:
                found.append(await self._ctx.seams.transport.reserve(relay))
            except PeerError as error:
                self._ctx.fail("peers", error)
        return tuple(found)

    def _tell(self, reports: Sequence[Report], relays: Sequence[str]) -> None:
        ctx = self._ctx
        before = ctx.reach
        ctx.reach = conclude(reports, relays, self._listening())
        if ctx.reach == before:
            return
        text = f"reachability: {ctx.reach.verdict} ({ctx.reach.why}) {ctx.reach.advice}"
        ctx.note("peers", text.strip())
        ctx.private.pop("announced", None)  # the node record names new addresses
        ctx.touch()

    def _listening(self) -> Listening:
        addrs = self._ctx.seams.transport.addrs
        port = next((port_of(addr) for addr in addrs if port_of(addr)), 0)
        return Listening(self._bound.host, port, self._bound.fixed, own_ips())
