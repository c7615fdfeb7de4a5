"""Which adapters can be answered with: those whose job is finished and attributed, never the base.

A host fetches what it will serve as soon as it is there: whoever computed it may be gone when it is asked.
"""

from node import jobs
from node.attribute import Attributed, Finished, attributed, finished_jobs
from node.context import Context
from protocol.errors import PeerError
from protocol.ids import short


async def attributed_job(ctx: Context, model: bytes) -> Attributed:
    """The job behind a servable model. Raises PeerError ``unknown-model``: never the base's answer.

    A model is its job's builder's: an adapter that somebody else registered is no model of any job.
    """
    for item in await finished_jobs(ctx):
        if item.model == model:
            found = await attributed(ctx, item)
            if found is not None:
                return found
    raise PeerError("unknown-model", f"no attributed model {short(model)}")


async def stock(ctx: Context) -> None:
    """Hold the adapter and the index of every attributed job."""
    for item in await finished_jobs(ctx):
        await ctx.attempt("stock", _hold, item)


async def _hold(ctx: Context, item: Finished) -> None:
    found = await attributed(ctx, item)
    if found is not None:
        await jobs.fetch_adapter(ctx, item.job, item.adapter)
        await ctx.fetch(found.body.index, found.post.operator)
