"""A node with fixed values, and a running API in front of it."""

import copy
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import keyring
import pytest
import trio
from keyring.backends import fail

from node.api import serve
from node.explain import told
from protocol.errors import ChainError, OperatorError
from tests.node.fake_money import FAKE_PROOF, fake_money
from tests.node.fake_values import GOVERNANCE, OPEN, TOKEN, empty_snapshot, full_snapshot


class FakeMoney:
    """Fixed answers; what it was asked for is recorded."""

    def __init__(self, actions: list[tuple[Any, ...]]) -> None:
        self._actions = actions

    def __getattr__(self, name: str) -> Any:
        async def act(*args: Any) -> Any:
            self._actions.append((name, *args))
            return fake_money(name)

        return act


@dataclass
class FakeNode:
    """Answers with fixed values, records the actions, and can announce a change."""

    state: dict[str, Any] = field(default_factory=full_snapshot)
    actions: list[tuple[Any, ...]] = field(default_factory=list)
    unreachable: bool = False

    def __post_init__(self) -> None:
        self.money = FakeMoney(self.actions)
        self._send, self._receive = trio.open_memory_channel[None](10)

    def change(self, section: str, value: Any) -> None:
        self.state[section] = value
        self._send.send_nowait(None)

    async def snapshot(self) -> dict[str, Any]:
        if self.unreachable:
            raise ChainError("unreachable", "no answer from http://127.0.0.1:8545")
        return copy.deepcopy(self.state)

    def changes(self) -> AsyncIterator[None]:
        return self._receive

    async def create_datanet(
        self, name: str, data_class: str, licence: str, description: str
    ) -> dict[str, Any]:
        self.actions.append(("create_datanet", name, data_class, licence, description))
        return {"datanet": "a1" * 32}

    async def add_shard(self, datanet: str, path: str) -> dict[str, Any]:
        self.actions.append(("add_shard", datanet, path))
        if path.endswith("bad.jsonl"):
            raise OperatorError("bad-row", f"{path}:3: no text.", "Correct the row.")
        return {"commitment": "b7" * 32, "records": 40}

    async def submit_job(self, recipe: str) -> dict[str, Any]:
        self.actions.append(("submit_job", recipe))
        return {"job": "c3" * 32, "pot": 1, "tx": "f6" * 32}

    async def chat(self, model: str, prompt: str, max_tokens: int) -> dict[str, Any]:
        self.actions.append(("chat", model, prompt, max_tokens))
        answer = copy.deepcopy(self.state["answers"][0])
        return {**answer, "model": model}

    async def claim(self) -> dict[str, Any]:
        self.actions.append(("claim",))
        return {
            "claimed": str(3 * OPEN),
            "tx": "7e" * 32,
            "balance_before": str(250 * OPEN),
            "balance_after": str(253 * OPEN),
        }

    async def set_payout(self, address: str) -> dict[str, Any]:
        self.actions.append(("set_payout", address))
        return {"payout": address, "since": 1_767_232_800, "tx": "0x" + "07" * 32}

    async def governance(self) -> dict[str, Any]:
        known = {} if self.state["jobs"] else {"proposals": []}
        return {**copy.deepcopy(GOVERNANCE), **known}

    async def govern(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        self.actions.append(("govern", action, body))
        if action == "vote" and body["choice"] == "maybe":
            raise OperatorError("bad-choice", "'maybe' is no choice.", "Choose one.")
        answers: dict[str, dict[str, Any]] = {
            "propose": {"proposal": "1f" * 32, "start": 1_767_232_800},
            "vote": {"votes": str(7 * OPEN)},
            "queue": {"state": "queued"},
            "execute": {"state": "executed"},
        }
        votes = {"gopen": str(5 * OPEN), "delegate": GOVERNANCE["operator"], "votes": "0"}
        return answers.get(action, votes)

    async def explain_claim(self) -> dict[str, Any]:
        waiting = copy.deepcopy(self.state)
        waiting["status"]["claimable_open"] = "0"
        for epoch in waiting["epochs"]:
            epoch["active"] = False
        return told(waiting, FAKE_PROOF)


class Serving(Protocol):
    """``async with serving(node) as url``."""

    def __call__(self, node: FakeNode) -> AbstractAsyncContextManager[str]: ...


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes to the keyring of whoever runs it; child processes neither."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setattr(keyring, "get_keyring", fail.Keyring)


@pytest.fixture
def token() -> str:
    return TOKEN


@pytest.fixture
def fake_node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def fresh_node() -> FakeNode:
    return FakeNode(empty_snapshot())


@pytest.fixture
def serving() -> Serving:
    @asynccontextmanager
    async def running(node: FakeNode) -> AsyncIterator[str]:
        async with trio.open_nursery() as nursery:
            yield await nursery.start(serve, node, TOKEN, 0)
            nursery.cancel_scope.cancel()

    return running
