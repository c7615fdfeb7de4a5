"""Seeded faults in the contracts, each of which the test that names it must notice.

``python -m tests.contracts.mutants [NAME...]``: first every named test passes on the committed
artifacts; then each fault of ``mutants.toml`` is compiled with the pinned compiler, its one test runs on
the faulty artifact, and must fail. Exit status 1 when a fault survives, does not compile or does not
deploy.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import OperatorError
from settlement import abi, rebuild
from tests.contracts import foundry

FAULTS = Path(__file__).parent / "mutants.toml"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: ``search``, which stands once in ``file``, becomes ``replace``.

    ``contract`` is the deployed one that has the fault (empty: the file's own), ``killer`` the test that
    must notice: forge's (``Contract.function``) or a Python one (``test_file.py::test``).
    """

    name: str
    file: str
    search: str
    replace: str
    killer: str
    contract: str = ""

    @property
    def in_python(self) -> bool:
        """Whether pytest runs the killer, on the bytecode and the models."""
        return "::" in self.killer

    def source(self) -> str:
        """The faulty text. Raises OperatorError ``stale-mutant``."""
        text = (rebuild.SOURCES / self.file).read_text()
        if text.count(self.search) != 1:
            found = f"{self.search!r} stands {text.count(self.search)} times in {self.file}."
            raise OperatorError("stale-mutant", found, f"Correct {self.name} in {FAULTS.name}.")
        return text.replace(self.search, self.replace)


def main() -> None:
    """Print one line a mutant; exit status 1 when one lives."""
    chosen = [each for each in mutants() if each.name in sys.argv[1:] or not sys.argv[1:]]
    foundry.install()
    begin = time.monotonic()
    sound(chosen)
    _say(f"{len(chosen)} tests pass on the committed artifacts", begin)
    alive = []
    for mutant in chosen:
        begin = time.monotonic()
        killed = is_killed(mutant)
        if not killed:
            alive.append(mutant.name)
        _say(f"{mutant.name:32} {'killed by' if killed else 'SURVIVED'} {mutant.killer}", begin)
    sys.stdout.write(f"{len(chosen)} mutants, {len(alive)} survived {alive or ''}\n")
    sys.exit(1 if alive else 0)


def mutants() -> list[Mutant]:
    """All of them. Raises OperatorError ``stale-mutant`` for one whose text is gone."""
    found = [Mutant(**each) for each in tomllib.loads(FAULTS.read_text()).get("mutant", ())]
    for mutant in found:
        mutant.source()
    return found


def sound(chosen: list[Mutant]) -> None:
    """A test that fails without a fault kills nothing. Raises OperatorError ``forge``."""
    python = sorted({each.killer for each in chosen if each.in_python})
    if wrong := [killer for killer in python if not _passes(killer, abi.ARTIFACTS)]:
        told = f"without any fault these fail: {', '.join(wrong)}"
        raise OperatorError("pytest", told, "Correct the tests first.")
    for suite in sorted({each.killer.split(".")[0] for each in chosen if not each.in_python}):
        names = sorted({each.killer for each in chosen if each.killer.startswith(f"{suite}.")})
        results = _results(suite, [name.split(".")[1] for name in names], abi.ARTIFACTS)
        wrong = [name for name in names if not results.get(name.split(".")[1], False)]
        if wrong:
            told = f"without any fault these fail or are not there: {', '.join(wrong)}"
            raise OperatorError("forge", told, "Correct the tests first.")


def is_killed(mutant: Mutant) -> bool:
    """Whether its test fails, and nothing before the test. Raises OperatorError ``forge``."""
    if mutant.in_python:
        with tempfile.TemporaryDirectory() as folder:
            return not _passes(mutant.killer, faulty(mutant, Path(folder)))
    suite, test = mutant.killer.split(".")
    with tempfile.TemporaryDirectory() as folder:
        results = _results(suite, [test], faulty(mutant, Path(folder)))
    if set(results) != {test}:
        told = f"{mutant.name}: {mutant.killer} did not run: {results}"
        raise OperatorError("forge", told, "Correct the mutant, so that it deploys.")
    return not results[test]


def faulty(mutant: Mutant, folder: Path) -> Path:
    """The committed artifacts, but the mutant's."""
    sources, artifacts = folder / "contracts", folder / "artifacts"
    ignore = shutil.ignore_patterns("node_modules", "test")
    shutil.copytree(rebuild.SOURCES, sources, ignore=ignore)
    (sources / mutant.file).write_text(mutant.source())
    name = mutant.contract or Path(mutant.file).stem
    made = rebuild.compile_all(foundry.MODULES, sources, [name])[f"{name}.sol"][name]
    shutil.copytree(abi.ARTIFACTS, artifacts)
    body = rebuild.artifact(name, made)
    if body == (artifacts / f"{name}.json").read_text():
        told = f"{mutant.name} changes nothing in {name}'s code."
        raise OperatorError("stale-mutant", told, f"Correct it in {FAULTS.name}.")
    (artifacts / f"{name}.json").write_text(body)
    return artifacts


def _passes(killer: str, artifacts: Path) -> bool:
    """Whether a Python test passes. Raises OperatorError ``pytest`` when it does not get to run."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", f"tests/contracts/{killer}"]
    environment = {**os.environ, "OPENLEDGER_ARTIFACTS": str(artifacts)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or " error" in done.stdout.splitlines()[-1]:
        raise OperatorError("pytest", done.stdout + done.stderr, "Correct the mutant or the test.")
    return done.returncode == 0


def _results(suite: str, tests: list[str], artifacts: Path) -> dict[str, bool]:
    pattern = f"^({'|'.join(tests)})\\("
    done = foundry.run(
        "--match-contract", f"^{suite}$", "--match-test", pattern, artifacts=artifacts
    )
    results = foundry.report(done.stdout)
    if not results:
        raise OperatorError("forge", done.stdout + done.stderr, "Correct the mutant or the tests.")
    return results


def _say(what: str, begin: float) -> None:
    sys.stdout.write(f"{what} ({time.monotonic() - begin:.1f} s)\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
