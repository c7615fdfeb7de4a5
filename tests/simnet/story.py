"""The whole story told once in a simulated world; tests look at what it left behind.

``tell`` drives it as a person would and reads the money from the chain. Each cast is told once a session.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from node import actions, attribute, committed, data, jobs, runtime, serve, train
from node.context import Context
from node.jobs import PRIVATE
from p2p.memory import Conditions
from protocol.codec import pack
from protocol.errors import PeerError
from protocol.ids import checksum, content_id
from protocol.messages import UNIT, EpochBody, Receipt, RevealRequest, VerdictBody
from protocol.params import SIMNET, Params
from simnet import texts
from simnet.actors import lazy
from simnet.seams import run_world
from simnet.world import WIRED, Member, World, running
from tasks.board import Board
from tasks.entries import Posted
from tests.simnet import rogues

Amounts = dict[str, int]  # amounts by member name
RECORDS = 20  # a shard
PROMPT = "What is the beginning of heaven and earth?"
RECIPE = """
name = "story"
base = "integer:tiny"
datanets = [{datanets}]
escrow = "1000"
include_private = {private}
[train]
lr = 0.05
"""


@dataclass(frozen=True, slots=True)
class Part:
    """One owner's shard: which rows it puts into which Datanet; ``late``: after others' reveals."""

    owner: str
    datanet: str
    source: str
    part: int
    late: bool = False


async def nothing(world: World) -> object:
    """No disturbance."""
    return None


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays, with what data, under which conditions."""

    members: tuple[Member, ...]
    parts: tuple[Part, ...]
    seed: int = 1
    params: Params = SIMNET
    conditions: Conditions = WIRED
    private: str = ""  # name of a private Datanet
    answers: int = 1
    disturb: Callable[[World], Awaitable[object]] = nothing  # what it returns is kept in ``seen``
    afterwards: Callable[[World], Awaitable[object]] = nothing  # the same, once all is paid
    standing: int = 0  # connections that each node seeks; 0: to all
    doomed: bool = False  # the job fails: no epoch to wait for


@dataclass(slots=True)
class Told:
    """What is left when a story has ended. Amounts in smallest units, by member name."""

    cast: Cast
    nodes: dict[str, Context]
    job: jobs.Job
    trace: bytes = b""
    state: str = ""
    owner: dict[str, int] = field(default_factory=dict)
    stake: dict[str, tuple[int, int]] = field(default_factory=dict)  # before and after
    payout: dict[str, tuple[int, int]] = field(default_factory=dict)
    claimed: dict[str, int] = field(default_factory=dict)
    bodies: tuple[EpochBody, ...] = ()
    attributed: attribute.Attributed | None = None
    receipts: tuple[Receipt, ...] = ()
    seen: object = None
    locked: dict[str, int] = field(default_factory=dict)  # stake still held under units
    reserved: int = 0  # of the job's pot, for units

    @property
    def board(self) -> Board:
        """What the first member's node knows of the chain."""
        return self.nodes[self.cast.members[0].name].board

    def earned(self, name: str, role: str, kind: str = "job") -> int:
        """What a member gets for a role from all pots of a kind."""
        return sum(
            share.amount
            for body in self.bodies
            for pot in body.pots
            for share in pot.shares
            if (share.owner, share.role, pot.kind) == (self.owner[name], role, kind)
        )


def tell(cast: Cast) -> Told:
    """Play in virtual time. Raises TimeoutError with every node's state."""
    with patch.dict(runtime.HANDLERS, {train.REVEAL_PROTOCOL: rogues.serve_reveal}):
        return run_world(_tell, cast, seed=cast.seed)


async def _tell(cast: Cast) -> Told:
    facts = cast.members, cast.params, b"world %d" % cast.seed, cast.conditions
    async with running(*facts, standing=cast.standing) as world:
        stakes, payouts = await _stakes(world), await _payouts(world)
        await _publish(cast, world)
        told = Told(cast, world.nodes, await _submit(cast, world))
        told.seen = await cast.disturb(world)
        await (_failed(world, told) if cast.doomed else _settled(world, told))
        told.seen = await cast.afterwards(world) or told.seen
        await _remember(told, world, stakes, payouts)
    return told


async def _settled(world: World, told: Told) -> None:
    """Until the job is paid out, and the answers after it; and no case is open."""
    first = next(iter(world.nodes.values()))
    await world.until(lambda: bool(first.board.epochs), 1_500, "no epoch")
    await _paid_out(world, first)
    told.receipts = tuple([await _ask(world, told.job) for _ in range(told.cast.answers)])
    if told.cast.answers:
        await world.until(lambda: len(first.board.epochs) > 1, 3_000, "no second epoch")
        await _paid_out(world, first)
    await world.until(lambda: not first.board.court.open(), 600, "a case is open")
    await world.clock.sleep(5.0)  # what a verdict sets free is freed


async def _failed(world: World, told: Told) -> None:
    """Until the job is given up and nothing is held for its units; then some time to repeat oneself."""
    first = next(iter(world.nodes.values()))

    def over() -> bool:
        held = [unit for unit in first.board.units.values() if not unit.released]
        return jobs.failed(first, told.job) is not None and not held

    await world.until(over, 1_500, "the job goes on")
    await world.clock.sleep(60.0)


async def _publish(cast: Cast, world: World) -> None:
    founder = world.nodes[cast.members[0].name]
    datanets = set()
    for name in dict.fromkeys(part.datanet for part in cast.parts):
        kind = "private" if name == cast.private else "open"
        datanets.add(await data.found(founder, name, kind, "PD", "a test's texts"))
    await world.until(
        lambda: all(data.names(ctx).keys() == datanets for ctx in world.nodes.values()),
        120,
        "the Datanets are not known everywhere",
    )
    with TemporaryDirectory() as folder:
        for late in (False, True):
            for part in (p for p in cast.parts if p.late == late):
                await _commit(world, part, Path(folder, "rows.jsonl"))
            await _revealed(world, founder, sum(p.late <= late for p in cast.parts))


async def _revealed(world: World, ctx: Context, count: int) -> None:
    """Until so many shards are open, and the aggregators hold all but the private ones."""

    def done() -> bool:
        shards = [shard for shard in ctx.board.shards.values() if shard.reveal is not None]
        return len(shards) == count and all(
            data.held(ctx, shard) or ctx.board.datanets[shard.datanet].data_class == PRIVATE
            for shard in shards
        )

    await world.until(done, 300, "not every shard is revealed")


async def _commit(world: World, part: Part, path: Path) -> None:
    write_rows(part, path)
    await data.commit_shard(world.nodes[part.owner], part.datanet, path)


def write_rows(part: Part, path: Path) -> None:
    """A part's rows as a contributor would bring them."""
    texts.write_jsonl(path, texts.owner_rows(part.source, part.part, 4, RECORDS, b"story"))


async def _submit(cast: Cast, world: World) -> jobs.Job:
    builder = world.nodes[cast.members[0].name]
    datanets = ", ".join(f'"{name}"' for name in dict.fromkeys(p.datanet for p in cast.parts))
    recipe = RECIPE.format(datanets=datanets, private=str(bool(cast.private)).lower())
    job, _ = await actions.submit_job(builder, recipe)
    return next(found for found in jobs.jobs(builder) if found.id == job)


async def _ask(world: World, job: jobs.Job) -> Receipt:
    builder = world.nodes[next(iter(world.nodes))]
    model = jobs.model_of(builder, job)
    assert model is not None
    _, receipt = await serve.ask(builder, model, PROMPT, 16)
    return receipt


async def _paid_out(world: World, ctx: Context) -> None:
    """Wait until every node that runs has claimed what it earned."""
    earned = (await committed.bodies(ctx))[-1].cumulative
    running_ = [n for name, n in world.nodes.items() if not world.scopes[name].cancelled_caught]

    def paid() -> bool:
        claims = ctx.board.claims
        owners = [index for n in running_ if (index := ctx.board.index_of(n.operator)) is not None]
        return all(sum(c.amount for c in claims if c.index == i) == earned[i] for i in owners)

    await world.until(paid, 120, "not everybody has claimed")


async def _stakes(world: World) -> dict[str, int]:
    read = world.chain.read
    return {
        name: await read("WorkerStake", "stakeOf", checksum(ctx.operator))
        for name, ctx in world.nodes.items()
    }


async def _payouts(world: World) -> dict[str, int]:
    read = world.chain.read
    return {
        name: await read("OpenToken", "balanceOf", checksum(ctx.payout))
        for name, ctx in world.nodes.items()
    }


async def _remember(told: Told, world: World, stakes: Amounts, payouts: Amounts) -> None:
    first, read = next(iter(world.nodes.values())), world.chain.read
    after, paid = await _stakes(world), await _payouts(world)
    told.bodies = tuple(await committed.bodies(first))
    for name, ctx in world.nodes.items():
        told.stake[name] = (stakes[name], after[name])
        told.payout[name] = (payouts[name], paid[name])
        index = first.board.index_of(ctx.operator)
        assert index is not None
        told.owner[name] = index
        told.claimed[name] = await read("AttributionPool", "claimed", bytes(32), index)
        told.locked[name] = await read("WorkerStake", "lockedOf", checksum(ctx.operator))
    told.reserved = (await read("AttributionPool", "potOf", told.job.id))[2]
    for item in await attribute.finished_jobs(first):
        found = await attribute.attributed(first, item)
        told.attributed = found
    told.trace, told.state = world.trace(), world.state()


# -- casts ---

FIVE = (
    Member("ann", ("contributor", "aggregator", "verifier"), open_tokens=5_000),
    Member("bob", ("contributor", "aggregator", "verifier", "host")),
    Member("cyd", ("contributor", "aggregator", "verifier", "worker")),
    Member("dan", ("contributor", "verifier", "worker")),
    Member("eve", ("verifier", "worker"), wrap=lazy),
)
HONEST = (
    Part("ann", "kjv", "kjv", 0),
    Part("bob", "kjv", "kjv", 1),
    Part("cyd", "faq", "faq", 0),
    Part("dan", "faq", "faq", 1),
)
DEMO = Cast(FIVE, HONEST)
RIVALS = replace(
    DEMO,
    members=(
        *FIVE,
        Member("cat", ("contributor",)),
        Member("gus", ("contributor",)),
        Member("pia", ("contributor", "worker")),
    ),
    parts=(
        *HONEST,
        Part("gus", "faq", "garbage:faq", 2),
        Part("pia", "diary", "kjv", 2),
        Part("cat", "kjv", "copycat:kjv", 0, late=True),
    ),
    private="diary",
    answers=0,
)
LOSSY = replace(
    DEMO,
    params=replace(SIMNET, rounds=1),
    conditions=Conditions(min_latency=0.005, max_latency=0.2, loss=0.1),
    answers=0,
    seed=3,
)


async def fay_dies(world: World) -> object:
    """SIGKILL of a worker in mid-unit."""
    ann, fay = world.nodes["ann"], world.nodes["fay"].operator
    units = ann.board.units
    await world.until(lambda: any(u.operator == fay for u in units.values()), 120, "fay is idle")
    world.stop("fay")
    return None


FAULTY = replace(
    DEMO,
    members=(
        *FIVE[:4],
        Member("fay", ("worker",), wrap=rogues.stuck),
        Member("jon", ("worker",), wrap=rogues.junk),
        Member("wil", ("worker",), wrap=rogues.withhold),
    ),
    params=replace(
        SIMNET, rounds=1, workers=5, unit_seconds=60, judge_seconds=90, attribute_seconds=60
    ),
    answers=0,
    disturb=fay_dies,
)


async def tampered(world: World) -> object:
    """What is posted wrongly; returns how cyd refused a second commitment to one step."""
    nodes = world.nodes
    rogues.tamper(nodes["hid"], UNIT, rogues.unheld(UNIT))
    rogues.tamper(nodes["dan"], UNIT, rogues.lost_once())
    rogues.slander(nodes["bob"])
    return await _second_commitment(world, "cyd")


async def _second_commitment(world: World, worker: str) -> str:
    board, operator = world.nodes["ann"].board, world.nodes[worker].operator

    def verdict() -> Posted | None:
        units = (unit for unit in board.units.values() if unit.operator == operator)
        posts = (post for unit in units for post in unit.verdicts)
        return next((post for post in posts if post.finding == "ok"), None)

    await world.until(lambda: verdict() is not None, 300, "nobody judged the unit")
    post = verdict()
    assert post is not None
    asker = next(ctx for ctx in world.nodes.values() if ctx.operator == post.operator)
    drawn = await asker.fetch_value(VerdictBody, post.value)
    request = RevealRequest(drawn.unit, drawn.steps[0].step, content_id(b"another"))
    peer = asker.peer_of(operator)
    assert peer is not None
    try:
        await asker.seams.transport.request(
            peer, train.REVEAL_PROTOCOL, pack(request), timeout=20.0, max_response=65_536
        )
    except PeerError as error:
        return error.text
    return "answered"


ROGUES = replace(
    DEMO,
    members=(
        *FIVE[:4],
        Member("gab", ("worker",), wrap=rogues.garbled),
        Member("hid", ("worker",)),
        Member("mix", ("worker",), wrap=rogues.mixed),
        Member("pod", ("worker",), wrap=rogues.scrap),
        Member("pia", ("contributor", "worker"), wrap=rogues.scrap),
    ),
    parts=(*HONEST, Part("pia", "diary", "kjv", 2)),
    private="diary",
    params=replace(
        SIMNET, rounds=1, workers=6, unit_seconds=60, judge_seconds=90, attribute_seconds=60
    ),
    answers=0,
    disturb=tampered,
)
DOOMED = replace(
    FAULTY,
    members=(
        *FIVE[:2],
        Member("cyd", ("contributor", "aggregator", "verifier")),
        Member("dan", ("contributor", "verifier")),
        Member("fay", ("worker",), wrap=rogues.stuck),
        Member("jon", ("worker",), wrap=rogues.junk),
    ),
    doomed=True,
)


@cache
def told(cast: Cast) -> Told:
    """The story of a cast, played once a session."""
    return tell(cast)
