"""Who misbehaves, and how. An actor changes its *work*, never a verdict; nothing outside this file knows.

An actor is a function ``wrap(compute, blobs) -> Compute``, named here or given as ``module:callable``, so
that new behaviours plug in from outside the tree.
"""

import importlib
from collections.abc import Callable
from dataclasses import replace

from protocol.compute import Request, Result, Train, Trained
from protocol.errors import OperatorError
from protocol.seams import Blobs, Compute

Wrap = Callable[[Compute, Blobs], Compute]


class Lazy:
    """Trains the first step only, then claims that it did all: state and gradient are repeated."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute

    async def run(self, request: Request) -> Result:
        """Everything but training is honest work."""
        if not isinstance(request, Train):
            return await self._compute.run(request)
        steps = request.hyper.steps
        one = replace(request, batches=request.batches[:1], hyper=replace(request.hyper, steps=1))
        done = await self._compute.run(one)
        assert isinstance(done, Trained)
        first, last = done.states
        idle = replace(last, g=first.g)
        states = (first, *(idle for _ in range(steps - 1)), last)
        losses = done.losses_micro * steps
        return Trained(states, losses, done.tokens * steps, done.adapter)

    async def close(self) -> None:
        await self._compute.close()


def lazy(compute: Compute, blobs: Blobs) -> Compute:
    """The worker who skips steps."""
    return Lazy(compute)


ACTORS: dict[str, Wrap] = {"lazy": lazy}


def actor(name: str) -> Wrap:
    """An actor by name or ``module:callable``. Raises OperatorError naming the known ones."""
    if name in ACTORS:
        return ACTORS[name]
    module, _, attribute = name.partition(":")
    if attribute:
        try:
            found: Wrap = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise OperatorError(
                "unknown-actor", f"{name}: {error}.", "Give module:callable that can be imported."
            ) from error
        return found
    raise OperatorError(
        "unknown-actor", f"No actor is called {name!r}.", f"Known: {', '.join(ACTORS)}."
    )
