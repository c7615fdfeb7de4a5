"""A compute seam that is watched as a node watches its own, and closed at the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from node.children import Children
from node.compute import ChildCompute

T = TypeVar("T", ChildCompute, Children)


@asynccontextmanager
async def watched(compute: T) -> AsyncIterator[T]:
    """For at most half a minute."""
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(compute.watch)
            try:
                yield compute
            finally:
                await compute.close()
                nursery.cancel_scope.cancel()
