"""Bytes of requests and responses on one stream: an unsigned varint length, then the body.

A response body opens with a status byte: 0 and the answer, or 1 and a reason code in ASCII.
"""

from collections.abc import Awaitable, Callable

from protocol.errors import DecodeError, PeerError

GOSSIP_BYTES = 4096  # limit of one gossip body
REASON_BYTES = 64
STATUS_BYTES = 1
VARINT_BYTES = 5  # five groups of 7 bits: lengths below 32 GiB
READ_BYTES = 64 * 1024

OK = b"\x00"
REFUSED = b"\x01"


def encode_frame(body: bytes) -> bytes:
    """``body`` behind its length."""
    length, prefix = len(body), bytearray()
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + body


class FrameReader:
    """Frames from one stream, where ``read(n)`` gives 1 to n bytes, or none at its end."""

    def __init__(self, read: Callable[[int], Awaitable[bytes]]) -> None:
        self._read = read
        self._rest = bytearray()  # read already: asking for single bytes costs a window update each
        self.begun = False  # whether bytes of a frame are there, but not all of them

    async def next(self, limit: int) -> bytes | None:
        """The next body, None when the stream ended between two frames.

        Raises DecodeError (``bad-frame``) or PeerError: ``too-large``, by the length alone, or
        ``cut-short`` when the stream ended in a frame, as that of a cancelled request does.
        """
        if not self._rest and not await self._more(READ_BYTES):
            return None
        self.begun = True
        length = await self._length()
        if length > limit:
            raise PeerError("too-large", f"{length} bytes announced, limit {limit}")
        while len(self._rest) < length:
            if not await self._more(max(READ_BYTES, length - len(self._rest))):
                got = len(self._rest)
                raise PeerError("cut-short", f"stream ended after {got} of {length} bytes")
        with memoryview(self._rest) as view:
            body = bytes(view[:length])
        del self._rest[:length]
        self.begun = False
        return body

    async def _more(self, size: int) -> bool:
        part = await self._read(size)
        self._rest += part
        return bool(part)

    async def _length(self) -> int:
        length = 0
        for position in range(VARINT_BYTES):
            if not self._rest and not await self._more(READ_BYTES):
                raise PeerError("cut-short", "stream ended inside the length")
            byte = self._rest.pop(0)
            length |= (byte & 0x7F) << (7 * position)
            if byte < 0x80:
                if byte == 0 and position:
                    raise DecodeError("bad-frame", "length is not in its shortest form")
                return length
        raise DecodeError("bad-frame", f"length takes more than {VARINT_BYTES} bytes")


def accept(answer: bytes) -> bytes:
    """Response body that carries ``answer``."""
    return OK + answer


def refuse(code: str) -> bytes:
    """Response body that carries a reason code."""
    return REFUSED + code.encode("ascii", "replace")[:REASON_BYTES]


def open_response(body: bytes) -> bytes:
    """The answer. Raises PeerError: ``refused`` with the peer's reason code as its text,
    ``too-large`` when that was the reason, DecodeError ``bad-frame`` for another status."""
    if body[:STATUS_BYTES] == OK:
        return body[STATUS_BYTES:]
    if body[:STATUS_BYTES] != REFUSED or len(body) > STATUS_BYTES + REASON_BYTES:
        raise DecodeError("bad-frame", "response without a known status")
    reason = body[STATUS_BYTES:].decode("ascii", "replace")
    raise PeerError("too-large" if reason == "too-large" else "refused", reason)
