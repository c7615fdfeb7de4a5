"""Vouchers: what a payer signs for a channel, and what a host checks before it answers.

The usage hash is keccak256(abi.encode(Usage[])) over entries that ascend strictly by (asset, rule
version), so one set of amounts has one hash. Amounts are cumulative base units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from eth_utils.crypto import keccak

from protocol import typed_data
from protocol.errors import LocalError, PeerError
from protocol.ids import address_bytes, checksum

MAX_USAGE = 32


@dataclass(frozen=True, slots=True)
class Usage:
    """All that was used of one asset under one rule version, in base units."""

    asset: bytes
    rule_version: int
    cumulative: int

    @property
    def key(self) -> tuple[bytes, int]:
        """What a usage list is ordered by."""
        return self.asset, self.rule_version


@dataclass(frozen=True, slots=True)
class SignedVoucher:
    """A payer's promise to pay all of ``usage``, at most ``ceiling``, from one channel."""

    channel: bytes
    ceiling: int
    usage: tuple[Usage, ...]
    signature: bytes

    def claim_args(self) -> tuple[bytes, int, tuple[tuple[bytes, int, int], ...], bytes]:
        """Arguments of ``InferenceChannels.claim``."""
        entries = tuple((each.asset, each.rule_version, each.cumulative) for each in self.usage)
        return self.channel, self.ceiling, entries, self.signature


def channel_id(payer: str, salt: bytes) -> bytes:
    """keccak256(abi.encode(payer, salt)), as ``InferenceChannels.open`` assigns it."""
    return keccak(typed_data.address(address_bytes(payer)) + typed_data.bytes32(salt))


def usage_hash(usage: Sequence[Usage]) -> bytes:
    """The hash that a voucher signs, over the entries in the order given."""
    words = typed_data.uint(32) + typed_data.uint(len(usage))
    for each in usage:
        words += typed_data.bytes32(each.asset) + typed_data.uint(each.rule_version, 32)
        words += typed_data.uint(each.cumulative)
    return keccak(words)


def sign_voucher(
    key: bytes, domain: typed_data.Domain, channel: bytes, ceiling: int, usage: Sequence[Usage]
) -> SignedVoucher:
    """Sign with the payer's key; sorts the usage. Raises LocalError ``bad-usage``."""
    ordered = tuple(sorted(usage, key=lambda each: each.key))
    fault = _fault(ordered, ceiling)
    if fault:
        raise LocalError("bad-usage", fault)
    voucher = typed_data.Voucher(channel, ceiling, usage_hash(ordered))
    signature = typed_data.sign(key, voucher.digest(domain))
    return SignedVoucher(channel, ceiling, ordered, signature)


def verify_voucher(signed: SignedVoucher, domain: typed_data.Domain, payer: str) -> None:
    """Raises PeerError ``bad-usage`` or ``bad-signature``: such a voucher cannot be claimed."""
    fault = _fault(signed.usage, signed.ceiling)
    if fault:
        raise PeerError("bad-usage", fault)
    voucher = typed_data.Voucher(signed.channel, signed.ceiling, usage_hash(signed.usage))
    signer = checksum(typed_data.recover(voucher.digest(domain), signed.signature))
    if signer != payer:
        raise PeerError("bad-signature", f"voucher signed by {signer}, not by the payer {payer}")


def _fault(usage: Sequence[Usage], ceiling: int) -> str:
    if not 0 < len(usage) <= MAX_USAGE:
        return f"{len(usage)} entries, must be 1 to {MAX_USAGE}"
    if any(not left.key < right.key for left, right in pairwise(usage)):
        return "entries must ascend strictly by asset and rule version"
    if sum(each.cumulative for each in usage) > ceiling:
        return f"entries sum to more than the ceiling of {ceiling}"
    return ""
