"""Talks to the running daemon through its loopback API, with the token file of the home."""

import json
from typing import Any
from urllib.parse import urlsplit

from node.home import Home
from protocol.errors import OpenLedgerError, OperatorError, PeerError

# Reads come from memory; an action may train, wait for a block or load a model.
READ_SECONDS = 10
ACTION_SECONDS = 900


def get(home: Home, path: str) -> Any:
    """JSON of ``/api/v1/PATH``. Raises OperatorError ``no-daemon`` or what the node answered."""
    return _request(home, "GET", path, None, READ_SECONDS)


def post(home: Home, path: str, body: dict[str, Any]) -> Any:
    """Ask for an action; waits for its end. Raises as ``get``."""
    return _request(home, "POST", path, json.dumps(body), ACTION_SECONDS)


def address(home: Home) -> str:
    """Base URL of the running daemon."""
    running = home.where()
    if running is None:
        raise _no_daemon(home, f"No node is running in {home.path}.")
    return running.api


def token(home: Home) -> str:
    """The API's token."""
    if not home.token.exists():
        raise _no_daemon(home, f"{home.token} is missing.")
    home.check()
    return home.token.read_text().strip()


def _request(home: Home, method: str, path: str, body: str | None, seconds: float) -> Any:
    from http.client import HTTPConnection, HTTPException  # 30 ms that help need not wait for

    url = address(home)
    headers = {"Authorization": f"Bearer {token(home)}", "Content-Type": "application/json"}
    link = HTTPConnection(urlsplit(url).netloc, timeout=seconds)
    try:
        link.request(method, f"/api/v1/{path}", body, headers)
        answer = link.getresponse()
        return _value(answer.status, answer.read())
    except TimeoutError as error:
        raise PeerError("timeout", f"The node at {url} gave no answer in {seconds} s.") from error
    except (OSError, HTTPException) as error:
        raise _no_daemon(home, f"The node announced at {url} does not answer.") from error
    finally:
        link.close()


def _value(status: int, body: bytes) -> Any:
    value = json.loads(body)
    if status >= 400:
        raise OpenLedgerError(value["code"], value["text"])
    return value


def _no_daemon(home: Home, text: str) -> OperatorError:
    return OperatorError("no-daemon", text, f"Start it: openledger --home {home.path} run")
