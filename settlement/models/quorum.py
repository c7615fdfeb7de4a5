"""Model of ``Quorum``: exactly m of n seats sign one digest, ascending by address."""

from collections.abc import Sequence

from protocol import typed_data
from protocol.errors import PeerError
from protocol.ids import checksum
from settlement.models.ledger import ZERO_ADDRESS, at, revert


class Quorum:
    """Distinct fixed seats and the number of signatures needed."""

    def __init__(self, seats: Sequence[str], threshold: int) -> None:
        distinct = len(set(seats)) == len(seats) and ZERO_ADDRESS not in seats
        if not 0 < threshold <= len(seats) or not distinct:
            raise revert("BadSeats")
        self._seats = tuple(seats)
        self._threshold = threshold

    def threshold(self) -> int:
        return self._threshold

    def seatCount(self) -> int:
        return len(self._seats)

    def seatAt(self, position: int) -> str:
        return at(self._seats, position)

    def isSeat(self, seat: str) -> bool:
        return seat in self._seats

    def signers(self, digest: bytes, signatures: Sequence[bytes]) -> list[str]:
        """Signer addresses, ascending. Reverts like the contract."""
        if len(signatures) != self._threshold:
            raise revert("WrongSignatureCount", len(signatures), self._threshold)
        found: list[str] = []
        for signature in signatures:
            signer = recover(digest, signature)
            if signer not in self._seats:
                raise revert("NotSeated", signer)
            if found and int(signer, 16) <= int(found[-1], 16):
                raise revert("SignersUnsorted", found[-1], signer)
            found.append(signer)
        return found


def recover(digest: bytes, signature: bytes) -> str:
    """OpenZeppelin's ECDSA.recover: the signer's address, or its three errors."""
    if len(signature) != typed_data.SIGNATURE_BYTES:
        raise revert("ECDSAInvalidSignatureLength", len(signature))
    if int.from_bytes(signature[32:64], "big") > typed_data.HALF_ORDER:
        raise revert("ECDSAInvalidSignatureS", signature[32:64])
    try:
        return checksum(typed_data.recover(digest, signature))
    except PeerError as error:
        raise revert("ECDSAInvalidSignature") from error
