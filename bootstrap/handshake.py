"""The handshake: each side says what it runs and judges the other, with reason and remedy."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from bootstrap.life import NO_LIFE, Life, proves_another
from protocol.codec import Max, pack, unpack
from protocol.errors import OperatorError, PeerError
from protocol.ids import Hash, Name
from protocol.seams import Clock, PeerId, Transport
from protocol.signing import key_of_peer

# A node greets by the newest protocol and falls back to the one before; it answers both.
HELLO_PROTOCOL = "/openledger/hello/2"
OLD_HELLO_PROTOCOL = "/openledger/hello/1"
HELLO_BYTES = 4096
HELLO_SECONDS = 5.0
MAX_SKEW_SECONDS = 30  # envelopes are judged by the clock, see p2p/gossip.py

Addrs = Annotated[tuple[Annotated[str, Max(256)], ...], Max(8)]


@dataclass(frozen=True, slots=True)
class OldHello:
    """What a node says of itself in wire version 1."""

    version: int  # highest wire version; it also speaks the one before
    network: Hash
    params: Hash
    chain_id: int
    time: int
    agent: Name
    roles: int  # bits of protocol/roles.py
    addrs: Addrs


@dataclass(frozen=True, slots=True)
class Hello:
    """What a node says of itself. ``time`` is its clock, Unix seconds."""

    version: int
    network: Hash
    params: Hash
    chain_id: int
    time: int
    agent: Name
    roles: int
    addrs: Addrs
    life: Life = NO_LIFE
    reach: Name = ""  # its own verdict, see bootstrap/reach.py

    def old(self) -> OldHello:
        """As a node of wire version 1 reads it."""
        return OldHello(
            self.version,
            self.network,
            self.params,
            self.chain_id,
            self.time,
            self.agent,
            self.roles,
            self.addrs,
        )


def from_old(old: OldHello) -> Hello:
    """A hello of wire version 1 as one of today."""
    return Hello(
        old.version,
        old.network,
        old.params,
        old.chain_id,
        old.time,
        old.agent,
        old.roles,
        old.addrs,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """Response to a Hello: the other side's, and why it refuses us ("" when it does not).

    ``elder`` is the other life of our key when that is the reason.
    """

    hello: Hello
    refusal: Annotated[str, Max(64)]
    elder: Life = NO_LIFE


@dataclass(frozen=True, slots=True)
class OldAnswer:
    """The same in wire version 1."""

    hello: OldHello
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

DUPLICATE = Refused(
    "duplicate-key",
    "Another node runs with this node's key, and was there first.",
    "Stop one of them. A second node needs keys of its own: openledger --home DIR init.",
)
# The same without a fresh signature of our key: it is not believed, and asked for again.
UNPROVEN = "unproven-duplicate"
TWICE = Refused(
    "peer-runs-twice",
    "Two nodes run with the key of this peer; this is the younger.",
    "Nothing to do here: it is told.",
)


def judge(theirs: Hello, ours: Hello) -> Refused | None:
    """The first reason why we cannot work together, or None."""
    return next((refused for check in CHECKS if (refused := check(theirs, ours))), None)


def told(answer: Answer, ours: Hello, key: bytes) -> Refused:
    """What a peer's refusal means to us when we see no fault ourselves.

    That our key runs twice must be proven: nobody may stop a node by saying so.
    """
    reason = answer.refusal
    if reason == DUPLICATE.reason:
        if proves_another(answer.elder, ours.life, key):
            return DUPLICATE
        reason = UNPROVEN
    return Refused(reason, f"The peer refuses this node: {reason}.", "Update openledger-node.")


Elder = Callable[[PeerId, Hello], Life | None]


class Handshake:
    """Serves hellos and greets peers. ``ours`` makes our Hello at a time; ``elder`` names another life
    that holds the peer's key, if there is one; ``met`` hears of each accepted peer, whoever began.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        ours: Callable[[int], Hello],
        met: Callable[[PeerId, Hello], Awaitable[None]],
        elder: Elder = lambda peer, hello: None,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._ours = ours
        self._met = met
        self._elder = elder

    def serve(self) -> None:
        """Register the handlers; before the transport runs."""
        self._transport.handle(HELLO_PROTOCOL, self._answer, HELLO_BYTES)
        self._transport.handle(OLD_HELLO_PROTOCOL, self._answer_old, HELLO_BYTES)

    async def _answer(self, peer: PeerId, body: bytes) -> bytes:
        return pack(await self._judged(peer, unpack(Hello, body, limit=HELLO_BYTES)))

    async def _answer_old(self, peer: PeerId, body: bytes) -> bytes:
        answer = await self._judged(peer, from_old(unpack(OldHello, body, limit=HELLO_BYTES)))
        return pack(OldAnswer(answer.hello.old(), answer.refusal))

    async def _judged(self, peer: PeerId, theirs: Hello) -> Answer:
        ours = self._now()
        refused = judge(theirs, ours)
        if refused is not None:
            return Answer(ours, refused.reason)
        elder = self._elder(peer, theirs)
        if elder is not None:
            return Answer(ours, DUPLICATE.reason, elder)
        await self._met(peer, theirs)
        return Answer(ours, "")

    async def greet(self, peer: PeerId) -> Hello | Refused:
        """Introduce ourselves to a connected peer; its hello, or why we cannot work together.

        Raises PeerError when it does not answer.
        """
        ours = self._now()
        answer = await self._ask(peer, ours)
        refused = judge(answer.hello, ours)
        if refused is not None:
            return refused
        if answer.refusal:
            return told(answer, ours, key_of_peer(self._transport.peer_id))
        if self._elder(peer, answer.hello) is not None:
            return TWICE
        await self._met(peer, answer.hello)
        return answer.hello

    async def _ask(self, peer: PeerId, ours: Hello) -> Answer:
        try:
            raw = await self._request(peer, HELLO_PROTOCOL, pack(ours))
        except PeerError as error:
            if (error.code, error.text) != ("refused", "unknown-protocol"):
                raise
            raw = await self._request(peer, OLD_HELLO_PROTOCOL, pack(ours.old()))
            old = unpack(OldAnswer, raw, limit=HELLO_BYTES)
            return Answer(from_old(old.hello), old.refusal)
        return unpack(Answer, raw, limit=HELLO_BYTES)

    async def _request(self, peer: PeerId, protocol: str, body: bytes) -> bytes:
        return await self._transport.request(
            peer, protocol, body, timeout=HELLO_SECONDS, max_response=HELLO_BYTES
        )

    def _now(self) -> Hello:
        return self._ours(int(self._clock.now()))
