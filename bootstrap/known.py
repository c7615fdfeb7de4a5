"""Networks that this installation knows by name: files ``NAME.toml`` in its folders of networks."""

from collections.abc import Sequence
from pathlib import Path

from protocol.errors import OperatorError


def find_network(wanted: str, folders: Sequence[Path]) -> Path:
    """The file of a network, by its path or by its name. Raises OperatorError ``unknown-network``."""
    path = Path(wanted).expanduser()
    if path.is_file() or path.suffix == ".toml" or len(path.parts) > 1:
        return path  # whoever reads it says so when it is not there
    for folder in folders:
        named = folder / f"{wanted}.toml"
        if named.is_file():
            return named
    names = ", ".join(known_networks(folders)) or "none"
    raise OperatorError(
        "unknown-network",
        f"{wanted!r} is no file, and no network that is known here ({names}).",
        f"Name its network file, or put it into {folders[0]} as NAME.toml.",
    )


def known_networks(folders: Sequence[Path]) -> list[str]:
    """Their names, each once."""
    return sorted({file.stem for folder in folders for file in folder.glob("*.toml")})
