"""The shared vectors of the peer-to-peer side: values, ids, trees, envelopes, as bytes.

``tests/vectors/protocol.json`` is for every other language too (``tests/interop`` reads it in JavaScript). It is
rewritten by ``python -m tests.protocol.test_vectors`` only when a format changes on purpose.
"""

import json
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any

import pytest

from datanet.record import Record, record_id
from p2p.kad import Table, place
from p2p.manifest import CHUNK_BYTES, manifest_of
from p2p.providers import Provide, Providers, WantProviders
from protocol.codec import pack, unpack
from protocol.errors import DecodeError, PeerError
from protocol.ids import chain_id_of, value_id
from protocol.merkle import MerkleTree, blake3
from protocol.messages import BlobHint, DatanetRecord
from protocol.signing import Envelope, public_key, seal, verify

VECTORS = Path(__file__).parent.parent / "vectors" / "protocol.json"
SEED = bytes(range(32))
NETWORK = b"n" * 32
EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0x10000, 2**31, 2**32 - 1, 2**32, 2**53, 2**63)
INTEGERS = (
    *EDGES,
    *(-n for n in (1, 32, 33, 128, 129, 2**15, 2**15 + 1, 2**31, 2**31 + 1, 2**53, 2**63)),
    *(2**64 - 1, 2**64, 2**71 - 1, 2**71, 2**128, 2**256 - 1, -(2**63) - 1, -(2**71), -(2**255)),
)
LEAVES = tuple(b"leaf %d" % i for i in range(9))


@dataclass(frozen=True, slots=True)
class Mixed:
    """One field of every kind."""

    number: int
    flag: bool
    raw: bytes
    text: str
    part: float
    absent: int | None
    items: tuple[int, ...]


def one(kind: Any) -> type[Any]:
    """A record of a single field, whose bytes show that field's encoding."""
    return make_dataclass("One", [("value", kind)], frozen=True, slots=True)


def values() -> list[Any]:
    number, raw, text, items = one(int), one(bytes), one(str), one(tuple[int, ...])
    return [
        *(number(n) for n in INTEGERS),
        *(raw(bytes(n)) for n in (0, 1, 255, 256)),
        *(text("ß" * n) for n in (0, 1, 15, 16, 127, 128)),
        *(items(tuple(range(n))) for n in (0, 15, 16)),
        Mixed(2**80, True, b"\x00\xff", "naïve ✓", 0.5, None, (1, -1)),
    ]


def envelope(body: Any) -> Envelope:
    sealed = Envelope(
        version=1,
        network=NETWORK,
        kind=type(body).__name__,
        author=public_key(SEED),
        epoch=0,
        issued=1_800_000_000,
        expires=1_800_003_600,
        body=pack(body),
        signature=bytes(64),
    )
    return seal(sealed, SEED)


def bodies() -> list[Any]:
    return [
        BlobHint((b"b" * 32,)),
        DatanetRecord("kjv", 1, "open", "CC0-1.0", "verses"),
    ]


def vectors() -> dict[str, Any]:
    """Everything that another implementation must reproduce."""
    record = Record("What is it?", "It is this.")
    whole = bytes(i % 251 for i in range(CHUNK_BYTES + 1))
    packed = [pack(value) for value in values()]
    return {
        "values": [each.hex() for each in packed],
        "integers": [str(n) for n in INTEGERS],
        "record": {"packed": pack(record).hex(), "id": record_id(record).hex()},
        "value_ids": [
            {"purpose": p, "packed": packed[0].hex(), "id": value_id(p, values()[0]).hex()}
            for p in ("envelope", "network")
        ],
        "chain_id": chain_id_of("openledger/test", (7).to_bytes(4, "big"), b"").hex(),
        "trees": [
            {
                "leaves": [leaf.hex() for leaf in LEAVES[:count]],
                "root": MerkleTree(LEAVES[:count], blake3).root.hex(),
            }
            for count in (1, 2, 3, 8, 9)
        ],
        "manifest": {"size": len(whole), "chunks": [c.hex() for c in manifest_of(whole).chunks]},
        "providers": providers(),
        "seed": SEED.hex(),
        "envelopes": [pack(envelope(body)).hex() for body in bodies()],
        "refused": [each.hex() for each in refused()],
    }


def providers() -> dict[str, Any]:
    """Places, the order of peers by their distance to a key, and the three bodies."""
    key, peers = blake3(b"key"), [public_key(bytes([number]) * 32) for number in range(12)]
    near = Table(peers).nearest(key)
    return {
        "key": key.hex(),
        "place": place(key).to_bytes(32, "big").hex(),
        "peers": [peer.hex() for peer in peers],
        "nearest": [peer.hex() for peer in near],
        "provide": pack(Provide((key,))).hex(),
        "want": pack(WantProviders(key)).hex(),
        "answer": pack(Providers((peers[0],), tuple(near))).hex(),
    }


def refused() -> list[bytes]:
    """Bytes that are no canonical value, or no genuine envelope."""
    good = pack(envelope(bodies()[0]))
    return [
        bytes([0x91, 0xCC, 0x01]),  # a long form of 1
        bytes([0x91, 0xC7, 0x09, 0x01, *bytes(9)]),  # a big integer that fits 64 bits
        bytes([0x91, 0xC4, 0x02, 0x00]),  # cut short
        bytes([0xDC, 0x00, 0x01, 0x01]),  # a long form of an array of one
        good[:-1] + bytes([good[-1] ^ 1]),  # another signature
        good + b"\x00",  # something behind the end
    ]


def test_the_file_is_what_python_gives() -> None:
    assert json.loads(VECTORS.read_text()) == vectors()


@pytest.mark.parametrize("text", json.loads(VECTORS.read_text())["envelopes"])
def test_envelopes_verify(text: str) -> None:
    verify(unpack(Envelope, bytes.fromhex(text)))


@pytest.mark.parametrize("text", json.loads(VECTORS.read_text())["refused"])
def test_what_must_be_refused_is(text: str) -> None:
    raw = bytes.fromhex(text)
    with pytest.raises((DecodeError, PeerError)):
        unpack(one(int) if len(raw) < 32 else Envelope, raw)
        verify(unpack(Envelope, raw))


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n")
