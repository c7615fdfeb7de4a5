"""An endpoint between a client and the chain in a box that lies, stalls, loses or garbles answers."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

Twist = Callable[[str, list[Any], Any], Any]  # method, params, the true result -> what is told


class Stall(Exception):
    """Give no answer until the proxy closes."""


class Lose(Exception):
    """Close the connection after the request was passed on."""


class Raw(Exception):
    """Answer these bytes."""


class Refuse(Exception):
    """Answer a JSON-RPC error with this message."""


def honest(method: str, params: list[Any], result: Any) -> Any:
    """The truth."""
    return result


@dataclass
class Proxy:
    """``twist`` may be changed at any time; ``asked`` are the methods so far."""

    url: str = ""
    twist: Twist = honest
    asked: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def proxy(target: str, twist: Twist = honest) -> Iterator[Proxy]:
    """Serve on a free port of loopback."""
    made = Proxy(twist=twist)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            asked = json.loads(raw)
            made.asked.append(asked["method"])
            with urlopen(
                Request(target, raw, {"Content-Type": "application/json"}), timeout=20
            ) as told:
                answer = json.loads(told.read())
            try:
                if "result" in answer:
                    method, params = asked["method"], asked.get("params", [])
                    answer["result"] = made.twist(method, params, answer["result"])
                body = json.dumps(answer).encode()
            except Stall:
                made.closing.wait()
                body = b""
            except Lose:
                body = b""
            except Raw as chosen:
                body = chosen.args[0]
            except Refuse as chosen:
                fault = {"code": -32000, "message": chosen.args[0]}
                body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": fault}).encode()
            if not body:
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield made
    finally:
        made.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
