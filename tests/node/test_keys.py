"""Keys at rest: sealed, private, restorable, and every fault with its remedy."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import keyring
import pytest
from blake3 import blake3

from node.home import Home, default_home
from node.keys import (
    backed_up,
    create_identity,
    export_backup,
    install_identity,
    load_identity,
    read_backup,
)
from protocol.errors import OperatorError

PASSPHRASE = "correct horse battery"


def stream(seed: int) -> Callable[[int], bytes]:
    """Fresh-looking bytes that repeat with the seed."""
    count = 0

    def token(size: int) -> bytes:
        nonlocal count
        count += 1
        return blake3(f"{seed}/{count}".encode()).digest(length=size)

    return token


class MemoryKeyring:
    """Not a KeyringBackend: those register themselves for the whole process."""

    priority = 5

    def __init__(self) -> None:
        self.secrets: dict[tuple[str, str], str] = {}

    def set_password(self, service: str, username: str, password: str) -> None:
        self.secrets[service, username] = password

    def get_password(self, service: str, username: str) -> str | None:
        return self.secrets.get((service, username))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_created_keys_open_again_and_are_private(home: Home) -> None:
    made = create_identity(home, stream(1), "file")
    assert load_identity(home) == made
    assert made.peer_id.startswith("12D3KooW")
    assert made.operator.startswith("0x")
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.identity.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.key_file.stat().st_mode) == 0o600


def test_no_secret_lies_open_in_the_identity_file(home: Home) -> None:
    made = create_identity(home, stream(1), "file")
    stored = home.identity.read_text()
    for secret in (made.peer_seed, made.operator_key, made.seal_key):
        assert secret.hex() not in stored


def test_the_operator_address_is_the_known_one_of_key_one() -> None:
    """Private key 1's address is a public test vector of Ethereum."""
    from node.keys import Identity

    identity = Identity(bytes(32), (1).to_bytes(32, "big"), bytes(32))
    assert identity.operator == "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"


def test_a_second_init_never_overwrites_keys(home: Home) -> None:
    create_identity(home, stream(1), "file")
    before = home.identity.read_bytes()
    with pytest.raises(OperatorError, match="identity-exists"):
        create_identity(home, stream(2), "file")
    assert home.identity.read_bytes() == before


def test_the_keyring_is_used_when_there_is_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = MemoryKeyring()
    monkeypatch.setattr(keyring, "get_keyring", lambda: backend)
    monkeypatch.setattr(keyring, "set_password", backend.set_password)
    monkeypatch.setattr(keyring, "get_password", backend.get_password)
    made = create_identity(home, stream(1))
    assert len(backend.secrets) == 1
    assert not home.key_file.exists()
    assert load_identity(home) == made
    backend.secrets.clear()
    with pytest.raises(OperatorError, match="no-secret"):
        load_identity(home)


def test_a_passphrase_alone_opens_its_keys(home: Home) -> None:
    made = create_identity(home, stream(1), "passphrase", PASSPHRASE)
    assert load_identity(home, PASSPHRASE) == made
    with pytest.raises(OperatorError, match="wrong-secret"):
        load_identity(home, "wrong")
    with pytest.raises(OperatorError, match="OPENLEDGER_PASSPHRASE"):
        load_identity(home)


@pytest.mark.parametrize("name", ["identity", "key_file"])
def test_a_readable_secret_is_refused_with_the_chmod(home: Home, name: str) -> None:
    create_identity(home, stream(1), "file")
    path: Path = getattr(home, name)
    path.chmod(0o644)
    with pytest.raises(OperatorError, match=f"chmod 600 {path}"):
        load_identity(home)


def test_a_readable_home_is_refused_with_the_chmod(home: Home) -> None:
    create_identity(home, stream(1), "file")
    home.path.chmod(0o755)
    with pytest.raises(OperatorError, match=f"chmod 700 {home.path}"):
        load_identity(home)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"secret": "file"}', "{"])
def test_a_damaged_identity_says_so(home: Home, body: str) -> None:
    create_identity(home, stream(1), "file")
    home.identity.write_text(body)
    with pytest.raises(OperatorError, match="damaged-identity"):
        load_identity(home)


def test_a_changed_box_does_not_open(home: Home) -> None:
    create_identity(home, stream(1), "file")
    sealed = json.loads(home.identity.read_text())
    sealed["box"] = sealed["box"][:-2] + ("00" if sealed["box"][-2:] != "00" else "01")
    home.identity.write_text(json.dumps(sealed))
    with pytest.raises(OperatorError, match="wrong-secret"):
        load_identity(home)


def test_a_backup_restores_the_same_node_elsewhere(home: Home, tmp_path: Path) -> None:
    made = create_identity(home, stream(1), "file")
    assert not backed_up(home)
    file = tmp_path / "backup.json"
    export_backup(home, made, file, PASSPHRASE, stream(2))
    assert backed_up(home)
    other = Home(tmp_path / "other")
    install_identity(other, read_backup(file, PASSPHRASE), stream(3), "file", None)
    assert load_identity(other) == made
    assert not backed_up(other)
    with pytest.raises(OperatorError, match="wrong-secret"):
        read_backup(file, "wrong")


def test_a_backup_refuses_weak_passphrases_and_existing_files(home: Home, tmp_path: Path) -> None:
    made = create_identity(home, stream(1), "file")
    with pytest.raises(OperatorError, match="weak-passphrase"):
        export_backup(home, made, tmp_path / "b", "short", stream(2))
    (tmp_path / "b").write_text("mine")
    with pytest.raises(OperatorError, match="file-exists"):
        export_backup(home, made, tmp_path / "b", PASSPHRASE, stream(2))
    assert not backed_up(home)


def test_the_api_token_is_made_once(home: Home) -> None:
    home.create()
    first = home.api_token(stream(1))
    assert home.api_token(stream(2)) == first
    assert stat.S_IMODE(home.token.stat().st_mode) == 0o600


def test_the_home_comes_from_the_flag_then_the_environment(tmp_path: Path) -> None:
    env = {"OPENLEDGER_HOME": str(tmp_path / "env")}
    assert default_home(tmp_path / "flag", env) == tmp_path / "flag"
    assert default_home(None, env) == tmp_path / "env"
    assert default_home(None, {}).name == "openledger"
