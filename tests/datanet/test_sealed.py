"""Only a recipient opens a sealed blob, and any changed byte is noticed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.public import PrivateKey, SealedBox

from datanet.record import Record
from datanet.sealed import Sealed, open_sealed, seal
from protocol.codec import pack, unpack
from protocol.errors import PeerError

SECRETS = [bytes([n]) * 32 for n in (1, 2, 3)]
PUBLIC = [bytes(PrivateKey(secret).public_key) for secret in SECRETS]
RECORDS = (Record("q", "a"), Record("", "text"))
TOKEN = bytes(range(64))
BLOB = seal(RECORDS, PUBLIC[:2], TOKEN)


@pytest.mark.parametrize("secret", SECRETS[:2])
def test_each_recipient_opens_it(secret: bytes) -> None:
    assert open_sealed(BLOB, secret) == RECORDS


def test_nobody_else_opens_it() -> None:
    with pytest.raises(PeerError) as caught:
        open_sealed(BLOB, SECRETS[2])
    assert caught.value.code == "not-sealed-to-us"


def test_the_text_is_not_in_the_blob() -> None:
    assert b"text" not in BLOB


def test_the_boxes_are_libsodiums_sealed_boxes() -> None:
    keys = {key.recipient: key.box for key in unpack(Sealed, BLOB).keys}
    assert SealedBox(PrivateKey(SECRETS[0])).decrypt(keys[PUBLIC[0]]) == TOKEN[32:]


@settings(max_examples=50)
@given(st.integers(0, len(BLOB) - 1), st.integers(1, 255))
def test_a_changed_byte_never_opens(place: int, flip: int) -> None:
    changed = bytearray(BLOB)
    changed[place] ^= flip
    sealed = unpack(Sealed, BLOB)
    touched_other = place in _span_of_box(sealed, PUBLIC[1])
    try:
        opened = open_sealed(bytes(changed), SECRETS[0])
    except PeerError:  # DecodeError is one
        return
    assert touched_other and opened == RECORDS


def _span_of_box(sealed: Sealed, recipient: bytes) -> range:
    """Where the other recipient's key stands: its change is no concern of ours."""
    box = next(key.box for key in sealed.keys if key.recipient == recipient)
    start = BLOB.index(recipient)
    return range(start, BLOB.index(box) + len(box))


def test_a_key_of_another_length_is_a_bad_seal() -> None:
    boxed = SealedBox(PrivateKey(SECRETS[0]).public_key).encrypt(b"short")
    sealed = unpack(Sealed, BLOB)
    key = type(sealed.keys[0])(PUBLIC[0], boxed)
    with pytest.raises(PeerError, match="bad-seal"):
        open_sealed(pack(Sealed((key,), sealed.body)), SECRETS[0])
