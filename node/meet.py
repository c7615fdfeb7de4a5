"""Meeting peers: seeds are dialled and kept, others are learnt from seeds and from node records."""

from collections.abc import Sequence

import trio

from bootstrap.handshake import Handshake, Hello, Refused
from bootstrap.seed import Seed, ask_peers
from node.context import Context
from node.join import AGENT
from p2p.peers import PeerBook
from p2p.redial import Redialer
from protocol import roles
from protocol.errors import OpenLedgerError, PeerError
from protocol.messages import NodeRecord
from protocol.seams import PeerId
from protocol.signing import WIRE_VERSION

LOOK_S = 2.0


class Meeting:
    """Handshakes, the peer book and the search for peers of one node."""

    def __init__(self, ctx: Context, book: PeerBook, seeds: Sequence[str]) -> None:
        self._ctx = ctx
        self._book = book
        self._greeted: set[PeerId] = set()
        transport, clock = ctx.seams.transport, ctx.seams.clock
        own = f"/p2p/{transport.peer_id}"
        self._seeds = tuple(seed for seed in seeds if not seed.endswith(own))
        self._handshake = Handshake(transport, clock, self._hello, self._met)
        self._seed = Seed(transport, book, clock, ctx.seams.randomness)
        self._redialer = Redialer(transport, self._seeds, clock, ctx.seams.randomness)

    def serve(self) -> None:
        """Register handlers; before the transport runs."""
        self._handshake.serve()
        self._seed.serve()

    def _hello(self, now: int) -> Hello:
        ctx = self._ctx
        return Hello(
            version=WIRE_VERSION,
            network=ctx.network.id,
            params=ctx.params.hash,
            chain_id=ctx.network.chain_id,
            time=now,
            agent=AGENT,
            roles=roles.mask(ctx.roles),
            addrs=tuple(ctx.seams.transport.addrs)[:8],
        )

    async def _met(self, peer: PeerId, hello: Hello) -> None:
        names = roles.names(hello.roles)
        await self._book.met(peer, hello.addrs, hello.agent, names, self._ctx.seams.clock.now())

    async def run(self) -> None:
        """Until cancelled; the transport must be running."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._redialer.run)
            while True:
                await self._round()
                await self._ctx.seams.clock.sleep(LOOK_S)

    async def _round(self) -> None:
        """Greet who is new, note who is gone, dial who is known but not connected."""
        ctx = self._ctx
        connected = set(ctx.seams.transport.peers())
        for peer in sorted(self._greeted - connected):
            self._greeted.discard(peer)
            await self._book.lost(peer, "connection lost")
            ctx.note("peers", f"lost {peer[-8:]}")
        for peer in sorted(connected - self._greeted):
            await ctx.attempt("peers", self._greet, peer)
        if not connected and self._seeds:
            ctx.fail("peers", PeerError("no-peers", "no seed answers; trying again"))
        for addr in self._known():
            if addr.rpartition("/p2p/")[2] not in connected:
                await ctx.attempt("peers", self._dial, addr)

    def _known(self) -> list[str]:
        own = self._ctx.seams.transport.peer_id
        now = self._ctx.seams.clock.now()
        letters = [x for x in self._ctx.mail.letters(NodeRecord) if x.envelope.expires > now]
        announced = [addr for letter in letters for addr in letter.body.addrs[:1]]
        return [a for a in dict.fromkeys(announced) if not a.endswith(f"/p2p/{own}")]

    async def _dial(self, ctx: Context, addr: str) -> None:
        await ctx.seams.transport.dial(addr)

    async def _greet(self, ctx: Context, peer: PeerId) -> None:
        answer = await self._handshake.greet(peer)
        self._greeted.add(peer)
        if isinstance(answer, Refused):
            raise PeerError(answer.reason, f"{answer.text} {answer.remedy}")
        ctx.note("peers", f"met {peer[-8:]} ({answer.agent})")
        if any(seed.endswith(f"/p2p/{peer}") for seed in self._seeds):
            for addr in await ask_peers(ctx.seams.transport, peer):
                await self._try(ctx, addr)

    async def _try(self, ctx: Context, addr: str) -> None:
        try:
            await ctx.seams.transport.dial(addr)
        except OpenLedgerError as error:
            ctx.fail("peers", error)
