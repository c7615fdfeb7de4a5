"""The repository checks itself: the rules of the house that no linter has, and that ours bite.

Doors, prints, docstrings and unfinished work are ruff's (pyproject.toml); here ruff is shown one
offender for each rule, so that a rule lost from the settings is noticed.
"""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
BROAD = {"Exception", "BaseException"}
# Written in two parts, or this file would find itself.
HOSTS = ["pypi" + ".org", "files.python" + "hosted.org", "registry.npm" + "js.org"]
HOSTS += ["deb." + "debian.org", "hugging" + "face.co"]
MACHINE_PATHS = [r"/tmp/" + r"w\b", r"/work/" + r"(main|shared)", r"/opt/" + r"wheels"]
SILENCED = re.compile(r"(noqa|ruff): *(noqa *$|.*\b(TID251|BLE001|S110|T201|FIX\d))")
FOREIGN = re.compile("|".join([*map(re.escape, HOSTS), *MACHINE_PATHS]))


def tracked() -> list[Path]:
    """Files that git holds or would hold."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if names.returncode:
        pytest.skip("not a git checkout")
    paths = (ROOT / name for name in names.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def sources() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def shown(path: Path, line: int = 1) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def broad_handlers(tree: ast.AST) -> Iterator[int]:
    """Lines of ``except:``, ``except Exception`` and ``suppress(Exception)``, also in a tuple.

    A handler that cleans up and ends with a bare ``raise`` swallows nothing and is allowed.
    """
    for node in ast.walk(tree):
        match node:
            case ast.ExceptHandler(body=[*_, ast.Raise(exc=None)]):
                pass
            case ast.ExceptHandler(type=None, lineno=line):
                yield line
            case ast.ExceptHandler(type=ast.expr() as caught, lineno=line):
                if named(ast.walk(caught)) & BROAD:
                    yield line
            case ast.Call(func=ast.Name("suppress") | ast.Attribute(attr="suppress")):
                if named(node.args) & BROAD:
                    yield node.lineno


def named(nodes: Iterable[ast.AST]) -> set[str]:
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def long_functions(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            if node.end_lineno - node.lineno >= MAX_FUNCTION_LINES:
                yield node.lineno


def foreign_lines(text: str) -> Iterator[int]:
    """Lines that name a registry host or a path of one machine."""
    for number, line in enumerate(text.splitlines(), 1):
        if FOREIGN.search(line):
            yield number


def silenced(text: str) -> Iterator[int]:
    """Lines that lift a ban where it is broken instead of in pyproject.toml, with its reason."""
    for number, line in enumerate(text.splitlines(), 1):
        if SILENCED.search(line):
            yield number


def test_files_are_short() -> None:
    long = [path for path in sources() if len(path.read_text().splitlines()) > MAX_FILE_LINES]
    assert [shown(path) for path in long] == []


def test_functions_are_short() -> None:
    found = {path: long_functions(ast.parse(path.read_text())) for path in sources()}
    assert [shown(path, line) for path, lines in found.items() for line in lines] == []


def test_nothing_catches_everything() -> None:
    found = {path: broad_handlers(ast.parse(path.read_text())) for path in sources()}
    assert [shown(path, line) for path, lines in found.items() for line in lines] == []


def test_no_registry_host_or_machine_path() -> None:
    found = {path: foreign_lines(path.read_text(errors="replace")) for path in tracked()}
    assert [shown(path, line) for path, lines in found.items() for line in lines] == []


def test_no_line_silences_a_rule_of_the_house() -> None:
    found = {path: silenced(path.read_text()) for path in sources()}
    assert [shown(path, line) for path, lines in found.items() for line in lines] == []


def test_every_door_is_listed_and_every_listed_door_is_one() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lifted = settings["tool"]["ruff"]["lint"]["per-file-ignores"]
    listed = {file for file, rules in lifted.items() if "TID251" in rules} - {"tests/**"}
    command = [sys.executable, "-m", "ruff", "check", "--output-format", "json", "--no-cache"]
    command += ["--select", "TID251", "--exclude", "tests", "--config", "lint.per-file-ignores={}"]
    run = subprocess.run([*command, "."], cwd=ROOT, capture_output=True, text=True, check=False)
    found = {Path(row["filename"]).relative_to(ROOT).as_posix() for row in json.loads(run.stdout)}
    assert sorted(found ^ listed) == []


def test_the_readme_names_only_what_is_there() -> None:
    text = (ROOT / "README.md").read_text()
    named = re.findall(r"`([\w.]+/[\w./]*)`|\]\(([\w./]+)\)", text)
    assert len(named) > 10
    assert [a or b for a, b in named if not (ROOT / (a or b)).exists()] == []


@pytest.mark.parametrize(
    "handler",
    ["except:", "except Exception:", "except (OSError, BaseException):", "except* Exception:"],
)
def test_a_broad_handler_is_found(handler: str) -> None:
    assert list(broad_handlers(ast.parse(f"try:\n    f()\n{handler}\n    g()"))) == [3]


def test_a_narrow_handler_is_not_found() -> None:
    text = "try:\n    f()\nexcept (OSError, ValueError):\n    g()\nwith suppress(OSError):\n    f()"
    assert list(broad_handlers(ast.parse(text))) == []
    assert list(broad_handlers(ast.parse("try:\n    f()\nexcept:\n    g()\n    raise"))) == []
    assert list(broad_handlers(ast.parse("with contextlib.suppress(Exception):\n    f()"))) == [1]


def test_a_long_function_is_found() -> None:
    body = "    f()\n" * MAX_FUNCTION_LINES
    assert list(long_functions(ast.parse("def f():\n" + body))) == [1]
    assert list(long_functions(ast.parse("def f():\n" + body[: -len("    f()\n")]))) == []


@pytest.mark.parametrize("text", [*HOSTS, "/tmp/" + "w/x", "/opt/" + "wheels"])
def test_a_foreign_line_is_found(text: str) -> None:
    assert list(foreign_lines(f"clean\nsee {text} for more")) == [2]


@pytest.mark.parametrize("rule", ["TID251", "E501, BLE001", "FIX002"])
def test_a_silenced_rule_is_found(rule: str) -> None:
    assert list(silenced("import time  # no" + f"qa: {rule}")) == [1]
    assert list(silenced("LONG = 1  # no" + "qa: E501")) == []


OFFENDERS = {
    "import time": "TID251",
    "import random": "TID251",
    "import secrets": "TID251",
    "import asyncio": "TID251",
    "import threading": "TID251",
    "import multiprocessing": "TID251",
    "from concurrent.futures import ThreadPoolExecutor": "TID251",
    "import os\n\nos.urandom(8)": "TID251",
    "import uuid\n\nuuid.uuid4()": "TID251",
    "import trio\n\ntrio.current_time()": "TID251",
    "import trio\n\nNAP = trio.sleep": "TID251",
    "from trio import sleep as nap": "TID251",
    "from trio import to_thread": "TID251",
    "from datetime import datetime\n\nNOW = datetime.now()": "TID251",
    "import datetime\n\nNOW = datetime.datetime.utcnow()": "TID251",
    "from datetime import date\n\nNOW = date.today()": "TID251",
    "import numpy as np\n\nnp.random.seed(1)": "NPY002",
    "print('here')": "T20",
    "import pickle\n\npickle.loads(b'')": "S301",
    "eval('1')": "S307",
    "# TO" + "DO: later": "FIX",
    "# FIX" + "ME: later": "FIX",
}


def lint(body: str, filename: str) -> str:
    """Ruff's findings, in short form, for a file that would stand at ``filename``."""
    command = [sys.executable, "-m", "ruff", "check", "--output-format", "concise", "--no-cache"]
    command += ["--stdin-filename", str(ROOT / filename), "-"]
    run = subprocess.run(command, cwd=ROOT, input=body, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stderr
    return run.stdout


@pytest.mark.parametrize(("body", "rule"), OFFENDERS.items())
def test_ruff_refuses(body: str, rule: str) -> None:
    assert rule in lint(f'"""A rule."""\n\n{body}\n', "tasks/offender.py")


def test_ruff_refuses_a_file_that_does_not_say_what_it_is() -> None:
    assert "D100" in lint("A = 1\n", "tasks/offender.py")
    assert "D104" in lint("A = 1\n", "tasks/__init__.py")


def test_a_door_lifts_the_ban_for_itself_alone() -> None:
    door, body = (
        "node/aio.py",
        '"""A door."""\n\nimport asyncio\n\nLOOP = asyncio.new_event_loop()\n',
    )
    assert "TID251" not in lint(body, door)
    assert "TID251" in lint(body, "node/elsewhere.py")
    assert "T20" in lint('"""A door."""\n\nprint(1)\n', door)
