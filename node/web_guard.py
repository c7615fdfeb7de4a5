"""Who may talk to the loopback API: an ASGI wrapper in front of every route.

A web page that a user visits can reach loopback, and a hostile name can resolve to it. So: the
Host header must be ours (DNS rebinding), a cross-site request is refused before anything is done,
and everything but ``/healthz`` needs the token of the home: as a bearer header (programs), or as a
strict cookie that opening ``/?token=...`` sets once (the browser).
"""

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
SAFE_METHODS = ("GET", "HEAD")
OPEN_PATHS = ("/healthz",)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer in place of the route's."""

    status: int
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Guard:
    """Wraps ``app``; ``port`` is the one that was bound, ``token`` the home's."""

    app: App
    token: str
    port: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        if self._entry(scope) and self._origin(scope, headers) is None:
            await _redirect(send, self._cookie())
        elif refusal := self._origin(scope, headers) or self._token(scope, headers):
            await _refuse(send, refusal)
        else:
            await self.app(scope, receive, _secured(send))

    def _entry(self, scope: Scope) -> bool:
        """The link that the command line prints: ``/?token=...``, right token."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return scope["path"] == "/" and self._matches(given)

    def _origin(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        hosts = [f"127.0.0.1:{self.port}", f"localhost:{self.port}"]
        if headers.get("host") not in hosts:
            return Refusal(403, "bad-host", "This API answers to its loopback name only.")
        guarded = scope["method"] not in SAFE_METHODS or scope["path"].endswith("/events")
        origins = [f"http://{host}" for host in hosts]
        if guarded and headers.get("origin", origins[0]) not in origins:
            return Refusal(403, "bad-origin", "Another web page may not use this API.")
        if guarded and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return Refusal(403, "bad-origin", "Another web page may not use this API.")
        return None

    def _token(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        if scope["path"] in OPEN_PATHS:
            return None
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        morsel = SimpleCookie(headers.get("cookie", "")).get(self._cookie_name)
        if self._matches(bearer) or (morsel is not None and self._matches(morsel.value)):
            return None
        return Refusal(401, "no-token", "Open the link that `openledger dashboard` prints.")

    def _matches(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    @property
    def _cookie_name(self) -> str:
        """Cookies know no ports: two nodes on one machine need two names."""
        return f"openledger-{self.port}"

    def _cookie(self) -> str:
        return f"{self._cookie_name}={self.token}; HttpOnly; SameSite=Strict; Path=/"


def _secured(send: Send) -> Send:
    async def secured(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *SECURITY_HEADERS]
        await send(message)

    return secured


async def _redirect(send: Send, cookie: str) -> None:
    """Drop the token from the address bar and keep it in the cookie."""
    headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), *SECURITY_HEADERS]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(send: Send, refusal: Refusal) -> None:
    body = json.dumps({"code": refusal.code, "text": refusal.text}).encode()
    headers = [(b"content-type", b"application/json"), *SECURITY_HEADERS]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
