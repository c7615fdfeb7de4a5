"""Meeting peers: seeds are dialled and kept, others are learnt from seeds and from node records.

Everyone is greeted again every few seconds: that keeps clocks and versions compared, and shows each
peer that this life of the key is there. A second node with one key is refused, and stops by itself.
"""

import itertools
from collections.abc import Iterable, Sequence

import trio

from bootstrap import life
from bootstrap.dialback import DialBack
from bootstrap.handshake import DUPLICATE, UNPROVEN, Handshake, Hello, Refused
from bootstrap.life import Life, Lives
from bootstrap.seed import Seed, ask_peers
from node.context import Context
from node.join import AGENT, addresses, node_records
from node.reach import Bound, Reachability
from p2p.backoff import Backoff
from p2p.mdns import LocalSearch
from p2p.peers import PeerBook
from p2p.redial import Redialer
from p2p.slots import CROWDED, STANDING
from protocol import roles
from protocol.errors import OpenLedgerError, PeerError
from protocol.ids import content_id
from protocol.seams import PeerId
from protocol.signing import WIRE_VERSION, ed25519_of

LOOK_S = 1.0
PROOF_S = 3.0  # a peer that refused us without a proof is asked for it so often
ASK_S = 60.0  # a seed is asked for peers so often
MAX_DIALS = 16  # begun in one look
ANYWHERE = Bound()
SETTLED_S = 600.0  # who is connected for so long is company
THIN_S = 10.0  # between two that are sent away
BOOK_S = 60.0  # a peer's entry is written so often when nothing in it changed
# A life that ended is forgotten by then; one that still holds our key is another node's.
COPIED_S = life.ALIVE_SECONDS + 8.0


class Meeting:
    """Handshakes, the peer book and the search for peers of one node."""

    def __init__(
        self, ctx: Context, book: PeerBook, seeds: Sequence[str], bound: Bound = ANYWHERE
    ) -> None:
        self._ctx = ctx
        self.book = book
        self._bound = bound
        self.hellos: dict[PeerId, Hello] = {}  # of connected peers that work with us
        self.refused: dict[PeerId, Refused] = {}  # of connected peers that do not
        self._lives = Lives()
        self._session = ctx.seams.randomness.token(16)
        self._started = int(ctx.seams.clock.now())
        self._due: dict[PeerId, float] = {}  # when to greet again
        self._since: dict[PeerId, float] = {}  # when each was seen to be connected
        self._thinned = 0.0  # when one was sent away last
        self._asked: dict[PeerId, float] = {}  # when to ask a seed for peers again
        self._dials = Backoff()
        self._copied: float | None = None  # since when our key is held by another
        transport, clock = ctx.seams.transport, ctx.seams.clock
        own = f"/p2p/{transport.peer_id}"
        self._serves = "seed" in ctx.roles or any(seed.endswith(own) for seed in seeds)
        self._seeds = tuple(seed for seed in seeds if not seed.endswith(own))
        self._handshake = Handshake(transport, clock, self._hello, self._met, self._elder)
        self._seed = Seed(transport, book, clock, ctx.seams.randomness)
        self._dialback = DialBack(transport, clock)
        self.redialer = Redialer(transport, self._seeds, clock, ctx.seams.randomness)
        self._local = LocalSearch(
            ctx.network.id, transport.peer_id, lambda: transport.addrs, self._nearby, clock
        )
        self.reachability = Reachability(ctx, self._dialback, self._judges, self._relaying, bound)

    def serve(self) -> None:
        """Register handlers; before the transport runs."""
        self._handshake.serve()
        self._seed.serve()
        self._dialback.serve()

    def counters(self) -> dict[str, int]:
        """Dials of seeds that failed, and what went wrong on the local network, by reason."""
        return {**self.redialer.counters(), **self._local.counts}

    # -- what is said ---

    def _hello(self, now: int) -> Hello:
        ctx = self._ctx
        seed, network = ctx.keys.peer_seed, ctx.network.id
        own = life.alive(seed, network, self._session, self._started, now)
        return Hello(
            version=WIRE_VERSION,
            network=ctx.network.id,
            params=ctx.params.hash,
            chain_id=ctx.network.chain_id,
            time=now,
            agent=AGENT,
            roles=roles.mask(ctx.roles),
            addrs=addresses(ctx),
            life=own,
            reach=ctx.reach.verdict,
        )

    def _elder(self, peer: PeerId, hello: Hello) -> Life | None:
        count = sum(link.peer == peer for link in self._ctx.seams.transport.links())
        return self._lives.elder(peer, hello.life, count, self._ctx.seams.clock.now())

    async def _met(self, peer: PeerId, hello: Hello) -> None:
        now, known = self._ctx.seams.clock.now(), self.book.get(peer)
        self.refused.pop(peer, None)
        self.hellos[peer] = hello
        moved = known.addrs[: len(hello.addrs)] != hello.addrs
        if moved or known.agent != hello.agent or known.last_seen < now - BOOK_S:
            names = roles.names(hello.roles)
            await self.book.met(peer, hello.addrs, hello.agent, names, now)

    # -- life ---

    async def run(self) -> None:
        """Until cancelled; the transport must be running. Raises OperatorError ``duplicate-key``."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.redialer.run)
            nursery.start_soon(self.reachability.run)
            if self._bound.local:
                nursery.start_soon(self._local.run)
            while True:
                await self._round(nursery)
                await self._ctx.seams.clock.sleep(LOOK_S)

    async def _round(self, nursery: trio.Nursery) -> None:
        """Note who is gone; start greeting who is due and dialling who is known but not connected.

        Nobody waits for a slow one: a life that is not heard in time counts as ended.
        """
        ctx, now = self._ctx, self._ctx.seams.clock.now()
        connected = set(ctx.seams.transport.peers())
        await self._part(connected)
        if not connected and self._seeds:
            ctx.fail("peers", PeerError("no-peers", "no seed answers; trying again"))
        for peer in sorted(connected):
            if self._due.get(peer, 0.0) <= now:
                self._since.setdefault(peer, now)
                self._due[peer] = now + life.GREET_SECONDS
                nursery.start_soon(ctx.attempt, "peers", self._greet, peer)
        due = (known for known in self._known(connected) if self._dials.due(known[0], now))
        room = max(0, STANDING - len(connected))
        for peer, addrs in itertools.islice(due, min(MAX_DIALS, room)):
            self._dials.tried(peer, now)
            nursery.start_soon(self._dial, peer, addrs)
        await self._thin(connected, now)
        self._conclude()

    async def _thin(self, connected: set[PeerId], now: float) -> None:
        """Send one away where company takes the slots that are for others: without stake, late in our order.

        Whoever came just now has a question. Seeds are kept, and keep theirs: many are relayed by them.
        """
        if len(connected) <= CROWDED or self._serves or now < self._thinned + THIN_S:
            return
        settled = [peer for peer in connected if self._since.get(peer, now) + SETTLED_S <= now]
        able = [peer for peer in settled if peer not in self.hellos or not self._seeding(peer)]
        if able:
            self._thinned = now
            last = max(able, key=lambda peer: (not self._staked(peer), self._lot(peer)))
            await self._ctx.seams.transport.drop(last, "thinned")

    def _staked(self, peer: PeerId) -> bool:
        key = ed25519_of(peer)
        return key is not None and self._ctx.standing(key)

    async def _part(self, connected: set[PeerId]) -> None:
        for peer in sorted(set(self._due) - connected):
            refused = self.refused.pop(peer, None)
            del self._due[peer]
            self._since.pop(peer, None)  # refused after it had gone, it was put off without a since
            self._lives.forget(peer)
            if self.hellos.pop(peer, None) or refused:
                reason = f"refused: {refused.reason}" if refused else "connection lost"
                await self.book.lost(peer, reason)
                self._ctx.note("peers", f"lost {peer[-8:]} ({reason})")

    async def _greet(self, ctx: Context, peer: PeerId) -> None:
        first = peer not in self.hellos
        answer = await self._handshake.greet(peer)
        if isinstance(answer, Refused):
            await self._refuse(peer, answer)
        elif first:
            ctx.note("peers", f"met {peer[-8:]} ({answer.agent})")
        now = ctx.seams.clock.now()
        if peer in self.hellos and self._seeding(peer) and self._asked.get(peer, 0.0) <= now:
            self._asked[peer] = now + ASK_S
            for addr in await ask_peers(ctx.seams.transport, peer):
                await self.book.heard_of(addr.rpartition("/p2p/")[2], addr)

    async def _nearby(self, addr: str) -> None:
        """An address on this machine's own network; the next round dials it."""
        peer = addr.rpartition("/p2p/")[2]
        if peer not in (self._ctx.seams.transport.peer_id, addr):
            await self.book.heard_of(peer, addr)

    async def _refuse(self, peer: PeerId, refused: Refused) -> None:
        ctx, known = self._ctx, self.refused.get(peer)
        self.hellos.pop(peer, None)
        self.refused[peer] = refused
        if refused.reason == UNPROVEN:  # the proof is there once the other life has greeted again
            self._due[peer] = ctx.seams.clock.now() + PROOF_S
        ctx.fail("peers", PeerError(refused.reason, f"{refused.text} {refused.remedy}"))
        if known != refused:
            await self.book.lost(peer, f"refused: {refused.reason}")

    def _conclude(self) -> None:
        """What the refusals mean for this node as a whole."""
        ctx, now = self._ctx, self._ctx.seams.clock.now()
        if DUPLICATE in self.refused.values():
            self._copied = now if self._copied is None else self._copied
            ctx.standby = ctx.duty = f"{DUPLICATE.text} {DUPLICATE.remedy}"
            if now - self._copied > COPIED_S:
                raise DUPLICATE.error()
            return
        self._copied, ctx.standby = None, ""
        if self.refused and not self.hellos:
            worst = next(iter(self.refused.values()))
            ctx.duty = f"refused by all {len(self.refused)} peers: {worst.text} {worst.remedy}"

    # -- dialling ---

    def _known(self, connected: set[PeerId]) -> Iterable[tuple[PeerId, tuple[str, ...]]]:
        """Peers to dial, by what they say of themselves, else by what others say of them."""
        ctx, now = self._ctx, self._ctx.seams.clock.now()
        said = {
            peer: record.addrs
            for operator, record in node_records(ctx).items()
            if (peer := ctx.peer_of(operator)) is not None
        }
        book = {entry.peer: entry.addrs for entry in self.book.dialable(now)}
        for peer in sorted(said.keys() | book.keys(), key=self._lot):
            addrs = tuple(dict.fromkeys((*said.get(peer, ()), *book.get(peer, ()))))
            if addrs and peer not in connected and peer != ctx.seams.transport.peer_id:
                yield peer, addrs

    def _lot(self, peer: PeerId) -> bytes:
        """Each node dials in an order of its own, or all would take the slots of the same few."""
        return content_id(self._session + peer.encode())

    async def _dial(self, peer: PeerId, addrs: tuple[str, ...]) -> None:
        """Try each address until one answers; after a failure wait longer and longer."""
        ctx = self._ctx
        for addr in addrs:
            try:
                await ctx.seams.transport.dial(addr)
            except OpenLedgerError as error:
                ctx.fail("peers", error)
            else:
                self._dials.reached(peer)
                return

    def _judges(self) -> list[PeerId]:
        """Whom to ask for a dial-back: the network's seeds, then seeds by role, then anybody."""
        return sorted(self.hellos, key=lambda peer: (not self._seeding(peer), peer))

    def _relaying(self) -> list[PeerId]:
        """Peers that relay for others: seeds do."""
        return sorted(filter(self._seeding, self.hellos))

    def _seeding(self, peer: PeerId) -> bool:
        """Whether a peer stands in the network file, or has the role."""
        named = any(seed.endswith(f"/p2p/{peer}") for seed in self._seeds)
        return named or roles.has(self.hellos[peer].roles, "seed")
