"""The Chain seam with an outbox: a transaction is on disk before it is sent, and sent until it is final.

After a crash the stored bytes are sent again, never a second transaction for the same intent; the
rules are ``settlement/outbox.py``. A mined transaction stays here until enough blocks stand on it: one
that a reorganisation takes is sent again. One row a signed form; the chain itself knows the rest.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import trio

from node.aio import AsyncioThread
from protocol.errors import ChainError, OpenLedgerError, OperatorError, Reverted
from protocol.seams import Block, Clock, Event, Store, TxReceipt
from settlement.outbox import (
    BUMP_SECONDS,
    RESEND_SECONDS,
    WAIT_SECONDS,
    Attempt,
    bumped,
    intent,
    is_final,
    next_nonce,
)
from settlement.signer import LocalSigner, Signer
from settlement.transaction import Call, Fees, Signed, Unsigned, parse

OUTBOX = (
    "create table outbox (hash blob primary key, intent blob not null, nonce integer not null,"
    " raw blob not null, at real not null)",
)
FIRST_POLL_S, LAST_POLL_S = 0.1, 2.0
TEND_S = 3.0
RECHECK_S = 20.0  # for what is mined: whether it still is, and whether it is final
INSERT = "insert into outbox (hash, intent, nonce, raw, at) values (?, ?, ?, ?, ?)"


class Wire(Protocol):
    """What the outbox needs of a chain client (``settlement.evm``, ``settlement.agreed``), on asyncio."""

    max_fee: int
    faults: Counter[str]

    @property
    def chain_id(self) -> int: ...
    def address(self, contract: str) -> str: ...
    def call_of(self, contract: str, function: str, args: tuple[Any, ...]) -> Call: ...
    async def head(self) -> Block: ...
    async def block(self, number: int) -> Block: ...
    async def read(self, contract: str, function: str, *args: Any) -> Any: ...
    async def events(self, from_block: int, to_block: int) -> list[Event]: ...
    async def nonce(self, account: str, depth: int = 0) -> int: ...
    async def draft(self, sender: str, call: Call, nonce: int) -> Unsigned: ...
    async def fees(self) -> Fees: ...
    async def send(self, raw: bytes) -> None: ...
    async def mined(self, tx: bytes) -> TxReceipt | None: ...


@dataclass(slots=True)
class Parcel:
    """One intent on its way: all its signed forms, and what the chain last said of them."""

    intent: bytes
    attempts: list[Attempt]
    sent: float = 0.0  # unix seconds, of the last form
    looked: float = 0.0  # unix seconds, when ``tend`` last asked for it
    outcome: TxReceipt | Reverted | None = None
    replaced: bool = False  # another transaction has its nonce for good
    lock: trio.Lock = field(default_factory=trio.Lock)

    @property
    def last(self) -> Signed:
        return self.attempts[-1].signed

    @property
    def sender(self) -> str:
        return self.last.sender

    @property
    def nonce(self) -> int:
        return self.last.unsigned.nonce

    @property
    def over(self) -> bool:
        """Whether its writer need not wait longer."""
        return self.outcome is not None or self.replaced


def _count_only(error: OpenLedgerError) -> None:
    """Until the daemon says where failures are told, ``OutboxChain.faults`` counts them."""


class OutboxChain:
    """The Chain seam in trio over a client in the asyncio thread. ``load`` before the first write."""

    def __init__(
        self, wire: Wire, thread: AsyncioThread, store: Store, clock: Clock, confirmations: int
    ) -> None:
        """``confirmations``: blocks on top of a transaction's before it is forgotten."""
        self._wire = wire
        self._thread = thread
        self._store = store
        self._clock = clock
        self._confirmations = confirmations
        self._parcels: dict[tuple[str, int], Parcel] = {}
        self._signers: dict[str, Signer] = {}
        self._locks: defaultdict[str, trio.Lock] = defaultdict(trio.Lock)
        self.faults: Counter[str] = Counter()
        self.tell: Callable[[OpenLedgerError], None] = _count_only

    # -- the seam ---

    @property
    def chain_id(self) -> int:
        return self._wire.chain_id

    def address(self, contract: str) -> str:
        """Checksum address of a deployed contract."""
        return self._wire.address(contract)

    async def head(self) -> Block:
        """The newest block."""
        return await self._thread.run(self._wire.head)

    async def block(self, number: int) -> Block:
        """A block by number."""
        return await self._thread.run(self._wire.block, number)

    async def read(self, contract: str, function: str, *args: Any) -> Any:
        """A view call."""
        return await self._thread.run(self._wire.read, contract, function, *args)

    async def events(self, from_block: int, to_block: int) -> list[Event]:
        """Events of an inclusive range."""
        return await self._thread.run(self._wire.events, from_block, to_block)

    async def write(self, key: bytes, contract: str, function: str, *args: Any) -> TxReceipt:
        """Store, send, wait until mined. Raises Reverted, ChainError ``stalled`` or ``replaced``.

        An equal write that is still open is joined, not sent beside it. After ``stalled`` the
        outbox goes on by itself.
        """
        signer = LocalSigner(key)
        self._signers[signer.address] = signer
        call = self._wire.call_of(contract, function, args)
        parcel = await self._posted(signer, call)
        return await self._arrival(parcel, WAIT_SECONDS)

    # -- upkeep ---

    def all_faults(self) -> Counter[str]:
        """What failed, by reason; of several endpoints also which."""
        return self.faults + self._wire.faults

    def pending(self) -> list[Parcel]:
        """What is not known to be mined, in order of nonces."""
        return [parcel for _, parcel in sorted(self._parcels.items()) if not parcel.over]

    async def load(self) -> None:
        """Take up what an earlier process stored."""
        rows = await self._store.query("select intent, raw, at from outbox order by nonce, at")
        for name, raw, at in rows:
            signed = parse(bytes(raw))
            place = (signed.sender, signed.unsigned.nonce)
            known = self._parcels.setdefault(place, Parcel(bytes(name), []))
            known.attempts.append(Attempt(signed, float(at)))

    async def recover(self, key: bytes) -> None:
        """See what was stored to its end, before anybody decides anything on what the chain says.

        Raises OperatorError ``outbox-stalled``.
        """
        signer = LocalSigner(key)
        self._signers[signer.address] = signer
        for parcel in self.pending():
            try:
                await self._arrival(parcel, WAIT_SECONDS)
            except ChainError as error:
                self._fault(error)
                if parcel.over:
                    continue
                raise OperatorError(
                    "outbox-stalled",
                    f"Transaction 0x{parcel.last.hash.hex()} of the last run is not mined: {error.text}.",
                    "Check the operator's gas and the RPC endpoint, then start again.",
                ) from error

    async def tend(self) -> None:
        """Send again, raise fees, forget what is final, for ever."""
        while True:
            for place, parcel in sorted(self._parcels.items()):
                try:
                    await self._tend(place, parcel)
                except ChainError as error:
                    self._fault(error)
            await self._clock.sleep(TEND_S)

    async def _tend(self, place: tuple[str, int], parcel: Parcel) -> None:
        """One look at one parcel; a mined one rests, or idle nodes would ask all day."""
        now = self._clock.now()
        if parcel.over and now - parcel.looked < RECHECK_S:
            return
        parcel.looked = now
        await self._step(parcel)
        if await self._settled(parcel):
            await self._forget(place)

    # -- one parcel ---

    async def _posted(self, signer: Signer, call: Call) -> Parcel:
        """The open parcel of this intent, or a new one: signed, on disk, sent."""
        sender, name = signer.address, intent(signer.address, call)
        async with self._locks[sender]:
            for parcel in self.pending():
                if parcel.intent == name:
                    return parcel
            mined = await self._thread.run(self._wire.nonce, sender)
            nonce = next_nonce(mined, [n for s, n in self._parcels if s == sender])
            unsigned = await self._thread.run(self._wire.draft, sender, call, nonce)
            parcel = Parcel(name, [])
            await self._sign(parcel, signer, unsigned)
            self._parcels[sender, nonce] = parcel
            try:
                await self._send(parcel)
            except ChainError as error:
                if error.code == "refused":
                    await self._forget((sender, nonce))
                    raise
                self._fault(error)  # it may have arrived: the wait will show
            return parcel

    async def _sign(self, parcel: Parcel, signer: Signer, unsigned: Unsigned) -> None:
        signed = await self._thread.run(signer.sign, unsigned)
        now = self._clock.now()
        row = (signed.hash, parcel.intent, unsigned.nonce, signed.raw, now)
        await self._store.execute(INSERT, row)
        parcel.attempts.append(Attempt(signed, now))

    async def _send(self, parcel: Parcel) -> None:
        parcel.sent = self._clock.now()
        await self._thread.run(self._wire.send, parcel.last.raw)

    async def _arrival(self, parcel: Parcel, seconds: float) -> TxReceipt:
        """Wait until it is mined. Raises Reverted, ChainError ``stalled``, ``replaced``."""
        deadline, pause = self._clock.monotonic() + seconds, FIRST_POLL_S
        text = "no block took it"
        while self._clock.monotonic() < deadline:
            try:
                await self._step(parcel)
            except ChainError as error:
                self._fault(error)
                text = error.text
            if isinstance(parcel.outcome, Reverted):
                raise Reverted(parcel.outcome.code, parcel.outcome.text)
            if parcel.outcome is not None:
                return parcel.outcome
            if parcel.replaced:
                raise ChainError("replaced", f"nonce {parcel.nonce} went to another transaction")
            await self._clock.sleep(pause)
            pause = min(LAST_POLL_S, pause * 1.3)
        raise ChainError("stalled", f"0x{parcel.last.hash.hex()} is not mined: {text}")

    async def _step(self, parcel: Parcel) -> None:
        """Ask the chain; without a block that has it, send it again or with a higher fee."""
        async with parcel.lock:
            parcel.outcome = await self._outcome(parcel)
            if parcel.outcome is not None or parcel.replaced:
                return
            now = self._clock.now()
            if now - parcel.sent < RESEND_SECONDS:
                return
            parcel.replaced = await self._lost(parcel)
            if not parcel.replaced:
                await self._again(parcel, now)

    async def _outcome(self, parcel: Parcel) -> TxReceipt | Reverted | None:
        for attempt in reversed(parcel.attempts):
            try:
                receipt = await self._thread.run(self._wire.mined, attempt.signed.hash)
            except Reverted as error:
                return error
            if receipt is not None:
                return receipt
        return None

    async def _lost(self, parcel: Parcel) -> bool:
        """Whether its nonce went to another transaction so long ago that this stays so."""
        depth = self._confirmations
        if await self._thread.run(self._wire.nonce, parcel.sender, depth) <= parcel.nonce:
            return False
        return await self._outcome(parcel) is None  # asked after the nonce: it was not ours

    async def _again(self, parcel: Parcel, now: float) -> None:
        signer = self._signers.get(parcel.sender)
        if signer is not None and now - parcel.attempts[-1].at >= BUMP_SECONDS:
            last = parcel.last.unsigned
            fees = bumped(last.fees, await self._market(last.fees), self._wire.max_fee)
            if fees is None:
                self._fault(ChainError("too-expensive", f"fees are at {self._wire.max_fee} wei"))
            else:
                await self._sign(parcel, signer, replace(last, fees=fees))
        try:
            await self._send(parcel)
        except ChainError as error:
            if error.code != "refused":
                raise
            self._fault(error)  # a form of it may be mined already: the next look shows

    async def _market(self, least: Fees) -> Fees:
        try:
            return await self._thread.run(self._wire.fees)
        except ChainError as error:
            self._fault(error)
            return least

    async def _settled(self, parcel: Parcel) -> bool:
        if isinstance(parcel.outcome, Reverted):  # its place is not known: the nonce tells
            depth = self._confirmations
            return await self._thread.run(self._wire.nonce, parcel.sender, depth) > parcel.nonce
        if parcel.outcome is None:
            return parcel.replaced
        head = await self.head()
        return is_final(parcel.outcome.block, head.number, self._confirmations)

    async def _forget(self, place: tuple[str, int]) -> None:
        parcel = self._parcels.pop(place)
        hashes = [(attempt.signed.hash,) for attempt in parcel.attempts]
        await self._store.transaction([("delete from outbox where hash = ?", h) for h in hashes])

    def _fault(self, error: ChainError) -> None:
        self.faults[error.code] += 1
        self.tell(error)
