"""Envelopes: only the author's signature over exactly these bytes passes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import PeerError
from protocol.signing import Envelope, key_of_peer, peer_id_of, public_key, seal, verify

SEED = bytes(range(32))


def envelope(body: bytes = b"hello", author: bytes | None = None) -> Envelope:
    key = author or public_key(SEED)
    return Envelope(1, bytes(32), "JobSpec", key, 0, 10, 20, body, bytes(64))


def test_sealed_envelope_verifies_and_its_id_is_stable() -> None:
    sealed = seal(envelope(), SEED)
    verify(sealed)
    assert sealed.id == seal(envelope(), SEED).id


@given(st.sampled_from(["version", "epoch", "issued", "expires"]), st.integers(21, 99))
def test_any_changed_field_breaks_the_signature(field: str, value: int) -> None:
    with pytest.raises(PeerError, match="bad-signature"):
        verify(replace(seal(envelope(), SEED), **{field: value}))


def test_another_authors_key_is_refused() -> None:
    other = public_key(bytes(32))
    with pytest.raises(PeerError, match="bad-signature"):
        verify(seal(envelope(author=other), SEED))


@given(st.binary(min_size=32, max_size=32))
def test_peer_id_round_trip(key: bytes) -> None:
    assert key_of_peer(peer_id_of(key)) == key


@pytest.mark.parametrize(
    "text", ["", "0OIl", "12D3KooW", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"]
)
def test_bad_peer_ids(text: str) -> None:
    with pytest.raises(PeerError, match="bad-peer-id"):
        key_of_peer(text)
