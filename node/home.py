"""The home directory of one node: where each file lies, and how files are written.

Every file is written aside, flushed and renamed, so that a stop at any moment leaves the old or the
new one. The directory is 0700 and what is secret in it 0600; anything wider is an operator's error.
"""

import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from protocol.errors import OperatorError

TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Running:
    """Where the running daemon of a home answers."""

    api: str
    pid: int


@dataclass(frozen=True, slots=True)
class Home:
    """Paths and file operations of one node's home."""

    path: Path

    @property
    def identity(self) -> Path:
        """Sealed keys."""
        return self.path / "identity.json"

    @property
    def key_file(self) -> Path:
        """The sealing secret, when the operating system offers no keyring."""
        return self.path / "seal.key"

    @property
    def backup_mark(self) -> Path:
        return self.path / "backed-up.json"

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def network(self) -> Path:
        """The network file that ``join`` copied here."""
        return self.path / "network.toml"

    @property
    def token(self) -> Path:
        """The HTTP API's token."""
        return self.path / "api-token"

    @property
    def running(self) -> Path:
        """Written by the daemon while it runs."""
        return self.path / "running.json"

    @property
    def database(self) -> Path:
        return self.path / "journal.sqlite"

    @property
    def blobs(self) -> Path:
        return self.path / "blobs"

    @property
    def slots(self) -> Path:
        return self.path / "slots"

    def create(self) -> None:
        """Make the directory (0700) if it is missing."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def check(self) -> None:
        """Raises OperatorError ``no-home`` or ``bad-permissions``, with the command to run."""
        if not self.path.is_dir():
            raise OperatorError("no-home", f"{self.path} is missing.", "Run: openledger init")
        private(self.path, 0o700)
        for secret in (self.identity, self.key_file, self.token):
            if secret.exists():
                private(secret, 0o600)

    def write(self, path: Path, body: bytes, mode: int = 0o600) -> None:
        """Replace ``path`` by ``body``: written aside, flushed, renamed."""
        write_file(path, body, mode)

    def announce(self, api: str, pid: int) -> None:
        """Tell the command line where this daemon answers."""
        self.write(self.running, json.dumps({"api": api, "pid": pid}).encode())

    def withdraw(self) -> None:
        """The daemon stopped."""
        self.running.unlink(missing_ok=True)

    def where(self) -> Running | None:
        """The daemon that announced itself last; it may have died since."""
        if not self.running.exists():
            return None
        try:
            value = json.loads(self.running.read_text())
            return Running(str(value["api"]), int(value["pid"]))
        except (ValueError, KeyError, TypeError) as error:
            raise OperatorError(
                "damaged-file", f"{self.running} is unreadable.", "Delete it and start the node."
            ) from error

    def api_token(self, token: Callable[[int], bytes]) -> str:
        """The HTTP API's token in hex; made once, then read."""
        if not self.token.exists():
            self.write(self.token, token(TOKEN_BYTES).hex().encode())
        private(self.token, 0o600)
        return self.token.read_text().strip()


def default_home(flag: Path | None, env: Mapping[str, str]) -> Path:
    """``--home``, else OPENLEDGER_HOME, else the platform's data directory."""
    if flag is not None:
        return flag.expanduser().absolute()
    if named := env.get("OPENLEDGER_HOME"):
        return Path(named).expanduser().absolute()
    return Path(platformdirs.user_data_dir("openledger", appauthor=False))


def network_folders(env: Mapping[str, str]) -> list[Path]:
    """Where files of known networks lie: OPENLEDGER_NETWORKS, else the user's folder, then the site's."""
    if named := env.get("OPENLEDGER_NETWORKS"):
        return [Path(named).expanduser()]
    dirs = platformdirs.PlatformDirs("openledger", appauthor=False)
    return [dirs.user_config_path / "networks", dirs.site_config_path / "networks"]


def private(path: Path, mode: int) -> None:
    """Raises OperatorError ``bad-permissions`` when others than the owner may read ``path``."""
    actual = stat.S_IMODE(path.stat().st_mode)
    if actual & 0o077:
        raise OperatorError(
            "bad-permissions",
            f"{path} has mode {actual:03o}: other users of this machine can read it.",
            f"Run: chmod {mode:o} {path}",
        )


def write_file(path: Path, body: bytes, mode: int = 0o600) -> None:
    """Atomic replacement that survives a power cut: the directory entry is flushed as well."""
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
