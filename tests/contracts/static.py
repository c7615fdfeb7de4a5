"""slither over the contracts: ``python -m tests.contracts.static``.

Exit status 1 when a finding of medium impact or more is not argued in ``static.toml``, or when an
argument there stands for nothing any more. slither comes into an environment of its own (toolbox.py).
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settlement.rebuild import SOURCES
from tests.contracts import foundry, toolbox

ARGUED = Path(__file__).parent / "static.toml"
SERIOUS = {"High", "Medium"}


@dataclass(frozen=True, order=True, slots=True)
class Finding:
    """What slither says of one function (or contract)."""

    detector: str
    where: str  # Contract.function


def main() -> None:
    """Print what is not argued; the command's exit status."""
    found = set(findings(analysed()))
    argued = {
        Finding(each["detector"], where)
        for each in tomllib.loads(ARGUED.read_text())["exception"]
        for where in each["where"]
    }
    for finding in sorted(found - argued):
        sys.stdout.write(f"not argued: {finding.detector} in {finding.where}\n")
    for finding in sorted(argued - found):
        sys.stdout.write(f"argued for nothing: {finding.detector} in {finding.where}\n")
    both = len(found & argued)
    sys.stdout.write(f"{len(found)} findings of medium impact or more, {both} argued\n")
    sys.exit(1 if found != argued else 0)


def analysed() -> dict[str, Any]:
    """slither's own report."""
    with tempfile.TemporaryDirectory() as folder:
        report, out = Path(folder) / "report.json", Path(folder) / "out"
        command = [str(toolbox.executable("slither")), ".", "--json", str(report)]
        command += ["--compile-force-framework", "foundry", "--foundry-out-directory", str(out)]
        command += ["--filter-paths", "node_modules", "--exclude-informational", "--exclude-low"]
        where = toolbox.environment(
            FOUNDRY_SRC=str(SOURCES),
            FOUNDRY_TEST="none",
            FOUNDRY_OUT=str(out),
            FOUNDRY_CACHE_PATH=str(Path(folder) / "cache"),
        )
        done = subprocess.run(
            command, cwd=foundry.PROJECT, env=where, capture_output=True, text=True, check=False
        )
        if not report.exists():
            sys.exit(f"slither did not run:\n{done.stdout}{done.stderr}")
        return dict(json.loads(report.read_text()))


def findings(report: dict[str, Any]) -> Iterator[Finding]:
    """The serious ones, by the function that they are in."""
    for each in report["results"].get("detectors", []):
        if each["impact"] in SERIOUS:
            yield Finding(each["check"], place(each["elements"][0]))


def place(element: dict[str, Any]) -> str:
    """``Contract.function`` of slither's first element."""
    names = [element["name"]]
    while parent := element.get("type_specific_fields", {}).get("parent"):
        element = parent
        if element["type"] in ("function", "contract"):
            names.insert(0, element["name"])
    return ".".join(names[:2])


if __name__ == "__main__":
    main()
