"""The command line: instant help, clear errors, and what it says of a running node."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from typer.testing import CliRunner, Result

from bootstrap.network import Contract, Genesis, NetworkFile, save_network
from node.cli import app
from node.config import load_config, write_config
from node.home import Home
from node.keys import load_identity
from protocol.errors import OpenLedgerError, OperatorError
from protocol.params import preset

PAYOUT = "0x52908400098527886E0F7030069857D2E4169EE7"
# What takes long to import, or may only live behind its door.
HEAVY = (
    "torch peft transformers web3 libp2p fastapi hypercorn trio pydantic structlog nacl eth_utils"
)
READY = {"peer_id", "addrs", "api", "token_file", "roles", "network", "chain_id"}
# A daemon that is ready at once and runs until it is told to stop.
FAKE_DAEMON = """
import sys, types, trio
async def run_node(config, identity, on_ready):
    on_ready({"peer_id": identity.peer_id, "addrs": [], "api": "http://127.0.0.1:1",
              "token_file": "t", "roles": list(config.roles), "network": "box", "chain_id": 31337})
    await trio.sleep_forever()
sys.modules["node.daemon"] = types.SimpleNamespace(run_node=run_node)
from node.cli import main
main()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def network_file(tmp_path: Path) -> Path:
    params = preset("simnet")
    seat = bytes(19) + b"\x01"
    genesis = Genesis(
        31_337, 1, (Contract("OpenToken", seat),), (seat,), 1, (seat,), seat, params.hash
    )
    path = tmp_path / "box.toml"
    save_network(path, NetworkFile("box", params, genesis, (), ("http://127.0.0.1:9",)))
    return path


def call(home: Home, *args: str, text: str | None = None) -> Result:
    return CliRunner().invoke(app, ["--home", str(home.path), *args], input=text)


def fault(result: Result) -> OpenLedgerError:
    assert result.exit_code != 0
    assert isinstance(result.exception, OpenLedgerError), result.output
    return result.exception


def process(*args: str, code: str = "from node.cli import main; main()") -> list[str]:
    return [sys.executable, "-c", code, *args]


def environment(home: Home) -> dict[str, str]:
    return {**os.environ, "OPENLEDGER_HOME": str(home.path), "COLUMNS": "100"}


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom node.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"print('LOADED', sorted(set({HEAVY.split()!r}) & set(sys.modules)))"
    )
    done = subprocess.run(process("--help", code=code), capture_output=True, text=True, check=True)
    commands = "init join run status peers datanet job claim chat stake backup simnet doctor config"
    assert [name for name in commands.split() if f" {name} " not in done.stdout] == []
    assert "LOADED []" in done.stdout


def test_an_error_is_one_line_on_stderr_and_status_1(home: Home) -> None:
    done = subprocess.run(
        process("status"), capture_output=True, text=True, env=environment(home), check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("openledger: no-daemon: ")
    assert f"openledger --home {home.path} run" in done.stderr


def test_a_usage_error_is_status_2(home: Home) -> None:
    assert call(home, "status", "--nonsense").exit_code == 2


def test_an_unknown_scenario_is_named(home: Home) -> None:
    done = call(home, "simnet", "run", "nonsense")
    assert done.exit_code != 0
    assert isinstance(done.exception, OperatorError)
    assert "nonsense" in done.exception.text


def test_init_and_join_leave_a_home_that_can_run(home: Home, network_file: Path) -> None:
    made = call(home, "init", "--secret", "file")
    assert load_identity(home).peer_id in made.stdout
    joined = call(home, "join", str(network_file), "--payout", PAYOUT, "--roles", "worker,verifier")
    assert joined.exit_code == 0, joined.output
    config = load_config(home)
    assert (config.payout, config.roles) == (PAYOUT, ("worker", "verifier"))
    assert home.network.read_bytes() == network_file.read_bytes()


def test_join_takes_the_name_of_a_known_network(
    home: Home, network_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLEDGER_NETWORKS", str(network_file.parent))
    joined = call(home, "join", network_file.stem, "--payout", PAYOUT)
    assert joined.exit_code == 0, joined.output
    assert home.network.read_bytes() == network_file.read_bytes()
    unknown = fault(call(home, "join", "atlantis", "--payout", PAYOUT))
    assert unknown.code == "unknown-network" and network_file.stem in unknown.text


def test_join_alone_makes_the_keys_and_asks_nothing(home: Home, network_file: Path) -> None:
    assert call(home, "join", str(network_file), "--payout", PAYOUT).exit_code == 0
    assert load_identity(home).peer_id


@pytest.mark.parametrize("payout", [PAYOUT.lower(), PAYOUT[:-1], "me"])
def test_join_refuses_a_mistyped_payout_address(
    home: Home, network_file: Path, payout: str
) -> None:
    refused = fault(call(home, "join", str(network_file), "--payout", payout))
    assert refused.code == "bad-config"
    assert "checksum" in refused.text
    assert not home.config.exists()


def test_join_refuses_a_file_that_is_no_network(home: Home, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("name = 1")
    refused = fault(call(home, "join", str(tmp_path / "x.toml"), "--payout", PAYOUT))
    assert refused.code == "bad-network-file"
    assert not home.network.exists()


def test_run_before_join_or_init_says_what_to_do(home: Home, network_file: Path) -> None:
    unpaid = fault(call(home, "run"))
    assert unpaid.code == "no-payout"
    assert " join NETWORK --payout ADDRESS" in unpaid.text
    write_config(home, {"payout": PAYOUT})
    assert "openledger join" in fault(call(home, "run")).text
    home.write(home.network, network_file.read_bytes())
    assert "openledger init" in fault(call(home, "run")).text


def test_run_prints_one_json_line_and_stops_on_a_signal(home: Home, network_file: Path) -> None:
    call(home, "join", str(network_file), "--payout", PAYOUT)
    command = process("run", "--json", code=FAKE_DAEMON)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(home)) as run:
        assert run.stdout is not None
        facts = json.loads(run.stdout.readline())
        run.send_signal(signal.SIGTERM)
        assert run.stdout.read() == ""
    assert run.returncode == 0
    assert set(facts) == READY
    assert facts["peer_id"] == load_identity(home).peer_id


def test_backup_restores_the_same_node(home: Home, tmp_path: Path) -> None:
    call(home, "init", "--secret", "file")
    file = tmp_path / "keys.backup"
    typed = "correct horse\ncorrect horse\n"
    assert call(home, "backup", str(file), text=typed).exit_code == 0
    other = Home(tmp_path / "other")
    restored = call(other, "init", "--from-backup", str(file), text="correct horse\n")
    assert restored.exit_code == 0, restored.output
    assert load_identity(other) == load_identity(home)


def test_config_shows_each_value_with_its_origin(home: Home, network_file: Path) -> None:
    call(home, "join", str(network_file), "--payout", PAYOUT)
    lines = json.loads(call(home, "config", "--json").stdout)
    origins = {line["key"]: line["origin"] for line in lines}
    assert origins["payout"].startswith("config.toml:")
    assert origins["compute.threads"] == "default"
    assert PAYOUT in call(home, "config", "--show").stdout


def test_a_dead_daemon_is_told_from_a_living_one(home: Home) -> None:
    home.create()
    home.announce("http://127.0.0.1:9", 1)
    home.api_token(lambda size: bytes(size))
    assert "does not answer" in fault(call(home, "peers")).text


@pytest.fixture
def online(serving: Any, home: Home, token: str) -> Callable[[Any], Any]:
    """``async with online(node) as call``: commands against a served node, from a thread."""
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def running(node: Any) -> Any:
        async with serving(node) as url:
            home.create()
            home.write(home.token, token.encode())
            home.announce(url, os.getpid())
            yield lambda *args: trio.to_thread.run_sync(partial(call, home, *args))

    return running


async def test_reads_give_the_nodes_own_values_as_json(online: Any, fake_node: Any) -> None:
    async with online(fake_node) as ask:
        for command, section in (
            (("status",), "status"),
            (("peers",), "peers"),
            (("datanet", "list"), "datanets"),
            (("job", "list"), "jobs"),
        ):
            result = await ask(*command, "--json")
            assert json.loads(result.stdout) == fake_node.state[section]


async def test_tables_name_states_and_reasons(online: Any, fake_node: Any) -> None:
    async with online(fake_node) as ask:
        status = (await ask("status")).stdout
        assert "Verifying step 5" in status
        assert "3.141592653589793238 OPEN" in status
        assert "2 of 3 lookups found a holder" in " ".join(status.split())
        assert "openledger backup" in status
        assert "ping-timeout" in (await ask("peers")).stdout
        assert "87.3 %" in (await ask("datanet", "list")).stdout
        shown = (await ask("job", "show", "c3")).stdout
        assert "failed" in shown
        assert "3.912 -> 3.405" in shown


async def test_empty_lists_say_why_and_what_to_do(online: Any, fresh_node: Any) -> None:
    async with online(fresh_node) as ask:
        assert "openledger job submit" in (await ask("job", "list")).stdout
        assert "openledger datanet create" in (await ask("datanet", "list")).stdout
        assert "openledger doctor" in (await ask("peers")).stdout
        assert fault(await ask("job", "show", "c3")).code == "no-job"


async def test_actions_pass_their_arguments_on(online: Any, fake_node: Any, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("base = 'x'")
    async with online(fake_node) as ask:
        created = await ask("datanet", "create", "faq", "--licence", "MIT", "--class", "private")
        assert "a1" * 32 in created.stdout
        assert "40 records" in (await ask("datanet", "add", "faq", "rows.jsonl")).stdout
        assert "transaction" in (await ask("job", "submit", str(recipe))).stdout
        answer = (await ask("chat", "a@1", "who?", "--max-tokens", "5")).stdout
        assert "And Moses led" in answer
        assert "0.02 OPEN" in answer
        assert "250 OPEN -> 253 OPEN" in (await ask("claim")).stdout
        explained = (await ask("claim", "--explain")).stdout
        assert "challenge window" in explained
        assert "41.2 OPEN" in explained
    assert fake_node.actions == [
        ("create_datanet", "faq", "private", "MIT", ""),
        ("add_shard", "faq", str(Path("rows.jsonl").absolute())),
        ("submit_job", "base = 'x'"),
        ("chat", "a@1", "who?", 5),
        ("claim",),
    ]


async def test_the_nodes_refusal_is_the_commands(online: Any, fake_node: Any) -> None:
    async with online(fake_node) as ask:
        refused = fault(await ask("datanet", "add", "faq", "bad.jsonl"))
    assert refused.code == "bad-row"
    assert ":3: no text" in refused.text


async def test_dashboard_prints_the_link_with_the_token(
    online: Any, fake_node: Any, token: str
) -> None:
    async with online(fake_node) as ask:
        link = json.loads((await ask("dashboard", "--json")).stdout)["url"]
    assert link.startswith("http://127.0.0.1:")
    assert link.endswith(f"/?token={token}")


def test_the_operator_key_goes_to_a_wallet_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLEDGER_KEYSTORE_PASSWORD", "a wallet's password")
    one, other, file = tmp_path / "one", tmp_path / "other", tmp_path / "key.json"
    run = CliRunner().invoke
    assert run(app, ["--home", str(one), "init", "--secret", "file"]).exit_code == 0
    assert run(app, ["--home", str(one), "keys", "export", str(file)]).exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    again = run(app, ["--home", str(one), "keys", "export", str(file)])
    assert isinstance(again.exception, OperatorError) and again.exception.code == "file-exists"
    line = ["--home", str(other), "keys", "import", str(file), "--secret", "file"]
    assert run(app, line).exit_code == 0
    first, second = load_identity(Home(one)), load_identity(Home(other))
    assert first.operator_key == second.operator_key and first.peer_id != second.peer_id
    monkeypatch.setenv("OPENLEDGER_KEYSTORE_PASSWORD", "another")
    wrong = run(app, ["--home", str(tmp_path / "third"), *line[2:]])
    assert isinstance(wrong.exception, OperatorError) and wrong.exception.code == "wrong-password"
