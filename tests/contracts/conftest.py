"""A deployment with registered, staked operators and a funded job; on bytecode and models alike."""

import pytest

from tests.contracts.scene import Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()
