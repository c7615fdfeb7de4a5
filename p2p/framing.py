"""Bytes of one request and one response: an unsigned varint length, then the body.

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


async def read_frame(read: Callable[[int], Awaitable[bytes]], limit: int) -> bytes:
    """The next body, where ``read(n)`` gives 1 to n bytes, or none at the end of the stream.

    Raises DecodeError (``bad-frame``) or PeerError (``too-large``, before the body is read).
    """
    length = await _read_length(read)
    if length > limit:
        raise PeerError("too-large", f"{length} bytes announced, limit {limit}")
    body = bytearray()
    while len(body) < length:
        part = await read(min(READ_BYTES, length - len(body)))
        if not part:
            raise DecodeError("bad-frame", f"stream ended after {len(body)} of {length} bytes")
        body += part
    return bytes(body)


async def _read_length(read: Callable[[int], Awaitable[bytes]]) -> int:
    length = 0
    for position in range(VARINT_BYTES):
        byte = await read(1)
        if not byte:
            raise DecodeError("bad-frame", "stream ended inside the length")
        length |= (byte[0] & 0x7F) << (7 * position)
        if byte[0] < 0x80:
            if byte[0] == 0 and position:
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
