"""The node's loopback HTTP API and dashboard: FastAPI on hypercorn's trio worker.

Reads come from the snapshot, actions go to the facade; ``web_guard`` decides who may ask. Every
error is JSON ``{code, text}`` with a 4xx status.
"""

import socket
from functools import partial
from importlib import resources
from typing import Any, Protocol

import trio
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from hypercorn.config import Config
from hypercorn.trio import serve as hypercorn_serve
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from node.api_govern import add_governance
from node.api_money import add_money
from node.facade import Json, NodeFacade
from node.web_feed import Feed
from node.web_guard import Guard
from node.web_metrics import CONTENT_TYPE, metrics_text
from protocol.errors import OpenLedgerError, OperatorError

LOOPBACK = "127.0.0.1"
# Why each status: 400 what the caller sent or set up, 409 what the world refused.
OPERATOR_STATUS, OTHER_STATUS = 400, 409
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class DatanetBody(_Body):
    """POST /datanets."""

    name: str = Field(min_length=1, max_length=128)
    data_class: str
    licence: str
    description: str = ""


class ShardBody(_Body):
    """POST /shards; ``path`` is a file on the node's machine."""

    datanet: str
    path: str


class JobBody(_Body):
    """POST /jobs; ``recipe`` is TOML text."""

    recipe: str = Field(max_length=65_536)


class ChatBody(_Body):
    """POST /chat."""

    model: str
    prompt: str = Field(min_length=1, max_length=32_768)
    max_tokens: int = Field(default=48, ge=1, le=2_048)


class PayoutBody(_Body):
    """POST /payout."""

    address: str = Field(max_length=64)


class Started(Protocol):
    """trio's TaskStatus; libp2p brings old stubs of trio that do not know it."""

    def started(self, value: str) -> None: ...


async def serve(
    facade: NodeFacade,
    token: str,
    port: int,
    *,
    task_status: Started = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on loopback until cancelled, then stop at once, open streams included.

    ``port`` 0 takes a free one; the base URL goes to ``task_status``.
    Raises OperatorError ``port-taken``.
    """
    listener = _listen(port)
    bound = int(listener.getsockname()[1])
    feed = Feed(facade)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = None
    async with trio.open_nursery() as nursery:
        app = Guard(build_app(facade, feed), token, bound)
        # Without a shutdown trigger hypercorn ends by cancellation: no grace period to wait for.
        await nursery.start(partial(hypercorn_serve, app, config, mode="asgi"))  # type: ignore[arg-type]
        nursery.start_soon(feed.follow)
        task_status.started(f"http://{LOOPBACK}:{bound}")


def build_app(facade: NodeFacade, feed: Feed) -> FastAPI:
    """All routes; unguarded (``serve`` wraps them in ``Guard``)."""
    app = FastAPI(title="OpenLedger node", docs_url=None, redoc_url=None, openapi_url=None)
    add_money(app, facade)  # before the reads, whose sections have any name
    add_governance(app, facade)
    _add_reads(app, facade, feed)
    _add_actions(app, facade)
    _add_pages(app)
    app.add_exception_handler(OpenLedgerError, _node_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    return app


def _add_reads(app: FastAPI, facade: NodeFacade, feed: Feed) -> None:
    @app.get("/healthz")
    async def healthz() -> Json:
        return {"ok": True}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(metrics_text(await facade.snapshot()), media_type=CONTENT_TYPE)

    @app.get("/api/v1/snapshot")
    async def snapshot() -> JSONResponse:
        return JSONResponse(await facade.snapshot())

    @app.get("/api/v1/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(feed.events(), media_type="text/event-stream")

    @app.get("/api/v1/claim/explain")
    async def explain() -> JSONResponse:
        return JSONResponse(await facade.explain_claim())

    @app.get("/api/v1/{section}")
    async def section(section: str) -> JSONResponse:
        sections = await facade.snapshot()
        if section not in sections:
            raise HTTPException(404, f"no section {section!r}; there are: {', '.join(sections)}")
        return JSONResponse(sections[section])


def _add_actions(app: FastAPI, facade: NodeFacade) -> None:
    @app.post("/api/v1/datanets")
    async def datanets(body: DatanetBody) -> Json:
        return await facade.create_datanet(
            body.name, body.data_class, body.licence, body.description
        )

    @app.post("/api/v1/shards")
    async def shards(body: ShardBody) -> Json:
        return await facade.add_shard(body.datanet, body.path)

    @app.post("/api/v1/jobs")
    async def jobs(body: JobBody) -> Json:
        return await facade.submit_job(body.recipe)

    @app.post("/api/v1/chat")
    async def chat(body: ChatBody) -> Json:
        return await facade.chat(body.model, body.prompt, body.max_tokens)

    @app.post("/api/v1/payout")
    async def payout(body: PayoutBody) -> Json:
        return await facade.set_payout(body.address)

    @app.post("/api/v1/claim")
    async def claim() -> Json:
        return await facade.claim()


def _add_pages(app: FastAPI) -> None:
    """The dashboard's files, read once: about 200 kB."""
    files = _dashboard_files()

    @app.get("/{path:path}")
    async def page(path: str) -> Response:
        body = files.get(path or "index.html")
        if body is None:
            raise HTTPException(404, f"nothing at /{path}")
        suffix = "." + (path or "index.html").rpartition(".")[2]
        return Response(body, headers={"content-type": MEDIA_TYPES[suffix]})


def _dashboard_files() -> dict[str, bytes]:
    root = resources.files("node") / "dashboard"
    found = {}
    for folder in ("", "vendor"):
        for entry in (root / folder).iterdir():
            if entry.is_file() and "." + entry.name.rpartition(".")[2] in MEDIA_TYPES:
                found["/".join(filter(None, (folder, entry.name)))] = entry.read_bytes()
    return found


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setblocking(False)
    try:
        listener.bind((LOOPBACK, port))
    except OSError as error:
        listener.close()
        raise OperatorError(
            "port-taken",
            f"{LOOPBACK}:{port} cannot be used: {error.strerror}.",
            "Choose another with --api-port (0 takes any free one).",
        ) from error
    return listener


async def _node_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OpenLedgerError)
    status = OPERATOR_STATUS if isinstance(error, OperatorError) else OTHER_STATUS
    return _error(status, error.code, error.text)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    parts = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
    return _error(422, "bad-request", "; ".join(parts))


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = {404: "not-found", 405: "bad-method"}.get(error.status_code, "bad-request")
    return _error(error.status_code, code, str(error.detail))


def _error(status: int, code: str, text: str) -> JSONResponse:
    value: dict[str, Any] = {"code": code, "text": text}
    return JSONResponse(value, status_code=status)
