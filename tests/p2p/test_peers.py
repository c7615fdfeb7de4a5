"""The peer book: what it keeps, for how long, and that it survives a restart."""

import pytest

import p2p.peers
from p2p.peers import MAX_ADDRS, SCHEMA, Peer, PeerBook
from simnet.seams import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore((SCHEMA,))


async def test_everything_survives_a_restart(store: MemoryStore) -> None:
    book = PeerBook(store)
    await book.met("a", ["/x", "/y"], "openledger/0.1", ["worker", "host"], now=10)
    await book.measured("a", 0.25, now=11)
    await book.lost("a", "peer-frozen")
    await book.ban("a", "bad-signature", until=100)
    await book.heard_of("b", "/z")
    expected = Peer(
        peer="a",
        addrs=("/x", "/y"),
        last_seen=11,
        latency=0.25,
        agent="openledger/0.1",
        roles=("worker", "host"),
        loss="peer-frozen",
        ban_reason="bad-signature",
        ban_until=100,
    )
    again = PeerBook(store)
    await again.load()
    assert again.all() == book.all() == (expected, Peer("b", ("/z",)))
    assert again.get("stranger") == Peer("stranger")


async def test_bans_expire_and_are_not_shortened(store: MemoryStore) -> None:
    book = PeerBook(store)
    await book.ban("a", "first", until=100)
    await book.ban("a", "second", until=50)
    assert book.banned("a", 99.9) and not book.banned("a", 100)
    assert book.get("a").ban_reason == "first"
    assert not book.banned("stranger", 0)


async def test_dialable_is_the_last_seen_first_without_the_banned(store: MemoryStore) -> None:
    book = PeerBook(store)
    for now, name in enumerate("abc"):
        await book.met(name, [f"/{name}"], "", [], now=now)
    await book.lost("no-address", "gone")
    await book.ban("b", "liar", until=10)
    assert [entry.peer for entry in book.dialable(now=5)] == ["c", "a"]
    assert [entry.peer for entry in book.dialable(now=10)] == ["c", "b", "a"]


async def test_own_word_comes_before_hearsay_and_addresses_are_bounded(store: MemoryStore) -> None:
    book = PeerBook(store)
    for number in range(20):
        await book.heard_of("a", f"/hearsay{number}")
    assert len(book.get("a").addrs) == MAX_ADDRS
    await book.met("a", ["/own"], "", [], now=1)
    assert book.get("a").addrs[0] == "/own" and len(book.get("a").addrs) == MAX_ADDRS


async def test_the_book_is_bounded_and_forgets_the_longest_unseen(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(p2p.peers, "MAX_PEERS", 3)
    book = PeerBook(store)
    await book.ban("banned", "liar", until=1000)
    for now, name in enumerate("abcd"):
        await book.met(name, ["/" + name], "", [], now=now)
    assert [entry.peer for entry in book.all()] == ["banned", "c", "d"]
    again = PeerBook(store)
    await again.load()
    assert again.all() == book.all()
