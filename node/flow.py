"""The story in order: every stage of the network, as what one node does about it.

A stage looks at the board (what the chain says), the mail (what peers said) and its journal (what it did),
acts at most once on each thing, and returns. It runs again whenever the chain moved on or a message came
that it looks for. A node runs the
stages of its roles; nobody coordinates them. This is the only place where stages meet.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from node import (
    actions,
    attribute,
    checkscores,
    court,
    data,
    dispute,
    epoch,
    fallback,
    hold,
    hosting,
    join,
    merge,
    queries,
    servable,
    serve,
    train,
    verify,
)
from node import guard as guarding
from node import remember as remembering
from node.context import Context
from protocol.messages import BlobHint, EpochVote, NodeRecord, SlashVote, VoucherNote

Act = Callable[[Context], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the story and the roles that take part in it; no roles: every node.

    It looks again whenever the chain moved on. ``hears``: the messages that it looks for besides.
    """

    name: str
    act: Act
    roles: tuple[str, ...] = ()
    hears: tuple[type, ...] = ()

    def concerns(self, roles: tuple[str, ...]) -> bool:
        return not self.roles or any(role in self.roles for role in roles)


async def register(ctx: Context) -> None:
    """0. Owner index, roles and peer key go on chain; the node introduces itself."""
    await join.join(ctx)


async def reveal(ctx: Context) -> None:
    """1. A committed shard is opened once the beacon has reserved its queries."""
    await data.reveal_shards(ctx)


async def hold_shards(ctx: Context) -> None:
    """Aggregators fetch and judge it, and say that they hold it: only then may a job use it."""
    await hold.hold_shards(ctx)


async def train_units(ctx: Context) -> None:
    """2. Drawn workers reserve their unit, train K steps and anchor the root over all of them."""
    await train.take_units(ctx)


async def verify_units(ctx: Context) -> None:
    """3. Drawn verifiers re-compute drawn steps and say what they found."""
    await verify.verify_units(ctx)


async def rule_disputes(ctx: Context) -> None:
    """4. An accusation goes to a drawn committee, which orders the slash of whoever was wrong."""
    await dispute.rule_disputes(ctx)


async def follow_cases(ctx: Context) -> None:
    """The accused may appeal to a jury, a jury votes; who is found guilty then loses its stake."""
    await court.follow_cases(ctx)


async def merge_rounds(ctx: Context) -> None:
    """5. Aggregators merge the verified updates; equal bytes from a quorum close the round."""
    await merge.release_units(ctx)
    await merge.merge_rounds(ctx)


async def register_models(ctx: Context) -> None:
    """The builder registers the finished adapter as its model."""
    await actions.register_models(ctx)


async def compute_rows(ctx: Context) -> None:
    """6. After the last round a drawn worker commits the gradient rows of all records."""
    await attribute.compute_rows(ctx)


async def open_queries(ctx: Context) -> None:
    """7. Only then the aggregators open the reserved records."""
    await queries.open_queries(ctx)


async def compute_scores(ctx: Context) -> None:
    """8. The worker publishes integer scores, their evidence, and the held-out losses."""
    await attribute.compute_scores(ctx)


async def check_scores(ctx: Context) -> None:
    """9. Drawn verifiers re-compute sampled rows and re-derive every score."""
    await checkscores.check_scores(ctx)


async def settle(ctx: Context) -> None:
    """10. Aggregators derive the split, sign equal bytes and commit the epoch."""
    await epoch.settle_epochs(ctx)


async def propose_alone(ctx: Context) -> None:
    """When the quorum stalls, a staker commits the epoch alone."""
    await fallback.propose_alone(ctx)


async def guard(ctx: Context) -> None:
    """Every node proves what is wrong with a pending commit, and shows leaves that are demanded; verifiers
    bring one before a jury whose pots they derive otherwise.
    """
    await guarding.guard_epochs(ctx)


async def claim(ctx: Context) -> None:
    """11. Everybody claims its own, to its payout address."""
    await epoch.claim_pay(ctx)


async def collect(ctx: Context) -> None:
    """12. A host turns vouchers into fees, of which the contributors' part becomes a pot."""
    await serve.collect_fees(ctx)


async def stock(ctx: Context) -> None:
    """A host fetches what it will serve while those who computed it are there."""
    await servable.stock(ctx)


async def tend_hosts(ctx: Context) -> None:
    """A model owner probes the hosts that it pays for hosting, and pays what stands."""
    await hosting.tend_hosts(ctx)


async def check_receipts(ctx: Context) -> None:
    """13. Drawn verifiers re-run answers; a receipt that stands is settled in the next epoch."""
    await serve.check_receipts(ctx)


async def remember(ctx: Context) -> None:
    """14. Every node joins what its records were in, moved and earned into its credit map."""
    await remembering.remember(ctx)


async def reclaim(ctx: Context) -> None:
    """15. A builder takes back what its settled jobs did not spend."""
    await actions.reclaim_pots(ctx)


STAGES = (
    Stage("register", register),
    Stage("reveal", reveal, ("contributor",), (NodeRecord,)),
    Stage("hold", hold_shards, ("aggregator",)),
    Stage("train", train_units, ("worker",)),
    Stage("verify", verify_units, ("verifier",)),
    Stage("rule", rule_disputes, ("verifier",), (SlashVote,)),
    Stage("court", follow_cases),
    Stage("merge", merge_rounds, ("aggregator",)),
    Stage("models", register_models),
    Stage("rows", compute_rows, ("worker",)),
    Stage("queries", open_queries, ("aggregator",)),
    Stage("scores", compute_scores, ("worker",)),
    Stage("check-scores", check_scores, ("verifier",)),
    Stage("settle", settle, ("aggregator",), (EpochVote,)),
    Stage("propose-alone", propose_alone),
    Stage("guard", guard),
    Stage("claim", claim),
    Stage("collect", collect, ("host",), (VoucherNote,)),
    Stage("stock", stock, ("host",)),
    Stage("hosting", tend_hosts),
    Stage("check-receipts", check_receipts, ("verifier",)),
    Stage("remember", remember),
    Stage("reclaim", reclaim),
)

# Messages that only these stages look for, hints none: they only order sources. Any other wakes all stages.
ONLY = frozenset({BlobHint, *(kind for stage in STAGES for kind in stage.hears)})
