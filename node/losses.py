"""Held-out losses of a finished job: each opened query under each adapter that people or pay look at."""

from collections.abc import Sequence

from datanet.record import RecordList
from node import jobs
from node.context import Context
from node.jobs import Job
from node.merge import merged
from node.turns import Finished
from protocol.compute import Losses, LossesDone, RecordText
from protocol.messages import QueriesBody

Micro = tuple[int, ...]  # mean nats a target token x 1e6, by query


def texts_of(ctx: Context, texts: Sequence[RecordText]) -> bytes:
    """Blob id of some queries' texts."""
    return ctx.put(RecordList(tuple(texts)))


def earlier(ctx: Context, job: Job) -> list[bytes]:
    """The adapters at the start and after each round but the last."""
    return [jobs.start_adapter(ctx, job, number) for number in range(job.spec.rounds)]


async def without_private(ctx: Context, item: Finished) -> bytes:
    """The last merge without the updates that were trained at home; the adapter itself if there are none."""
    if not jobs.home_owners(ctx, item.job):
        return item.adapter
    return (await merged(ctx, item.job, item.job.last_round, with_home=False)).adapter


async def held_out(ctx: Context, job: Job, adapter: bytes, texts: bytes) -> Micro:
    """Loss of every text of a blob under an adapter; measured once."""
    known = _known(ctx).get((adapter, texts))
    if known is not None:
        return known
    await jobs.fetch_adapter(ctx, job, adapter)
    request = Losses(job.spec.base, adapter, texts, job.spec.hyper.max_tokens)
    done = await ctx.seams.compute.run(request)
    assert isinstance(done, LossesDone)
    keep(ctx, adapter, texts, done.nll_micro)
    return done.nll_micro  # a reorganisation meanwhile may have emptied what is remembered


def keep(ctx: Context, adapter: bytes, texts: bytes, nll_micro: Micro) -> None:
    """Remember what another computation yielded on its way."""
    _known(ctx)[(adapter, texts)] = nll_micro


def by_datanet(asked: QueriesBody, nll_micro: Micro) -> dict[bytes, int]:
    """Mean over each Datanet's queries, rounded down."""
    groups: dict[bytes, list[int]] = {}
    for entry, loss in zip(asked.records, nll_micro, strict=True):
        groups.setdefault(entry.datanet, []).append(loss)
    return {datanet: sum(group) // len(group) for datanet, group in sorted(groups.items())}


def total(asked: QueriesBody, nll_micro: Micro) -> int:
    """Sum of the Datanets' means: each counts alike, however many queries it reserved."""
    return sum(by_datanet(asked, nll_micro).values())


def _known(ctx: Context) -> dict[tuple[bytes, bytes], Micro]:
    known: dict[tuple[bytes, bytes], Micro] = ctx.private.setdefault("held-out", {})
    return known
