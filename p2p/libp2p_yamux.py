"""The stream half of the libp2p door: yamux that sends frames whole, enforces its windows and echoes.

The library lets a cancelled request cut its frame short, after which nobody can read the connection;
it only logs when a peer sends more than its window, so one stream could fill the memory; and it answers
every read with a window update, which costs as much as the data of a small read.
"""

import struct
from typing import Any, cast

import trio
from libp2p.abc import ISecureConn
from libp2p.stream_muxer import muxer_multistream as muxer_module
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable
from libp2p.stream_muxer.yamux import yamux as yamux_module
from libp2p.stream_muxer.yamux.yamux import (
    FLAG_SYN,
    TYPE_PING,
    YAMUX_HEADER_FORMAT,
    Yamux,
    YamuxStream,
)
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX

__all__ = ["WINDOW_BYTES", "YAMUX", "WholeYamux", "WindowOverrun", "WindowedStream"]

FRAME_SECONDS = 8.0  # for a peer to take one frame, at most 64 KiB: as long as an echo may take
WINDOW_BYTES = 2 * 1024 * 1024  # of one stream that is being read; an unread one keeps 256 KiB


class WindowOverrun(trio.TooSlowError):
    """A peer sent more than its window. The base is what makes the library end the connection."""


class WindowedStream(YamuxStream):
    """A stream that keeps the promise of its window, and expects its peer to."""

    @property
    def recv_window(self) -> int:
        """Bytes that the peer may still send."""
        return self._recv_window

    @recv_window.setter
    def recv_window(self, value: int) -> None:
        if value < 0:
            raise WindowOverrun(f"stream {self.stream_id}: {-value} bytes above the window")
        self._recv_window = value

    async def _auto_tune_and_send_window_update(self, *, bytes_read: int = 0) -> None:
        """Give back what was read once it is half the window; the first time, the window grows."""
        self._pending_recv_release += bytes_read
        if self._pending_recv_release < self.target_recv_window // 2:
            return
        increment = self._pending_recv_release + WINDOW_BYTES - self.target_recv_window
        self.target_recv_window, self._pending_recv_release = WINDOW_BYTES, 0
        self.recv_window += increment
        await self.send_window_update(increment)


class _Heard:
    """A secured connection that knows when it last brought bytes."""

    def __init__(self, conn: Any) -> None:
        self._conn = conn
        self.at = trio.current_time()

    async def read(self, n: int | None = None) -> bytes:
        data: bytes = await self._conn.read(n)
        self.at = trio.current_time()
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)


class WholeYamux(Yamux):
    """A connection that a cancelled request leaves in order, and whose echo costs one frame each way."""

    def __init__(self, secured_conn: Any, *args: Any, **named: Any) -> None:
        self._heard = _Heard(secured_conn)
        super().__init__(cast(ISecureConn, self._heard), *args, **named)

    @property
    def silence(self) -> float:
        """Seconds since the peer sent anything."""
        return trio.current_time() - self._heard.at

    async def _write_frame(self, data: bytes) -> None:
        """Send all of ``data``, cancelled or not: a number of the cipher is spent before the first byte.

        Raises MuxedConnUnavailable, and ends the connection, when the peer does not take it in time.
        """
        async with self._write_lock:
            with trio.move_on_after(FRAME_SECONDS) as scope:
                scope.shield = True
                await self.secured_conn.write(data)
            if not scope.cancelled_caught:
                return
            self.event_shutting_down.set()
            await self.secured_conn.close()
        raise MuxedConnUnavailable(f"{self.peer_id} took no frame for {FRAME_SECONDS:g} s")

    async def close(self, error_code: int = 0) -> None:
        """Say goodbye; however that ends, let go of those who wait for the socket."""
        try:
            await super().close(error_code)
        finally:
            await self.secured_conn.close()

    async def echo(self) -> None:
        """Return when the peer answered a ping of yamux. A stream for it would take ten frames."""
        self._ping_event = trio.Event()
        await self._write_frame(struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_PING, FLAG_SYN, 0, 0))
        await self._ping_event.wait()

    async def _measure_rtt_loop(self) -> None:
        """Nothing: p2p/liveness.py measures."""


# The library has no parameter for these. A frame longer than any window closes the connection.
vars(muxer_module)["Yamux"] = WholeYamux
vars(yamux_module)["YamuxStream"] = WindowedStream
vars(yamux_module)["MAX_WINDOW_SIZE"] = WINDOW_BYTES
