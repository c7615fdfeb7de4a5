"""The tiny model of the lora tests, with records of two kinds."""

from pathlib import Path

import numpy as np
import pytest

from lora.adapter import Adapter
from lora.attach import new_adapter
from lora.base import Base, load_base
from tests.lora.conftest import SPEC, build_tiny


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder: Path = build_tiny(tmp_path_factory.mktemp("tiny"))
    return load_base(str(folder), cache=folder.parent)


@pytest.fixture(scope="session")
def adapter(base: Base) -> Adapter:
    """B is not zero, so that A has gradients."""
    fresh = new_adapter(base, SPEC, seed=3)
    noise = np.random.default_rng(5).normal(0, 0.05, fresh.size).astype(np.float32)
    return fresh.with_weights(fresh.w + noise)
