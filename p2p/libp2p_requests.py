"""The request half of the libp2p door: framed requests, several on one stream, one after the other.

Opening a stream costs two negotiations and starts yamux's window at 256 KiB, so whoever has more than
one thing to ask keeps its stream (``conversation``).
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.host.exceptions import StreamFailure
from libp2p.peer.id import ID

from p2p.framing import FrameReader, encode_frame, open_response
from p2p.guard import Guard
from p2p.libp2p_gossip import LIBRARY, WRITE_SECONDS
from p2p.libp2p_openings import Reset
from p2p.service import Services
from protocol.errors import PeerError
from protocol.seams import Ask, PeerId

READ_SECONDS = 10.0  # for a peer to send its whole request, and between two of one stream
CLOSE_SECONDS = 10.0
WRITE_BYTES = 65_507  # one yamux frame in one Noise message; the library's own cut needs two

Open = Callable[[ID, list[TProtocol]], Awaitable[INetStream]]


class Requests:
    """Asks peers and answers them. ``open_stream`` and ``reset`` are the host's."""

    def __init__(self, services: Services, open_stream: Open, reset: Reset) -> None:
        self._services = services
        self._open = open_stream
        self._reset = reset

    @asynccontextmanager
    async def conversation(self, peer: PeerId, protocol: str) -> AsyncIterator[Ask]:
        """One stream for several requests. Raises PeerError, see the seam."""
        with Guard(Counter(), "open", LIBRARY) as guard:
            stream = await self._open(ID.from_string(peer), [TProtocol(protocol)])
        if guard.tripped is not None:
            raise _request_error(peer, protocol, guard.tripped) from guard.tripped
        frames = FrameReader(reader(stream))

        async def ask(body: bytes, *, timeout: float, max_response: int) -> bytes:
            with Guard(Counter(), "ask", LIBRARY) as guard, trio.fail_after(timeout):
                await write(stream, encode_frame(body))
                answer = await frames.next(max_response + 1)
                if answer is None:
                    raise PeerError("unreachable", f"{peer} ended the stream of {protocol}")
                return open_response(answer)
            raise _request_error(peer, protocol, guard.tripped) from guard.tripped

        try:
            yield ask
            with Guard(Counter(), "close", LIBRARY), trio.fail_after(CLOSE_SECONDS):
                await stream.close()
        except BaseException:
            await self._reset(stream)
            raise

    async def request(
        self, peer: PeerId, protocol: str, body: bytes, *, timeout: float, max_response: int
    ) -> bytes:
        """One request on a stream of its own, all of it within ``timeout`` seconds."""
        with trio.move_on_after(timeout):
            async with self.conversation(peer, protocol) as ask:
                return await ask(body, timeout=timeout, max_response=max_response)
        raise PeerError("timeout", f"{peer} did not answer {protocol} in time")

    async def answer(self, protocol: str, stream: INetStream) -> None:
        """Serve one inbound stream, request after request, until the peer ends it or errs."""
        peer = str(stream.muxed_conn.peer_id)
        frames, limit = FrameReader(reader(stream)), self._services.max_request(protocol)
        body: bytes | None = b""
        while body is not None:
            try:
                body = await self._next(frames, limit)
                if body is None:
                    break
                response = await self._services.answer(peer, protocol, body)
            except PeerError as error:  # where the next frame would begin is not known any more
                response, body = self._services.refusal(error.code, peer), None
            with trio.fail_after(WRITE_SECONDS):
                await write(stream, encode_frame(response))
        with trio.fail_after(WRITE_SECONDS):
            await stream.close()

    async def _next(self, frames: FrameReader, limit: int) -> bytes | None:
        """The next request; None when the peer ended the stream, or has nothing more to ask now."""
        body = None
        with trio.move_on_after(READ_SECONDS) as scope:
            body = await frames.next(limit)
        if scope.cancelled_caught and frames.begun:
            raise trio.TooSlowError
        return body


def _request_error(peer: PeerId, protocol: str, error: BaseException | None) -> PeerError:
    """The seam's error for what went wrong in one request."""
    match error:
        case PeerError() if error.code != "cut-short":
            return error
        case trio.TooSlowError():
            return PeerError("timeout", f"{peer} did not answer {protocol} in time")
        case StreamFailure():
            return PeerError("refused", "unknown-protocol")
        case _:
            return PeerError("unreachable", f"{peer}: {protocol}: {error!r}")


async def write(stream: INetStream, data: bytes) -> None:
    """Write all of ``data`` in pieces that fit the layers below."""
    view = memoryview(data)
    for at in range(0, len(data), WRITE_BYTES):
        await stream.write(bytes(view[at : at + WRITE_BYTES]))


def reader(stream: INetStream) -> Callable[[int], Awaitable[bytes]]:
    """``read(n)`` of a stream; no bytes at its end."""

    async def read(size: int) -> bytes:
        try:
            return await stream.read(size)
        except EOFError:  # StreamEOF is one
            return b""

    return read
