"""The redirect to a program on the user's machine (RFC 8252 section 7.3).

A server on 127.0.0.1 waits for the redirect. It accepts only a GET of the callback's path with the `state` of
this request, which other pages and programs do not know.
"""

from __future__ import annotations

import secrets
import sys
import threading
import time
import webbrowser
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from ._effects import Flow, Sleep
from ._pkce import pkce_pair
from .errors import AuthorizationError, AuthorizationTimeoutError, ConsentDeniedError

_POLL_SECONDS = 0.05
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>AgentGate</title></head>
<body><p>{text}</p></body></html>
"""
_NOT_EXPECTED = "This is not the response that the program is waiting for."
_DONE = "You can close this window and return to the program."


@dataclass(frozen=True)
class Answer:
    """The parameters of the redirect."""

    code: str | None = field(repr=False)
    error: str | None
    issuer: str | None


class Listener:
    """Waits on a free port of 127.0.0.1 for the redirect. Leaving the `with` block closes the port."""

    def __init__(self, path: str) -> None:
        if not path.startswith("/") or set("?#") & set(path):
            raise ValueError('redirect_path must be a path such as "/callback"')
        self.answer: Answer | None = None
        self._path = path
        self._state = secrets.token_urlsafe(32)
        self._verifier, self._challenge = pkce_pair()
        self._server = _Server(self)
        self._redirect_uri = f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def __enter__(self) -> Listener:
        threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def request(self) -> dict[str, object]:
        """Return the parameters of a consent request that redirects to this listener."""
        return {
            "redirect_uri": self._redirect_uri,
            "state": self._state,
            "code_challenge": self._challenge,
            "code_challenge_method": "S256",
        }

    def wait(self, timeout: float) -> Flow[None]:
        """Wait for the redirect. Raises AuthorizationTimeoutError after `timeout` seconds."""
        end = time.monotonic() + timeout
        while self.answer is None:
            if time.monotonic() >= end:
                raise AuthorizationTimeoutError(f"no decision within {timeout:g} seconds")
            yield Sleep(_POLL_SECONDS)

    def grant(self, issuer: str) -> dict[str, object]:
        """Return the exchange's parameters. Raises AuthorizationError, also for a wrong issuer (RFC 9207)."""
        answer = self.answer
        if answer is None or answer.issuer != issuer:
            raise AuthorizationError(f"the response is not from {issuer!r}: {answer}")
        if answer.error == "access_denied":
            raise ConsentDeniedError("the user denied access")
        if not answer.code:
            raise AuthorizationError(f"AgentGate returned an error: {answer.error!r}")
        return {"code": answer.code, "code_verifier": self._verifier, "redirect_uri": self._redirect_uri}

    def read(self, target: str) -> Answer | None:
        """Return the parameters of the redirect, None for any other request."""
        parts = urlsplit(target)
        values = parse_qs(parts.query)
        state = "".join(values.get("state", []))
        if parts.path != self._path or not secrets.compare_digest(state.encode(), self._state.encode()):
            return None
        code, error, issuer = (values.get(name, [None])[0] for name in ("code", "error", "iss"))
        return Answer(code, error, issuer)


class _Server(ThreadingTCPServer):
    # A thread per connection, because browsers open connections in advance and leave them idle.
    daemon_threads = True
    # Otherwise another program could bind the same port on Windows.
    allow_reuse_address = False

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a closed connection; the default prints a traceback."""


class _Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self) -> None:
        listener = cast(_Server, self.server).listener
        answer = listener.read(self.path)
        if answer is None:
            return self._show(404, _NOT_EXPECTED)
        try:
            self._show(200, _DONE)
        finally:
            listener.answer = listener.answer or answer

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, because the URL contains the code."""

    def _show(self, status: int, text: str) -> None:
        body = _PAGE.format(text=text).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", "default-src 'none'")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)


def show_in_browser(url: str, open_browser: bool) -> None:
    """Print the URL on standard error, and open it if `open_browser` is set."""
    opening = "Opening your browser. If it does not open, go to:" if open_browser else "Open in your browser:"
    print(f"{opening}\n\n  {url}\n", file=sys.stderr, flush=True)
    if open_browser:
        webbrowser.open(url)
