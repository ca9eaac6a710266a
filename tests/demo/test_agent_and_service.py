"""The demo's agent and service, and how they handle errors and denials."""

import importlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from types import ModuleType
from typing import Any

import httpx
import pytest

ENVIRONMENT = {
    "AGENTGATE_URL": "http://gate.invalid",
    "SERVICE_URL": "http://service.invalid",
    "CLIENT_ID": "agc_x",
    "CLIENT_SECRET": "ags_x",
    "SERVICE_ID": "res_x",
    "SERVICE_SECRET": "rs_x",
    "PAUSE_SECONDS": "0",
}
TOKENS = {"accessToken": "first", "refreshToken": "r1", "grantedScopes": ["email:read"]}


def client(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(base_url="http://fake.invalid", transport=httpx.MockTransport(answer))


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def agent() -> ModuleType:
    return importlib.reload(importlib.import_module("demo.agent"))


@pytest.fixture
def service() -> Iterator[ModuleType]:
    module: Any = importlib.reload(importlib.import_module("demo.service"))
    module.server = ThreadingHTTPServer(("127.0.0.1", 0), module.Service)
    threading.Thread(target=module.server.serve_forever, daemon=True).start()
    yield module
    module.server.shutdown()


def call(service: Any, path: str = "/read-mail") -> httpx.Response:
    headers = {"Authorization": "Bearer some.token"}
    return httpx.post(f"http://127.0.0.1:{service.server.server_port}{path}", headers=headers)


def allow_all(service: Any) -> list[dict[str, Any]]:
    """Allow every request of the service. Return the list to which each is added."""
    asked: list[dict[str, Any]] = []

    def decide(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return httpx.Response(200, json={"allowed": True})

    service.gate = client(decide)
    return asked


def test_an_expired_token_is_refreshed_and_the_new_one_is_used(agent: Any) -> None:
    used: list[str] = []

    def serve(request: httpx.Request) -> httpx.Response:
        used.append(request.headers["Authorization"])
        reasons = {"Bearer first": "token_expired", "Bearer second": "consent_revoked"}
        return httpx.Response(401, json={"reason": reasons[used[-1]]})

    def refresh(request: httpx.Request) -> httpx.Response:
        assert json.loads(request.content)["refreshToken"] == "r1"
        return httpx.Response(200, json={**TOKENS, "accessToken": "second"})

    agent.service, agent.gate = client(serve), client(refresh)

    assert agent.work(TOKENS) == "consent_revoked"
    assert used == ["Bearer first", "Bearer second"]


def test_a_failed_refresh_stops_the_agent_without_a_traceback(
    agent: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.service = client(lambda _: httpx.Response(401, json={"reason": "token_expired"}))
    agent.gate = client(lambda _: httpx.Response(400, json={"code": "invalid_grant"}))
    monkeypatch.setattr(agent, "ask_for_access", lambda: TOKENS)

    agent.main()

    assert "Stopping because of an error" in capsys.readouterr().out


def test_a_denied_request_stops_the_agent(
    agent: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(agent, "ask_for_access", lambda: None)

    agent.main()

    assert "You denied the request" in capsys.readouterr().out


def test_temporary_denials_do_not_stop_the_agent(agent: Any) -> None:
    temporary = ["insufficient_scope", "policy_denied", "approval_required", "consent_paused", "insufficient_scope"]
    reasons = iter([*temporary, "agent_suspended"])
    agent.service = client(lambda _: httpx.Response(403, json={"reason": next(reasons)}))

    assert agent.work(TOKENS) == "agent_suspended"


def test_the_service_verifies_before_it_acts(service: Any) -> None:
    asked = allow_all(service)

    assert call(service).json() == {"done": "read-mail"}
    assert asked[0] == {
        "token": "some.token",
        "requiredScopes": ["email:read"],
        "action": "read-mail",
        "context": {"ip": "127.0.0.1"},
    }


def test_the_agent_shows_where_the_user_decides(agent: Any) -> None:
    answer = {"reason": "approval_required", "approvalUrl": "http://gate/approvals/apr_1"}
    assert agent.describe(answer) == "waits for your approval: http://gate/approvals/apr_1"


def test_the_service_says_what_the_user_would_approve(service: Any) -> None:
    asked = allow_all(service)
    call(service, "/send-mail")
    assert asked[0]["context"]["recipient"] == "bob@example.com"


@pytest.mark.parametrize(("reason", "status"), [("token_expired", 401), ("policy_denied", 403)])
def test_the_service_returns_the_denial(service: Any, reason: str, status: int) -> None:
    service.gate = client(lambda _: httpx.Response(200, json={"allowed": False, "reason": reason}))

    answer = call(service)

    assert (answer.status_code, answer.json()["reason"]) == (status, reason)


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_the_service_denies_if_agentgate_fails(service: Any, status: int) -> None:
    service.gate = client(lambda _: httpx.Response(status))

    assert call(service).status_code == 403


def test_an_unknown_action_is_404(service: Any) -> None:
    assert call(service, "/pay").status_code == 404
