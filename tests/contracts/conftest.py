"""A deployment with registered, staked operators and a funded job; on bytecode and models alike."""

import os
from pathlib import Path

import pytest

from settlement import abi
from tests.contracts.scene import Scene

if "OPENLEDGER_ARTIFACTS" in os.environ:  # mutants.py's
    abi.ARTIFACTS = Path(os.environ["OPENLEDGER_ARTIFACTS"])


@pytest.fixture
def scene() -> Scene:
    return Scene()
