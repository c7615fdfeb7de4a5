"""Peers who break a rule, as plug-ins from outside the tree: they change what they do, no verdict.

A rogue compute may also answer those who were drawn to look, by a method ``reveal``.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import starmap
from typing import Any

import trio

from node import train
from node.context import Context
from protocol.codec import pack, unpack
from protocol.compute import Generate, LossesDone, Request, Result, StepState, Train, Trained
from protocol.errors import ChainError
from protocol.ids import ZERO, content_id, topic
from protocol.messages import RevealAnswer, RevealRequest
from protocol.seams import Blobs, Compute, TxReceipt


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


class Thrifty(Rogue):
    """A host that answers with the base alone, and saves itself the adapter."""

    async def run(self, request: Request) -> Result:
        if isinstance(request, Generate):
            request = replace(request, adapter=None)
        return await super().run(request)


def thrifty(compute: Compute, blobs: Blobs) -> Compute:
    return Thrifty(compute, lambda step, state: state)


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


# -- adapters and reveals ---


class Scrap(Rogue):
    """A worker whose published adapter is none."""

    def __init__(self, compute: Compute, blobs: Blobs) -> None:
        super().__init__(compute, lambda step, state: state)
        self._adapter = blobs.put(b"no adapter")

    async def run(self, request: Request) -> Result:
        done = await super().run(request)
        return replace(done, adapter=self._adapter) if isinstance(done, Trained) else done


class Mixed(Rogue):
    """Shows other states beside its gradient than those it showed before, and committed to."""

    async def reveal(self, ctx: Context, peer: str, request: bytes) -> bytes:
        answer = unpack(RevealAnswer, await train.serve_reveal(ctx, peer, request))
        shown = replace(answer, w=answer.m, m=answer.v, v=answer.w)
        return pack(answer if unpack(RevealRequest, request).commitment == ZERO else shown)


class Garbled(Rogue):
    """Answers whoever looks with bytes that are no answer."""

    async def reveal(self, ctx: Context, peer: str, request: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return b"no answer"


def scrap(compute: Compute, blobs: Blobs) -> Compute:
    return Scrap(compute, blobs)


def mixed(compute: Compute, blobs: Blobs) -> Compute:
    return Mixed(compute, lambda step, state: state)


def garbled(compute: Compute, blobs: Blobs) -> Compute:
    return Garbled(compute, lambda step, state: state)


async def serve_reveal(ctx: Context, peer: str, request: bytes) -> bytes:
    """The reveal handler of every node: a rogue's own where it has one."""
    answer = getattr(ctx.seams.compute, "reveal", None)
    return bytes(
        await (answer(ctx, peer, request) if answer else train.serve_reveal(ctx, peer, request))
    )


# -- chain posts ---

Entry = tuple[bytes, bytes, bytes]  # topic, subject, value


class Tampering:
    """A chain client that passes the CommitLog entries of one topic through ``spoil`` first."""

    def __init__(self, chain: Any, name: str, spoil: Callable[[Entry], Entry]) -> None:
        self._chain = chain
        self._topic = topic(name)
        self._spoil = spoil

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)

    async def write(self, key: bytes, contract: str, function: str, *args: Any) -> TxReceipt:
        if contract == "CommitLog" and args[0] == self._topic:
            args = self._spoil((args[0], args[1], args[2]))
        receipt: TxReceipt = await self._chain.write(key, contract, function, *args)
        return receipt


def tamper(ctx: Context, name: str, spoil: Callable[[Entry], Entry]) -> None:
    """From now on this node's entries under a topic are spoilt."""
    ctx.seams = replace(ctx.seams, chain=Tampering(ctx.seams.chain, name, spoil))


class Slander:
    """A chain client that makes a staked accusation, with a body that nobody holds, of every clean finding."""

    def __init__(self, chain: Any) -> None:
        self._chain = chain

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)

    async def write(self, key: bytes, contract: str, function: str, *args: Any) -> TxReceipt:
        if contract == "CommitLog" and args[0] == topic("verdict/ok"):
            contract, function = "Arbiter", "accuse"
            args = (args[1], topic("A"), content_id(b"nowhere" + args[1]))
        receipt: TxReceipt = await self._chain.write(key, contract, function, *args)
        return receipt


def slander(ctx: Context) -> None:
    """From now on this node accuses whom it finds right."""
    ctx.seams = replace(ctx.seams, chain=Slander(ctx.seams.chain))


def unheld(name: str) -> Callable[[Entry], Entry]:
    """Point to a body that nobody holds, under another topic."""
    return lambda entry: (topic(name), entry[1], content_id(b"nowhere" + entry[1]))


def lost_once() -> Callable[[Entry], Entry]:
    """The first entry does not arrive."""
    lost: list[Entry] = []

    def spoil(entry: Entry) -> Entry:
        if not lost:
            lost.append(entry)
            raise ChainError("unreachable", "the endpoint is gone for a moment")
        return entry

    return spoil


class Flatterer(Rogue):
    """Trains and scores honestly, and says that all was worse before, and without the private owners."""

    async def run(self, request: Request) -> Result:
        done = await super().run(request)
        if not isinstance(done, LossesDone):
            return done
        return replace(done, nll_micro=tuple(loss * 11 // 10 for loss in done.nll_micro))


def flatter(compute: Compute, blobs: Blobs) -> Compute:
    return Flatterer(compute, lambda step, state: state)
