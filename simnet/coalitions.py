"""Random coalitions: whoever acts together takes out of a pot at most what it put in and what it did for it.

Of each divided pot the checker derives, from the plan and the chain, what every player did: tokens of its
accepted units, checks, a merged last round, the attribution, and the influence of its records. A row that the
plan knows for a copy counts by what it kept, and not at all where it was taken for an original. Then for any
set of players ``out <= paid in + did``, to one base unit a share for the rounding. Who funded the pot may
take it back whole: it was its own.

What it takes as given: the published influence of a row. Owners whom nothing links are several parties to the
rule that excludes one's own queries, and gain by that what ``docs/threats.md`` names; the gain stands in that
number. Faked units are ``no-gain``'s: they are paid when the drawn steps were clean, and slashed when not.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from node import jobs
from node.answers import fee_pot
from node.context import Context
from node.data import TRAINED_PPM
from node.jobs import Job
from protocol.ids import job_round
from protocol.messages import ROUND, SCORED, SCORES, EpochBody, PotShares, RowCredit
from simnet.oracle import tokens
from simnet.plan import Plan
from tasks.entries import UnitEntry
from tasks.lifecycle import State

TRIES = 24  # coalitions drawn for each pot
Draw = Callable[[str, int], int]  # label, below -> uniform


@dataclass(slots=True)
class Account:
    """One pot by player: ``took`` and ``did`` in smallest units, and how many ``shares``."""

    pot: bytes
    funder: str
    amount: int
    took: Counter[str] = field(default_factory=Counter)
    did: Counter[str] = field(default_factory=Counter)
    shares: Counter[str] = field(default_factory=Counter)

    def excess(self, members: frozenset[str]) -> int:
        """What a coalition took beyond its due; at most 0 when the rule holds."""
        took, did = (sum(by[name] for name in members) for by in (self.took, self.did))
        paid = self.amount if self.funder in members else 0
        return took - paid - did - sum(self.shares[name] for name in members)


def coalitions(plan: Plan, draw: Draw) -> Iterator[frozenset[str]]:
    """Who acts wrongly, all of them and each alone, and sets of anybody."""
    names = [player.name for player in plan.players]
    crooks = frozenset(names) - plan.honest
    yield crooks
    for name in names:
        yield frozenset((name,))
    for number in range(TRIES):
        yield frozenset(n for n in names if draw(f"coalition/{number}/{n}", 2))


async def accounts(
    ctx: Context, plan: Plan, names: dict[bytes, str], bodies: list[EpochBody]
) -> list[Account]:
    """All divided pots. ``names``: operator -> player; who is none (the treasury) is in no coalition."""
    known = {job.id: job for job in jobs.jobs(ctx)}
    copycats = {s.owner for s in plan.shards if s.source.startswith("copycat:")}
    found = []
    for body in bodies:
        for pot in body.pots:
            job = known.get(pot.subject)
            funder = names.get(job.pot.funder if job else _payer(ctx, pot), "")
            account = Account(pot.pot, funder, pot.amount)
            for share in pot.shares:
                name = names.get(ctx.board.owners[share.owner], "")
                account.took[name] += share.amount
                account.shares[name] += 1
            _add_rows(ctx, names, copycats, pot, account)
            if job is not None:
                await _add_work(ctx, names, job, pot, account)
            found.append(account)
    return found


def _payer(ctx: Context, pot: PotShares) -> bytes:
    """Who paid an answer: the payer of the channel from which its pot was filled."""
    for fee in ctx.board.fees:
        if fee_pot(ctx, fee.channel, fee.asset) == pot.pot:
            return ctx.board.channels[fee.channel].payer
    return b""


def _add_rows(
    ctx: Context, names: dict[bytes, str], copycats: set[str], pot: PotShares, account: Account
) -> None:
    """The contributors' part by influence x kept part, rounded up."""
    part = sum(share.amount for share in pot.shares if share.role == "contributor")
    weights: Counter[str] = Counter()
    for row in pot.credits:
        weights[names.get(ctx.board.owners[row.owner], "")] += _weight(row)
    total = sum(weights.values())
    for row in pot.credits:
        name = names.get(ctx.board.owners[row.owner], "")
        if name in copycats and row.kept_ppm >= TRAINED_PPM:
            weights[name] -= _weight(row)
    for name, weight in weights.items():
        account.did[name] += -(-part * weight // total) if total else 0


def _weight(row: RowCredit) -> int:
    return max(0, row.influence) * row.kept_ppm


async def _add_work(
    ctx: Context, names: dict[bytes, str], job: Job, pot: PotShares, account: Account
) -> None:
    p, board, spec = ctx.params_at(job.pot.time), ctx.board, job.spec
    by_tokens: Counter[str] = Counter()
    units = 0
    for number in range(spec.rounds):
        for item, outcome in (await jobs.outcomes(ctx, job, number) or {}).items():
            entry = jobs.entry_of(ctx, job, item)
            if entry is None:
                continue
            if outcome.state is State.ACCEPTED:
                units += 1
                by_tokens[names[item.worker]] += await tokens(ctx, job, number, item)
            for name in _checkers(names, entry):
                account.did[name] += p.check_pay
    scored = {post.value for post in board.posted(SCORES, job.id)}
    for post in (post for value in scored for post in board.posted(SCORED, value)):
        account.did[names.get(post.operator, "")] += p.check_pay
    for operator in {post.operator for post in board.posted(SCORES, job.id)}:
        account.did[names.get(operator, "")] += spec.unit_pay
    for operator in {
        post.operator for post in board.posted(ROUND, job_round(job.id, job.last_round))
    }:
        account.did[names.get(operator, "")] += p.sign_pay
    paid = spec.unit_pay * units
    if not any(_weight(row) for row in pot.credits):  # then tokens earn the contributors' part
        paid += spec.escrow * p.contributors_bps // 10_000
    every = sum(by_tokens.values())
    for name, count in by_tokens.items():
        account.did[name] += -(-paid * count // every) if every else 0


def _checkers(names: dict[bytes, str], entry: UnitEntry) -> Iterator[str]:
    """Who may be paid for a check of a unit: once for verifying, once for ruling."""
    for posts in (entry.verdicts, entry.rulings):
        yield from {names.get(post.operator, "") for post in posts}
