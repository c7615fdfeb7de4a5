"""One attempt at one manifest: chunks from several sources at once, each verified before it is kept."""

from collections import deque
from collections.abc import Callable, Sequence

import trio
from blake3 import blake3

from p2p.manifest import CHUNK_BYTES, CHUNK_PROTOCOL, Manifest, WantChunk, chunk_size
from protocol.codec import pack
from protocol.errors import LocalError, OpenLedgerError, PeerError
from protocol.ids import content_id
from protocol.seams import Ask, Draft, PeerId, Transport

CHUNK_SECONDS = 30.0  # slower than 35 kB/s a stream is given up
OVERTAKE_SECONDS = 3.0  # a chunk that others wait for so long is asked of them too
STREAMS_PER_SOURCE = 2
SPARE_STREAMS = 1  # beyond one a chunk, so that a slow source can be overtaken

AHEAD_CHUNKS = 8  # that came before their turn and are kept in memory until then

Blame = Callable[[PeerId, str], None]  # who, and the reason code


class WholeHash:
    """BLAKE3 of a body whose chunks come in any order; what came too early is read again."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._hasher = blake3()
        self._hashed = 0
        self._ahead: dict[int, bytes] = {}

    def add(self, index: int, chunk: bytes) -> None:
        """A verified chunk that the draft has."""
        if index >= self._hashed and len(self._ahead) < AHEAD_CHUNKS:
            self._ahead[index] = chunk
        while self._hashed in self._ahead:
            self._hasher.update(self._ahead.pop(self._hashed))
            self._hashed += 1

    def digest(self, chunks: int) -> bytes:
        """The hash of the whole, once all ``chunks`` were added."""
        while self._hashed < chunks:
            self.add(self._hashed, self._draft.read(self._hashed * CHUNK_BYTES, CHUNK_BYTES))
        return self._hasher.digest()


class Download:
    """Brings the chunks of ``manifest`` into ``draft``; ``blame`` hears of every fault."""

    def __init__(
        self,
        transport: Transport,
        draft: Draft,
        blob: bytes,
        manifest: Manifest,
        sources: Sequence[PeerId],
        blame: Blame,
    ) -> None:
        self._transport = transport
        self._draft = draft
        self._blob = blob
        self._manifest = manifest
        self._sources = list(sources)
        self._blame = blame
        self._whole = WholeHash(draft)
        self._todo = deque(i for i in range(len(manifest.chunks)) if not self._has(i))
        self._asked: dict[int, list[PeerId]] = {}  # in flight, in the order of asking
        self._changed = trio.Event()
        self._fault: OpenLedgerError | None = None

    async def run(self) -> bool:
        """True when every chunk is kept, False when no source is left. Raises what is our own fault."""
        while self._todo and self._sources:
            streams = self._sources * STREAMS_PER_SOURCE
            async with trio.open_nursery() as nursery:
                for peer in streams[: len(self._todo) + SPARE_STREAMS]:
                    nursery.start_soon(self._pull, peer, nursery.cancel_scope)
            if self._fault is not None:
                raise self._fault
        return not self._todo

    def verdict(self) -> bool:
        """Whether the whole has its id, once ``run`` was true. Raises LocalError ``draft-changed``."""
        if self._whole.digest(len(self._manifest.chunks)) == self._blob:
            return True
        if all(self._has(index) for index in range(len(self._manifest.chunks))):
            return False
        raise LocalError("draft-changed", f"a verified chunk of {self._blob.hex()} changed on disk")

    def _has(self, index: int) -> bool:
        """Whether an earlier attempt left this chunk whole."""
        chunk = self._draft.read(index * CHUNK_BYTES, chunk_size(self._manifest, index))
        if content_id(chunk) != self._manifest.chunks[index]:
            return False
        self._whole.add(index, chunk)
        return True

    async def _pull(self, peer: PeerId, others: trio.CancelScope) -> None:
        """Take chunk after chunk from one source; its first fault ends it."""
        try:
            index = await self._next(peer)
            while index is not None:
                index = await self._converse(peer, index)
        except PeerError as error:
            self._drop(peer, error.code)
        except OpenLedgerError as error:  # our disk, say: no source can help
            self._fault = error
            others.cancel()
        if not self._todo and not self._asked:
            others.cancel()  # nobody has to wait for a chunk that came from elsewhere

    async def _converse(self, peer: PeerId, index: int) -> int | None:
        """Chunks on one stream; the next one when a source that served some ended it in order."""
        held: int | None = index  # promised to this source from the moment it was taken
        served = 0
        try:
            async with self._transport.conversation(peer, CHUNK_PROTOCOL) as ask:
                while held is not None:
                    await self._fetch(peer, ask, held)
                    self._settle(peer, held, kept=True)
                    served, held = served + 1, None
                    held = await self._next(peer)
        except PeerError as error:
            if not served or error.code != "unreachable":
                raise
        finally:
            if held is not None:
                self._settle(peer, held, kept=False)
        return await self._next(peer)

    async def _fetch(self, peer: PeerId, ask: Ask, index: int) -> None:
        """One chunk, verified before it touches the disk."""
        want = pack(WantChunk(self._blob, index))
        chunk = await ask(want, timeout=CHUNK_SECONDS, max_response=CHUNK_BYTES)
        if content_id(chunk) != self._manifest.chunks[index]:
            raise PeerError("lying-chunk", f"{peer}: chunk {index} of {self._blob.hex()}")
        if index in self._asked:  # else another source was faster
            self._draft.write(index * CHUNK_BYTES, chunk)
            self._whole.add(index, chunk)

    def _settle(self, peer: PeerId, index: int, kept: bool) -> None:
        """Note the end of one request, and wake those who wait for work."""
        askers = self._asked.get(index, [])
        if kept and askers:
            for slower in askers[: askers.index(peer)]:
                self._drop(slower, "overtaken")
            del self._asked[index]
        elif peer in askers:
            askers.remove(peer)
            if not askers:
                del self._asked[index]
                self._todo.append(index)
        self._changed.set()
        self._changed = trio.Event()

    async def _next(self, peer: PeerId) -> int | None:
        """What this source is to bring next; None when nothing is left for it."""
        while peer in self._sources and (self._todo or self._asked):
            if self._todo:
                return self._promise(peer, self._todo.popleft())
            changed = self._changed
            with trio.move_on_after(OVERTAKE_SECONDS) as scope:
                await changed.wait()
            late = [i for i, by in self._asked.items() if peer not in by and len(by) < 2]
            if scope.cancelled_caught and late:
                return self._promise(peer, late[0])
        return None

    def _promise(self, peer: PeerId, index: int) -> int:
        self._asked.setdefault(index, []).append(peer)
        return index

    def _drop(self, peer: PeerId, code: str) -> None:
        self._blame(peer, code)
        if peer in self._sources:
            self._sources.remove(peer)
