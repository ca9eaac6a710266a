"""Pushed authorization requests (RFC 9126)."""

from typing import Any

import pytest

from accounts.models import User
from tests.constants import basic
from tests.oauth.client import OAuthClient, error_of, query_of
from tests.shared import cases


def push(client: OAuthClient, **changes: Any) -> Any:
    parameters = client.parameters(**changes)
    if client.secret:
        parameters.pop("client_id", None)
    return client.post("/oauth/par", **parameters)


def visit(client: OAuthClient, browser: Any, request_uri: str) -> Any:
    query = {"client_id": client.agent.client_id, "request_uri": request_uri}
    return browser.get("/oauth/authorize", query)


@pytest.mark.parametrize("is_public", [False, True])
def test_a_pushed_request_leads_to_tokens(
    is_public: bool, client: OAuthClient, public: OAuthClient, world: Any, ada: User
) -> None:
    client = public if is_public else client
    pushed = push(client)
    assert (pushed.status_code, pushed["Cache-Control"]) == (201, "no-store")
    assert pushed.json()["expires_in"] == 600
    browser = world.sign_in(ada)
    location = visit(client, browser, pushed.json()["request_uri"])["Location"]
    answer = query_of(browser.post(location, {"decision": "allow", "scopes": ["email:read"]}))
    assert answer["state"] == "st4te"
    assert client.redeem(answer["code"]).status_code == 200


def test_a_request_uri_works_for_its_own_client_only(
    client: OAuthClient, other: OAuthClient, world: Any, ada: User
) -> None:
    uri = push(client).json()["request_uri"]
    assert visit(other, world.sign_in(ada), uri).status_code == 400


@cases("uri", ["urn:ietf:params:oauth:request_uri:cns_unknown", "https://evil.example/r", "x\0y"])
def test_an_unknown_request_uri_shows_an_error_page(client: OAuthClient, world: Any, ada: User, uri: str) -> None:
    assert visit(client, world.sign_in(ada), uri).status_code == 400


def test_a_request_uri_can_be_decided_only_once(client: OAuthClient, world: Any, ada: User) -> None:
    uri = push(client).json()["request_uri"]
    browser = world.sign_in(ada)
    location = visit(client, browser, uri)["Location"]
    browser.post(location, {"decision": "deny"})
    assert browser.get(visit(client, browser, uri)["Location"]).status_code == 409


@cases(
    ("change", "error"),
    [
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"scope": "no:such"}, "invalid_scope"),
        ({"resource": "https://unknown.example/"}, "invalid_target"),
        ({"code_challenge": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"request_uri": "urn:x"}, "invalid_request"),
        ({"prompt": "none"}, "invalid_request"),
        ({"state": ["a", "b"]}, "invalid_request"),
    ],
)
def test_invalid_requests_are_refused_when_pushed(
    client: OAuthClient, world: Any, change: dict[str, Any], error: str
) -> None:
    answer = push(client, **change)
    assert (answer.status_code, error_of(answer)) == (400, error)


def test_a_confidential_client_must_authenticate(client: OAuthClient, world: Any) -> None:
    answer = client.post("/oauth/par", basic(client.agent.client_id, "wrong"), **client.parameters())
    assert (answer.status_code, error_of(answer)) == (401, "invalid_client")


def test_a_client_with_a_document_can_push_as_its_first_request(world: Any, published: Any, ada: User) -> None:
    from tests.oauth.documents import CLAUDE_CODE
    from tests.oauth.test_metadata_documents import client_of

    published[CLAUDE_CODE["client_id"]] = CLAUDE_CODE
    client = client_of(world, CLAUDE_CODE)
    pushed = push(client)
    assert pushed.status_code == 201
    assert visit(client, world.sign_in(ada), pushed.json()["request_uri"]).status_code == 303


def test_a_client_whose_document_is_unavailable_cannot_push(world: Any, published: Any) -> None:
    from tests.oauth.documents import CLAUDE_CODE
    from tests.oauth.test_metadata_documents import client_of

    assert error_of(push(client_of(world, CLAUDE_CODE))) == "invalid_client"
