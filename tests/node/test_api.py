"""The loopback API: what it answers, and whom it refuses."""

import json
import socket
from typing import Any

import httpx
import pytest
import trio

from node.api import serve
from protocol.errors import OperatorError

pytestmark = pytest.mark.filterwarnings("error")


def client(url: str, token: str | None) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=10)


class EventStream:
    """Reads server-sent events off a plain socket (HTTP/1.0: no chunks to undo)."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.buffer = b""

    @classmethod
    async def open(cls, url: str, token: str) -> "EventStream":
        host, port = url.removeprefix("http://").split(":")
        self = cls(await trio.open_tcp_stream(host, int(port)))
        lines = ("GET /api/v1/events HTTP/1.0", f"Host: {host}:{port}")
        head = "\r\n".join((*lines, f"Authorization: Bearer {token}", "", ""))
        await self.stream.send_all(head.encode())
        answer = await self._until(b"\r\n\r\n")
        assert answer.startswith("HTTP/1.1 200")
        assert "text/event-stream" in answer
        return self

    async def next(self) -> tuple[str, Any]:
        """Name and value of the next event."""
        name, data = (await self._until(b"\n\n")).split("\n")
        return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    async def _until(self, mark: bytes) -> str:
        with trio.fail_after(5):
            while mark not in self.buffer:
                self.buffer += await self.stream.receive_some(65_536)
        found, _, self.buffer = self.buffer.partition(mark)
        return found.decode()


async def test_the_snapshot_and_each_section_are_what_the_node_says(
    serving: Any, fake_node: Any, token: str
) -> None:
    async with serving(fake_node) as url, client(url, token) as http:
        assert (await http.get("/api/v1/snapshot")).json() == fake_node.state
        for section, value in fake_node.state.items():
            assert (await http.get(f"/api/v1/{section}")).json() == value
        missing = await http.get("/api/v1/nothing")
        assert missing.status_code == 404
        assert missing.json()["code"] == "not-found"


async def test_actions_reach_the_node_with_their_values(
    serving: Any, fake_node: Any, token: str
) -> None:
    async with serving(fake_node) as url, client(url, token) as http:
        bodies: dict[str, dict[str, Any]] = {
            "datanets": {"name": "faq", "data_class": "open", "licence": "MIT"},
            "shards": {"datanet": "a1", "path": "/data/rows.jsonl"},
            "jobs": {"recipe": "base = 'x'"},
            "chat": {"model": "a", "prompt": "hello", "max_tokens": 7},
            "claim": {},
        }
        for name, body in bodies.items():
            assert (await http.post(f"/api/v1/{name}", json=body)).status_code == 200
        explained = (await http.get("/api/v1/claim/explain")).json()
    assert "challenge window" in explained["reason"]
    assert fake_node.actions == [
        ("create_datanet", "faq", "open", "MIT", ""),
        ("add_shard", "a1", "/data/rows.jsonl"),
        ("submit_job", "base = 'x'"),
        ("chat", "a", "hello", 7),
        ("claim",),
    ]


async def test_errors_are_json_with_code_and_text(serving: Any, fake_node: Any, token: str) -> None:
    async with serving(fake_node) as url, client(url, token) as http:
        bad = await http.post("/api/v1/shards", json={"datanet": "a1", "path": "/x/bad.jsonl"})
        assert bad.status_code == 400
        assert bad.json() == {
            "code": "bad-row",
            "text": "/x/bad.jsonl:3: no text. Correct the row.",
        }
        for wrong in (
            {"datanet": 1, "path": "x"},
            {"path": "x"},
            {"datanet": "a", "path": "b", "c": 1},
        ):
            refused = await http.post("/api/v1/shards", json=wrong)
            assert refused.status_code == 422
            assert refused.json()["code"] == "bad-request"
        fake_node.unreachable = True
        gone = await http.get("/api/v1/status")
        assert gone.status_code == 409
        assert gone.json()["code"] == "unreachable"


async def test_nothing_but_health_is_answered_without_the_token(
    serving: Any, fake_node: Any, token: str
) -> None:
    async with serving(fake_node) as url, client(url, None) as http:
        assert (await http.get("/healthz")).json() == {"ok": True}
        paths = (
            "/",
            "/app.js",
            "/metrics",
            "/api/v1/status",
            "/api/v1/events",
            f"/?token={'0' * 64}",
        )
        for path in paths:
            refused = await http.get(path)
            assert refused.status_code == 401, path
            assert refused.json()["code"] == "no-token"
        assert (await http.post("/api/v1/claim")).status_code == 401
    assert fake_node.actions == []


async def test_the_printed_link_sets_a_strict_cookie_once(
    serving: Any, fake_node: Any, token: str
) -> None:
    async with serving(fake_node) as url, client(url, None) as http:
        opened = await http.get(f"/?token={token}")
        assert opened.status_code == 303
        assert opened.headers["location"] == "/"
        cookie = opened.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert (await http.get("/")).status_code == 200
        assert (await http.get("/api/v1/status")).json()["chain_id"] == 31_337


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1.nip.io"]
)
async def test_another_host_name_is_refused(
    serving: Any, fake_node: Any, token: str, host: str
) -> None:
    """DNS rebinding: a hostile name that resolves to loopback."""
    async with serving(fake_node) as url, client(url, token) as http:
        for path in ("/api/v1/status", "/healthz", f"/?token={token}"):
            refused = await http.get(path, headers={"host": host})
            assert refused.status_code == 403
            assert refused.json()["code"] == "bad-host"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_another_page_can_neither_act_nor_listen(
    serving: Any, fake_node: Any, token: str, headers: dict[str, str]
) -> None:
    async with serving(fake_node) as url, client(url, token) as http:
        for method, path in (("POST", "/api/v1/claim"), ("GET", "/api/v1/events")):
            refused = await http.request(method, path, headers=headers)
            assert refused.status_code == 403
            assert refused.json()["code"] == "bad-origin"
    assert fake_node.actions == []


async def test_pages_carry_a_strict_policy_and_no_cors(
    serving: Any, fake_node: Any, token: str
) -> None:
    async with serving(fake_node) as url, client(url, token) as http:
        page = await http.get("/", headers={"origin": url})
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert not [name for name in page.headers if name.startswith("access-control")]
        script = await http.get("/app.js")
        assert script.headers["content-type"].startswith("text/javascript")


async def test_events_start_with_everything_then_send_what_changed(
    serving: Any, fake_node: Any, token: str
) -> None:
    async with serving(fake_node) as url:
        events = await EventStream.open(url, token)
        first = dict([await events.next() for _ in range(len(fake_node.state) + 1)])
        assert first == {**fake_node.state, "fault": None}
        fake_node.change("failures", [])
        assert await events.next() == ("failures", [])
        fake_node.unreachable = True
        fake_node.change("log", [])
        name, fault = await events.next()
        assert (name, fault["code"]) == ("fault", "unreachable")
        fake_node.unreachable = False
        fake_node.change("log", [])
        assert dict([await events.next() for _ in range(2)]) == {"fault": None, "log": []}
        await events.stream.aclose()


async def test_metrics_count_failures_by_reason(serving: Any, fake_node: Any, token: str) -> None:
    async with serving(fake_node) as url, client(url, token) as http:
        text = (await http.get("/metrics")).text
    assert 'openledger_failures_total{reason="bad-signature"} 3.0' in text
    assert 'openledger_mesh_peers{topic="verdicts"} 0.0' in text
    assert "openledger_peers_connected 3.0" in text
    assert "openledger_published_to_zero_total 2.0" in text


async def test_metrics_tell_of_peers_and_reachability(
    serving: Any, fake_node: Any, token: str
) -> None:
    async with serving(fake_node) as url, client(url, token) as http:
        text = (await http.get("/metrics")).text
    for line in (
        'openledger_reachability{verdict="outbound-only"} 1.0',
        'openledger_reachability{verdict="public"} 0.0',
        'openledger_peers_refused{reason="clock-skew"} 1.0',
        'openledger_peers_lost{lost="ping-timeout"} 1.0',
        'openledger_peers_direction{direction="in"} 2.0',
        "openledger_peers_newer 1.0",
        "openledger_peers_banned 0.0",
        "openledger_shards_provided 3.0",
        "openledger_provider_records 12.0",
        'openledger_lookups_total{outcome="found"} 2.0',
        'openledger_lookups_total{outcome="silent"} 0.0',
    ):
        assert line in text
    assert text.count("openledger_peer_latency_seconds{") == 3
    assert text.count("openledger_peer_faults{") == 1


async def test_stopping_does_not_wait_for_open_streams(fake_node: Any, token: str) -> None:
    """hypercorn's own shutdown would wait out its grace period of 3 s."""
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve, fake_node, token, 0)
        events = await EventStream.open(url, token)
        stopping = trio.current_time()
        nursery.cancel_scope.cancel()
    assert trio.current_time() - stopping < 1
    await events.stream.aclose()


async def test_a_taken_port_is_named_with_the_flag(fake_node: Any, token: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OperatorError, match="port-taken") as caught:
            await serve(fake_node, token, port)
    assert "--api-port" in caught.value.text
