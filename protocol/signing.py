"""The peer-to-peer signature domain: Ed25519 over canonical MessagePack, and the envelope it seals.

The other domain (EIP-712, whatever a contract may judge) lives in ``typed_data.py``. A peer id is the
libp2p identity multihash of the Ed25519 public key, so an envelope's author names its libp2p peer.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated

import base58
from nacl.exceptions import BadSignatureError
from nacl.public import PrivateKey
from nacl.signing import SigningKey, VerifyKey

from protocol.codec import Max, Size, pack
from protocol.errors import PeerError
from protocol.ids import Hash, Name, value_id

PURPOSE = b"openledger/envelope/1\x00"
WIRE_VERSION = 2  # the newest that a node speaks; it also speaks the one before
# identity multihash (0x00, 36 bytes) of the libp2p PublicKey protobuf: Type=Ed25519, Data=32 bytes
_PEER_PREFIX = bytes.fromhex("002408011220")
KNOWN_PEERS = 4_096  # names whose other spelling is kept: base58 takes tens of microseconds


@dataclass(frozen=True, slots=True)
class Envelope:
    """One signed message. ``issued`` and ``expires`` are Unix seconds."""

    version: int
    network: Hash
    kind: Name
    author: Hash  # Ed25519 public key
    epoch: int
    issued: int
    expires: int
    body: Annotated[bytes, Max(3_584)]
    signature: Annotated[bytes, Size(64)]

    @property
    def id(self) -> bytes:
        return value_id("envelope", self)


def seal(envelope: Envelope, seed: bytes) -> Envelope:
    """Sign an envelope whose signature is still 64 zero bytes. ``seed``: the 32-byte peer key."""
    return replace(envelope, signature=SigningKey(seed).sign(_signed_bytes(envelope)).signature)


def verify(envelope: Envelope) -> None:
    """Raises PeerError ``bad-signature``."""
    if not genuine(envelope.author, _signed_bytes(envelope), envelope.signature):
        raise PeerError("bad-signature", f"envelope {envelope.kind}")


def genuine(author: bytes, signed: bytes, signature: bytes) -> bool:
    """Whether a public key made a signature; pure, so a simulation may share the finding."""
    try:
        VerifyKey(author).verify(signed, signature)
    except (BadSignatureError, ValueError):
        return False
    return True


def _signed_bytes(envelope: Envelope) -> bytes:
    return PURPOSE + pack(replace(envelope, signature=bytes(64)))


def vouch(seed: bytes, purpose: bytes, body: bytes) -> bytes:
    """Sign bytes outside an envelope; ``purpose`` keeps them from being read as anything else."""
    return SigningKey(seed).sign(purpose + b"\x00" + body).signature


def vouched(key: bytes, purpose: bytes, body: bytes, signature: bytes) -> bool:
    """Whether ``vouch`` with this key's seed made the signature."""
    try:
        VerifyKey(key).verify(purpose + b"\x00" + body, signature)
    except (BadSignatureError, ValueError):
        return False
    return True


def public_key(seed: bytes) -> bytes:
    """The 32-byte Ed25519 public key of a seed."""
    return bytes(SigningKey(seed).verify_key)


def seal_key(seed: bytes) -> bytes:
    """The 32-byte X25519 public key to which others seal for this node (from its sealing secret)."""
    return bytes(PrivateKey(seed).public_key)


@lru_cache(maxsize=KNOWN_PEERS)
def peer_id_of(key: bytes) -> str:
    """The libp2p peer id (base58) of an Ed25519 public key."""
    return base58.b58encode(_PEER_PREFIX + key).decode()


@lru_cache(maxsize=KNOWN_PEERS)
def key_of_peer(peer_id: str) -> bytes:
    """The Ed25519 public key inside a peer id. Raises PeerError ``bad-peer-id``."""
    try:
        raw = base58.b58decode(peer_id)
    except ValueError as error:
        raise PeerError("bad-peer-id", peer_id[:80]) from error
    if len(raw) != 38 or not raw.startswith(_PEER_PREFIX):
        raise PeerError("bad-peer-id", f"{peer_id[:80]} is not an Ed25519 identity")
    return raw[6:]


def ed25519_of(peer_id: str) -> bytes | None:
    """The Ed25519 public key inside a peer id, None for an identity of another kind."""
    try:
        return key_of_peer(peer_id)
    except PeerError:
        return None
