"""One node that never runs, over a board that a test fills in by hand: what its rules say of a given history."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from datanet.blobs import MemoryBlobs
from node import runtime
from node.context import JOURNAL, Context, Seams
from node.identity import Keys, Network
from node.jobs import Job
from p2p.memory import Conditions, MemoryTransport
from p2p.memory import Network as Wires
from protocol import roles
from protocol.compute import Hyper
from protocol.ids import ZERO, chain_id_of, checksum, content_id, topic
from protocol.messages import NODE, NODE_PROOF, JobSpec
from protocol.params import OPEN, SIMNET
from protocol.possession import possession
from protocol.seams import Block, Clock, Event, Randomness, Transport, TxReceipt
from protocol.signing import peer_id_of, public_key
from protocol.typed_data import address_of
from simnet.seams import MemoryStore, SeededRandomness, TrioClock, seeded_draws
from simnet.world import key
from tasks.entries import PayoutEntry, Posted, PotEntry

JOB_BLOCK = 100
ROLES = ("contributor", "aggregator", "worker", "verifier")
HYPER = Hyper(2, 4, ("q",), 4, 2, 64, 1, 1, 1, 0, "fp32", 0)


def keys(name: str) -> Keys:
    """A member's secrets."""
    return Keys(key(b"bare", f"{name}/p"), key(b"bare", f"{name}/o"), key(b"bare", f"{name}/s"))


def operator(name: str) -> bytes:
    """A member's operator address."""
    return keys(name).operator


@dataclass
class Blocks:
    """A chain of blocks one second apart that takes every transaction."""

    written: list[tuple[str, str]] = field(default_factory=list)
    posts: list[tuple[Any, ...]] = field(default_factory=list)
    escrow: int = 10**30

    async def block(self, number: int) -> Block:
        return Block(number, chain_id_of("block", number.to_bytes(8, "big")), number)

    def address(self, contract: str) -> str:
        return "0x" + content_id(contract.encode())[:20].hex()

    async def read(self, contract: str, function: str, *args: Any) -> tuple[Any, ...]:
        if function == "runningEpoch":
            return (0, 0, 0, 1)
        return ("", self.escrow, 0, 0, 0, 0, 1)

    async def write(self, key: bytes, contract: str, function: str, *args: Any) -> TxReceipt:
        self.written.append((contract, function))
        self.posts.append(args)
        return TxReceipt(bytes(32), 0, 0, ())


class Still(MemoryTransport):
    """It runs no tasks; what is published goes nowhere."""

    async def publish(self, topic: str, body: bytes) -> int:
        return 1


def peer(name: str) -> str:
    """A member's peer id."""
    return peer_id_of(public_key(keys(name).peer_seed))


def node(
    name: str,
    members: tuple[str, ...],
    seats: tuple[str, ...] = (),
    transport: Transport | None = None,
    clock: Clock | None = None,
    randomness: Randomness | None = None,
) -> Context:
    """A member's context at block 1; all members are registered, staked and hold all roles."""
    blobs, clock = MemoryBlobs(), clock or TrioClock(0.0)
    wires = Wires(clock, seeded_draws(b"wires"), Conditions(0.0, 0.0))
    own = keys(name)
    seams = Seams(
        clock=clock,
        randomness=randomness or SeededRandomness(name.encode()),
        transport=transport or Still(wires, peer(name), clock),
        store=MemoryStore((JOURNAL,)),
        blobs=blobs,
        compute=SimpleNamespace(),
        chain=Blocks(),  # type: ignore[arg-type]
    )
    aggregators = tuple(operator(seat) for seat in seats)
    network = Network(
        name="bare",
        id=ZERO,
        params=SIMNET,
        chain_id=1,
        genesis_block=1,
        seats=aggregators,
        quorum=len(seats) // 2 + 1,
        committee=(),
        treasury=operator((*members, name)[0]),
    )
    ctx = runtime.build(seams, own, network, ROLES, bytes(20))
    for member in members:
        register(ctx, member)
    at(ctx, 1)
    return ctx


def register(ctx: Context, name: str) -> None:
    """On the board: an owner with a payout address, stake and a registered peer key."""
    who, board = operator(name), ctx.board
    board.owners.append(who)
    board.payouts[who] = [PayoutEntry(0, 0, address_of(keys(name).seal_key))]
    board.stakes[who] = [(1, 50_000 * OPEN)]
    seed, bits = keys(name).peer_seed, roles.mask(ROLES).to_bytes(32, "big")
    entries = ((NODE_PROOF, *possession(seed, who)), (NODE, public_key(seed), bits))
    for kind, subject, value in entries:
        said = {"topic": topic(kind), "subject": subject, "value": value}
        told = {**said, "operator": checksum(who)}
        board.apply(Event("CommitLog", "Committed", told, 1, 0, bytes(32)), 1)


def at(ctx: Context, number: int) -> None:
    """Move the head to a block; its time is its number."""
    ctx.head = Block(number, bytes(32), number)


def post(
    ctx: Context, kind: str, subject: bytes, name: str, value: bytes, block: int, finding: str = ""
) -> Posted:
    """Let a member post on CommitLog."""
    posts = ctx.board.posts[(kind, subject)]
    entry = Posted(operator(name), value, finding, block, block, len(posts))
    posts.append(entry)
    return entry


def job(ctx: Context, builder: str, datanet: bytes, rounds: int = 1) -> Job:
    """A funded job of 1,000 OPEN at ``JOB_BLOCK``."""
    spec = JobSpec(
        name="job",
        base="integer:tiny",
        base_digest=ZERO,
        start=content_id(b"start"),
        datanets=(datanet,),
        include_private=False,
        rounds=rounds,
        workers=2,
        escrow=1_000 * OPEN,
        unit_pay=10 * OPEN,
        rule_version=1,
        hyper=HYPER,
        builder=operator(builder),
    )
    pot = PotEntry(
        pot=spec.job,
        funder=operator(builder),
        amount=spec.escrow,
        unit_pay=spec.unit_pay,
        unit_seconds=SIMNET.unit_seconds,
        spec=spec.digest,
        block=JOB_BLOCK,
        time=JOB_BLOCK,
    )
    ctx.board.pots[spec.job] = pot
    return Job(spec, pot)
