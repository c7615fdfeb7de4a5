"""Several things at once, of which the first error ends the others."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import trio

from protocol.errors import OpenLedgerError

T = TypeVar("T")


async def together(acts: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Results in the order of ``acts``. Raises the first OpenLedgerError as itself, not in a group."""
    results: dict[int, T] = {}
    failed: list[OpenLedgerError] = []

    async def one(place: int, act: Callable[[], Awaitable[T]]) -> None:
        try:
            results[place] = await act()
        except OpenLedgerError as error:
            failed.append(error)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for place, act in enumerate(acts):
            nursery.start_soon(one, place, act)
    if failed:
        raise failed[0]
    return [results[place] for place in range(len(acts))]
