"""The handshake: each side says what it runs and judges the other, with reason and remedy."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from protocol.codec import Max, pack, unpack
from protocol.errors import OperatorError, PeerError
from protocol.ids import Hash, Name
from protocol.seams import Clock, PeerId, Transport

HELLO_PROTOCOL = "/openledger/hello/1"
HELLO_BYTES = 4096
HELLO_SECONDS = 5.0
MAX_SKEW_SECONDS = 30  # envelopes are judged by the clock, see p2p/gossip.py


@dataclass(frozen=True, slots=True)
class Hello:
    """What a node says of itself. ``time`` is its clock, Unix seconds."""

    version: int  # highest wire version; it also speaks the one before
    network: Hash
    params: Hash
    chain_id: int
    time: int
    agent: Name
    roles: int  # bits of protocol/roles.py
    addrs: Annotated[tuple[Annotated[str, Max(256)], ...], Max(8)]


@dataclass(frozen=True, slots=True)
class Answer:
    """Response to a Hello: the other side's, and why it refuses us ("" when it does not)."""

    hello: Hello
    refusal: Annotated[str, Max(64)]


@dataclass(frozen=True, slots=True)
class Refused:
    """A judgement: stable reason code, what is wrong, and what our operator can do."""

    reason: str
    text: str
    remedy: str

    def error(self) -> OperatorError:
        """For a command that cannot go on."""
        return OperatorError(self.reason, self.text, self.remedy)


def check_version(theirs: Hello, ours: Hello) -> Refused | None:
    """A node speaks its wire version and the one before."""
    if abs(theirs.version - ours.version) <= 1:
        return None
    return Refused(
        "wire-version",
        f"The peer speaks wire version {theirs.version}, this node {ours.version}.",
        "Update openledger-node." if theirs.version > ours.version else "The peer must update.",
    )


def check_chain(theirs: Hello, ours: Hello) -> Refused | None:
    """Both must settle on one chain."""
    if theirs.chain_id == ours.chain_id:
        return None
    return Refused(
        "wrong-chain",
        f"The peer settles on chain {theirs.chain_id}, this node on {ours.chain_id}.",
        "Join with the network file of the network you mean, and check its rpc entries.",
    )


def check_params(theirs: Hello, ours: Hello) -> Refused | None:
    """Both must use one set of parameters."""
    if theirs.params == ours.params:
        return None
    return Refused(
        "wrong-params",
        "The peer uses other network parameters.",
        "Update openledger-node, or join with the network's current file.",
    )


def check_network(theirs: Hello, ours: Hello) -> Refused | None:
    """Same chain and parameters, but other contracts: another deployment."""
    if theirs.network == ours.network:
        return None
    there, here = theirs.network.hex()[:16], ours.network.hex()[:16]
    return Refused(
        "wrong-network",
        f"The peer is on network {there}, this node on {here}.",
        "Join with the network file of the network you mean.",
    )


def check_clock(theirs: Hello, ours: Hello) -> Refused | None:
    """Messages are judged by the clock."""
    skew = theirs.time - ours.time
    if abs(skew) <= MAX_SKEW_SECONDS:
        return None
    return Refused(
        "clock-skew",
        f"The clocks differ by {skew} s, limit {MAX_SKEW_SECONDS} s.",
        "Synchronise this machine's clock (for example: timedatectl set-ntp true).",
    )


# The network id covers chain and parameters: they come first, because they say more.
CHECKS = (check_version, check_chain, check_params, check_network, check_clock)


def judge(theirs: Hello, ours: Hello) -> Refused | None:
    """The first reason why we cannot work together, or None."""
    return next((refused for check in CHECKS if (refused := check(theirs, ours))), None)


class Handshake:
    """Serves hellos and greets peers. ``ours`` makes our Hello at a time; ``met`` hears of each
    accepted peer, whoever began."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        ours: Callable[[int], Hello],
        met: Callable[[PeerId, Hello], Awaitable[None]],
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._ours = ours
        self._met = met

    def serve(self) -> None:
        """Register the handler; before the transport runs."""
        self._transport.handle(HELLO_PROTOCOL, self._answer, HELLO_BYTES)

    async def _answer(self, peer: PeerId, body: bytes) -> bytes:
        theirs, ours = unpack(Hello, body, limit=HELLO_BYTES), self._now()
        refused = judge(theirs, ours)
        if refused is None:
            await self._met(peer, theirs)
        return pack(Answer(ours, "" if refused is None else refused.reason))

    async def greet(self, peer: PeerId) -> Hello | Refused:
        """Introduce ourselves to a connected peer; its hello, or why we cannot work together.

        Raises PeerError when it does not answer.
        """
        ours = self._now()
        raw = await self._transport.request(
            peer, HELLO_PROTOCOL, pack(ours), timeout=HELLO_SECONDS, max_response=HELLO_BYTES
        )
        answer = unpack(Answer, raw, limit=HELLO_BYTES)
        refused = judge(answer.hello, ours)
        if refused is not None:
            return refused
        if answer.refusal:
            raise PeerError("refused", answer.refusal)
        await self._met(peer, answer.hello)
        return answer.hello

    def _now(self) -> Hello:
        return self._ours(int(self._clock.now()))
