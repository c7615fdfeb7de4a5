"""Rebuild the committed artifacts with npm solc from the lock file, or compare them byte by byte.

``python -m settlement.rebuild [--check] [--modules DIR]``; needs node and npm, which the runtime
does not. ``--modules`` takes an installed ``node_modules`` instead of running ``npm ci``.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from protocol.errors import OperatorError
from settlement.abi import ARTIFACTS, CONTRACTS

SOURCES = Path(__file__).parent / "contracts"


def main() -> None:
    """The command; exit status 1 when ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m settlement.rebuild", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    parser.add_argument("--modules", type=Path, help="an installed node_modules folder")
    options = parser.parse_args()
    built = artifacts(compile_all(options.modules))
    stale = [name for name, body in built.items() if _committed(name) != body]
    for name in [] if options.check else stale:
        (ARTIFACTS / f"{name}.json").write_text(built[name])
    verb = "differ from" if options.check else "rewritten from"
    sys.stdout.write(f"{len(built)} artifacts, {len(stale)} {verb} the sources {stale or ''}\n")
    sys.exit(1 if options.check and stale else 0)


def compile_all(
    modules: Path | None, sources: Path = SOURCES, only: Sequence[str] = ()
) -> dict[str, Any]:
    """Standard JSON output of solc for all contracts, or those named. OperatorError ``no-node``, ``solc``."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            raise OperatorError("no-node", f"{tool} is not installed.", "Install Node.js 20.")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "contracts"
        shutil.copytree(sources, work, ignore=shutil.ignore_patterns("node_modules"))
        if modules is not None:
            (work / "node_modules").symlink_to(modules.resolve())
        else:
            subprocess.run(["npm", "ci", "--ignore-scripts", "--silent"], cwd=work, check=True)
        run = ["node", "--preserve-symlinks", "compile.js", *only]
        output = json.loads(subprocess.run(run, cwd=work, check=True, capture_output=True).stdout)
    ours = [each for each in output.get("errors", []) if not _library_warning(each)]
    faults = [each["formattedMessage"] for each in ours]
    if faults:
        raise OperatorError("solc", "\n".join(faults), "Correct the contracts.")
    return dict(output["contracts"])


def _library_warning(message: dict[str, Any]) -> bool:
    """Whether a message is a warning in OpenZeppelin's own text, which we do not write."""
    place = str(message.get("sourceLocation", {}).get("file", ""))
    return bool(message["severity"] == "warning") and place.startswith("@openzeppelin/")


def artifacts(compiled: dict[str, Any]) -> dict[str, str]:
    """The artifact text of each deployable contract, by its name."""
    return {name: artifact(name, compiled[f"{name}.sol"][name]) for name in CONTRACTS}


def artifact(name: str, compiled: dict[str, Any]) -> str:
    """The artifact text of one contract of solc's output."""
    runtime = compiled["evm"]["deployedBytecode"]
    ranges = [
        [at["start"], at["length"]]
        for places in runtime.get("immutableReferences", {}).values()
        for at in places
    ]
    value = {
        "contract": name,
        "abi": compiled["abi"],
        "bytecode": "0x" + compiled["evm"]["bytecode"]["object"],
        "runtime": "0x" + runtime["object"],
        "immutables": sorted(ranges),
    }
    return json.dumps(value, indent=1) + "\n"


def _committed(name: str) -> str:
    path = ARTIFACTS / f"{name}.json"
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    main()
