"""Forward authorization. `tests/live/oauth/test_forward_auth.py` tests it with a real nginx."""

import base64
from typing import Any
from unittest.mock import patch

import pytest

from tests.api.conftest import Api, Json, new_agent, problem, tokens_for
from tests.shared import cases

PATH = "/forward-auth?scopes=email:read"


@pytest.fixture
def token(agent: Json, ada: Any) -> str:
    return str(tokens_for(agent, ada)["accessToken"])


def ask(token: str, path: str = PATH, verb: str = "GET", **headers: str) -> Any:
    return Api(Authorization=f"Bearer {token}").call(verb, path, **headers)


def test_an_allowed_request_returns_who_acts_for_whom(token: str, agent: Json, ada: Any) -> None:
    answer = ask(token)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["X-AgentGate-User"] == ada.id
    assert answer["X-AgentGate-Agent"] == agent["id"]
    assert answer["X-AgentGate-Consent"].startswith("cns_")
    assert answer["X-AgentGate-Decision"].startswith("log_")
    assert answer["X-AgentGate-Scopes"].split() == agent["allowedScopes"]


@cases("header", ["", "Bearer", "Basic abc", "Bearer two tokens", "Token abc", "Bearer a,b"])
def test_a_missing_bearer_token_is_401_without_an_error_code(db: None, header: str) -> None:
    answer = Api(Authorization=header).get(PATH)
    problem(answer, 401, "not_authenticated")
    assert answer["WWW-Authenticate"] == 'Bearer scope="email:read"'


@cases("name", ["access_token", "token"])
def test_a_token_in_the_url_is_ignored(token: str, name: str) -> None:
    for path in (f"{PATH}&{name}={token}", f"/forward-auth/inbox?{name}={token}"):
        problem(Api().get(path, X_Required_Scopes="email:read"), 401, "not_authenticated")


def test_denials_are_problem_details_with_a_challenge(token: str) -> None:
    bad = ask("garbage")
    problem(bad, 401, "invalid_token")
    assert (bad["WWW-Authenticate"], bad["X-AgentGate-Reason"]) == (
        'Bearer error="invalid_token", scope="email:read"',
        "invalid_token",
    )
    low = ask(token, "/forward-auth?scopes=payments:charge")
    problem(low, 403, "insufficient_scope")
    assert 'error="insufficient_scope"' in low["WWW-Authenticate"]


@cases("path", ["/forward-auth", "/forward-auth?scopes=", "/forward-auth?scopes=%20"])
def test_requiring_no_scopes_is_an_error(token: str, path: str) -> None:
    problem(ask(token, path), 400, "validation_failed", "scopes")


def test_the_scopes_of_header_and_query_are_all_required(token: str) -> None:
    assert ask(token, X_Required_Scopes="email:send").status_code == 200
    problem(ask(token, X_Required_Scopes="payments:charge"), 403, "insufficient_scope")


@cases("verb", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_every_method_is_decided(token: str, verb: str) -> None:
    for path in (PATH, "/forward-auth/inbox/7"):
        assert ask(token, path, verb, X_Required_Scopes="email:read").status_code == 200
        assert ask("garbage", path, verb, X_Required_Scopes="email:read").status_code == 401


def test_the_callers_query_is_ignored_below_a_path(token: str) -> None:
    path = "/forward-auth/inbox?scopes=email:read"
    problem(ask(token, path), 400, "validation_failed", "scopes")
    problem(ask(token, path, X_Required_Scopes="payments:charge"), 403, "insufficient_scope")


def test_a_repeated_parameter_is_refused(token: str) -> None:
    problem(ask(token, f"{PATH}&scopes=email:send"), 400, "validation_failed", "scopes")
    problem(ask(token, f"{PATH}&resource=a&resource=b"), 400, "validation_failed", "resource")


def test_a_wrong_credential_of_the_proxy_is_403_even_with_a_valid_token(token: str) -> None:
    wrong = base64.b64encode(b"res_x:rs_x").decode()
    for header in (f"Basic {wrong}", "Basic !", "Bearer x"):
        problem(ask(token, X_Resource_Server=header), 403, "forbidden")


def test_a_setting_can_require_a_credential(token: str, settings: Any) -> None:
    settings.VERIFY_REQUIRES_CREDENTIAL = True
    problem(ask(token), 403, "forbidden")


def test_policies_apply(developer: Api, token: str) -> None:
    rules = [{"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 60, "scope": "per_user"}}]
    assert developer.post("/policies", {"name": "Once", "agentId": None, "rules": rules}).status_code == 201
    assert ask(token).status_code == 200
    refused = ask(token)
    problem(refused, 403, "policy_denied")
    assert int(refused["Retry-After"]) > 0
    assert "WWW-Authenticate" not in refused


def test_an_unexpected_error_denies(token: str) -> None:
    api = Api(Authorization=f"Bearer {token}")
    api.client.raise_request_exception = False
    with patch("decisions.inquiries.decide_questions", side_effect=RuntimeError("boom")):
        assert api.get(PATH).status_code == 500


def test_who_was_not_asked_gets_no_page_but_a_time(developer: Api, ada: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent has asked its user too often, so the second request asks nothing."""
    monkeypatch.setattr("decisions.approvals.MAX_ASKED", 1)
    agent = new_agent(developer, allowedScopes=["payments:charge"])
    token = tokens_for(agent, ada, requestedScopes=["payments:charge"])["accessToken"]
    proxy = Api(Authorization=f"Bearer {token}")
    asked, unasked = (proxy.get(f"/forward-auth?scopes=payments:charge&action=word{number}") for number in (1, 2))
    assert asked["X-AgentGate-Approval"]
    assert problem(unasked, 403, "approval_required")["title"] == "The agent has asked the user too often"
    assert "X-AgentGate-Approval" not in unasked
    assert int(unasked["Retry-After"]) > 0
