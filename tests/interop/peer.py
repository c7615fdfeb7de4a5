"""The independent peer (``peer.mjs``) as a test drives it: one JSON line out, one back."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
NPM = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]


class Refused(Exception):
    """The peer could not do what was asked; the text says why."""


class Peer:
    """A running node process that speaks the protocol on its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, command: str, **args: Any) -> Any:
        """The peer's answer. Raises Refused."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"command": command, **args}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the peer ended in {command}"
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["ok"]


@contextmanager
def running() -> Iterator[Peer]:
    """Start a peer; installs its libraries from the lock file first. Skips where node is not there."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node and npm here: the independent js-libp2p peer is not run")
    _install()
    command = ["node", "peer.mjs"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=FOLDER, text=True, **pipes) as process:  # type: ignore[call-overload]
        peer = Peer(process)
        try:
            yield peer
            peer.ask("stop")
        finally:
            process.kill()


def _install() -> None:
    """``npm ci`` once for a lock file; a copy of it beside the modules says that it ended well."""
    lock, done = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".installed-lock"
    if done.exists() and done.read_bytes() == lock.read_bytes():
        return
    subprocess.run(NPM, cwd=FOLDER, check=True)
    done.write_bytes(lock.read_bytes())
