"""What an epoch may settle: the pots that are due, their shares, and the body that they make together.

Pure reading: every node derives the same, also later, from what the chain said in time. Aggregators propose
and sign it, verifiers and jurors hold a commit against it (``node/review.py``).
"""

from collections import Counter

from node.answers import PaidAnswer, answer_shares, paid_answers, paying_channels
from node.attribute import Attributed, attributed
from node.committed import bodies, bodies_of
from node.context import Context
from node.jobs import spec_of
from node.pots import job_shares
from node.turns import Finished, current, failed_jobs, finished_jobs
from protocol.errors import PeerError
from protocol.ids import ZERO
from protocol.messages import RECEIPT, DrawEntry, EpochBody, PotShares
from protocol.seams import Block
from tasks.entries import EpochEntry

Paid = dict[tuple[bytes, bytes], list[PaidAnswer]]  # by job and channel


async def due_pots(ctx: Context) -> dict[bytes, PotShares]:
    """All pots that may be settled now, by subject; one that cannot be derived stops no other."""
    settled = {pot.subject for body in await bodies(ctx) for pot in body.pots}
    due: dict[bytes, PotShares] = {}
    for item in await finished_jobs(ctx):
        await ctx.attempt("settle", _add_job, item, settled, due)
        await ctx.attempt("settle", _add_answers, item, settled, due)
    for item in failed_jobs(ctx):
        await ctx.attempt("settle", _add_job, item, settled, due)
    return due


async def _add_job(
    ctx: Context, item: Finished, settled: set[bytes], due: dict[bytes, PotShares]
) -> None:
    pot = None if item.job.id in settled else await _of_job(ctx, item)
    if pot is not None:
        due[pot.subject] = pot


async def _of_job(ctx: Context, item: Finished) -> PotShares | None:
    """An ended job's pot divided; None while its attribution is on."""
    every_turn_failed = await current(ctx, item) is None
    found = await attributed(ctx, item)
    if found is None and not every_turn_failed:
        return None
    known: dict[bytes, PotShares] = ctx.private.setdefault("job-shares", {})
    if item.job.id not in known:  # all that they follow from is final
        known[item.job.id] = await job_shares(ctx, item, found)
    return known[item.job.id]


async def _shares(ctx: Context, paid: PaidAnswer) -> PotShares:
    """A paid answer's pot divided; what it follows from never changes."""
    known: dict[tuple[bytes, int], PotShares] = ctx.private.setdefault("answer-shares", {})
    key = paid.answer.blob, paid.amount
    if key not in known:
        known[key] = await answer_shares(ctx, paid)
    return known[key]


async def _add_answers(
    ctx: Context, item: Finished, settled: set[bytes], due: dict[bytes, PotShares]
) -> None:
    posts = ctx.board.posted(RECEIPT, item.model)
    open_ones = any(post.value not in settled for post in posts)
    found = await attributed(ctx, item) if open_ones else None
    if found is not None:
        for channel in paying_channels(ctx, item.model):
            await ctx.attempt("settle", _add_channel, found, channel, settled, due)


async def _add_channel(
    ctx: Context,
    found: Attributed,
    channel: bytes,
    settled: set[bytes],
    due: dict[bytes, PotShares],
) -> None:
    for paid in await paid_answers(ctx, found, channel):
        if paid.answer.blob not in settled:
            due[paid.answer.blob] = await _shares(ctx, paid)


# -- one pot of a commit, derived again ---


async def derived(ctx: Context, said: PotShares) -> PotShares | None:
    """What this node derives for the subject of a committed pot; None: nothing is due for it.

    Raises PeerError while something that it hangs on is not known here.
    """
    return await (_answer if said.kind == "answer" else _job)(ctx, said)


async def _job(ctx: Context, said: PotShares) -> PotShares | None:
    ended = [*await finished_jobs(ctx), *failed_jobs(ctx)]
    item = next((item for item in ended if item.job.id == said.subject), None)
    if item is not None:
        return await _of_job(ctx, item)
    pot = ctx.board.pots.get(said.subject)
    if pot is not None and pot.unit_pay and spec_of(ctx, pot) is None:
        raise PeerError("unknown-job", f"the spec of {said.subject.hex()} has not arrived")
    return None


async def _answer(ctx: Context, said: PotShares) -> PotShares | None:
    for item in await finished_jobs(ctx):
        if all(post.value != said.subject for post in ctx.board.posted(RECEIPT, item.model)):
            continue
        found = await attributed(ctx, item)
        if found is None:
            return None
        for channel in paying_channels(ctx, item.model):
            for paid in await _paid(ctx, found, channel):
                if paid.answer.blob == said.subject:
                    return await _shares(ctx, paid)
    return None


async def _paid(ctx: Context, found: Attributed, channel: bytes) -> list[PaidAnswer]:
    """A channel's paid answers at this head; a commit names many of them, and each asks for all."""
    at: tuple[Block, Paid] | None = ctx.private.get("paid-answers")
    if at is None or at[0] != ctx.head:
        at = ctx.private["paid-answers"] = ctx.head, {}
    known, key = at[1], (found.item.job.id, channel)
    if key not in known:
        known[key] = await paid_answers(ctx, found, channel)
    return known[key]


# -- the body ---


async def derive(ctx: Context, number: int, pots: tuple[PotShares, ...], leaves: int) -> EpochBody:
    """The body of the epoch of a number that settles exactly these pots.

    Raises PeerError ``too-few-leaves``.
    """
    before = ctx.board.epochs[: number - 1]
    known = await bodies_of(ctx, before[-1:])
    cumulative = list(known[-1].cumulative) if known else []
    cumulative += [0] * (leaves - len(cumulative))
    draws: Counter[bytes] = Counter()
    for pot in pots:
        draws[pot.pot] += pot.amount
        for share in pot.shares:
            if share.owner >= len(cumulative):
                raise PeerError("too-few-leaves", f"{leaves}: owner {share.owner} has none")
            cumulative[share.owner] += share.amount
    return EpochBody(
        epoch=number,
        previous_root=before[-1].root if before else ZERO,
        rule_version=_version(ctx, before),
        draws=tuple(DrawEntry(pot, draws[pot]) for pot in sorted(draws)),
        pots=pots,
        cumulative=tuple(cumulative),
    )


def _version(ctx: Context, before: list[EpochEntry]) -> int:
    """The rule version in force when an epoch began: when the one before it was committed."""
    return ctx.board.version_at(before[-1].time) if before else 1
