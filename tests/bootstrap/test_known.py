"""Networks by name."""

from pathlib import Path

import pytest

from bootstrap.known import find_network, known_networks
from protocol.errors import OperatorError


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    made = [tmp_path / "user", tmp_path / "site", tmp_path / "absent"]
    for folder, name in zip(made[:2], ("testnet", "mainnet"), strict=True):
        folder.mkdir()
        (folder / f"{name}.toml").write_text("")
    return made


def test_a_path_or_a_name(folders: list[Path]) -> None:
    assert known_networks(folders) == ["mainnet", "testnet"]
    assert find_network("mainnet", folders) == folders[1] / "mainnet.toml"
    assert find_network(str(folders[0] / "testnet.toml"), folders) == folders[0] / "testnet.toml"


def test_a_missing_file_is_for_its_reader_to_say(folders: list[Path]) -> None:
    assert find_network("none.toml", folders) == Path("none.toml")
    assert find_network("../mainnet", folders) == Path("../mainnet")


def test_the_first_folder_comes_first(folders: list[Path]) -> None:
    (folders[0] / "mainnet.toml").write_text("")
    assert find_network("mainnet", folders) == folders[0] / "mainnet.toml"


@pytest.mark.parametrize("wanted", ["other", "mainnet2", ""])
def test_an_unknown_one_is_said_with_those_that_are_known(folders: list[Path], wanted: str) -> None:
    with pytest.raises(OperatorError, match="mainnet, testnet") as told:
        find_network(wanted, folders)
    assert told.value.code == "unknown-network" and str(folders[0]) in told.value.remedy
