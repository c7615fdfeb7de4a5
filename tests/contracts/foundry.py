"""forge over the committed artifacts: ``python -m tests.contracts.foundry [--nightly] [ARGS...]``.

Needs node and npm; forge, solc and OpenZeppelin come from ``forge/package-lock.json``. What is tested
is not compiled here: the creation code of ``settlement/artifacts`` is deployed as
``settlement/deploy.py`` orders it. ``--nightly`` runs foundry.toml's long profile: 100,000 runs of each pure
fuzz test and 1e6 calls over all invariants; figures are printed. Other arguments are forge's
(``--match-test``, ``-vvv``).
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from eth_abi.abi import encode

from protocol.errors import OperatorError
from settlement import abi
from settlement.deploy import constructor_args, predicted
from settlement.rebuild import SOURCES
from tests.settlement.pair import ACCOUNTS, PARAMS

PROJECT = Path(__file__).parent / "forge"
MODULES = PROJECT / "node_modules"


def main() -> None:
    """The command; exit status 1 when a test fails or none runs."""
    arguments = sys.argv[1:]
    nightly = "--nightly" in arguments
    begin = time.monotonic()
    done = run(*[each for each in arguments if each != "--nightly"], nightly=nightly)
    sys.stdout.write(done.stdout + done.stderr)
    sys.stdout.write(f"{figures(done.stdout)} in {time.monotonic() - begin:,.0f} s\n")
    # npm's launcher does not hand forge's exit status on.
    results = report(done.stdout)
    sys.exit(done.returncode or not results or not all(results.values()))


def missing() -> str:
    """Why forge cannot run here; empty when it can."""
    absent = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    return f"{' and '.join(absent)} not installed: forge's tests of the contracts" if absent else ""


def run(
    *arguments: str, nightly: bool = False, artifacts: Path = abi.ARTIFACTS
) -> "subprocess.CompletedProcess[str]":
    """``forge test`` on these artifacts. Raises OperatorError ``no-node``."""
    if reason := missing():
        raise OperatorError("no-node", reason, "Install Node.js 20 or newer.")
    install()
    environment = {
        **os.environ,
        "FOUNDRY_DISABLE_NIGHTLY_WARNING": "1",
        "OPENLEDGER_DEPLOYMENT": str(deployment(artifacts)),
    }
    if nightly:
        environment["FOUNDRY_PROFILE"] = "nightly"
    forge = str(MODULES / ".bin" / "forge")
    return subprocess.run(
        [forge, "test", "--remappings", f"settlement/={SOURCES}/", *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def install() -> None:
    """The packages of the lock file, once for each lock file."""
    lock = hashlib.sha256((PROJECT / "package-lock.json").read_bytes()).hexdigest()
    ready = MODULES / ".ready"
    if not ready.exists() or ready.read_text() != lock:
        command = ["npm", "ci", "--ignore-scripts", "--silent", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=PROJECT, check=True)
        ready.write_text(lock)


def deployment(artifacts: Path) -> Path:
    """The file that ``World.sol`` deploys from: creation code by predicted address, in order."""
    at = predicted(ACCOUNTS[0], 0)
    code = []
    for contract, args in constructor_args(PARAMS, at).items():
        inputs = abi.constructor(contract)
        words = encode([param.canonical for param in inputs], abi.typed(inputs, args))
        raw = json.loads((artifacts / f"{contract}.json").read_text())
        code.append(raw["bytecode"] + words.hex())
    places = {"names": list(at), "addresses": list(at.values())}
    body = json.dumps({**places, "code": code}, indent=1)
    path = PROJECT / "cache" / f"deployment-{hashlib.sha256(body.encode()).hexdigest()[:16]}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(body)
    return path


def figures(output: str) -> str:
    """What forge's report adds up to."""
    fuzzed = sum(int(each) for each in re.findall(r"\(runs: (\d+), μ", output))
    calls = sum(int(each) for each in re.findall(r"runs: \d+, calls: (\d+)", output))
    passed, failed = (len(re.findall(rf"^\[{kind}", output, re.M)) for kind in ("PASS", "FAIL"))
    return f"{passed} passed, {failed} failed; {fuzzed:,} fuzz runs, {calls:,} invariant calls"


def report(output: str) -> dict[str, bool]:
    """The tests of one run by name: whether each passed.

    A failed invariant's name follows its sequence of calls, on a line of its own.
    """
    passed = re.findall(r"^\[PASS\] (\w+)\(", output, re.M)
    failed = re.findall(r"^(?:\[FAIL.*\])? (\w+)\(.*\) \((?:runs|gas): ", output, re.M)
    return {**dict.fromkeys(passed, True), **dict.fromkeys(failed, False)}


if __name__ == "__main__":
    main()
