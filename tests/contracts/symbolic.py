"""halmos over the contracts' arithmetic: ``python -m tests.contracts.symbolic [PATTERN]``.

The properties in ``forge/symbolic`` deploy the contracts from their sources, compiled as
``settlement/rebuild.py`` does; their code is compared with the committed artifacts. A ``check_`` holds for
every argument. Because a property that no argument reaches holds too, each has a ``reach_``, which ends
in ``assert(false)``: there halmos must find arguments. Exit status 1 otherwise. halmos comes into an
environment of its own (toolbox.py).
"""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

from settlement import abi
from settlement.rebuild import SOURCES
from tests.contracts import foundry, toolbox

OUT = "out-symbolic"
PROVEN = "AggregatorSets AssetRegistry AttributionPool InferenceChannels OpenToken RuleRegistry WorkerStake"
ASSERTION_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """What halmos said of one function, and how many paths it took."""

    name: str
    said: str  # PASS, FAIL, TIMEOUT, ERROR
    paths: int

    @property
    def good(self) -> bool:
        """Proven, or reached."""
        return self.said == ("PASS" if self.name.startswith("check_") else "FAIL")


def main() -> None:
    """Print halmos's report and what it adds up to."""
    output = proven(sys.argv[1] if sys.argv[1:] else "(check|reach)_")
    sys.stdout.write(output)
    found = verdicts(output)
    bad = [each.name for each in found if not each.good]
    strange = differing()
    checks = [each for each in found if each.name.startswith("check_")]
    paths = sum(each.paths for each in found)
    told = f"{len(checks)} properties over {paths} paths; not shown: {', '.join(bad) or 'none'}"
    sys.stdout.write(f"code unlike the artifacts: {', '.join(strange) or 'none'}\n{told}\n")
    sys.exit(1 if bad or strange or not checks else 0)


def proven(pattern: str) -> str:
    """halmos's output for the functions of this pattern."""
    for old in (foundry.PROJECT / OUT).glob("*.t.sol"):
        if not (foundry.PROJECT / "symbolic" / old.name).exists():
            shutil.rmtree(old)  # it runs what was once built
    where = toolbox.environment(
        FOUNDRY_PROFILE="symbolic", FOUNDRY_REMAPPINGS=f"settlement/={SOURCES}/"
    )
    command = [str(toolbox.executable("halmos")), "--root", ".", "--forge-build-out", OUT]
    command += ["--function", pattern, "--solver-timeout-assertion", f"{ASSERTION_SECONDS}s"]
    done = subprocess.run(
        command, cwd=foundry.PROJECT, env=where, capture_output=True, text=True, check=False
    )
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)


def verdicts(output: str) -> list[Verdict]:
    """Of every function that halmos ran."""
    form = re.compile(r"^\[(PASS|FAIL|TIMEOUT|ERROR)\] (\w+)\(.*\(paths: (\d+)", re.M)
    return [Verdict(name, said, int(paths)) for said, name, paths in form.findall(output)]


def differing() -> list[str]:
    """Contracts whose code halmos saw is not the committed one."""
    return [name for name in PROVEN.split() if _code(name) != _committed(name)]


def _code(name: str) -> str:
    path = foundry.PROJECT / OUT / f"{name}.sol" / f"{name}.json"
    return str(json.loads(path.read_text())["bytecode"]["object"])


def _committed(name: str) -> str:
    return "0x" + abi.artifact(name).bytecode.hex()


if __name__ == "__main__":
    main()
