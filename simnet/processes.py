"""Real processes: start, watch, account for, stop. Every one ends with the runner, also on Ctrl-C."""

import json
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocol.errors import OperatorError

READY_S = 120.0
STOP_S = 5.0
SAMPLE_S = 5.0  # a look at 16 processes takes 60 ms of the machine that is measured
MIB = 1024 * 1024


@dataclass(slots=True)
class Process:
    """One child process that prints a JSON line when it is ready; stderr goes to its log file."""

    name: str
    command: Sequence[str]
    log: Path
    env: Mapping[str, str]
    user: int | None = None
    popen: "subprocess.Popen[str] | None" = None
    facts: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Start; ``ready`` waits for the line. A new session, so that Ctrl-C reaches the runner alone."""
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                list(self.command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=dict(self.env),
                start_new_session=True,
                user=self.user,
                group=self.user,
                cwd=self.log.parent,
            )

    def ready(self) -> dict[str, Any]:
        """The facts of the ready line. Raises OperatorError with the last words of the log."""
        assert self.popen is not None and self.popen.stdout is not None, "start() first"
        lines: queue.Queue[str] = queue.Queue()
        stdout = self.popen.stdout
        threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=READY_S)
            self.facts = json.loads(line)
        except (queue.Empty, ValueError) as error:
            raise OperatorError(
                "not-ready", f"{self.name} did not start: {self.last_words()}", f"See {self.log}."
            ) from error
        return self.facts

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote nothing"

    @property
    def alive(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def close(self) -> None:
        """Close the pipes of an ended process."""
        for pipe in (self.popen.stdin, self.popen.stdout) if self.popen else ():
            if pipe is not None:
                pipe.close()

    def signal(self, number: int) -> None:
        """Send a signal to the process and its children."""
        if self.alive and self.popen is not None:
            os.killpg(self.popen.pid, number)


class Group:
    """All processes of a run, with what they cost."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = dict(env)
        self.processes: dict[str, Process] = {}
        self.peak_pss_bytes = 0
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._cpu_before = _children_cpu()

    def __enter__(self) -> "Group":
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add(self, name: str, command: Sequence[str], log: Path, user: int | None = None) -> Process:
        """Start a named process, for the first time or again."""
        if name in self.processes:
            self.processes[name].close()
        process = Process(name, [sys.executable, *command], log, self.env, user)
        self.processes[name] = process
        process.start()
        return process

    def stop(self) -> None:
        """SIGTERM to all, the first started last; SIGKILL after some seconds."""
        self._stop.set()
        waiting = [p for p in reversed(self.processes.values()) if p.alive]
        for process in waiting:
            process.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        for process in waiting:
            assert process.popen is not None
            try:
                process.popen.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.signal(signal.SIGKILL)
                process.popen.wait()
        for process in self.processes.values():
            process.close()

    def cpu_seconds(self) -> float:
        """CPU of everything started: of those that have ended, and of those that still run."""
        ended = _children_cpu() - self._cpu_before
        running = [p.popen.pid for p in self.processes.values() if p.alive and p.popen]
        return ended + sum(_tree_cpu(pid) for pid in running)

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            pids = [p.popen.pid for p in list(self.processes.values()) if p.alive and p.popen]
            total = sum(_pss(each) for pid in pids for each in _tree(pid))
            self.peak_pss_bytes = max(self.peak_pss_bytes, total)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tree(pid: int) -> list[int]:
    """A process and its descendants (Linux)."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [each for child in task.read_text().split() for each in _tree(int(child))]
        except OSError:  # it ended while we looked
            continue
    return found


def _pss(pid: int) -> int:
    """Proportional set size in bytes; 0 for a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _tree_cpu(pid: int) -> float:
    """CPU seconds of a running process with its descendants, ended ones included."""
    total = 0.0
    for each in _tree(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        own = int(fields[11]) + int(fields[12])
        ended = int(fields[13]) + int(fields[14])
        total += (own + ended) / os.sysconf("SC_CLK_TCK")
    return total


def give(path: Path, user: int) -> None:
    """Hand a home to a user of its own, unreadable to the others (root only)."""
    os.chown(path, user, user)
    for each in path.rglob("*"):
        os.chown(each, user, user)


def environment() -> dict[str, str]:
    """Ours without a node's settings; one thread a process, and no hub to wait for."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OPENLEDGER_")}
    return {
        **kept,
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
    }
