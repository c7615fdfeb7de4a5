"""The stream half of the libp2p door: yamux whose windows are enforced, and reported in batches.

The library only logs when a peer sends more than its window, so one stream could fill the memory; and
it answers every read with a window update, which costs as much as the data of a small read.
"""

import trio
from libp2p.stream_muxer.yamux import yamux as yamux_module
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux, YamuxStream

__all__ = ["WINDOW_BYTES", "YAMUX", "WindowOverrun", "WindowedStream", "Yamux"]

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


# The library has no parameter for either. A frame longer than any window closes the connection.
vars(yamux_module)["YamuxStream"] = WindowedStream
vars(yamux_module)["MAX_WINDOW_SIZE"] = WINDOW_BYTES
