"""Seeded faults in the contracts, each of which forge's tests must notice.

``python -m tests.contracts.mutants [NAME...]``: compiles every fault of ``mutants.toml`` with the pinned
compiler, runs forge on the faulty artifacts, and prints the tests that kill it. Exit status 1 when
one survives or does not compile.
"""

import shutil
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import OperatorError
from settlement import rebuild
from tests.contracts import foundry

FAULTS = Path(__file__).parent / "mutants.toml"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: ``search``, which stands once in ``file``, becomes ``replace``."""

    name: str
    file: str
    search: str
    replace: str

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
    alive = []
    for mutant in chosen:
        killers = killed_by(mutant)
        if not killers:
            alive.append(mutant.name)
        shown = ", ".join(killers[:3]) + (f" and {len(killers) - 3} more" if killers[3:] else "")
        sys.stdout.write(f"{mutant.name:24} {shown or 'SURVIVED'}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(chosen)} mutants, {len(alive)} survived {alive or ''}\n")
    sys.exit(1 if alive else 0)


def mutants() -> list[Mutant]:
    """All of them. Raises OperatorError ``stale-mutant`` for one whose text is gone."""
    found = [Mutant(**each) for each in tomllib.loads(FAULTS.read_text()).get("mutant", ())]
    for mutant in found:
        mutant.source()
    return found


def killed_by(mutant: Mutant) -> list[str]:
    """Names of the tests that fail on the faulty contracts."""
    foundry.install()
    with tempfile.TemporaryDirectory() as folder:
        sources, artifacts = Path(folder) / "contracts", Path(folder) / "artifacts"
        shutil.copytree(
            rebuild.SOURCES, sources, ignore=shutil.ignore_patterns("node_modules", "test")
        )
        (sources / mutant.file).write_text(mutant.source())
        compiled = rebuild.compile_all(foundry.MODULES, sources)
        artifacts.mkdir()
        for name, body in rebuild.artifacts(compiled).items():
            (artifacts / f"{name}.json").write_text(body)
        done = foundry.run("--no-match-contract", "SumTreeTest", artifacts=artifacts)
    results = foundry.report(done.stdout)
    if not results:
        raise OperatorError("forge", done.stdout + done.stderr, "Correct the mutant or the tests.")
    return [name for name, passed in results.items() if not passed]


if __name__ == "__main__":
    main()
