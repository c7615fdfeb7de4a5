"""The compute child's side of the pipe: length-prefixed canonical frames on stdin and stdout.

Free of torch, so that the supervisor shares the frames. Whatever a library prints goes to stderr:
stdout carries frames only.
"""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, BinaryIO

from protocol.codec import MAX_BYTES, Max, pack, unpack
from protocol.compute import Request, Result, decode_request
from protocol.errors import ComputeError, OpenLedgerError
from protocol.ids import Name

HEADER_BYTES = 4  # big-endian length of the frame that follows
MAX_FRAME = MAX_BYTES
OK = "ok"
FAILED = "failed"
MAX_TEXT = 2_000

Handler = Callable[[Request, int], Result]


@dataclass(frozen=True, slots=True)
class Frame:
    """There: a request's class, canonical bytes, and how many threads it may use.
    Back: ``OK`` and a result, or ``FAILED``."""

    kind: Name
    body: Annotated[bytes, Max(MAX_FRAME - 256)]
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Failure:
    """The body of a ``FAILED`` frame."""

    code: Name
    text: str


def encode_frame(frame: Frame) -> bytes:
    """Header and body."""
    body = pack(frame)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def serve(handler: Handler) -> None:
    """Answer requests until stdin closes.

    A ComputeError keeps its code, MemoryError becomes ``out-of-memory``, any other error of ours
    ``bad-input``; everything else is a bug and ends the child, its traceback on stderr.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the node, which ends its child
    source, sink = sys.stdin.buffer, _take_stdout()
    while (frame := _read(source)) is not None:
        sink.write(encode_frame(_answer(handler, frame)))
        sink.flush()


def _take_stdout() -> BinaryIO:
    """The real stdout; from now on file descriptor 1 is stderr."""
    own = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(own, "wb")


def _read(source: BinaryIO) -> Frame | None:
    header = source.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    return unpack(Frame, source.read(int.from_bytes(header, "big")))


def _answer(handler: Handler, frame: Frame) -> Frame:
    try:
        return Frame(OK, pack(handler(decode_request(frame.kind, frame.body), frame.threads)))
    except ComputeError as error:
        return _failed(error.code, error.text)
    except MemoryError as error:
        return _failed("out-of-memory", f"{error or 'the allocator gave up'}; try a smaller batch.")
    except OpenLedgerError as error:
        return _failed("bad-input", str(error))


def _failed(code: str, text: str) -> Frame:
    return Frame(FAILED, pack(Failure(code, text[:MAX_TEXT])))
