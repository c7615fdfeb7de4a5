"""The configuration: precedence, origins, and errors that name the line."""

from pathlib import Path

import pytest

from node.config import Value, load_config, settings, write_config
from node.home import Home
from protocol.errors import OperatorError

PAYOUT = "0x52908400098527886E0F7030069857D2E4169EE7"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_defaults_alone_make_a_config(home: Home) -> None:
    config = load_config(home)
    assert config.roles == ("contributor",)
    assert config.compute_slots == home.path / "slots"
    assert set(config.origins.values()) == {"default"}


def test_flag_beats_environment_beats_file_beats_default(home: Home) -> None:
    home.config.write_text('log_level = "error"\n\n[api]\nport = 1\n\n[listen]\nport = 2\n')
    env = {"OPENLEDGER_API_PORT": "3", "OPENLEDGER_LISTEN_PORT": "4", "PATH": "/bin"}
    config = load_config(home, env, {"listen_port": "5"})
    assert (config.log_level, config.api_port, config.listen_port) == ("error", 3, 5)
    assert config.origins["log_level"] == "config.toml:1"
    assert config.origins["api_port"] == "OPENLEDGER_API_PORT"
    assert config.origins["listen_port"] == "--listen-port"
    assert config.origins["payout"] == "default"


def test_a_key_of_the_same_name_in_two_tables_gets_its_own_line(home: Home) -> None:
    home.config.write_text("# ports\n[listen]\nport = 2\n\n[api]\n# the page\nport = 1\n")
    origins = {line.key: line.origin for line in settings(load_config(home))}
    assert origins["listen.port"] == "config.toml:3"
    assert origins["api.port"] == "config.toml:7"


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("\nport = 1\n", ":2", "unknown key 'port'"),
        ('[api]\nprot = "1"\n', ":2", "unknown key 'api.prot'"),
        ("[nothing]\n", ":1", "unknown key 'nothing'"),
        ("[api]\nport = 70000\n", ":2", "0 to 65535"),
        ("[api]\nport = true\n", ":2", "0 to 65535"),
        ('roles = ["worker", "king"]\n', ":1", "'king'"),
        (f'payout = "{PAYOUT[:-1]}8"\n', ":1", "checksum"),
        (f'payout = "{PAYOUT.lower()}"\n', ":1", "checksum"),
        ("roles = []\nroles = []\n", "config.toml", "line 2"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(home: Home, text: str, where: str, what: str) -> None:
    home.config.write_text(text)
    with pytest.raises(OperatorError) as caught:
        load_config(home)
    assert caught.value.code == "bad-config"
    assert where in caught.value.text
    assert what in caught.value.text


def test_a_bad_variable_is_named(home: Home) -> None:
    with pytest.raises(OperatorError, match="OPENLEDGER_API_PROT"):
        load_config(home, {"OPENLEDGER_API_PROT": "1"})
    with pytest.raises(OperatorError, match="OPENLEDGER_API_PORT"):
        load_config(home, {"OPENLEDGER_API_PORT": "high"})


def test_what_is_written_is_read_back(home: Home) -> None:
    values: dict[str, Value] = {
        "network": home.network,
        "payout": PAYOUT,
        "roles": ("worker", "verifier"),
        "datanets": ('a "quoted" name',),
        "api_port": 8_080,
        "compute_cache": Path("/var/cache/ünïcode"),
    }
    write_config(home, values)
    config = load_config(home)
    assert {name: getattr(config, name) for name in values} == values
    assert all(config.origins[name].startswith("config.toml:") for name in values)


def test_a_bad_value_is_never_written(home: Home) -> None:
    write_config(home, {"payout": PAYOUT})
    before = home.config.read_bytes()
    with pytest.raises(OperatorError):
        write_config(home, {"payout": "0x12"})
    assert home.config.read_bytes() == before
