"""What is installed: the wheel's files, and that what is imported is declared and pinned."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

NOT_IMPORTED = {
    "gguf": "transformers reads the packaged weights with it",
    "py-evm": "eth-tester runs the chain in a box on it",
    "pycryptodome": "eth-hash takes keccak-256 from it",
}
TOOLS = {"hatchling", "import-linter", "mypy", "pytest-trio", "ruff"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: Iterable[str]) -> set[str]:
    """Distributions that ``requirements`` (PEP 508) name."""
    return {normal(re.split(r"[\s\[<>=~!;]", line, maxsplit=1)[0]) for line in requirements}


def pins() -> dict[str, str]:
    """Distribution to exact version, as constraints.txt has it."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {normal(name): version for name, version in pairs}


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level names of absolute imports."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                yield from (alias.name.partition(".")[0] for alias in aliases)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]


def third_party(folders: Iterable[str]) -> dict[str, set[str]]:
    """Every foreign module that the folders import, with the distributions that hold it."""
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    found = {name for path in files for name in imported(ast.parse(path.read_text()))}
    foreign = found - sys.stdlib_module_names - {*PACKAGES, "tests"}
    holders = packages_distributions()
    return {name: {normal(holder) for holder in holders.get(name, ())} for name in foreign}


DEPENDENCIES = names(PROJECT["project"]["dependencies"])
DEV = names(PROJECT["project"]["optional-dependencies"]["dev"])
TEXTS = names(re.findall(r"^TEXTS := (.*)$", (ROOT / "Makefile").read_text(), re.M)[0].split())


def test_what_the_packages_import_is_declared() -> None:
    found = third_party(PACKAGES)
    assert sorted(name for name, holders in found.items() if not holders & DEPENDENCIES) == []


def test_what_the_tests_import_is_declared() -> None:
    allowed = DEPENDENCIES | DEV | TEXTS
    found = third_party(["tests"])
    assert sorted(name for name, holders in found.items() if not holders & allowed) == []


def test_what_is_declared_is_used() -> None:
    used = set().union(*third_party(PACKAGES).values())
    assert sorted(DEPENDENCIES - used - set(NOT_IMPORTED)) == []
    assert sorted(DEV - set().union(*third_party(["tests"]).values()) - TOOLS) == []


def test_every_declared_distribution_has_one_exact_version() -> None:
    assert sorted((DEPENDENCIES | DEV | TEXTS) - set(pins())) == []
    # A local suffix would refuse every other build of the same version.
    assert [pin for pin in pins().values() if "+" in pin] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Files of the wheel that hatchling builds from this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (path,) = folder.glob("openledger_node-*.whl")
    return set(zipfile.ZipFile(path).namelist())


def test_the_wheel_holds_every_package_and_nothing_else(wheel: set[str]) -> None:
    top = {name.partition("/")[0] for name in wheel}
    assert {name for name in top if not name.endswith(".dist-info")} == set(PACKAGES)
    assert {f"{package}/__init__.py" for package in PACKAGES} <= wheel


def test_the_wheel_holds_what_the_node_reads_at_run_time(wheel: set[str]) -> None:
    for folder, pattern in [
        ("settlement/artifacts", "*.json"),
        ("simnet/scenarios", "*.toml"),
        ("node/dashboard", "*.js"),
    ]:
        files = {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob(pattern)}
        assert files, f"nothing like {pattern} in {folder}"
        assert files <= wheel


def test_the_wheel_says_what_it_is(wheel: set[str]) -> None:
    (scripts,) = (name for name in wheel if name.endswith("entry_points.txt"))
    assert {Path(name).name for name in wheel if ".dist-info/licenses/" in name} == {
        "LICENSE",
        "NOTICE",
    }
    assert scripts.startswith("openledger_node-")
