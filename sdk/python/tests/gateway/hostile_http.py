"""An MCP server over streamable HTTP that attacks its client when told to: `call("attack", {"how": ...})`."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    server: HostileServer

    def do_POST(self) -> None:
        self.server.seen.append(dict(self.headers))
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method, params = message.get("method"), message.get("params", {})
        if self.path == "/modern":
            self.answer_modern(message, method, params)
        elif method == "initialize":
            result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}}
            result["serverInfo"] = {"name": "hostile", "version": "1"}
            self.reply(message, result, {"mcp-session-id": f"s{len(self.server.seen)}"})
        elif method == "tools/list":
            self.reply(message, {"tools": [{"name": "attack", "inputSchema": {"type": "object"}}]})
        elif method == "tools/call":
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                getattr(self, params["arguments"]["how"])(message)
        elif method == "server/discover":
            self.say(404, b"", {})
        else:
            self.say(202, b"", {})

    def answer_modern(self, message: Any, method: str, params: Any) -> None:
        """Answer as a server that speaks 2026-07-28 alone. Its tool asks the user for a name first."""
        private = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        if method == "server/discover":
            found = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
            self.reply(message, {**private, **found, "serverInfo": {"name": "modern", "version": "1"}})
        elif method == "tools/list":
            tools = [{"name": name, "inputSchema": {"type": "object"}} for name in ("ask", "tell")]
            self.reply(message, {**private, "tools": tools})
        elif method == "tools/call" and params["name"] == "ask" and "inputResponses" not in params:
            asked = {"message": "Name?", "requestedSchema": {"type": "object", "properties": {}}}
            question = {"method": "elicitation/create", "params": asked}
            state = {"resultType": "input_required", "requestState": "state-1"}
            self.reply(message, {**state, "inputRequests": {"name": question}})
        elif method == "tools/call":
            text = json.dumps([params.get("inputResponses"), params.get("requestState")])
            self.reply(message, {"resultType": "complete", "content": [{"type": "text", "text": text}]})
        else:
            error = {"code": -32022, "message": "Unsupported version", "data": {"supported": ["2026-07-28"]}}
            body = {"jsonrpc": "2.0", "id": message.get("id"), "error": error}
            self.say(400, json.dumps(body).encode(), {})

    def do_GET(self) -> None:
        self.say(405, b"", {})

    do_DELETE = do_GET

    def say(self, status: int, body: bytes, headers: dict[str, str], kind: str = "application/json") -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def reply(self, message: Any, result: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
        self.say(200, body, headers or {})

    def stream(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.end_headers()

    def headers_of_request(self, message: Any) -> None:
        text = json.dumps({name.lower(): value for name, value in self.headers.items()})
        self.reply(message, {"content": [{"type": "text", "text": text}]})

    def large_json(self, message: Any) -> None:
        self.stream("application/json")
        for _ in range(1600):
            self.wfile.write(b"x" * 65536)

    def large_event(self, message: Any) -> None:
        self.stream("text/event-stream")
        self.wfile.write(b"data: ")
        for _ in range(1600):
            self.wfile.write(b"x" * 65536)

    def endless_events(self, message: Any) -> None:
        self.stream("text/event-stream")
        one = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}
        while True:
            self.wfile.write(f"data: {json.dumps(one)}\n\n".encode() * 100)

    def endless_comments(self, message: Any) -> None:
        self.stream("text/event-stream")
        while True:
            self.wfile.write(b": x\n")
            time.sleep(0.01)

    def cut(self, message: Any) -> None:
        self.stream("text/event-stream")

    def compressed(self, message: Any) -> None:
        self.say(200, gzip.compress(b"x" * 1000), {"content-encoding": "gzip"})

    def malformed(self, message: Any) -> None:
        self.say(200, b"[}", {})

    def redirect(self, message: Any) -> None:
        self.say(307, b"", {"location": self.server.elsewhere})

    def unauthorized(self, message: Any) -> None:
        self.say(401, b"no", {}, "text/plain")

    def broken(self, message: Any) -> None:
        self.say(502, b"no", {}, "text/plain")

    def forget(self, message: Any) -> None:
        self.say(404, b"", {}, "text/plain")

    def log_message(self, *_: object) -> None:
        pass


class HostileServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[dict[str, str]] = []
        self.elsewhere = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/mcp"

    def handle_error(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def hostile_server() -> Iterator[HostileServer]:
    server = HostileServer()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
