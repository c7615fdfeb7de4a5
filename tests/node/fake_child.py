"""A compute child without torch for the supervisor's tests: the request's base says what to do."""

import os
import signal
import sys
import time

from node.child_loop import serve
from protocol.compute import Describe, Described, Request, Result
from protocol.errors import ComputeError, LocalError

MEGABYTE = 1 << 20


def main() -> None:
    """Serve; the device's name is this process's id."""
    held: list[bytearray] = []

    def handle(request: Request, threads: int) -> Result:
        assert isinstance(request, Describe), request
        word, _, argument = request.base.partition(" ")
        if word == "fail":
            raise ComputeError("bad-model", argument)
        if word == "missing":
            raise LocalError("no-blob", argument)
        if word == "memory-error":
            raise MemoryError(argument)
        if word == "bug":
            raise RuntimeError(argument)
        if word == "print":
            os.write(1, argument.encode())  # what a library in C does
        if word == "swell":
            held.append(bytearray(os.urandom(MEGABYTE) * int(argument)))
            time.sleep(60)
        if word == "hang":
            time.sleep(60)
        if word == "nap":
            time.sleep(float(argument))
        if word == "exit":
            sys.stderr.write(f"first line\n{argument}\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return Described(
            bytes(32), threads if word == "threads" else len(request.base), str(os.getpid())
        )

    serve(handle)


if __name__ == "__main__":
    main()
