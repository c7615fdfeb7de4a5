"""Reserved records sealed to the aggregators: one secret-key box, its key boxed to each recipient.

The boxes are libsodium's sealed boxes (X25519, XSalsa20-Poly1305) with the ephemeral key taken from
``token``, so that randomness comes through the seam. A token seals once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated

from nacl.exceptions import CryptoError
from nacl.public import Box, PrivateKey, PublicKey, SealedBox
from nacl.secret import SecretBox

from datanet.record import Record, RecordList
from protocol.codec import Max, pack, unpack
from protocol.errors import PeerError
from protocol.ids import Hash

TOKEN_BYTES = 64
_ZERO_NONCE = bytes(SecretBox.NONCE_SIZE)  # the content key is used once


@dataclass(frozen=True, slots=True)
class SealedKey:
    """The content key for one X25519 public key."""

    recipient: Hash
    box: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """The sealed blob."""

    keys: Annotated[tuple[SealedKey, ...], Max(256)]
    body: bytes


def seal(records: Sequence[Record], recipients: Sequence[bytes], token: bytes) -> bytes:
    """Canonical bytes of ``records`` that only the owners of ``recipients``' secrets can open.

    ``token``: ``TOKEN_BYTES`` fresh bytes (ephemeral secret, content key).
    """
    ephemeral, key = PrivateKey(token[:32]), token[32:TOKEN_BYTES]
    body = SecretBox(key).encrypt(pack(RecordList(tuple(records))), _ZERO_NONCE).ciphertext
    keys = (SealedKey(to, _sealed_box(ephemeral, to, key)) for to in sorted(set(recipients)))
    return pack(Sealed(tuple(keys), body))


def open_sealed(blob: bytes, secret: bytes) -> tuple[Record, ...]:
    """The records, with one recipient's 32-byte X25519 secret.

    Raises DecodeError, or PeerError ``not-sealed-to-us`` or ``bad-seal``. Check the records against
    the ids of the reveal.
    """
    sealed = unpack(Sealed, blob)
    private = PrivateKey(secret)
    ours = [key.box for key in sealed.keys if key.recipient == bytes(private.public_key)]
    if not ours:
        raise PeerError("not-sealed-to-us", f"sealed to {len(sealed.keys)} other keys")
    try:
        key = SealedBox(private).decrypt(ours[0])
        body = SecretBox(key).decrypt(sealed.body, _ZERO_NONCE)
    except (CryptoError, ValueError) as error:  # ValueError: a key of another length
        raise PeerError("bad-seal", str(error)) from error
    return unpack(RecordList, body).records


def _sealed_box(ephemeral: PrivateKey, recipient: bytes, message: bytes) -> bytes:
    """crypto_box_seal with a given ephemeral key: its public key, then the box."""
    public = bytes(ephemeral.public_key)
    nonce = blake2b(public + recipient, digest_size=Box.NONCE_SIZE).digest()
    return public + Box(ephemeral, PublicKey(recipient)).encrypt(message, nonce).ciphertext
