"""The real clock and the real randomness: the only places that read them."""

import secrets
import time

import trio


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds``; a checkpoint even when not positive."""
        await trio.sleep(max(0.0, seconds))


class SystemRandomness:
    """The operating system's generator."""

    def token(self, size: int) -> bytes:
        """``size`` fresh bytes."""
        return secrets.token_bytes(size)
