"""The action of a request must be covered by a scope that the user granted, whichever scopes the service requires."""

from typing import Any

import pytest

from tests.api.conftest import Api, Json, expect, new_agent, problem, tokens_for, verify

FORWARD = "/forward-auth?scopes=email:read&action="
CHALLENGE = "WWW-Authenticate"


@pytest.fixture
def token(developer: Api, ada: Any) -> str:
    return token_for(developer, ada, "email:read")


def token_for(developer: Api, person: Any, *scopes: str) -> str:
    agent = new_agent(developer, allowedScopes=[*scopes, "email:manage"])
    return str(tokens_for(agent, person, requestedScopes=list(scopes))["accessToken"])


def batch(token: str, action: str) -> Json:
    body = {"requests": [{"token": token, "requiredScopes": ["email:read"], "action": action}]}
    (decision,) = expect(200, Api().post("/tokens/verify/batch", body))["decisions"]
    return dict(decision)


def forward(token: str, action: str) -> Any:
    return Api(Authorization=f"Bearer {token}").get(f"{FORWARD}{action}")


def test_an_action_of_another_scope_is_denied_and_the_scope_is_named(token: str) -> None:
    for decision in (verify(token, action="email:delete"), batch(token, "email:delete")):
        assert (decision["reason"], decision["missingScopes"]) == ("insufficient_scope", ["email:manage"])
    answer = forward(token, "email:delete")
    problem(answer, 403, "insufficient_scope")
    assert answer[CHALLENGE] == 'Bearer error="insufficient_scope", scope="email:read email:manage"'


def test_who_steps_up_as_the_challenge_says_may_act(developer: Api, ada: Any) -> None:
    token = token_for(developer, ada, "email:read")
    needed = forward(token, "email:delete")[CHALLENGE].split('scope="')[1].split('"')[0].split()
    assert forward(token_for(developer, ada, *needed), "email:delete").status_code == 200


def test_an_action_that_no_scope_covers_is_denied_without_a_challenge(token: str) -> None:
    for decision in (verify(token, action="payments:refund"), batch(token, "payments:refund")):
        assert decision["reason"] == "insufficient_scope"
        assert "missingScopes" not in decision
    answer = forward(token, "payments:refund")
    assert problem(answer, 403, "insufficient_scope")["title"] == "No scope covers the action"
    assert CHALLENGE not in answer


def test_a_covering_scope_that_asks_asks_whatever_is_required(developer: Api, ada: Any) -> None:
    token = token_for(developer, ada, "email:read", "payments:charge")
    assert verify(token)["allowed"] is True
    for decision in (verify(token, action="payments:capture"), batch(token, "payments:capture")):
        assert decision["reason"] == "approval_required"
    problem(forward(token, "payments:capture"), 403, "approval_required")
