"""Long runs over the contracts, one part after the other: ``python -m tests.contracts.nightly [PART...]``.

Each part is a command of its own, in a process of its own; what it printed last, how long it took and how
much of a processor it used are told when it ends, so a night that is cut short keeps its figures. Exit
status 1 when a part failed. Needs node and npm; slither and halmos are installed on first use.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass

from protocol.errors import OperatorError

PYTHON = (sys.executable, "-m")
FORGE = (*PYTHON, "tests.contracts.foundry", "--nightly", "--threads", "1", "--match-test")
# Cheap ones first.
PARTS = {
    "differential": (
        *PYTHON,
        "pytest",
        "-q",
        "-m",
        "slow",
        "tests/settlement/test_differential.py",
    ),
    "slither": (*PYTHON, "tests.contracts.static"),
    "halmos": (*PYTHON, "tests.contracts.symbolic"),
    "mutants": (*PYTHON, "tests.contracts.mutants"),
    "fuzz": (*FORGE, "^testFuzz"),
    "invariants": (*FORGE, "^invariant"),
}


@dataclass(frozen=True, slots=True)
class Done:
    """How a part ended: its last line, seconds by the clock and of the processor."""

    passed: bool
    said: str
    wall: float
    used: float


def main() -> None:
    """Run the parts that are named, or all."""
    names = sys.argv[1:] or list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        told = f"no part is called {', '.join(unknown)}"
        raise OperatorError("unknown-part", told, f"Name some of {', '.join(PARTS)}.")
    ended = {}
    for name in names:
        sys.stdout.write(f"== {name}: {' '.join(PARTS[name])}\n")
        sys.stdout.flush()
        done = ended[name] = ran(PARTS[name])
        verdict = "passed" if done.passed else "FAILED"
        took = f"{done.wall:,.0f} s, {done.used:,.0f} s of one core"
        sys.stdout.write(f"== {name} {verdict} in {took}: {done.said}\n")
        sys.stdout.flush()
    failed = [name for name, done in ended.items() if not done.passed]
    sys.stdout.write(f"{len(ended)} parts, failed: {', '.join(failed) or 'none'}\n")
    sys.exit(1 if failed else 0)


def ran(command: tuple[str, ...]) -> Done:
    """Run one part; its output passes through."""
    begin, before, said = time.monotonic(), _used(), ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            said = line.strip() or said
        sys.stdout.flush()
    return Done(process.returncode == 0, said, time.monotonic() - begin, _used() - before)


def _used() -> float:
    """Processor seconds of all children that have ended."""
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    main()
