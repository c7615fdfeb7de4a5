"""What every stage works with: the six seams, the keys, the board, the mail and the node's own notes.

A stage reads the board and acts once; ``did``/``done`` in the journal keep it from acting twice, also
after a restart. ``touch`` wakes the stages that wait for what changed.
"""

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from bootstrap.reach import Reach
from node import mail
from node.identity import Keys, Network
from node.mail import Mail
from node.sources import OTHERS, Finder, ask, served
from node.wakes import Wakes
from p2p.dialler import Dialler
from p2p.exchange import Exchange
from protocol.codec import pack, unpack
from protocol.errors import LocalError, OpenLedgerError, OperatorError, PeerError
from protocol.ids import address_bytes, topic
from protocol.messages import BlobHint
from protocol.params import Params
from protocol.rules import under
from protocol.seams import (
    Blobs,
    Block,
    Chain,
    Clock,
    Compute,
    Randomness,
    Store,
    Transport,
    TxReceipt,
)
from protocol.signing import key_of_peer, peer_id_of, public_key
from protocol.typed_data import Domain, Typed, sign, statement_domain
from tasks.board import Board

T = TypeVar("T")

JOURNAL = (
    "create table journal (key text primary key, value blob not null, at real not null)",
    "create table channels (id blob primary key, tab blob not null)",
    *mail.SCHEMA,
)
MAX_BODY = 64 * 1024 * 1024
START = Block(0, bytes(32), 0)  # nothing is folded yet
TRAIL = 256  # a reorganisation deeper than so many looks at the chain unfolds everything
OWN = ("session", "channel-locks")  # of ``private``: not derived from the chain
_log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Seams:
    """The world, as one node sees it."""

    clock: Clock
    randomness: Randomness
    transport: Transport
    store: Store
    blobs: Blobs
    compute: Compute
    chain: Chain


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a node looks, seconds. No rule hangs on it: deadlines are the chain's."""

    chain: float = 1.5  # between two looks at the chain's head
    tick: float = 3.0  # a stage looks again at the latest after so long: deadlines pass silently
    rest: float = 0.2  # and at the earliest, so that a burst of events is looked at once
    sync: float = 5.0  # between two peers asked for mail that we lack
    keep: float = 5.0  # what of the mail is lost in a crash within that time, peers still have
    learn: float = 5.0  # between two looks at what the chain names


@dataclass(slots=True)
class Failure:
    """A counted reason with its last text."""

    count: int
    text: str
    last: float


@dataclass(frozen=True, slots=True)
class Note:
    at: float
    stage: str
    text: str


@dataclass(slots=True)
class Context:
    """One node, as its stages see it."""

    seams: Seams
    keys: Keys
    network: Network
    roles: tuple[str, ...]
    payout: bytes
    board: Board
    mail: Mail
    exchange: Exchange
    pace: Pace = Pace()
    datanets: tuple[str, ...] = ()  # ids or names of which this node keeps whole copies
    head: Block = START
    # points up to which events were folded, oldest first: what a reorganised chain is compared with
    trail: deque[Block] = field(default_factory=lambda: deque(maxlen=TRAIL))
    duty: str = "starting"
    standby: str = ""  # why no stage may act, "" when all may
    reach: Reach = field(default_factory=Reach)
    notes: deque[Note] = field(default_factory=lambda: deque(maxlen=500))
    failures: dict[str, Failure] = field(default_factory=dict)
    progress: dict[bytes, list[int]] = field(default_factory=dict)  # unit -> live losses
    outcomes: dict[bytes, Any] = field(default_factory=dict)  # unit -> last judged outcome
    private: dict[str, Any] = field(default_factory=dict)  # this node's own working values
    operator: bytes = field(init=False)
    peer_key: bytes = field(init=False)  # Ed25519
    _beacons: OrderedDict[int, bytes] = field(default_factory=OrderedDict)
    wakes: Wakes = field(default_factory=Wakes)
    dialler: Dialler = field(init=False)  # ``runtime.build`` sets it
    holders: Finder = field(init=False)  # the same
    _others: int = 0  # whose turn it is among connected peers that nobody named

    @property
    def params(self) -> Params:
        return self.network.params

    def __post_init__(self) -> None:
        self.operator = self.keys.operator
        self.peer_key = public_key(self.keys.peer_seed)

    def params_under(self, version: int) -> Params:
        """The parameters under a rule version. Raises PeerError: only peers name one that is not there."""
        rules = self.board.rules_of(version)
        if rules is None and version == 1:
            return self.params  # the registry's genesis; the chain was not looked at yet
        if rules is None:
            raise PeerError("unknown-rules", f"there is no rule version {version}")
        known: dict[int, Params] = self.private.setdefault("params", {})
        if version not in known:
            known[version] = under(self.params, rules)
        return known[version]

    def params_at(self, time: int) -> Params:
        """The parameters in force at a chain time; a job is bound to those when its pot was funded."""
        return self.params_under(self.board.version_at(time))

    def check_current(self, contract: str) -> None:
        """Nothing new is begun in a contract that has a successor. Raises OperatorError."""
        following = self.board.successors.get(self.seams.chain.address(contract))
        if following is not None:
            raise OperatorError(
                "has-successor",
                f"Governance named {following} to follow on {contract}; what stands in the old one "
                "stays claimable.",
                "Fetch the network file that names the new contract.",
            )

    @property
    def version(self) -> int:
        """The rule version in force at the head."""
        return self.board.version_at(self.head.time)

    @property
    def params_now(self) -> Params:
        """The parameters in force at the head."""
        return self.params_under(self.version)

    @property
    def paid_to(self) -> bytes:
        """The payout address in force: the chain's, before registration the configured one."""
        return self.board.payout(self.operator) or self.payout

    @property
    def statements(self) -> Domain:
        """The EIP-712 domain of off-chain statements."""
        return statement_domain(self.network.chain_id, self.network.id)

    def contract_domain(self, contract: str) -> Domain:
        """The EIP-712 domain of one of our contracts."""
        at = address_bytes(self.seams.chain.address(contract))
        return Domain(contract, self.network.chain_id, contract=at)

    def sign(self, value: Typed, domain: Domain | None = None) -> bytes:
        """Sign typed data with the operator key."""
        return sign(self.keys.operator_key, value.digest(domain or self.statements))

    # -- waking ---

    def touch(self, kind: type | None = None) -> None:
        """Something changed: a message of a kind came, or (None) something that any stage may wait for."""
        self.wakes.tell(kind)

    async def changed(self, at_most: float) -> None:
        """Wait for ``touch``, at most so many seconds."""
        await self.wakes.changed(at_most)

    # -- notes ---

    def note(self, stage: str, text: str) -> None:
        """Tell people what happened."""
        self.notes.append(Note(self.seams.clock.now(), stage, text))
        self.duty = text
        if structlog.is_configured():  # the program that runs us says whether and where
            _log.info(text, stage=stage)

    def fail(self, stage: str, error: OpenLedgerError) -> None:
        """Count a failure under its code and tell it once."""
        now = self.seams.clock.now()
        known = self.failures.get(error.code)
        if known is None:
            self.failures[error.code] = Failure(1, f"{stage}: {error.text}", now)
            self.notes.append(Note(now, stage, f"{error.code}: {error.text}"))
            if structlog.is_configured():
                _log.warning(error.text, stage=stage, code=error.code)
        else:
            known.count, known.text, known.last = known.count + 1, f"{stage}: {error.text}", now

    async def attempt(self, stage: str, act: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Act on one thing; an expected failure is counted and must not keep the stage from the others."""
        try:
            await act(self, *args)
        except OpenLedgerError as error:
            self.fail(stage, error)

    # -- journal ---

    async def done(self, key: str) -> bytes | None:
        """What was journalled under a key, None when nothing was."""
        rows = await self.seams.store.query("select value from journal where key = ?", (key,))
        return bytes(rows[0][0]) if rows else None

    async def did(self, key: str, value: bytes = b"") -> None:
        """Journal that an act was done; the first value stays."""
        await self.seams.store.execute(
            "insert or ignore into journal (key, value, at) values (?, ?, ?)",
            (key, value, self.seams.clock.now()),
        )

    # -- chain ---

    def folded(self, block: Block) -> None:
        """The board holds all events up to this block."""
        self.head = block
        self.trail.append(block)
        self.wakes.fold()

    def unwind(self, block: Block) -> None:
        """Forget what the chain said after a block, and all that was derived from it."""
        self.board.unfold(block.number)
        while self.trail and self.trail[-1].number > block.number:
            self.trail.pop()
        for height in [height for height in self._beacons if height > block.number]:
            del self._beacons[height]
        self.outcomes.clear()
        for name in [name for name in self.private if name not in OWN]:
            del self.private[name]
        self.head = block
        self.touch()

    async def beacon(self, height: int) -> bytes | None:
        """Public randomness: the block hash at a height, None while it is ahead."""
        if height > self.head.number:
            return None
        if height not in self._beacons:
            self._beacons[height] = (await self.seams.chain.block(height)).hash
        return self._beacons[height]

    async def write(self, contract: str, function: str, *args: Any) -> TxReceipt:
        """A transaction signed by the operator key."""
        return await self.seams.chain.write(self.keys.operator_key, contract, function, *args)

    async def reached(self, block: int) -> None:
        """Wait until the board holds all events up to a block."""
        while self.head.number < block:
            await self.wakes.folded()

    async def post(self, kind: str, subject: bytes, value: bytes) -> TxReceipt:
        """One CommitLog entry; ``kind`` may carry a finding (``verdict/ok``)."""
        return await self.write("CommitLog", "commit", topic(kind), subject, value)

    def mine(self, kind: str, subject: bytes) -> bool:
        """Whether this node has posted about a subject."""
        return any(p.operator == self.operator for p in self.board.posted(kind, subject))

    # -- blobs and messages ---

    def put(self, value: Any) -> bytes:
        """Store a value's canonical bytes; returns the blob id."""
        return self.seams.blobs.put(pack(value))

    async def announce(self, body: Any) -> None:
        """Save and gossip a message; reaching nobody is a visible state, sync carries it later."""
        envelope = self.mail.write(body, self.seams.clock.now())
        await self.mail.save(self.seams.store)
        reached = await self.seams.transport.publish(self.network.topic, pack(envelope))
        if not reached:
            self.fail("gossip", PeerError("published-to-0-peers", type(body).__name__))
        self.touch(type(body))

    async def share(self, *blobs: bytes) -> None:
        """Say that this node holds blobs.

        What it said lately it does not say again: stages share before they write to the chain, and try
        both again whenever something changed, which an announcement is.
        """
        hint = BlobHint(tuple(blobs))
        if not self.mail.says(hint, self.seams.clock.now()):
            await self.announce(hint)

    def peer_of(self, operator: bytes) -> str | None:
        """The peer id of an operator."""
        entry = self.board.node(operator)
        return None if entry is None else peer_id_of(entry.peer_key)

    def standing(self, peer_key: bytes) -> bool:
        """Whether a peer may speak: an operator with the least stake registered its key."""
        operator = self.board.operator_of_peer(peer_key)
        return operator is not None and self.board.stake(operator) >= self.params.min_stake

    def operator_of(self, peer: str) -> bytes | None:
        """The operator behind a peer id, None when it is not registered."""
        return self.board.operator_of_peer(key_of_peer(peer))

    def sources(self, blob: bytes, first: Sequence[bytes] = ()) -> tuple[list[str], list[str]]:
        """Connected peers to ask for a blob: those named for it by the chain, then by gossip; some of the others.

        Each time others, so that a body that is withheld does not cost a question to everybody.
        """
        connected = dict.fromkeys(self.seams.transport.peers())
        named = (*self._peers_of(first), *self.mail.hinting(blob))
        likely = dict.fromkeys(peer for peer in named if peer in connected)
        others = [peer for peer in connected if peer not in likely]
        at = self._others % max(1, len(others))
        self._others = at + OTHERS
        return list(likely), [*others[at:], *others[:at]][:OTHERS]

    def _peers_of(self, operators: Sequence[bytes]) -> list[str]:
        known = (self.peer_of(operator) for operator in operators if operator != self.operator)
        return [peer for peer in known if peer is not None]

    async def fetch(
        self, blob: bytes, *first: bytes, limit: int = MAX_BODY, shard: bytes | None = None
    ) -> bytes:
        """A blob's body, from here or from peers; ``first`` are operators that should have it, ``shard`` is
        the commitment of the shard that it belongs to. Raises PeerError when nobody serves it.
        """
        body = self.kept(blob)
        if body is None:
            await self._bring(blob, first, limit, shard)
            body = self.seams.blobs.get(blob)
        return body

    def kept(self, blob: bytes) -> bytes | None:
        """A body that is here; None when it is not, or was damaged and is set aside for a whole one."""
        if not self.seams.blobs.has(blob):
            return None
        try:
            return self.seams.blobs.get(blob)
        except LocalError as error:
            self.fail("blobs", error)
            self.seams.blobs.discard(blob)
            return None

    async def _bring(
        self, blob: bytes, first: Sequence[bytes], limit: int, shard: bytes | None
    ) -> None:
        """From those named for it; for a body of a shard from whom its keepers know; from some of the others."""
        likely, others = self.sources(blob, first)
        likely = likely or await self.dialler.link(self._peers_of(first))
        if shard is not None:
            if likely and await served(self.exchange, blob, likely, limit):
                return
            found = await self.holders.find(shard, self._peers_of(first))
            likely = [peer for peer in found if peer not in likely]
            others = [peer for peer in others if peer not in likely]
        await ask(self.exchange, blob, [*likely, *others], limit)

    async def fetch_value(self, cls: type[T], blob: bytes, *first: bytes) -> T:
        """A value by the blob id of its canonical bytes. Raises PeerError or DecodeError."""
        return unpack(cls, await self.fetch(blob, *first))
