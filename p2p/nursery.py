"""A nursery whose lone error arrives as itself, not wrapped in a group."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


def lone(error: BaseException) -> BaseException:
    """The only error inside nested groups, or the group when it holds several."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


@asynccontextmanager
async def plain_nursery() -> AsyncIterator[trio.Nursery]:
    """Like ``trio.open_nursery``; a caller can catch the one OperatorError of a failed start."""
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        raise lone(group) from None
