"""A fake AgentGate in memory. As with the real one, a refresh token works once."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx

from agentgate_oauth import RetryPolicy

BASE_URL = "https://gate.example"
CLIENT_SECRET = "ags_client-secret-value"
NO_PAUSES = RetryPolicy(base_seconds=0.0, cap_seconds=0.0)


class FakeGate:
    """Answers exchange, refresh, revoke and verify like the API.

    `intercept` is called first with each request, and returns a response or None. `lose_answer_to` is a path
    whose next response is lost after the server has acted. A token of generation n is `access-n`.
    """

    def __init__(self, *, expires_in: int = 900) -> None:
        self.expires_in = expires_in
        self.calls: Counter[str] = Counter()
        self.requests: list[httpx.Request] = []
        self.intercept: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
        self.lose_answer_to: str | None = None
        self.generation = 0
        self.family_ended = False
        self._answers: dict[str, httpx.Response] = {}
        self._lock = threading.Lock()

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self)

    def client(self) -> httpx.Client:
        return httpx.Client(transport=self.transport())

    def async_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self.transport())

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.requests.append(request)
            path = request.url.path.removeprefix("/api/v1")
            self.calls[path] += 1
            answer = self.intercept(request) or self._answer(path, request)
            if path == self.lose_answer_to:
                self.lose_answer_to = None
                raise httpx.ReadError("connection cut", request=request)
            return answer

    def _answer(self, path: str, request: httpx.Request) -> httpx.Response:
        body: dict[str, Any] = json.loads(request.content or b"{}")
        if path == "/tokens/exchange":
            return self._issue()
        if path == "/tokens/refresh":
            return self._refresh(body, request.headers["Idempotency-Key"])
        if path == "/tokens/revoke":
            self.family_ended = True
            return httpx.Response(200, json={"revoked": True})
        if path == "/tokens/verify":
            return httpx.Response(200, json=self._decide(body["token"]))
        return problem(404, "not_found")

    def _issue(self) -> httpx.Response:
        self.generation += 1
        return httpx.Response(200, json=tokens(self.generation, self.expires_in))

    def _refresh(self, body: dict[str, Any], key: str) -> httpx.Response:
        if key in self._answers:
            return self._answers[key]
        if self.family_ended or body["refreshToken"] != f"refresh-{self.generation}":
            self.family_ended = True
            return problem(400, "invalid_grant")
        self._answers[key] = self._issue()
        return self._answers[key]

    def _decide(self, token: str) -> dict[str, Any]:
        if self.family_ended:
            return {"allowed": False, "reason": "token_revoked"}
        if token != f"access-{self.generation}":
            return {"allowed": False, "reason": "token_expired"}
        return {"allowed": True, "userId": "usr_1", "grantedScopes": ["email:send"], "auditId": "log_1"}


def tokens(generation: int, expires_in: int) -> dict[str, Any]:
    return {
        "accessToken": f"access-{generation}",
        "refreshToken": f"refresh-{generation}",
        "tokenType": "Bearer",
        "expiresIn": expires_in,
        "refreshExpiresIn": 2592000,
        "grantedScopes": ["email:send"],
        "userId": "usr_1",
        "agentId": "agt_1",
        "consentId": "cns_1",
    }


def problem(status: int, code: str, headers: dict[str, str] | None = None, **extra: Any) -> httpx.Response:
    body = {"type": "about:blank", "title": code, "status": status, "code": code, **extra}
    return httpx.Response(status, json=body, headers={"X-Request-Id": "req-1", **(headers or {})})
