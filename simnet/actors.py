"""Who misbehaves, and how. An actor changes its *work*, never a verdict; nothing outside this file knows.

An actor is a function ``wrap(compute, blobs) -> Compute``, named here or given as ``module:callable``, so
that new behaviours plug in from outside the tree.
"""

import importlib
from collections.abc import Callable
from dataclasses import replace

import trio

from protocol.codec import pack, unpack
from protocol.compute import Request, Result, Train, Trained
from protocol.errors import OperatorError
from protocol.ids import content_id
from protocol.seams import Blobs, Compute
from simnet.learner_bench import AdapterBody
from simnet.learner_fixed import pack_vector, unpack_vector

Wrap = Callable[[Compute, Blobs], Compute]
SLOW_S = 115.0  # of the 120 s that drawn worlds give a unit


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


class Spoiling:
    """Honest in everything but training; ``spoil`` changes what it claims to have trained."""

    def __init__(self, compute: Compute, spoil: Callable[[Trained], Trained]) -> None:
        self._compute = compute
        self._spoil = spoil

    async def run(self, request: Request) -> Result:
        """Everything but training is honest work."""
        done = await self._compute.run(request)
        return self._spoil(done) if isinstance(done, Trained) else done

    async def close(self) -> None:
        await self._compute.close()


class Hasty:
    """Trains on its first batch again and again, which its cache makes cheap."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute

    async def run(self, request: Request) -> Result:
        """Everything but training is honest work."""
        if isinstance(request, Train):
            request = replace(request, batches=request.batches[:1] * len(request.batches))
        return await self._compute.run(request)

    async def close(self) -> None:
        await self._compute.close()


class Stuck(Hasty):
    """A device that hangs in training."""

    async def run(self, request: Request) -> Result:
        """Everything but training is honest work."""
        if isinstance(request, Train):
            await trio.sleep_forever()
        return await self._compute.run(request)


class Slow(Hasty):
    """A device that takes nearly all the time that its task has, and at times more."""

    async def run(self, request: Request) -> Result:
        """Everything but training takes its usual time."""
        if isinstance(request, Train):
            with trio.move_on_after(SLOW_S):
                await trio.sleep_forever()
        return await self._compute.run(request)


def slow(compute: Compute, blobs: Blobs) -> Compute:
    """The honest worker whose machine is slow: what it delivers in time is paid, what is late costs nothing."""
    return Slow(compute)


def hasty(compute: Compute, blobs: Blobs) -> Compute:
    """The worker who trains on other data than its task says."""
    return Hasty(compute)


def stuck(compute: Compute, blobs: Blobs) -> Compute:
    """The worker who reserves and never delivers."""
    return Stuck(compute)


def withhold(compute: Compute, blobs: Blobs) -> Compute:
    """The worker who commits to gradients that it never shows."""

    def spoil(done: Trained) -> Trained:
        nowhere = (replace(s, g=content_id(b"nowhere" + s.g)) for s in done.states[:-1])
        return replace(done, states=(*nowhere, done.states[-1]))

    return Spoiling(compute, spoil)


def junk(compute: Compute, blobs: Blobs) -> Compute:
    """The worker who commits to bytes that are no vectors."""

    def spoil(done: Trained) -> Trained:
        first, *rest = done.states
        bad = (replace(state, m=blobs.put(b"no vector" + state.m)) for state in rest)
        return replace(done, states=(first, *bad))

    return Spoiling(compute, spoil)


def scrap(compute: Compute, blobs: Blobs) -> Compute:
    """The worker whose published adapter is none."""
    return Spoiling(compute, lambda done: replace(done, adapter=blobs.put(b"no adapter")))


def swapped(compute: Compute, blobs: Blobs) -> Compute:
    """The worker whose states jump: the second is claimed to be what the third is."""

    def spoil(done: Trained) -> Trained:
        first, second, *rest = done.states
        jump = replace(second, w=rest[0].w, m=rest[0].m, v=rest[0].v)
        return replace(done, states=(first, jump, *rest))

    return Spoiling(compute, spoil)


def bent(compute: Compute, blobs: Blobs) -> Compute:
    """The poisoner whose last state is its own wish: the update turned around."""

    def spoil(done: Trained) -> Trained:
        *before, last = done.states
        w = _turned(blobs, before[0].w, last.w)
        base = unpack(AdapterBody, blobs.get(done.adapter)).base
        adapter = blobs.put(pack(AdapterBody(base, blobs.get(w))))
        return replace(done, states=(*before, replace(last, w=w)), adapter=adapter)

    return Spoiling(compute, spoil)


def flipped(compute: Compute, blobs: Blobs) -> Compute:
    """The poisoner who trains as told and publishes the update turned around."""

    def spoil(done: Trained) -> Trained:
        w = _turned(blobs, done.states[0].w, done.states[-1].w)
        base = unpack(AdapterBody, blobs.get(done.adapter)).base
        return replace(done, adapter=blobs.put(pack(AdapterBody(base, blobs.get(w)))))

    return Spoiling(compute, spoil)


def _turned(blobs: Blobs, start: bytes, end: bytes) -> bytes:
    """The vector as far from ``start`` as ``end``, on the other side."""
    pairs = zip(unpack_vector(blobs.get(start)), unpack_vector(blobs.get(end)), strict=True)
    return blobs.put(pack_vector([2 * a - b for a, b in pairs]))


class Stranger(Hasty):
    """Trains from an adapter that it trained before, not from the task's."""

    async def run(self, request: Request) -> Result:
        """Everything but training is honest work."""
        done = await self._compute.run(request)
        if not isinstance(request, Train) or not isinstance(done, Trained):
            return done
        return await self._compute.run(replace(request, adapter=done.adapter))


def stranger(compute: Compute, blobs: Blobs) -> Compute:
    """The worker who starts elsewhere."""
    return Stranger(compute)


def hidden(compute: Compute, blobs: Blobs) -> Compute:
    """The worker who trains on its first batch only and shows no gradient."""
    return withhold(Hasty(compute), blobs)


ACTORS: dict[str, Wrap] = {
    "bent": bent,
    "flipped": flipped,
    "stranger": stranger,
    "hidden": hidden,
    "lazy": lazy,
    "slow": slow,
    "hasty": hasty,
    "stuck": stuck,
    "withhold": withhold,
    "junk": junk,
    "scrap": scrap,
    "swapped": swapped,
}


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
