"""Identifiers: what is hashed with what, and the named byte types of the wire.

Content ids use BLAKE3-256; whatever a contract may judge uses keccak-256. An id always hashes a
purpose tag first, so that no value of one kind can be passed off as another.
"""

from functools import lru_cache
from typing import Annotated, Any

from blake3 import blake3
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from protocol.codec import Max, Size, pack

Hash = Annotated[bytes, Size(32)]
Address = Annotated[bytes, Size(20)]
Name = Annotated[str, Max(128)]
ZERO = bytes(32)
DATANET_TYPEHASH = keccak(b"Datanet(address operator,bytes32 content)")
MODEL_TYPEHASH = keccak(b"Model(address operator,bytes32 content)")


def content_id(body: bytes) -> bytes:
    """Blob id: BLAKE3-256 of the whole body."""
    return blake3(body).digest()


def value_id(purpose: str, value: Any) -> bytes:
    """Id of a canonical value under a purpose tag."""
    return blake3(purpose.encode() + b"\x00" + pack(value)).digest()


def chain_id_of(purpose: str, *parts: bytes) -> bytes:
    """keccak-256 of a purpose tag and length-prefixed parts; for ids that appear on chain."""
    body = purpose.encode() + b"\x00"
    return keccak(body + b"".join(len(part).to_bytes(4, "big") + part for part in parts))


def topic(name: str) -> bytes:
    """A CommitLog topic: the ASCII name, zero-padded to 32 bytes."""
    raw = name.encode("ascii")
    if len(raw) > 32:
        raise ValueError(f"topic {name!r} is longer than 32 bytes")
    return raw.ljust(32, b"\x00")


@lru_cache(maxsize=4_096)
def job_round(job: bytes, round_no: int) -> bytes:
    """Id of one round of a job."""
    return chain_id_of("openledger/round", job, round_no.to_bytes(4, "big"))


@lru_cache(maxsize=4_096)
def unit_id(job: bytes, round_no: int, worker: bytes) -> bytes:
    """Id of one worker's unit in one round of a job: ``AttributionPool.unitId`` of worker and round.

    The id binds the worker's address (20 bytes), so no other account can reserve it.
    """
    return keccak(worker.rjust(32, b"\x00") + job_round(job, round_no))


@lru_cache(maxsize=4_096)
def datanet_id(operator: bytes, content: bytes) -> bytes:
    """``AssetRegistry.datanetId`` of a founder's address (20 bytes) and its manifest's hash.

    Content says what a thing is, an asset id whose: who registers the content of another gets another id.
    """
    return keccak(DATANET_TYPEHASH + operator.rjust(32, b"\x00") + content)


@lru_cache(maxsize=4_096)
def model_id(operator: bytes, content: bytes) -> bytes:
    """``AssetRegistry.modelId`` of a builder's address (20 bytes) and its adapter's blob id."""
    return keccak(MODEL_TYPEHASH + operator.rjust(32, b"\x00") + content)


def checksum(address: bytes) -> str:
    """The EIP-55 text of a 20-byte address."""
    return _checksum(address)


@lru_cache(maxsize=4_096)
def _checksum(address: bytes) -> str:
    return str(to_checksum_address(address))


@lru_cache(maxsize=4_096)
def address_bytes(text: str) -> bytes:
    """The 20 bytes of a hex address. Raises ValueError."""
    raw = bytes.fromhex(text.removeprefix("0x"))
    if len(raw) != 20:
        raise ValueError(f"{text!r} is not a 20-byte address")
    return raw


def short(identifier: bytes) -> str:
    """The first eight hex digits, for people."""
    return identifier.hex()[:8]
