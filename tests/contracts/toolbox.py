"""Analysers in virtual environments of their own, with every version pinned in ``tools/NAME.txt``.

Their dependencies do not fit beside the node's, so nothing of them is installed into its environment.
They lie in the user's cache folder and are made on first use; a changed list of versions makes a new
one.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

from platformdirs import user_cache_path

from tests.contracts import foundry

PINS = Path(__file__).parent / "tools"


def executable(name: str) -> Path:
    """The tool's program, installed now if it was not. CalledProcessError when pip fails."""
    pins = PINS / f"{name}.txt"
    mark = hashlib.sha256(pins.read_bytes()).hexdigest()[:12]
    home = user_cache_path("openledger") / "tools" / f"{name}-{mark}"
    if not (home / ".ready").exists():
        sys.stderr.write(f"installing {name} into {home}\n")
        venv.create(home, clear=True, with_pip=True)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--disable-pip-version-check", "-r", str(pins)], check=True)
        (home / ".ready").touch()
    return home / "bin" / name


def environment(**more: str) -> dict[str, str]:
    """Both tools call ``forge``, which is found in the project's node_modules."""
    foundry.install()
    path = f"{foundry.MODULES / '.bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "FOUNDRY_DISABLE_NIGHTLY_WARNING": "1", **more}
