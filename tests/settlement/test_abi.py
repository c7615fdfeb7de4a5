"""Artifacts and ABI: the committed bytecode is the sources', arguments are held to their types."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.errors import LocalError
from settlement import abi
from tests.settlement.pair import PARAMS, Pair

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.process
def test_the_committed_artifacts_are_what_the_sources_compile_to() -> None:
    """Needs node and an installed folder (OPENLEDGER_NODE_MODULES) of the lock file's packages."""
    modules = os.environ.get("OPENLEDGER_NODE_MODULES", "")
    if shutil.which("node") is None or not modules:
        pytest.skip("set OPENLEDGER_NODE_MODULES, or run: python -m settlement.rebuild --check")
    command = [sys.executable, "-m", "settlement.rebuild", "--check", "--modules", modules]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("contract", "function", "args"),
    [
        ("CommitLog", "commit", (bytes(32), bytes(32))),
        ("CommitLog", "commit", (bytes(31), bytes(32), bytes(32))),
        ("CommitLog", "commit", ("0x" + "00" * 32, bytes(32), bytes(32))),
        ("CommitLog", "commitMany", ([(bytes(32), bytes(32))],)),
        ("OpenToken", "transfer", (b"\x01" * 20, 1)),
        ("OpenToken", "transfer", ("0x01", 1)),
        ("OpenToken", "transfer", ("0x" + "01" * 20, -1)),
        ("OpenToken", "transfer", ("0x" + "01" * 20, 2**256)),
        ("OpenToken", "transfer", ("0x" + "01" * 20, True)),
        ("AssetRegistry", "registerDatanet", (bytes(32), 256)),
    ],
)
def test_arguments_of_another_type_are_refused(
    contract: str, function: str, args: tuple[object, ...]
) -> None:
    with pytest.raises(LocalError, match="bad-argument"):
        abi.function(contract, function, view=False).call_data(args)


def test_code_is_compared_apart_from_immutables_only() -> None:
    made = abi.artifact("WorkerStake")
    assert made.immutables
    start, length = made.immutables[0]
    deployed = bytearray(made.runtime)
    deployed[start : start + length] = b"\x11" * length
    assert made.same_code(bytes(deployed))
    deployed[0] ^= 1
    assert not made.same_code(bytes(deployed))
    assert not made.same_code(b"")


def test_every_error_of_a_model_is_one_of_the_contracts() -> None:
    pair = Pair(PARAMS)
    names = set(abi.errors().values()) | {"Panic", "reverted"}  # the latter: without a name
    sources = {sys.modules[type(model).__module__].__file__ for model in pair.models.values()}
    for path in filter(None, sources):
        for part in Path(path).read_text().split('revert("')[1:]:
            assert part.split('"')[0] in names


def test_revert_data_gives_the_error_s_name() -> None:
    selector = next(key for key, name in abi.errors().items() if name == "UnknownPot")
    assert abi.error_name(selector + bytes(32)) == "UnknownPot"
    assert abi.error_name(abi.PANIC + bytes(32)) == "Panic"
    assert abi.error_name(b"") == "reverted"
