"""Which adapters can be answered with: those whose job is finished and attributed, never the base."""

from node.attribute import Attributed, attributed, finished_jobs
from node.context import Context
from protocol.errors import PeerError
from protocol.ids import short


async def attributed_job(ctx: Context, adapter: bytes) -> Attributed:
    """The job behind a servable adapter. Raises PeerError ``unknown-adapter``: never the base's answer."""
    for item in await finished_jobs(ctx):
        if item.adapter == adapter:
            found = await attributed(ctx, item)
            if found is not None:
                return found
    raise PeerError("unknown-adapter", f"no attributed adapter {short(adapter)}")
