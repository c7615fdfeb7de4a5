"""Workers who break a rule, as plug-ins from outside the tree: they change their work, no verdict."""

from collections.abc import Callable
from dataclasses import replace
from itertools import starmap

import trio

from protocol.compute import Request, Result, StepState, Train, Trained
from protocol.ids import ZERO, content_id
from protocol.seams import Blobs, Compute


class Rogue:
    """Honest in everything but what it trains; ``spoil`` changes the states it commits to."""

    def __init__(self, compute: Compute, spoil: Callable[[int, StepState], StepState]) -> None:
        self._compute = compute
        self._spoil = spoil

    async def run(self, request: Request) -> Result:
        done = await self._compute.run(request)
        if not isinstance(done, Trained):
            return done
        return replace(done, states=tuple(starmap(self._spoil, enumerate(done.states))))

    async def close(self) -> None:
        await self._compute.close()


class Stuck(Rogue):
    """A worker whose device hangs."""

    async def run(self, request: Request) -> Result:
        if isinstance(request, Train):
            await trio.sleep_forever()
        return await super().run(request)


def withhold(compute: Compute, blobs: Blobs) -> Compute:
    """Commits to gradients that it never shows."""

    def spoil(step: int, state: StepState) -> StepState:
        return state if state.g == ZERO else replace(state, g=content_id(b"nowhere" + state.g))

    return Rogue(compute, spoil)


def junk(compute: Compute, blobs: Blobs) -> Compute:
    """Commits to bytes that are no vectors, so that nobody can re-compute them."""

    def spoil(step: int, state: StepState) -> StepState:
        return replace(state, m=blobs.put(b"no vector" + state.m)) if step else state

    return Rogue(compute, spoil)


def stuck(compute: Compute, blobs: Blobs) -> Compute:
    return Stuck(compute, lambda step, state: state)
