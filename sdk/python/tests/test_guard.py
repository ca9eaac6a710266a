"""A guard's responses: RFC 6750 for tokens, JSON with the reason for policies, 503 without a decision."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from fake_gate import BASE_URL, problem

from agentgate_oauth import Decision, RetryPolicy
from agentgate_oauth.service import Guard, Refusal, Requirement, configure, default_guard, defaults
from agentgate_oauth.service.bearer import MalformedCredential, read_bearer

METADATA = "https://api.example/.well-known/oauth-protected-resource"
SEND = Requirement[None](("email:send", "email:read"), action="send", context={"recipient": "a@example.com"})
QUESTION = SEND.question(None, "203.0.113.9")


class Gate:
    """Answers every request with the same response, and records the requests."""

    def __init__(self, answer: dict[str, Any] | httpx.Response | Exception) -> None:
        self.answer = answer
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return (
            self.answer if isinstance(self.answer, httpx.Response) else httpx.Response(200, json=self.answer)
        )

    def guard(self, **options: Any) -> Guard:
        transport = httpx.MockTransport(self)
        return Guard(
            BASE_URL,
            "res_1",
            "rs_1",
            resource_metadata=METADATA,
            retry=RetryPolicy(attempts=1),
            http_client=httpx.Client(transport=transport),
            async_http_client=httpx.AsyncClient(transport=transport),
            **options,
        )


def denied(reason: str, **extra: Any) -> dict[str, Any]:
    return {"allowed": False, "reason": reason, "auditId": "log_1", **extra}


def refused(answer: dict[str, Any] | httpx.Response | Exception, header: str = "Bearer token") -> Refusal:
    outcome = Gate(answer).guard().check([header], QUESTION)
    assert isinstance(outcome, Refusal)
    return outcome


def test_an_allowed_decision_is_returned_and_the_question_is_complete():
    gate = Gate({"allowed": True, "userId": "usr_1"})
    outcome = gate.guard().check(["Bearer token"], QUESTION)
    assert isinstance(outcome, Decision) and outcome.user_id == "usr_1"
    assert json.loads(gate.requests[0].content) == {
        "token": "token",
        "requiredScopes": ["email:send", "email:read"],
        "action": "send",
        "context": {"ip": "203.0.113.9", "recipient": "a@example.com"},
    }
    assert gate.requests[0].headers["Authorization"] == "Basic cmVzXzE6cnNfMQ=="


def test_the_asynchronous_method_works_in_several_event_loops():
    gate = Gate({"allowed": True})
    guard = gate.guard()
    for _ in range(2):
        assert isinstance(asyncio.run(guard.acheck(["Bearer token"], QUESTION)), Decision)


@pytest.mark.parametrize("headers", [[], ["Basic dXNlcjpwYXNz"], ["Digest x"]])
def test_no_token_is_401_without_an_error(headers):
    outcome = Gate({"allowed": True}).guard().check(headers, QUESTION)
    assert isinstance(outcome, Refusal) and outcome.status == 401
    assert outcome.headers["WWW-Authenticate"] == (
        f'Bearer scope="email:send email:read", resource_metadata="{METADATA}"'
    )


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer a b", "Bearer t\u00f6ken", "Bearer " + "x" * 20000]
)
def test_an_unreadable_token_is_401_and_never_sent(header):
    gate = Gate({"allowed": True})
    outcome = gate.guard().check([header], QUESTION)
    assert isinstance(outcome, Refusal) and outcome.status == 401 and not gate.requests


def test_several_authorization_headers_are_refused():
    with pytest.raises(MalformedCredential):
        read_bearer(["Bearer good", "Bearer evil"])
    with pytest.raises(MalformedCredential):
        read_bearer(["Basic x", "Bearer evil"])


@pytest.mark.parametrize(
    "reason",
    [
        "invalid_token",
        "token_expired",
        "token_revoked",
        "consent_revoked",
        "consent_expired",
        "agent_suspended",
        "organization_suspended",
        "organization_stopped",
        "user_inactive",
        "wrong_audience",
    ],
)
def test_a_bad_token_is_401_invalid_token(reason):
    outcome = refused(denied(reason))
    assert outcome.status == 401 and outcome.body["reason"] == reason
    assert outcome.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


def test_a_missing_scope_is_403_with_every_required_scope():
    outcome = refused(denied("insufficient_scope", missingScopes=["email:send"]))
    assert outcome.status == 403
    assert 'error="insufficient_scope"' in outcome.headers["WWW-Authenticate"]
    assert 'scope="email:send email:read"' in outcome.headers["WWW-Authenticate"]
    assert outcome.body["missingScopes"] == ["email:send"]


def test_a_scope_that_covers_the_action_is_needed_too():
    outcome = refused(denied("insufficient_scope", missingScopes=["email:manage"]))
    assert 'scope="email:send email:read email:manage"' in outcome.headers["WWW-Authenticate"]
    assert outcome.body["scope"] == "email:send email:read email:manage"


def test_an_action_that_no_scope_covers_is_403_without_a_challenge():
    outcome = refused(denied("insufficient_scope"))
    assert outcome.status == 403 and "WWW-Authenticate" not in outcome.headers
    assert (outcome.body["error"], outcome.body["reason"]) == ("insufficient_scope", "insufficient_scope")
    assert outcome.body["error_description"] == "no scope covers the action" and "scope" not in outcome.body


def test_a_denial_by_a_policy_is_403_and_names_the_policy():
    policy = {"id": "pol_1", "name": "Office hours", "ruleType": "time_window"}
    outcome = refused(denied("policy_denied", policy=policy, retryAfterSeconds=60))
    assert outcome.status == 403 and "WWW-Authenticate" not in outcome.headers
    assert outcome.body["reason"] == "policy_denied" and outcome.body["policy"] == policy
    assert outcome.body["auditId"] == "log_1" and outcome.headers["Retry-After"] == "60"


def test_a_rate_limit_is_429_with_retry_after():
    policy = {"id": "pol_1", "name": "Ten an hour", "ruleType": "rate_limit"}
    outcome = refused(denied("policy_denied", policy=policy, retryAfterSeconds=17))
    assert (outcome.status, outcome.headers["Retry-After"]) == (429, "17")


def test_an_approval_is_403_with_its_link():
    outcome = refused(
        denied("approval_required", approvalId="apr_1", approvalUrl="https://x/approvals/apr_1")
    )
    assert outcome.status == 403 and outcome.body["approvalUrl"] == "https://x/approvals/apr_1"


@pytest.mark.parametrize("reason", ["service_suspended", "consent_paused", "invented_tomorrow", None])
def test_other_reasons_are_403(reason):
    assert refused(denied(reason)).status == 403


@pytest.mark.parametrize(
    "answer",
    [
        problem(503, "unavailable", {"Retry-After": "9"}),
        problem(500, "internal"),
        problem(401, "invalid_client"),
        problem(400, "invalid_request"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"allowed": "yes"}),
        httpx.Response(200, json={"allowed": 1}),
        httpx.Response(200, json=[]),
        httpx.ConnectError("down"),
        httpx.ReadTimeout("slow"),
    ],
)
def test_without_a_decision_the_response_is_503(answer):
    outcome = refused(answer)
    assert outcome.status == 503 and int(outcome.headers["Retry-After"]) >= 1


def test_introspection_compares_scopes_and_lists_what_it_did_not_consider():
    live = {"active": True, "scope": "email:send email:read", "sub": "usr_1", "client_id": "agc_1", "exp": 1}
    gate = Gate({**live, "consent_id": "cns_1"})
    outcome = gate.guard(mode="introspect").check(["Bearer token"], QUESTION)
    assert isinstance(outcome, Decision) and outcome.user_id == "usr_1"
    assert outcome.unknown == ("actions", "policies", "approvals")
    assert gate.requests[0].url.path == "/oauth/introspect" and gate.requests[0].content == b"token=token"
    gate.answer = {**live, "scope": "email:send"}
    low = gate.guard(mode="introspect").check(["Bearer token"], QUESTION)
    assert isinstance(low, Refusal) and low.status == 403
    gate.answer = {"active": False}
    dead = gate.guard(mode="introspect").check(["Bearer token"], QUESTION)
    assert isinstance(dead, Refusal) and dead.status == 401


@pytest.mark.parametrize(
    ("caller", "context"),
    [
        ("203.0.113.9", {"ip": "203.0.113.9"}),
        ("fe80::1%eth0", {"ip": "fe80::1"}),
        ("testclient", {}),
        ("", {}),
        (None, {}),
    ],
)
def test_only_ip_addresses_are_sent_as_ip(caller, context):
    assert Requirement[None](("a:b",)).question(None, caller).context == context


def test_requirements_may_depend_on_the_request():
    requirement = Requirement[str](
        ("a:b",), action=lambda s: s + "!", resource=lambda s: s, context=lambda s: {"ip": "::1", "text": s}
    )
    question = requirement.question("x", "203.0.113.9")
    assert (question.action, question.resource) == ("x!", "x")
    assert question.context == {"ip": "::1", "text": "x"}
    with pytest.raises(ValueError, match="at least one"):
        Requirement[None](())


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "introspect"},
        {"mode": "offline", "audience": "https://api.example"},
        {"mode": "offline", "resource_server_id": "res_1", "resource_server_secret": "rs_1"},
        {"mode": "sometimes"},
        {"resource_server_id": "res_1"},
        {"base_url": "http://gate.example"},
    ],
)
def test_unsafe_or_incomplete_guards_are_refused(options):
    with pytest.raises(ValueError):
        Guard(**{"base_url": BASE_URL, **options})


def test_the_default_guard_is_the_configured_one(fresh_defaults):
    guard = Gate({"allowed": True}).guard()
    configure(guard)
    assert default_guard() is guard


@pytest.fixture
def fresh_defaults(monkeypatch):
    monkeypatch.setattr(defaults, "_configured", [])
    defaults._guard_from_environment.cache_clear()
    yield
    defaults._guard_from_environment.cache_clear()


def test_the_environment_describes_the_default_guard(fresh_defaults, monkeypatch, tmp_path):
    (tmp_path / "secret").write_text("rs_1\n")
    monkeypatch.setenv("AGENTGATE_URL", "http://gate.internal:8000")
    monkeypatch.setenv("AGENTGATE_RESOURCE_SERVER_ID", "res_1")
    monkeypatch.setenv("AGENTGATE_RESOURCE_SERVER_SECRET_FILE", str(tmp_path / "secret"))
    with pytest.raises(ValueError, match="https"):
        default_guard()
    monkeypatch.setenv("AGENTGATE_ALLOW_HTTP", "1")
    guard = default_guard()
    assert guard._source._credential.headers == {"Authorization": "Basic cmVzXzE6cnNfMQ=="}
    assert default_guard() is guard


def test_a_missing_guard_names_the_variable_to_set(fresh_defaults, monkeypatch):
    monkeypatch.delenv("AGENTGATE_URL", raising=False)
    with pytest.raises(RuntimeError, match="AGENTGATE_URL"):
        default_guard()


def test_a_realm_cannot_inject_into_the_challenge():
    gate = Gate({"allowed": True})
    guard = gate.guard(realm='a"b\\c\r\nX-Evil: 1')
    outcome = guard.check([], QUESTION)
    assert isinstance(outcome, Refusal)
    assert outcome.headers["WWW-Authenticate"].startswith('Bearer realm="a\\"b\\\\cX-Evil: 1"')
