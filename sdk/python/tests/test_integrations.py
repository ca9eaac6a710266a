"""The five integrations, each with its real framework and server, allow and refuse requests."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from served import served
from service_processes import Service, running_service

from agentgate_oauth.integrations.fastmcp import (
    AgentGateAuthProvider,
    AgentGateTokenVerifier,
    AnswerUnavailable,
)
from agentgate_oauth.service import Guard


class Gate:
    """Knows a good token and one without a scope. `stopped` makes it revoke, throttle or fail."""

    def __init__(self) -> None:
        self.stopped: str | None = None
        self.verified: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.headers["Authorization"] != "Basic cmVzXzE6cnNfMQ==":
            return httpx.Response(401, json={"error": "invalid_client"})
        if self.stopped == "throttled":
            return httpx.Response(429, json={"code": "rate_limited"}, headers={"Retry-After": "9"})
        if self.stopped == "broken":
            return httpx.Response(500, text="oops")
        if request.url.path == "/oauth/introspect":
            return httpx.Response(200, json=self._introspect(parse_qs(request.content.decode())["token"][0]))
        body = json.loads(request.content)
        self.verified.append(body)
        return httpx.Response(200, json=self._decide(body["token"]))

    def _introspect(self, token: str) -> dict[str, Any]:
        if token not in ("good", "low") or self.stopped == "revoked":
            return {"active": False}
        return {
            "active": True,
            "scope": "email:send",
            "client_id": "agc_1",
            "sub": "usr_1",
            "exp": 4102444800,
        }

    def _decide(self, token: str) -> dict[str, Any]:
        if token not in ("good", "low"):
            return {"allowed": False, "reason": "invalid_token"}
        if self.stopped == "revoked":
            return {"allowed": False, "reason": "consent_revoked"}
        if self.stopped == "limited":
            policy = {"id": "pol_1", "name": "Ten an hour", "ruleType": "rate_limit"}
            return {"allowed": False, "reason": "policy_denied", "policy": policy, "retryAfterSeconds": 7}
        if self.stopped == "asking":
            approval = {"approvalId": "apr_1", "approvalUrl": "https://gate.example/approvals/apr_1"}
            return {"allowed": False, "reason": "approval_required", **approval}
        if token == "low":
            return {"allowed": False, "reason": "insufficient_scope", "missingScopes": ["email:send"]}
        return {"allowed": True, "userId": "usr_1", "auditId": "log_1"}


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


@pytest.fixture(scope="module")
def services(gate) -> Iterator[Callable[[str], Service]]:
    """Yield a function that starts a service on a framework when it is first asked for it."""
    with served(gate) as url, contextlib.ExitStack() as stack:
        yield functools.cache(lambda name: stack.enter_context(running_service(name, url, "res_1", "rs_1")))


@pytest.fixture(params=["django", "drf", "flask", "fastapi", "fastmcp"])
def service(request, services) -> Service:
    return services(request.param)


@pytest.fixture(autouse=True)
def working_gate(gate) -> None:
    gate.stopped = None
    gate.verified.clear()


def test_a_good_token_passes_and_the_handler_has_the_decision(service, gate):
    outcome = service.send("good")
    assert (outcome.status, outcome.body["userId"], outcome.body["recipient"]) == (
        200,
        "usr_1",
        "a@example.com",
    )
    asked = gate.verified[-1]
    assert asked["requiredScopes"] == ["email:send"]
    assert asked["context"] == {"ip": "127.0.0.1", "recipient": "a@example.com"}


def test_no_token_is_401_without_an_error(service):
    outcome = service.send(None)
    assert outcome.status == 401
    assert outcome.challenge.startswith("Bearer") and "error" not in outcome.challenge


def test_a_bad_token_is_401_invalid_token(service):
    outcome = service.send("forged")
    assert outcome.status == 401 and 'error="invalid_token"' in outcome.challenge


def test_a_missing_scope_is_403_insufficient_scope(service):
    outcome = service.send("low")
    assert (outcome.status, outcome.body["error"]) == (403, "insufficient_scope")
    assert outcome.body["missingScopes"] == ["email:send"]
    if service.name != "fastmcp":
        assert 'scope="email:send"' in outcome.challenge


def test_a_revoked_consent_is_refused_at_the_next_request(service, gate):
    assert service.send("good").status == 200
    gate.stopped = "revoked"
    assert service.send("good").status == 401


def test_a_rate_limit_is_429_and_names_the_policy(service, gate):
    gate.stopped = "limited"
    outcome = service.send("good")
    assert outcome.status == 429 and outcome.body["policy"]["name"] == "Ten an hour"
    assert outcome.body["retryAfterSeconds"] == 7
    if service.name != "fastmcp":  # a tool's refusal is the text of a tool error, without headers
        assert outcome.retry_after == "7"


def test_a_call_that_needs_approval_is_403_with_the_link(service, gate):
    gate.stopped = "asking"
    outcome = service.send("good")
    body = outcome.body
    assert (outcome.status, body["code"], body["reason"]) == (403, "approval_required", "approval_required")
    assert (body["approvalId"], body["approvalUrl"]) == ("apr_1", "https://gate.example/approvals/apr_1")
    assert body["detail"] == (
        "The user must approve this request at https://gate.example/approvals/apr_1. Then send it again."
    )
    if service.name in ("django", "flask"):
        assert outcome.media_type == "application/problem+json"


def test_a_throttled_service_answers_503_with_retry_after(service, gate):
    gate.stopped = "throttled"
    outcome = service.send("good")
    assert (outcome.status, outcome.retry_after) == (503, "9")


def test_an_error_of_agentgate_is_503(service, gate):
    gate.stopped = "broken"
    assert service.send("good").status == 503


@pytest.mark.parametrize(
    "kind", ["send-async", "class", "class-async", "class-async-method", "class-async-view"]
)
def test_every_kind_of_django_view_is_guarded(gate, django, kind):
    assert django.send("good", f"/{kind}").status == 200
    assert django.send(None, f"/{kind}").status == 401
    assert django.send("low", f"/{kind}").body["error"] == "insufficient_scope"


@pytest.fixture
def django(services) -> Service:
    return services("django")


@pytest.fixture
def drf(services) -> Service:
    return services("drf")


@pytest.mark.parametrize("accepted", ["text/html", "application/json"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"])
def test_a_request_to_drf_is_decided_once(drf, gate, method, accepted):
    """The browsable API and the metadata ask again what the caller could do by other methods."""
    headers = {"Authorization": "Bearer good", "Accept": accepted}
    answer = httpx.request(method, f"{drf.url}/mails", headers=headers)
    assert answer.status_code == 200
    assert [asked["action"] for asked in gate.verified] == [method.lower()]


def test_a_refused_request_to_drf_is_decided_once(drf, gate):
    headers = {"Authorization": "Bearer low", "Accept": "text/html"}
    assert httpx.get(f"{drf.url}/mails", headers=headers).status_code == 403
    assert len(gate.verified) == 1


def test_drf_shows_no_form_for_what_was_not_decided(drf):
    headers = {"Authorization": "Bearer good"}
    page = httpx.get(f"{drf.url}/mails", headers={**headers, "Accept": "text/html"}).text
    assert "usr_1" in page and 'name="recipient"' not in page and 'data-method="DELETE"' not in page
    assert "actions" not in httpx.options(f"{drf.url}/mails", headers=headers).json()


def test_a_schema_of_drf_decides_about_no_other_view(drf, gate):
    """It asks the permission class of each view about a clone with the same method."""
    answer = httpx.get(f"{drf.url}/described", headers={"Authorization": "Bearer good"})
    assert (answer.status_code, answer.json()) == (200, ["/forwarding"]), "which needs no scope"
    assert [asked["action"] for asked in gate.verified] == ["describe"]


def test_a_view_of_drf_that_answers_for_another_resource_is_decided_again(drf, gate):
    answer = httpx.get(f"{drf.url}/forwarding", headers={"Authorization": "Bearer good"})
    assert answer.json() == [200, 200, 200]
    assert [asked["action"] for asked in gate.verified] == ["a", "b"]


async def test_an_mcp_session_belongs_to_a_user_and_an_agent():
    """FastMCP compares both with those who opened the session."""

    def introspect(_: httpx.Request) -> httpx.Response:
        facts = {"active": True, "sub": "usr_1", "client_id": "agc_1", "consent_id": "cns_1"}
        return httpx.Response(200, json=facts)

    async with httpx.AsyncClient(transport=httpx.MockTransport(introspect)) as http:
        guard = Guard("https://gate.example", "res_1", "rs_1", mode="introspect", async_http_client=http)
        token = await AgentGateTokenVerifier(guard).verify_token("access")
    assert token is not None
    assert (token.subject, token.client_id) == ("usr_1", "agc_1")


def test_a_provider_of_fastmcp_answers_503_as_its_verifier_does():
    """FastMCP asks only the outer one of the two for its middleware."""
    guard = Guard("https://gate.example", "res_1", "rs_1", mode="introspect")
    verifier = AgentGateTokenVerifier(guard)
    provider = AgentGateAuthProvider(verifier, ["https://gate.example/oauth"], "https://mail.example")
    assert [auth.get_middleware()[0].cls for auth in (verifier, provider)] == [AnswerUnavailable] * 2
