"""EIP-712 values: all that a contract may ever judge, hashed and signed by operator keys.

Hashing is pure; signatures are 65 bytes (r, s, v) with low s, as OpenZeppelin's ECDSA demands.
Two domains: a contract's own (name, version, chain id, contract address) and, for statements that
no contract of today reads, "OpenLedger" (name, version, chain id, network id as salt).
Source: https://eips.ethereum.org/EIPS/eip-712
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from coincurve import PrivateKey, PublicKey
from eth_utils.crypto import keccak

from protocol.errors import LocalError, PeerError

SIGNATURE_BYTES = 65
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
VERSION = "1"


def uint(value: int, bits: int = 256) -> bytes:
    """One ABI word of an unsigned integer. Raises LocalError ``bad-value`` beyond ``bits``."""
    if not 0 <= value < 1 << bits:
        raise LocalError("bad-value", f"{value} is not a uint{bits}")
    return value.to_bytes(32, "big")


def bytes32(value: bytes) -> bytes:
    """One ABI word of 32 bytes. Raises LocalError ``bad-value`` for another length."""
    if len(value) != 32:
        raise LocalError("bad-value", f"{len(value)} bytes where 32 are needed")
    return value


def address(value: bytes) -> bytes:
    """One ABI word of a 20-byte address. Raises LocalError ``bad-value`` for another length."""
    if len(value) != 20:
        raise LocalError("bad-value", f"{len(value)} bytes where an address has 20")
    return value.rjust(32, b"\x00")


@dataclass(frozen=True, slots=True)
class Domain:
    """What binds a signature to one contract, or to one network when ``contract`` is empty."""

    name: str
    chain_id: int
    contract: bytes = b""
    salt: bytes = b""

    def separator(self) -> bytes:
        """The 32-byte EIP-712 domain separator."""
        return _separator(self)


@lru_cache(maxsize=256)  # a node signs and checks under a handful
def _separator(domain: Domain) -> bytes:
    fields = "string name,string version,uint256 chainId"
    words = keccak(domain.name.encode()) + keccak(VERSION.encode()) + uint(domain.chain_id)
    if domain.contract:
        fields, words = f"{fields},address verifyingContract", words + address(domain.contract)
    if domain.salt:
        fields, words = f"{fields},bytes32 salt", words + bytes32(domain.salt)
    return keccak(keccak(f"EIP712Domain({fields})".encode()) + words)


def statement_domain(chain_id: int, network_id: bytes) -> Domain:
    """The domain of off-chain statements: two devnets with one chain id never mix."""
    return Domain("OpenLedger", chain_id, salt=network_id)


class Typed:
    """A value with an EIP-712 type string and its encoded words."""

    __slots__ = ()
    TYPE: ClassVar[str]

    def words(self) -> bytes:
        """The encoded fields in order, 32 bytes each."""
        raise NotImplementedError

    def struct_hash(self) -> bytes:
        """keccak-256 of the type hash and the words."""
        return keccak(keccak(self.TYPE.encode()) + self.words())

    def digest(self, domain: Domain) -> bytes:
        """The 32 bytes that are signed."""
        return keccak(b"\x19\x01" + domain.separator() + self.struct_hash())


@dataclass(frozen=True, slots=True)
class Voucher(Typed):
    """A payer's cumulative promise; domain InferenceChannels. ``ceiling`` in base units."""

    TYPE: ClassVar[str] = "Voucher(bytes32 channel,uint256 ceiling,bytes32 usageHash)"
    channel: bytes
    ceiling: int
    usage_hash: bytes

    def words(self) -> bytes:
        return bytes32(self.channel) + uint(self.ceiling) + bytes32(self.usage_hash)


@dataclass(frozen=True, slots=True)
class Slash(Typed):
    """A committee's order; domain Arbiter. 20-byte addresses, zeros for no reporter."""

    TYPE: ClassVar[str] = (
        "Slash(address operator,bytes32 unit,uint256 amount,bytes32 evidence,address reporter)"
    )
    operator: bytes
    unit: bytes
    amount: int
    evidence: bytes
    reporter: bytes

    def words(self) -> bytes:
        order = address(self.operator) + bytes32(self.unit) + uint(self.amount)
        return order + bytes32(self.evidence) + address(self.reporter)


@dataclass(frozen=True, slots=True)
class Draw(Typed):
    """What one epoch takes from one pot, in base units."""

    TYPE: ClassVar[str] = "Draw(bytes32 pot,uint256 amount)"
    pot: bytes
    amount: int

    def words(self) -> bytes:
        return bytes32(self.pot) + uint(self.amount)


def draws_hash(draws: Sequence[Draw]) -> bytes:
    """EIP-712 hash of a list of draws."""
    return keccak(b"".join(draw.struct_hash() for draw in draws))


@dataclass(frozen=True, slots=True)
class EpochCommit(Typed):
    """One epoch's root; domain AttributionPool. ``total`` is cumulative over all epochs.

    ``previous`` is the head of the pool's last good epoch.
    """

    TYPE: ClassVar[str] = (
        "EpochCommit(bytes32 pool,uint64 epoch,bytes32 previous,bytes32 root,uint256 total,"
        "uint32 leafCount,bytes32 evidence,uint32 ruleVersion,Draw[] draws)"
        "Draw(bytes32 pot,uint256 amount)"
    )
    pool: bytes
    epoch: int
    previous: bytes
    root: bytes
    total: int
    leaf_count: int
    evidence: bytes
    rule_version: int
    draws: Sequence[Draw]

    def words(self) -> bytes:
        place = bytes32(self.pool) + uint(self.epoch, 64) + bytes32(self.previous)
        roots = place + bytes32(self.root)
        facts = uint(self.total) + uint(self.leaf_count, 32) + bytes32(self.evidence)
        return roots + facts + uint(self.rule_version, 32) + draws_hash(self.draws)


@dataclass(frozen=True, slots=True)
class WorkCommitment(Typed):
    """A worker's commitment to a unit's step root and final adapter hash; statement domain."""

    TYPE: ClassVar[str] = "WorkCommitment(bytes32 unit,bytes32 root,bytes32 adapter)"
    unit: bytes
    root: bytes
    adapter: bytes

    def words(self) -> bytes:
        return bytes32(self.unit) + bytes32(self.root) + bytes32(self.adapter)


@dataclass(frozen=True, slots=True)
class VerdictStatement(Typed):
    """A verifier's finding about one step of a unit; statement domain."""

    TYPE: ClassVar[str] = (
        "VerdictStatement(bytes32 unit,uint32 step,uint8 finding,bytes32 evidence)"
    )
    unit: bytes
    step: int
    finding: int
    evidence: bytes

    def words(self) -> bytes:
        step = uint(self.step, 32) + uint(self.finding, 8)
        return bytes32(self.unit) + step + bytes32(self.evidence)


@dataclass(frozen=True, slots=True)
class RowRoot(Typed):
    """A worker's commitment to its influence rows of a job; statement domain."""

    TYPE: ClassVar[str] = "RowRoot(bytes32 job,bytes32 root)"
    job: bytes
    root: bytes

    def words(self) -> bytes:
        return bytes32(self.job) + bytes32(self.root)


@dataclass(frozen=True, slots=True)
class ReceiptRoot(Typed):
    """A host's signature under the hash of one answer's receipt; statement domain."""

    TYPE: ClassVar[str] = "ReceiptRoot(bytes32 receipt)"
    receipt: bytes

    def words(self) -> bytes:
        return bytes32(self.receipt)


def address_of(key: bytes) -> bytes:
    """The 20-byte address of a 32-byte secp256k1 private key."""
    return _address(PrivateKey(key).public_key)


def sign(key: bytes, digest: bytes) -> bytes:
    """A 65-byte recoverable low-s signature of a 32-byte digest by a 32-byte private key."""
    raw = PrivateKey(key).sign_recoverable(bytes32(digest), hasher=None)
    return raw[:64] + bytes([27 + raw[64]])


def recover(digest: bytes, signature: bytes) -> bytes:
    """The signer's 20-byte address. Raises PeerError ``bad-signature`` (length, v, high s)."""
    return recovered(digest, signature)


def recovered(digest: bytes, signature: bytes) -> bytes:
    """``recover`` itself; pure, so a simulation may share what it returns."""
    if len(signature) != SIGNATURE_BYTES:
        raise PeerError("bad-signature", f"{len(signature)} bytes, must be {SIGNATURE_BYTES}")
    if signature[64] not in (27, 28):
        raise PeerError("bad-signature", f"v is {signature[64]}, must be 27 or 28")
    if int.from_bytes(signature[32:64], "big") > HALF_ORDER:
        raise PeerError("bad-signature", "s is in the upper half of the order")
    raw = signature[:64] + bytes([signature[64] - 27])
    try:
        public = PublicKey.from_signature_and_message(raw, bytes32(digest), hasher=None)
    except ValueError as error:
        raise PeerError("bad-signature", "no key has made this signature") from error
    return _address(public)


def _address(public: PublicKey) -> bytes:
    return keccak(public.format(compressed=False)[1:])[12:]
