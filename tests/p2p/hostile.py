"""Hostile streams by the thousand, seeded: what a peer can do wrong at every layer that a node speaks.

An attack is one stream (or one connection below streams). ``framed`` ones pass Noise and framing;
``signed`` ones carry messages with valid signatures of staked authors, out of order or out of range.
"""

import random
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import trio
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11
from libp2p.pubsub.pb import rpc_pb2
from libp2p.transport.tcp.tcp import TCP
from multiaddr import Multiaddr

from bootstrap.dialback import DIALBACK_PROTOCOL
from bootstrap.handshake import HELLO_PROTOCOL, OLD_HELLO_PROTOCOL
from bootstrap.seed import PEERS_PROTOCOL, WantPeers
from node.doors import SystemClock
from node.tabs import INFER_PROTOCOL, VOUCHER_PROTOCOL
from node.train import REVEAL_PROTOCOL
from node.watch import SYNC_PROTOCOL
from p2p.framing import OK, FrameReader, encode_frame
from p2p.libp2p_gossip import LIBRARY
from p2p.libp2p_host import Libp2pTransport
from p2p.libp2p_requests import reader
from p2p.manifest import CHUNK_PROTOCOL, MANIFEST_PROTOCOL, WantChunk, WantManifest
from p2p.providers import PROVIDE_PROTOCOL, PROVIDERS_PROTOCOL, Provide, WantProviders
from protocol.codec import pack
from protocol.errors import PeerError
from protocol.ids import ZERO
from protocol.messages import (
    BlobHint,
    InferRequest,
    NodeRecord,
    RevealRequest,
    SyncRequest,
    VoucherNote,
)
from protocol.signing import WIRE_VERSION, Envelope, public_key, seal
from tests.node import bare
from tests.node.ring import SHARD

REQUESTS = (
    HELLO_PROTOCOL,
    OLD_HELLO_PROTOCOL,
    PEERS_PROTOCOL,
    DIALBACK_PROTOCOL,
    MANIFEST_PROTOCOL,
    CHUNK_PROTOCOL,
    SYNC_PROTOCOL,
    REVEAL_PROTOCOL,
    INFER_PROTOCOL,
    VOUCHER_PROTOCOL,
    PROVIDE_PROTOCOL,
    PROVIDERS_PROTOCOL,
)
LIBRARY_PROTOCOLS = ("/ipfs/ping/1.0.0", "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0")
GONE = (*LIBRARY, PeerError, OSError, trio.BrokenResourceError, trio.ClosedResourceError, EOFError)
STREAM_SECONDS = 5.0
Rng = random.Random


@dataclass(slots=True)
class Attacker:
    """One registered, staked member that misbehaves."""

    name: str
    transport: Libp2pTransport
    victim: str  # address
    topic: str
    sent: Counter[str]

    @property
    def target(self) -> ID:
        return info_from_p2p_addr(Multiaddr(self.victim)).peer_id

    @property
    def seed(self) -> bytes:
        return bare.keys(self.name).peer_seed

    async def stream(self, protocol: str) -> INetStream:
        """A new stream to the victim; dials again when the victim hung up."""
        if str(self.target) not in self.transport.peers():
            await self.transport.dial(self.victim)
        host = self.transport._running_host()
        return await host.new_stream(self.target, [TProtocol(protocol)])


def attacker(name: str, victim: str, topic: str) -> Attacker:
    """A member that is not running yet."""
    transport = Libp2pTransport(bare.keys(name).peer_seed, SystemClock())
    return Attacker(name, transport, victim, topic, Counter())


Attack = Callable[[Rng, Attacker], Awaitable[None]]

# ---- below streams


async def tcp(rng: Rng, who: Attacker) -> None:
    """Bytes that are no handshake, or half of one."""
    port = int(who.victim.split("/")[4])
    noise = b"\x13/multistream/1.0.0\n\x07/noise\n"
    choices = [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        rng.randbytes(rng.randint(1, 3000)),
        noise[:-3],
        noise,
        noise + b"\xff\xff" + rng.randbytes(300),
        noise + rng.randbytes(40),
    ]
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        await stream.send_all(rng.choice(choices))


async def muxer(rng: Rng, who: Attacker) -> None:
    """A true Noise session, then frames that yamux does not know or allow."""
    network = who.transport._swarm()
    raw = await TCP().dial(info_from_p2p_addr(Multiaddr(who.victim)).addrs[0])
    try:
        secured = await network.upgrader.upgrade_security(raw, True, who.target)
        await secured.write(b"\x13/multistream/1.0.0\n\x0d/yamux/1.0.0\n")
        for _ in range(rng.randint(1, 20)):
            kind, flags = rng.choice([0, 1, 2, 3, 9, 255]), rng.choice([0, 1, 2, 4, 8, 0xFFFF])
            length = rng.choice([0, 1, 65_536, 2**24, 2**32 - 1])
            version = rng.choice([0, 0, 0, 7])
            number = rng.choice([0, 1, 2, 3, 2**32 - 1])
            await secured.write(struct.pack("!BBHII", version, kind, flags, number, length))
            await secured.write(rng.randbytes(rng.randint(0, 200)))
    finally:
        await raw.close()


async def negotiation(rng: Rng, who: Attacker) -> None:
    """A stream for a protocol that nobody has, or no multistream at all."""
    if rng.random() < 0.5:
        await who.stream(f"/openledger/{rng.randbytes(4).hex()}/1")
        return
    await who.stream("/ipfs/ping/1.0.0")  # connected now
    muxed = who.transport._swarm().get_connections(who.target)[0].muxed_conn
    stream = await muxed.open_stream()
    await stream.write(rng.choice([rng.randbytes(50), b"\xff" * 20, b"\x00", b"\x05abc\n\n"]))
    await stream.close()


# ---- framing


async def frames(rng: Rng, who: Attacker) -> None:
    """Truncated, oversized and endless frames on one of our protocols."""
    stream = await who.stream(rng.choice(REQUESTS))
    body = rng.randbytes(rng.randint(1, 60))
    raw = rng.choice(
        [
            b"\xff" * rng.randint(6, 40),
            encode_frame(body)[:-1],
            encode_frame(bytes(300 * 1024)),
            b"\x80\x80\x80\x80\x7f",
            b"\x81\x00" + body,
            b"\x80",
        ]
    )
    await stream.write(raw)
    await stream.close()


async def ask(who: Attacker, protocol: str, body: bytes) -> None:
    """One well-framed request; what came back is counted."""
    stream = await who.stream(protocol)
    await stream.write(encode_frame(body))
    answer = await FrameReader(reader(stream)).next(2**20)
    await stream.close()
    if answer is not None:
        who.sent["answered" if answer[:1] == OK else "refused"] += 1


async def bodies(rng: Rng, who: Attacker) -> None:
    """Bodies that are no canonical value, or a value of another shape."""
    good = pack(WantChunk(rng.randbytes(32), 1))
    body = rng.choice(
        [
            rng.randbytes(rng.randint(0, 60)),
            good[:-1],
            good + b"\x00",
            bytes([0xDD, 0xFF, 0xFF, 0xFF, 0xFF]),  # an array of 4 billion
            bytes([0xC6, 0xFF, 0xFF, 0xFF, 0xFF]),  # bytes without end
            b"\x91" * 60,  # too deep
            b"\xc1",
            pack(BlobHint((rng.randbytes(32),))),
        ]
    )
    protocol = rng.choice(
        [p for p in REQUESTS if p != PEERS_PROTOCOL] if len(body) > 16 else REQUESTS
    )
    await ask(who, protocol, body)


async def ranges(rng: Rng, who: Attacker) -> None:
    """Well-formed requests for what is not there, or not theirs."""
    some = rng.randbytes(32)
    odd = rng.choice([-1, 0, 2**31, 2**63, 2**255, -(2**200)])
    protocol, value = rng.choice(
        [
            (CHUNK_PROTOCOL, WantChunk(some, odd)),
            (MANIFEST_PROTOCOL, WantManifest(some)),
            (PEERS_PROTOCOL, WantPeers(rng.choice([-1, 0, 2**31]))),
            (SYNC_PROTOCOL, SyncRequest(tuple(rng.randbytes(32) for _ in range(1000)))),
            (REVEAL_PROTOCOL, RevealRequest(some, odd, ZERO)),
            (INFER_PROTOCOL, InferRequest(some, some, "?", odd, some, odd, 1, bytes(65))),
            (PROVIDE_PROTOCOL, Provide((SHARD, *(rng.randbytes(32) for _ in range(255))))),
            (PROVIDERS_PROTOCOL, WantProviders(rng.choice([some, SHARD]))),
            (VOUCHER_PROTOCOL, VoucherNote(some, some, odd, odd, rng.randbytes(65))),
        ]
    )
    await ask(who, protocol, pack(value))


async def library(rng: Rng, who: Attacker) -> None:
    """Junk for the library's own protocols."""
    stream = await who.stream(rng.choice(LIBRARY_PROTOCOLS))
    await stream.write(
        rng.choice([b"x", rng.randbytes(100), encode_frame(b"\xff" * 9), b"\xff" * 9])
    )
    await stream.close()


# ---- gossip


async def rpc(rng: Rng, who: Attacker) -> None:
    """RPCs that are no protobuf, or ask for the impossible."""
    ids = [rng.randbytes(rng.randint(0, 40)) for _ in range(rng.randint(1, 50))]
    control = rpc_pb2.ControlMessage(
        ihave=[rpc_pb2.ControlIHave(topicID="nowhere", messageIDs=ids)],
        iwant=[rpc_pb2.ControlIWant(messageIDs=ids)],
        graft=[rpc_pb2.ControlGraft(topicID=rng.choice(["", "x" * 300, who.topic]))],
        prune=[rpc_pb2.ControlPrune(topicID=who.topic, backoff=2**40)],
    )
    forged = rpc_pb2.Message(
        data=rng.randbytes(30), topicIDs=[who.topic], from_id=rng.randbytes(5), seqno=b"1"
    )
    body = rng.choice(
        [
            rng.randbytes(rng.randint(1, 80)),
            rpc_pb2.RPC(control=control).SerializeToString(),
            rpc_pb2.RPC(publish=[forged]).SerializeToString(),
            rpc_pb2.RPC(
                subscriptions=[
                    rpc_pb2.RPC.SubOpts(subscribe=rng.random() < 0.7, topicid=f"t{n}")
                    for n in range(50)
                ]
            ).SerializeToString(),
        ]
    )
    stream = await who.stream(str(PROTOCOL_ID_V11))
    await stream.write(encode_frame(body))
    await stream.close()


async def signed(rng: Rng, who: Attacker) -> None:
    """Messages whose two signatures are right, and that no node may accept."""
    messages = [strict(who, envelope(rng, who)) for _ in range(rng.randint(1, 4))]
    stream = await who.stream(str(PROTOCOL_ID_V11))
    await stream.write(encode_frame(rpc_pb2.RPC(publish=messages).SerializeToString()))
    await stream.close()
    who.sent["messages"] += len(messages)


def envelope(rng: Rng, who: Attacker) -> bytes:
    """A packed envelope, signed by a staked author, with one thing wrong."""
    now = int(time.time())
    record = NodeRecord(b"\x01" * 20, 1, (), rng.randbytes(32), "x", bytes(20), "", bytes(65))
    good = Envelope(
        version=WIRE_VERSION,
        network=ZERO,
        kind="BlobHint",
        author=public_key(who.seed),
        epoch=rng.choice([0, -5, 2**63]),
        issued=now,
        expires=now + 600,
        body=pack(BlobHint((rng.randbytes(32),))),
        signature=bytes(64),
    )
    wrong = rng.choice(
        [
            replace(good, issued=now - 900, expires=now - 300),
            replace(good, issued=now + 300, expires=now + 900),
            replace(good, expires=now + 10**6),
            replace(good, issued=2**62, expires=-(2**62)),
            replace(good, network=rng.randbytes(32)),
            replace(good, version=rng.choice([-1, 0, 99, 2**40])),
            replace(good, kind="Nonsense"),
            replace(good, kind="NodeRecord"),
            replace(good, body=rng.randbytes(100)),
            # out of order: older than what the same author says below
            replace(good, kind="NodeRecord", body=pack(record), issued=now - 500),
            replace(good, author=rng.randbytes(32)),
        ]
    )
    who.sent["may-pass"] += wrong.body == pack(record)
    return pack(seal(wrong, who.seed))


def strict(who: Attacker, data: bytes) -> rpc_pb2.Message:
    """A pubsub message with libp2p's own signature."""
    keys = create_new_key_pair(who.seed)
    message = rpc_pb2.Message(
        data=data,
        topicIDs=[who.topic],
        from_id=ID.from_pubkey(keys.public_key).to_bytes(),
        seqno=random.randbytes(8),
    )
    message.signature = keys.private_key.sign(b"libp2p-pubsub:" + message.SerializeToString())
    message.key = keys.public_key.serialize()
    return message


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of attack and its share of all, in percent."""

    act: Attack
    percent: int
    framed: bool = False
    signed: bool = False


KINDS = (
    Kind(tcp, 5),
    Kind(muxer, 6),
    Kind(negotiation, 4),
    Kind(frames, 22),
    Kind(bodies, 14, framed=True),
    Kind(ranges, 12, framed=True),
    Kind(library, 4),
    Kind(rpc, 7),
    Kind(signed, 26, framed=True, signed=True),
)
assert sum(kind.percent for kind in KINDS) == 100


def plan(streams: int, seed: int) -> list[Kind]:
    """So many attacks, shares kept, order drawn."""
    exact = [kind for kind in KINDS for _ in range(streams * kind.percent // 100)]
    exact += [KINDS[-1]] * (streams - len(exact))
    random.Random(seed).shuffle(exact)
    return exact


async def perform(kind: Kind, number: int, seed: int, who: Attacker) -> None:
    """One attack; that the victim hangs up on it is as good an end as any."""
    rng = random.Random(seed * 1_000_003 + number)
    who.sent["streams"] += 1
    who.sent["framed"] += kind.framed
    who.sent["signed"] += kind.signed
    try:
        with trio.move_on_after(STREAM_SECONDS) as scope:
            await kind.act(rng, who)
        who.sent["timed-out"] += scope.cancelled_caught
    except GONE:
        who.sent["hung-up"] += 1
