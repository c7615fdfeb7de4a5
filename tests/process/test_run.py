"""``openledger run`` as a process: its one line, its answers, its end."""

import signal
import stat
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from node.home import Home
from tests.process.place import ALL_ROLES, CHAIN_ID, PAYOUT, Node, Place, command

pytestmark = pytest.mark.process

READY = {"peer_id", "addrs", "api", "token_file", "roles", "network", "chain_id"}
STOP_S = 3.0
READS = (("status",), ("peers",), ("datanet", "list"), ("job", "list"), ("claim", "--explain"))


def test_the_ready_line_says_who_and_where(node: Node) -> None:
    facts = node.facts
    assert set(facts) == READY
    assert facts["peer_id"] == node.member.identity.peer_id
    assert all(addr.endswith(f"/p2p/{facts['peer_id']}") for addr in facts["addrs"])
    assert facts["addrs"][0].startswith("/ip4/127.0.0.1/tcp/")
    assert urlsplit(facts["api"]).hostname == "127.0.0.1"
    assert stat.S_IMODE(Path(facts["token_file"]).stat().st_mode) == 0o600
    assert tuple(facts["roles"]) == ALL_ROLES
    assert (facts["network"], facts["chain_id"]) == ("demo", CHAIN_ID)


def test_status_and_peers_answer(node: Node) -> None:
    status = node.ask("status", "--json").json
    assert status["operator"] == node.member.identity.operator
    assert status["payout"] == PAYOUT
    assert int(status["stake"]) > 0
    assert status["owner_index"] is not None
    (own,) = node.ask("peers", "--json").json
    assert own["peer_id"] == node.facts["peer_id"]
    assert status["operator"] in node.ask("status").out


def test_claim_explains_why_nothing_is_due(node: Node) -> None:
    found = node.ask("claim", "--explain", "--json").json
    assert (found["claimable"], found["shares"]) == ("0", [])
    assert found["reason"] == "no epoch is committed yet"
    assert node.ask("claim", "--json").json["claimed"] == "0"


def test_a_second_node_on_the_same_home_is_refused(node: Node) -> None:
    second = command(node.member.home, "run", "--json")
    second.refuses("store-locked", str(node.member.home.database), "Stop the other node")
    assert second.out == ""
    assert node.ask("status", "--json").json["peer_id"] == node.facts["peer_id"]


def test_sigterm_ends_it_in_time_with_a_page_open(box: Place) -> None:
    run = box.start(box.member("brief", "contributor"))
    link = HTTPConnection(urlsplit(run.facts["api"]).netloc, timeout=30)
    token = Path(run.facts["token_file"]).read_text().strip()
    link.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {token}"})
    page = link.getresponse()
    assert page.readline().startswith(b"event: ")
    begun = time.monotonic()
    run.process.signal(signal.SIGTERM)
    assert run.process.popen is not None
    assert run.process.popen.wait(30) == 0
    assert time.monotonic() - begun < STOP_S
    link.close()
    assert "Traceback" not in run.process.log.read_text()
    assert not run.member.home.running.exists()


@pytest.mark.parametrize("read", READS, ids=" ".join)
def test_a_read_without_a_daemon_says_how_to_start_it(box: Place, read: tuple[str, ...]) -> None:
    idle = Home(box.folder / "idle")
    idle.create()
    command(idle, *read, "--json").refuses("no-daemon", f"openledger --home {idle.path} run")


def test_payout_set_is_scheduled_and_shown(node: Node) -> None:
    new = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"
    node.ask("payout", "set", new).refuses("bad-payout", "checksum")
    new = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    before = node.ask("payout", "show", "--json").json
    told = node.ask("payout", "set", new, "--json").json
    assert told["payout"] == new
    found = node.ask("payout", "show", "--json").json
    assert found["payout"] == before["payout"]
    assert found["pending"] == {"payout": new, "since": told["since"]}
