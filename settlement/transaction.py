"""EIP-1559 transactions: their bytes, the hash that is signed, and the way back from signed bytes.

Signed here and not by a library of wallets, so that what any signer returns can be held against
what it was asked for, and a stored transaction still says all about itself.
Source: https://eips.ethereum.org/EIPS/eip-1559
"""

from dataclasses import dataclass
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_utils.crypto import keccak
from rlp.exceptions import RLPException  # type: ignore[import-untyped]

from protocol import typed_data
from protocol.errors import PeerError
from protocol.ids import checksum

KIND = b"\x02"
FIELDS, SIGNED_FIELDS = 9, 12


@dataclass(frozen=True, slots=True)
class Call:
    """What a transaction does: 20-byte receiver (empty: create a contract), wei, call data."""

    to: bytes
    value: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Fees:
    """The most paid a gas, and the part of it for the block's producer; wei."""

    most: int
    tip: int


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A transaction of one account, complete but for its signature."""

    chain_id: int
    nonce: int
    fees: Fees
    gas: int
    call: Call

    def fields(self) -> list[Any]:
        """As RLP orders them; the access list is empty."""
        fees = [self.fees.tip, self.fees.most]
        call = [self.call.to, self.call.value, self.call.data]
        return [self.chain_id, self.nonce, *fees, self.gas, *call, []]

    def digest(self) -> bytes:
        """The 32 bytes that are signed."""
        return keccak(KIND + rlp.encode(self.fields()))


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction: its bytes, what they say, and who signed (EIP-55 text)."""

    raw: bytes
    unsigned: Unsigned
    sender: str

    @property
    def hash(self) -> bytes:
        """The transaction's hash, by which its receipt is found."""
        return keccak(self.raw)


def sign(key: bytes, unsigned: Unsigned) -> bytes:
    """The signed bytes under a 32-byte secp256k1 key."""
    signature = typed_data.sign(key, unsigned.digest())
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
    return KIND + bytes(rlp.encode([*unsigned.fields(), signature[64] - 27, r, s]))


def parse(raw: bytes) -> Signed:
    """What signed bytes say, with the signer recovered. Raises PeerError ``bad-transaction``."""
    try:
        if raw[:1] != KIND:
            raise ValueError("not an EIP-1559 transaction")
        fields = rlp.decode(raw[1:])
        if len(fields) != SIGNED_FIELDS or fields[8] != []:
            raise ValueError("not the fields of a plain EIP-1559 transaction")
        chain, nonce, tip, most, gas = (_number(field) for field in fields[:5])
        call = Call(fields[5], _number(fields[6]), fields[7])
        parity, r, s = (_number(field) for field in fields[FIELDS:])
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity + 27])
    except (RLPException, ValueError, TypeError, OverflowError) as error:
        raise PeerError("bad-transaction", str(error)) from error
    unsigned = Unsigned(chain, nonce, Fees(most, tip), gas, call)
    return Signed(raw, unsigned, checksum(typed_data.recover(unsigned.digest(), signature)))


def _number(field: bytes) -> int:
    return int(rlp.sedes.big_endian_int.deserialize(field))
