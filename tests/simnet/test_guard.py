"""Aggregators that commit what they must not, or nothing: plain nodes see it, and the money is safe.

Here of what anybody can prove; what a jury must judge is in ``test_review.py``.
"""

from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

from node import committed, epoch, guard
from node.context import Context
from node.review import Review
from protocol.codec import pack
from protocol.credit import Share
from protocol.ids import ZERO, checksum, content_id
from protocol.messages import DrawEntry, EpochBody, PotShares
from protocol.params import OPEN, SIMNET, Params
from protocol.typed_data import Draw, EpochCommit, sign
from settlement.claims import (
    EMPTY_HEAD,
    GENESIS_POOL,
    commit_args,
    contract_domain,
    pot_id,
    tree_of,
)
from simnet.seams import run_world
from simnet.world import CHAIN_ID, Member, World, running
from tasks.entries import EpochEntry

POOL = "AttributionPool"
PARAMS = replace(SIMNET, window_seconds=60)
SEATS = ("ann", "bob", "cyd")
MEMBERS = (
    *(Member(name, ("aggregator",)) for name in SEATS),
    Member("dan", ("contributor",), open_tokens=50),
    Member("eve", ("verifier",)),
    Member("fay", ("verifier",)),
)
SALT = b"fees".ljust(32, b"\x00")
ESCROW = 100 * OPEN


class Crooks:
    """Ann and bob, a quorum, whose nodes are off: they commit by hand what they like."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keys = [world.nodes[name].keys.operator_key for name in ("ann", "bob")]
        self.pot = pot_id(checksum(world.network.treasury), SALT)
        self.heads = [EMPTY_HEAD]

    @property
    def dan(self) -> Context:
        return self.world.nodes["dan"]

    def index(self, name: str) -> int:
        index = self.dan.board.index_of(self.world.nodes[name].operator)
        assert index is not None
        return index

    async def funded(self) -> None:
        """A standing pot of the treasury's; both nodes stop."""
        chain, key = self.world.chain, self.world.treasury_key
        await chain.write(key, "OpenToken", "approve", chain.address(POOL), ESCROW)
        await chain.write(key, POOL, "fund", SALT, ESCROW, 0, 0, ZERO)
        for name in ("ann", "bob"):
            self.world.stop(name)

    async def commit(self, number: int, amounts: dict[str, int], *, show: bool = True) -> None:
        """An epoch that gives these cumulative amounts; ``show`` its leaves to cyd."""
        board = self.dan.board
        cumulative = [0] * len(board.owners)
        for name, amount in amounts.items():
            cumulative[self.index(name)] = amount
        grown = tree_of([checksum(o) for o in board.owners], dict(enumerate(cumulative)))
        added = grown.total - (board.epochs[-1].total if board.epochs else 0)
        body = EpochBody(
            epoch=number,
            previous_root=board.epochs[-1].root if board.epochs else ZERO,
            rule_version=1,
            draws=(DrawEntry(self.pot, added),),
            pots=(),
            cumulative=tuple(cumulative),
        )
        blob = self.world.nodes["cyd"].put(body) if show else content_id(pack(body))
        facts = (grown.root, grown.total, len(cumulative), blob, 1, (Draw(self.pot, added),))
        signed = EpochCommit(GENESIS_POOL, number, committed.last_head(self.dan), *facts)
        domain = contract_domain(POOL, CHAIN_ID, self.world.chain.address(POOL))
        signatures = [sign(key, signed.digest(domain)) for key in self.keys]
        args = commit_args(signed, domain, signatures)
        await self.world.chain.write(self.world.treasury_key, POOL, "commit", *args)

    async def stakes(self) -> list[int]:
        read = self.world.chain.read
        operators = [checksum(self.world.nodes[name].operator) for name in SEATS]
        return [await read("WorkerStake", "stakeOf", each) for each in operators]

    async def escrow(self) -> int:
        escrow: int = (await self.world.chain.read(POOL, "potOf", self.pot))[1]
        return escrow


async def no_doubt(ctx: Context, entry: EpochEntry) -> Review:
    """These epochs settle nothing that was earned: any reviewer would object."""
    return Review("", EpochBody(entry.epoch, ZERO, 1, (), (), ()))


def play(act: Callable[[Crooks], object], params: Params = PARAMS) -> None:
    async def story() -> None:
        async with running(MEMBERS, params, b"guard") as world:
            crooks = Crooks(world)
            await world.clock.sleep(20)  # every stake is deposited
            await crooks.funded()
            await act(crooks)  # type: ignore[misc]

    with patch.object(guard, "review", no_doubt):
        run_world(story, seed=1)


async def paid(crooks: Crooks, name: str, amount: int) -> None:
    index, board = crooks.index(name), crooks.dan.board
    await crooks.world.until(
        lambda: sum(c.amount for c in board.claims if c.index == index) == amount,
        60,
        f"{name} is not paid {amount}",
    )


def test_a_quorum_that_lowers_an_amount_is_caught_by_a_plain_node_and_pays() -> None:
    async def act(crooks: Crooks) -> None:
        board, until = crooks.dan.board, crooks.world.until
        before = await crooks.stakes()
        await crooks.commit(1, {"dan": 30 * OPEN})
        await until(lambda: len(board.epochs) == 1, 10, "the good epoch is not there")
        await until(lambda: epoch.may_commit(crooks.dan), 130, "it is never active")
        assert board.voids == 0
        await crooks.commit(2, {"dan": 10 * OPEN, "bob": 30 * OPEN})
        await until(lambda: board.voids == 1 and board.voided is None, 60, "nobody objects")
        assert [entry.epoch for entry in board.epochs] == [1]
        assert await crooks.escrow() == ESCROW - 30 * OPEN
        after = await crooks.stakes()
        assert after[:2] == [0, 0] and after[2] == before[2] > 0
        slashed = {slash.operator for slash in board.slashes}
        assert slashed == {crooks.world.nodes[name].operator for name in ("ann", "bob")}
        await paid(crooks, "dan", 30 * OPEN)

    play(act)


def test_a_withheld_leaf_file_is_demanded_and_voids_its_commit() -> None:
    async def act(crooks: Crooks) -> None:
        board, until = crooks.dan.board, crooks.world.until
        before = await crooks.stakes()
        await crooks.commit(1, {"bob": 30 * OPEN}, show=False)
        await until(lambda: bool(board.demands), 40, "dan demands nothing")
        await until(lambda: board.voids == 1 and board.voided is None, 90, "it stands")
        after = await crooks.stakes()
        fine = await crooks.world.chain.read("FraudProofs", "openingFine")
        assert [a - b for a, b in zip(before, after, strict=True)] == [fine, fine, 0]
        assert await crooks.escrow() == ESCROW

    play(act)


def test_a_demanded_leaf_is_shown_and_the_epoch_stands() -> None:
    async def act(crooks: Crooks) -> None:
        world, board, until = crooks.world, crooks.dan.board, crooks.world.until
        await crooks.commit(1, {"dan": 30 * OPEN})
        await until(lambda: len(board.epochs) == 1, 10, "the epoch is not there")
        chain, key = world.chain, world.treasury_key
        bond = await chain.read("FraudProofs", "openingBond")
        await chain.write(key, "OpenToken", "approve", chain.address("FraudProofs"), bond)
        root = committed.root_of(board.epochs[-1])
        await chain.write(key, "FraudProofs", "demand", GENESIS_POOL, root, crooks.index("dan"))
        await until(lambda: bool(board.demands), 10, "the demand is not seen")
        await until(lambda: not board.demands, 30, "nobody shows the leaf")
        await until(lambda: epoch.may_commit(crooks.dan), 130, "it is never active")
        assert board.voids == 0
        await paid(crooks, "dan", 30 * OPEN)

    play(act)


def test_a_staker_commits_when_the_quorum_is_gone() -> None:
    async def act(crooks: Crooks) -> None:
        board, until = crooks.dan.board, crooks.world.until
        crooks.world.stop("cyd")
        share = Share(crooks.index("dan"), "contributor", OPEN, "influence: 1 of 1")
        due = PotShares(crooks.pot, "answer", content_id(b"x"), OPEN, (share,), ())

        async def found(ctx: Context) -> dict[bytes, PotShares]:
            return {} if ctx.board.epochs else {due.subject: due}

        with patch.object(epoch, "due_pots", found):
            await until(lambda: bool(board.epochs), 3_000, "nobody proposes")
            entry = board.epochs[0]
            assert entry.activates_at == entry.time + 2 * SIMNET.window_seconds
            await until(lambda: epoch.may_commit(crooks.dan), 300, "it is never active")
        await paid(crooks, "dan", OPEN)

    play(act, SIMNET)
