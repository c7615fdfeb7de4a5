"""What the chain has said so far, as values. Blocks and times are those of the event's block."""

from dataclasses import dataclass, field

from protocol.ids import address_bytes
from protocol.rules import Rules
from protocol.seams import Event

POOL = bytes(32)  # nodes follow the genesis pool


@dataclass(frozen=True, slots=True)
class Posted:
    """One CommitLog entry: who said what, and where it stands in the order."""

    operator: bytes
    value: bytes
    finding: str  # '' for topics without one
    block: int
    time: int
    log_index: int
    staked: bool = False  # an accusation with stake locked under it


def said(event: Event, time: int) -> tuple[str, bytes, Posted]:
    """Kind and subject of a CommitLog event, and what it says; ``time`` is its block's."""
    args = event.args
    kind, _, finding = args["topic"].rstrip(b"\x00").decode("ascii", "replace").partition("/")
    operator = address_bytes(args["operator"])
    post = Posted(operator, args["value"], finding, event.block, time, event.log_index)
    return kind, args["subject"], post


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """An operator's registered peer key and role bits."""

    operator: bytes
    peer_key: bytes
    roles: int
    block: int


@dataclass(frozen=True, slots=True)
class PayoutEntry:
    """An operator's payout address: named in a block, in force from a chain time on."""

    block: int
    since: int
    address: bytes


@dataclass(frozen=True, slots=True)
class DatanetEntry:
    """A registered Datanet: whose it is, its manifest's hash, the class that its founder gave it."""

    founder: bytes  # operator address
    content: bytes
    data_class: int


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """A committed shard, and its reveal when there is one. Shards stand in commit order."""

    datanet: bytes
    owner: bytes  # operator address
    commitment: bytes
    block: int
    time: int
    log_index: int
    reveal: Posted | None = None


@dataclass(frozen=True, slots=True)
class PotEntry:
    """A funded pot; for a job ``spec`` is the hash of its JobSpec, for fees 32 zero bytes."""

    pot: bytes
    funder: bytes
    amount: int
    unit_pay: int
    unit_seconds: int  # from reservation to anchor, as the contract enforces it
    spec: bytes
    block: int
    time: int
    drawn: int = 0  # epoch number that drew it; 0: not yet


@dataclass(slots=True)
class UnitEntry:
    """A unit as first reserved, and everything posted about it.

    ``expires`` and ``released`` follow the contract's lock, also through later reservations, which
    change nothing else: a final state stays final.
    """

    unit: bytes
    pot: bytes
    operator: bytes
    block: int
    time: int
    ended: str = ""  # "expired" or "handed-back" when released before an anchor
    root: bytes = b""
    adapter: bytes = b""
    anchor_block: int = 0
    anchor_time: int = 0
    settled: bool = False  # its stake is free again
    expires: int = 0  # chain time after which anyone may free an unanchored reservation; 0: never
    released: bool = False  # nothing of pay and stake is held for it
    verdicts: list[Posted] = field(default_factory=list)
    rulings: list[Posted] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SlashEntry:
    operator: bytes
    unit: bytes
    amount: int
    evidence: bytes
    reporter: bytes
    tx: bytes
    block: int


@dataclass(frozen=True, slots=True)
class EpochEntry:
    """A commit that is not voided; who votes and proves sees it before it is active."""

    epoch: int
    root: bytes
    total: int
    leaves: int
    evidence: bytes
    block: int
    time: int
    tx: bytes
    activates_at: (
        int  # chain time from which claims are made against it; ``NEVER`` while challenged
    )
    drawn: tuple[tuple[bytes, int], ...] = ()  # (pot, amount), as committed


@dataclass(frozen=True, slots=True)
class DemandEntry:
    """A forced opening that nobody has answered yet."""

    id: bytes
    epoch: int
    index: int
    deadline: int


@dataclass(frozen=True, slots=True)
class ClaimEntry:
    index: int
    amount: int
    payout: bytes
    block: int
    tx: bytes


@dataclass(frozen=True, slots=True)
class UsageEntry:
    """What one claim added for one asset: booked, to be split under ``under``."""

    channel: bytes
    asset: bytes
    version: int  # of the entry in the voucher
    under: int
    amount: int
    block: int
    time: int


@dataclass(frozen=True, slots=True)
class FeeEntry:
    """What one sweep paid out of one asset's fees."""

    channel: bytes
    asset: bytes
    amount: int
    host: int
    owner: int
    contributors: int
    treasury: int
    block: int
    tx: bytes
    lineage: int = 0
    version: int = 1  # whose rules split it


@dataclass(frozen=True, slots=True)
class ChannelEntry:
    """A payer's deposit for one host."""

    channel: bytes
    payer: bytes
    host: bytes
    deposit: int
    block: int
    closing: bool = False  # or closed: it takes no more deposits, and no host serves on it
    hosting: bool = False  # paid by periods served, not by answers


@dataclass(frozen=True, slots=True)
class RulesEntry:
    """A version of the rules and the unix second from which it is in force."""

    start: int
    rules: Rules


@dataclass(frozen=True, slots=True)
class ProposalEntry:
    """A proposal to governance: the calls that it would make, and when it is voted on (unix seconds)."""

    number: int
    proposer: bytes
    targets: tuple[str, ...]
    values: tuple[int, ...]
    payloads: tuple[bytes, ...]
    start: int
    end: int
    text: str
    block: int
