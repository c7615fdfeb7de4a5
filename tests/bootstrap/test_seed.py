"""Seed duties: a bounded, random sample of fresh peers; never the asker, never the banned."""

import random

import trio.testing

from bootstrap.seed import FRESH_SECONDS, MAX_ANSWER, Seed, ask_peers, sample
from p2p.memory import MemoryTransport, Network
from p2p.peers import SCHEMA, Peer, PeerBook
from simnet.seams import MemoryStore, SeededRandomness, TrioClock


async def test_a_seed_names_fresh_peers(autojump_clock: trio.testing.MockClock) -> None:
    clock = TrioClock(1e6)
    network = Network(clock, random.Random(1))
    seed, node = (MemoryTransport(network, name, clock) for name in ("seed", "node"))
    book = PeerBook(MemoryStore((SCHEMA,)))
    Seed(seed, book, clock, SeededRandomness(b"s")).serve()
    await book.met("node", ["/asker"], "", [], now=1e6)
    await book.met("stale", ["/stale"], "", [], now=1e6 - FRESH_SECONDS)
    await book.met("liar", ["/liar"], "", [], now=1e6)
    await book.ban("liar", "bad-signature", until=2e6)
    await book.heard_of("hearsay", "/hearsay")
    async with seed.running(), node.running():
        await node.dial(seed.addrs[0])
        assert await ask_peers(node, "seed") == ()
        for number in range(40):
            await book.met(f"p{number}", [f"/p{number}", "/second"], "", [], now=1e6)
        named = await ask_peers(node, "seed")
        assert len(set(named)) == MAX_ANSWER
        assert set(named) <= {f"/p{number}" for number in range(40)}
        assert set(await ask_peers(node, "seed")) != set(named)


def test_a_sample_favours_nobody() -> None:
    peers = [Peer(f"p{number}") for number in range(10)]
    counts = dict.fromkeys((peer.peer for peer in peers), 0)
    for round_no in range(500):
        for peer in sample(peers, 3, round_no.to_bytes(32, "big")):
            counts[peer.peer] += 1
    assert (
        sum(counts.values()) == 1500 and min(counts.values()) > 100 and max(counts.values()) < 200
    )
