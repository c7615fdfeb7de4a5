"""Who tells the chain something else than it should: actors by what they post, as ``simnet/actors.py`` has
them by what they compute.

A poster is a function ``posts(chain) -> Chain``. It sees only what its own node sends.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from protocol.errors import ChainError
from protocol.ids import content_id, topic
from protocol.messages import HELD, QUERIES, ROUND, ROWS, SCORES, UNIT
from protocol.seams import Chain, TxReceipt

Entry = tuple[bytes, bytes, bytes]  # topic, subject, value
Send = Callable[[Entry], Awaitable[TxReceipt]]
Posts = Callable[[Chain], Chain]


class Poster:
    """A chain client whose CommitLog entries pass through ``change`` first."""

    def __init__(self, chain: Chain, change: Callable[[Entry, Send], Awaitable[TxReceipt]]) -> None:
        self._chain = chain
        self._change = change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)

    async def write(self, key: bytes, contract: str, function: str, *args: Any) -> TxReceipt:
        """Send, or something else."""
        if (contract, function) != ("CommitLog", "commit"):
            return await self._chain.write(key, contract, function, *args)

        async def send(entry: Entry) -> TxReceipt:
            return await self._chain.write(key, contract, function, *entry)

        return await self._change((args[0], args[1], args[2]), send)


def equivocator(chain: Chain) -> Chain:
    """A worker that names two bodies for one unit, the false one first."""

    async def change(entry: Entry, send: Send) -> TxReceipt:
        if entry[0] == topic(UNIT):
            await send((entry[0], entry[1], content_id(b"another" + entry[2])))
        return await send(entry)

    return Poster(chain, change)


def false_merge(chain: Chain) -> Chain:
    """An aggregator that says another adapter came out of every round, and holds what nobody revealed."""

    async def change(entry: Entry, send: Send) -> TxReceipt:
        if entry[0] in (topic(ROUND), topic(HELD)):
            return await send((entry[0], entry[1], content_id(b"false" + entry[2])))
        return await send(entry)

    return Poster(chain, change)


def mute(chain: Chain) -> Chain:
    """An aggregator or worker that does its work and tells nobody."""
    kept = tuple(map(topic, (HELD, ROUND, QUERIES, ROWS, SCORES)))

    async def change(entry: Entry, send: Send) -> TxReceipt:
        if entry[0] in kept:
            raise ChainError("withheld", "this node keeps it to itself")
        return await send(entry)

    return Poster(chain, change)


class Fisher(Poster):
    """Marks a verifier that looks before it computes (``simnet/mutants.py``)."""


class Thief(Poster):
    """Marks a seat that signs what nobody derives (``simnet/mutants.py``)."""


async def _as_it_is(entry: Entry, send: Send) -> TxReceipt:
    return await send(entry)


def fisher(chain: Chain) -> Chain:
    """Posts what it likes to post; how it fishes is an attack of its own."""
    return Fisher(chain, _as_it_is)


def thief(chain: Chain) -> Chain:
    """Posts as others do; what it signs is an attack of its own."""
    return Thief(chain, _as_it_is)


def plain(chain: Chain) -> Chain:
    """Its shards cheat (a copycat's, a spammer's, one hand's many), its posts do not."""
    return chain


POSTERS: dict[str, Posts] = {
    "equivocator": equivocator,
    "false-merge": false_merge,
    "mute": mute,
    "fisher": fisher,
    "thief": thief,
    "copycat": plain,
    "sybil": plain,
    "garbage": plain,
}
