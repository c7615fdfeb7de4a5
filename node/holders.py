"""Who holds a shard: told to the registered peers nearest to it, and asked of them when nobody named has it.

The key is the shard's commitment, so the chain says which keys there are; the table is the chain's registry,
and addresses come from node records that the dialled peer signed itself. Free identities can neither stand
near a key nor make a node dial anybody.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence

import trio

from node.context import Context
from node.jobs import PRIVATE
from node.sources import Figures
from p2p.kad import ALPHA, K, Lookup, Table
from p2p.providers import (
    MAX_KEYS,
    PROVIDE_PROTOCOL,
    PROVIDERS_PROTOCOL,
    Kept,
    Provide,
    Providers,
    Records,
    Telling,
    WantProviders,
)
from protocol.codec import pack, unpack
from protocol.errors import Ignore, OpenLedgerError, PeerError
from protocol.messages import HELD
from protocol.seams import PeerId
from protocol.signing import key_of_peer, peer_id_of
from tasks.entries import ShardEntry

LOOK_S = 30.0  # between two looks at whom to tell, when nothing new is provided
REST_S = 5.0  # what is provided within that time is told together
TABLE_S = 10.0  # the registry is read again at the earliest
PAUSE_S = 60.0  # one lookup a shard within that time
ASK_S = 5.0
LOOKUP_S = 20.0  # a stage waits for it: dead keepers must not hold it up for longer
REQUEST_BYTES = 16 * 1024  # 256 keys take 9 KiB
ANSWER_BYTES = 16 * 1024
MOST_HOLDERS = 2 * K  # tried after one lookup: two that each keeper named
REMEMBERED = 1_024  # lookups


class Holders:
    """One node's part in the table of providers."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.records = Records()
        self.telling = Telling()
        self._lookups: Counter[str] = Counter()  # by outcome
        self._counts: Counter[str] = Counter()
        self._table = Table(())
        self._read = float("-inf")  # when the registry was read
        self._news = trio.Event()  # a shard is provided that was not told yet
        self._found: OrderedDict[bytes, tuple[float, list[PeerId]]] = OrderedDict()

    def counters(self) -> dict[str, int]:
        """Records that were refused, keepers that did not answer, lies in answers, by reason code."""
        return dict(+self._counts)

    def figures(self) -> Figures:
        return Figures(len(self.records), len(self.telling), dict(self._lookups))

    def table(self) -> Table:
        """All peers that are registered with the least stake."""
        now = self._ctx.seams.clock.monotonic()
        if now >= self._read + TABLE_S:
            self._read, names = now, frozenset(self._registered())
            if names != self._table.names:
                self._table = Table(names)
        return self._table

    def _registered(self) -> Iterator[bytes]:
        for operator in list(self._ctx.board.nodes):
            entry = self._ctx.board.node(operator)
            if entry is not None and self._ctx.standing(entry.peer_key):
                yield entry.peer_key

    # -- keeping records ---

    def serve(self) -> None:
        """Register the handlers; before the transport runs."""
        transport = self._ctx.seams.transport
        transport.handle(PROVIDE_PROTOCOL, self._serve_provide, REQUEST_BYTES)
        transport.handle(PROVIDERS_PROTOCOL, self._serve_providers, 64)

    async def _serve_provide(self, peer: PeerId, request: bytes) -> bytes:
        provider, keys = key_of_peer(peer), unpack(Provide, request).keys
        if not self._ctx.standing(provider):
            raise PeerError("no-stake", peer)
        return pack(Kept(tuple(self._kept(provider, keys))))

    def _kept(self, provider: bytes, keys: Iterable[bytes]) -> Iterator[bytes]:
        """Those of the keys of which a record is taken from their provider; the others are counted."""
        now = self._ctx.seams.clock.monotonic()
        for key in keys:
            try:
                self._check(key)
                self.records.add(key, provider, now)
            except Ignore as verdict:
                self._counts[f"record-refused-{verdict.reason}"] += 1
            else:
                yield key

    def _check(self, key: bytes) -> None:
        # [IGNORE] no shard that was revealed to all; or our chain lags behind
        if not provided(self._ctx, self._ctx.board.shards.get(key)):
            raise Ignore("no-shard")
        # [IGNORE] others are nearer; twice as many as needed, because views of the registry differ
        if self._ctx.peer_key not in self.table().nearest(key, 2 * K):
            raise Ignore("not-near")

    async def _serve_providers(self, peer: PeerId, request: bytes) -> bytes:
        key = unpack(WantProviders, request).key
        holders = self.records.holders(key, self._ctx.seams.clock.monotonic())
        standing = tuple(holder for holder in holders if self._ctx.standing(holder))
        return pack(Providers(standing, tuple(self.table().nearest(key))))

    # -- providing ---

    def provide(self, shard: bytes) -> None:
        if provided(self._ctx, self._ctx.board.shards.get(shard)):
            self.telling.add(shard)
            self._news.set()

    async def run(self) -> None:
        self._resume()
        while True:
            await self._tell()
            await self._ctx.dialler.part()
            with trio.move_on_after(LOOK_S):
                await self._news.wait()
            self._news = trio.Event()
            await self._ctx.seams.clock.sleep(REST_S)

    def _resume(self) -> None:
        """What the last run of this node provided by duty; copies by choice are looked through anyway."""
        ctx = self._ctx
        for entry in list(ctx.board.shards.values()):
            if entry.owner == ctx.operator or ctx.mine(HELD, entry.commitment):
                self.provide(entry.commitment)

    async def _tell(self) -> None:
        """All keepers that are due, some at once."""
        if not len(self.telling):
            return
        due = self.telling.due(self.table(), self._ctx.seams.clock.monotonic())
        limit = trio.CapacityLimiter(ALPHA)
        async with trio.open_nursery() as nursery:
            for keeper, keys in due.items():
                for at in range(0, len(keys), MAX_KEYS):
                    nursery.start_soon(self._tell_one, limit, keeper, keys[at : at + MAX_KEYS])

    async def _tell_one(
        self, limit: trio.CapacityLimiter, keeper: bytes, keys: Sequence[bytes]
    ) -> None:
        ctx = self._ctx
        async with limit:
            try:
                if keeper == ctx.peer_key:
                    kept = tuple(self._kept(keeper, keys))
                else:
                    raw = await self._request(keeper, PROVIDE_PROTOCOL, pack(Provide(tuple(keys))))
                    kept = unpack(Kept, raw, limit=ANSWER_BYTES).keys
            except OpenLedgerError as error:
                self._counts[f"keeper-{error.code}"] += 1
                self.telling.failed(keeper, ctx.seams.clock.monotonic())
            else:
                self.telling.told(keeper, keys, kept, ctx.seams.clock.monotonic())

    # -- finding ---

    async def find(self, shard: bytes, named: Sequence[PeerId]) -> list[PeerId]:
        now, transport = self._ctx.seams.clock.monotonic(), self._ctx.seams.transport
        at, found = self._found.get(shard, (float("-inf"), []))
        if now >= at + PAUSE_S:
            self._remember(shard, now, [])  # nobody else begins the same meanwhile
            holders = await self._lookup(shard)
            wanted = dict.fromkeys((*named, *holders))
            wanted.pop(transport.peer_id, None)
            found = await self._ctx.dialler.link(list(wanted)[: len(named) + MOST_HOLDERS])
            self._remember(shard, now, found)
        connected = set(transport.peers())
        return [peer for peer in found if peer in connected]

    def _remember(self, shard: bytes, now: float, found: list[PeerId]) -> None:
        self._found[shard] = now, found
        self._found.move_to_end(shard)
        if len(self._found) > REMEMBERED:
            self._found.popitem(last=False)

    async def _lookup(self, shard: bytes) -> list[PeerId]:
        """Whom the keepers of a shard name."""
        ctx, table = self._ctx, self.table()
        near = table.nearest(shard, 2 * K)
        lookup = Lookup(shard, near, table.names.__contains__)
        if ctx.peer_key in near:
            own = self.records.holders(shard, ctx.seams.clock.monotonic())
            lookup.answer(ctx.peer_key, own, ())
        with trio.move_on_after(LOOKUP_S) as scope:  # what was heard by then has to do
            while keepers := lookup.following():
                async with trio.open_nursery() as nursery:
                    for keeper in keepers:
                        nursery.start_soon(self._ask, lookup, keeper, shard)
        self._counts["lookup-cut-short"] += scope.cancelled_caught
        holders = lookup.holders()
        self._counts["keeper-names-strangers"] += lookup.strangers
        outcome = "found" if holders else "empty" if lookup.answers else "silent"
        self._lookups[outcome] += 1
        return [peer_id_of(holder) for holder in holders]

    async def _ask(self, lookup: Lookup, keeper: bytes, shard: bytes) -> None:
        try:
            raw = await self._request(keeper, PROVIDERS_PROTOCOL, pack(WantProviders(shard)))
            said = unpack(Providers, raw, limit=ANSWER_BYTES)
        except OpenLedgerError as error:
            self._counts[f"keeper-{error.code}"] += 1
            lookup.silence(keeper)
        else:
            lookup.answer(keeper, said.holders, said.nearer)

    async def _request(self, keeper: bytes, protocol: str, body: bytes) -> bytes:
        peer = peer_id_of(keeper)
        await self._ctx.dialler.reach(peer)
        return await self._ctx.seams.transport.request(
            peer, protocol, body, timeout=ASK_S, max_response=ANSWER_BYTES
        )


def provided(ctx: Context, entry: ShardEntry | None) -> bool:
    """Whether the bodies of a shard are for everybody: it is revealed, and of no private Datanet."""
    if entry is None or entry.reveal is None:
        return False
    return ctx.board.datanets[entry.datanet].data_class != PRIVATE
