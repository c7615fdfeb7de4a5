"""``openledger --help`` answers in 0.25 s of CPU; ``make bench`` runs it, a unit test is never timed."""

import resource
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

CPU_S = 0.25
RUNS = 3  # the first one may have to write bytecode


def test_help_is_instant() -> None:
    least = min(_cpu_seconds() for _ in range(RUNS))
    sys.stdout.write(f"openledger --help: {least:.2f} s of CPU (limit {CPU_S} s)\n")
    assert least < CPU_S


def _cpu_seconds() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "node.cli", "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
