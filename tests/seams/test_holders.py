"""Finding holders of a shard over both sides of the Transport seam: in memory and libp2p on loopback."""

import random
from collections.abc import Callable

import pytest

from node.context import Context
from node.doors import SystemClock
from p2p.libp2p_host import Libp2pTransport
from p2p.memory import MemoryTransport, Network
from p2p.providers import MAX_KEYS, PROVIDE_PROTOCOL, PROVIDERS_PROTOCOL, Kept, Provide, Providers
from p2p.providers import WantProviders as Want
from protocol.codec import pack, unpack
from protocol.errors import PeerError
from protocol.signing import public_key
from tests.node import bare, ring
from tests.node.ring import BLOB, BODY, HIDDEN, NAMES, PRIVATE, SHARD, ask, linked, told, up

Make = Callable[..., Context]


@pytest.fixture(params=["memory", "libp2p"])
def node(request: pytest.FixtureRequest) -> Make:
    """A maker of nodes by name, on one of both transports."""
    clock = SystemClock()
    network = Network(clock, random.Random(1))

    def make(name: str) -> Context:
        seed = bare.keys(name).peer_seed
        if request.param == "libp2p":
            return ring.node(name, Libp2pTransport(seed, clock), clock)
        return ring.node(name, MemoryTransport(network, bare.peer(name), clock), clock)

    return make


def peer_key(name: str) -> bytes:
    return public_key(bare.keys(name).peer_seed)


@pytest.mark.parametrize("provides", [True, False])
async def test_a_holder_that_nobody_named_and_that_is_not_connected_is_found(
    node: Make, provides: bool
) -> None:
    fay, _, lea, hal = nodes = [node(name) for name in NAMES]
    async with up(*nodes):
        hal.seams.blobs.put(BODY)
        if provides:
            await told(hal)
            assert linked(hal, lea)  # a keeper to which it was not connected
            assert [ctx.holders.figures().records for ctx in nodes] == [1, 1, 1, 1]
            await hal.seams.transport.drop(fay.seams.transport.peer_id, "test")
            assert await fay.fetch(BLOB, shard=SHARD) == BODY
            assert linked(fay, hal)
            assert fay.holders.figures().lookups == {"found": 1}
        else:  # the same without a word of the holder
            with pytest.raises(PeerError, match="no-source"):
                await fay.fetch(BLOB, shard=SHARD)
            assert fay.holders.figures().lookups == {"empty": 1}


async def test_a_body_that_nobody_has_costs_one_lookup_a_minute(node: Make) -> None:
    fay, _ = nodes = [node(name) for name in NAMES[:2]]
    async with up(*nodes):
        for _ in range(3):
            with pytest.raises(PeerError):
                await fay.fetch(BLOB, shard=SHARD)
        with pytest.raises(PeerError):
            await fay.fetch(BLOB)  # no shard's body: nobody is asked for its holders
        assert fay.holders.figures().lookups == {"empty": 1}


async def test_a_record_is_kept_of_revealed_open_shards_alone(node: Make) -> None:
    fay, kim = nodes = [node(name) for name in NAMES[:2]]
    unknown = tuple(bytes([7, number]) * 16 for number in range(MAX_KEYS - 3))
    async with up(*nodes):
        body = pack(Provide((SHARD, PRIVATE, HIDDEN, *unknown)))
        assert unpack(Kept, await ask(fay, kim, PROVIDE_PROTOCOL, body)).keys == (SHARD,)
        assert kim.holders.figures().records == 1
        assert kim.holders.counters() == {"record-refused-no-shard": 2 + len(unknown)}
        said = unpack(Providers, await ask(fay, kim, PROVIDERS_PROTOCOL, pack(Want(SHARD))))
        assert said.holders == (fay.peer_key,)
        assert set(said.nearer) == {peer_key(name) for name in NAMES}
        more = bytes.fromhex("91dc0101") + (b"\xc4\x20" + bytes(32)) * (MAX_KEYS + 1)
        for nonsense in (more, b"", pack(Want(SHARD)), pack(Provide(())) + b"\x00"):
            with pytest.raises(PeerError, match="refused"):
                await ask(fay, kim, PROVIDE_PROTOCOL, nonsense)
        with pytest.raises(PeerError, match="too-large"):
            await ask(fay, kim, PROVIDE_PROTOCOL, bytes(17 * 1024))


async def test_whoever_has_no_stake_provides_nothing_and_is_named_nowhere(node: Make) -> None:
    mal, kim = node("mal"), node("kim")
    async with up(mal, kim):
        with pytest.raises(PeerError, match="no-stake"):
            await ask(mal, kim, PROVIDE_PROTOCOL, pack(Provide((SHARD,))))
        assert kim.holders.figures().records == 0
        said = unpack(Providers, await ask(mal, kim, PROVIDERS_PROTOCOL, pack(Want(SHARD))))
        assert said.holders == () and mal.peer_key not in said.nearer
        assert kim.seams.transport.counters()["request-refused-no-stake"] == 1
