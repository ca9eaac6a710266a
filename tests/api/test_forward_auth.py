"""Forward authorization, as a proxy asks. A real nginx is in `tests/live/oauth/test_forward_auth.py`."""

import base64
from typing import Any
from unittest.mock import patch

import pytest

from tests.api.conftest import Api, Json, problem, tokens_for

PATH = "/forward-auth?scopes=email:read"


@pytest.fixture
def token(agent: Json, ada: Any) -> str:
    return str(tokens_for(agent, ada)["accessToken"])


def ask(token: str, path: str = PATH, verb: str = "GET", **headers: str) -> Any:
    return Api(Authorization=f"Bearer {token}").call(verb, path, **headers)


def test_an_allowed_request_is_answered_with_who_acts(token: str, agent: Json, ada: Any) -> None:
    answer = ask(token)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["X-AgentGate-User"] == ada.id
    assert answer["X-AgentGate-Agent"] == agent["id"]
    assert answer["X-AgentGate-Consent"].startswith("cns_")
    assert answer["X-AgentGate-Decision"].startswith("log_")
    assert answer["X-AgentGate-Scopes"].split() == agent["allowedScopes"]


@pytest.mark.parametrize("header", ["", "Bearer", "Basic abc", "Bearer two tokens", "Token abc", "Bearer a,b"])
def test_what_is_no_bearer_token_is_401_without_error(db: None, header: str) -> None:
    answer = Api(Authorization=header).get(PATH)
    problem(answer, 401, "not_authenticated")
    assert answer["WWW-Authenticate"] == 'Bearer scope="email:read"'


def test_the_refusals_are_problems_with_a_challenge(token: str) -> None:
    bad = ask("garbage")
    problem(bad, 401, "invalid_token")
    assert (bad["WWW-Authenticate"], bad["X-AgentGate-Reason"]) == (
        'Bearer error="invalid_token", scope="email:read"',
        "invalid_token",
    )
    low = ask(token, "/forward-auth?scopes=payments:charge")
    problem(low, 403, "insufficient_scope")
    assert 'error="insufficient_scope"' in low["WWW-Authenticate"]


@pytest.mark.parametrize("path", ["/forward-auth", "/forward-auth?scopes=", "/forward-auth?scopes=%20"])
def test_nothing_required_is_a_mistake_and_lets_nobody_through(token: str, path: str) -> None:
    problem(ask(token, path), 400, "validation_failed", "scopes")


def test_header_and_query_are_united(token: str) -> None:
    assert ask(token, X_Required_Scopes="email:send").status_code == 200
    problem(ask(token, X_Required_Scopes="payments:charge"), 403, "insufficient_scope")


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_every_method_is_decided(token: str, verb: str) -> None:
    for path in (PATH, "/forward-auth/inbox/7"):
        assert ask(token, path, verb, X_Required_Scopes="email:read").status_code == 200
        assert ask("garbage", path, verb, X_Required_Scopes="email:read").status_code == 401


def test_below_a_path_the_callers_query_is_not_read(token: str) -> None:
    path = "/forward-auth/inbox?scopes=email:read"
    problem(ask(token, path), 400, "validation_failed", "scopes")
    problem(ask(token, path, X_Required_Scopes="payments:charge"), 403, "insufficient_scope")


def test_a_query_that_says_two_things_is_refused(token: str) -> None:
    problem(ask(token, f"{PATH}&scopes=email:send"), 400, "validation_failed", "scopes")
    problem(ask(token, f"{PATH}&resource=a&resource=b"), 400, "validation_failed", "resource")


def test_a_wrong_credential_of_the_proxy_is_403_whatever_the_token(token: str) -> None:
    wrong = base64.b64encode(b"res_x:rs_x").decode()
    for header in (f"Basic {wrong}", "Basic !", "Bearer x"):
        problem(ask(token, X_Resource_Server=header), 403, "forbidden")


def test_a_credential_can_be_demanded(token: str, settings: Any) -> None:
    settings.VERIFY_REQUIRES_CREDENTIAL = True
    problem(ask(token), 403, "forbidden")


def test_policies_count(developer: Api, token: str) -> None:
    rules = [{"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 60, "scope": "per_user"}}]
    assert developer.post("/policies", {"name": "Once", "agentId": None, "rules": rules}).status_code == 201
    assert ask(token).status_code == 200
    refused = ask(token)
    problem(refused, 403, "policy_denied")
    assert int(refused["Retry-After"]) > 0
    assert "WWW-Authenticate" not in refused


def test_what_fails_lets_nobody_through(token: str) -> None:
    api = Api(Authorization=f"Bearer {token}")
    api.client.raise_request_exception = False
    with patch("api.v1.forward_auth.decide", side_effect=RuntimeError("boom")):
        assert api.get(PATH).status_code == 500
