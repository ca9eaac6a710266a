"""A stock client has one connection for all services, and a service's log does not reveal the others."""

import json
import re
from typing import Any

import pytest
from django.test import Client

from tests.api.conftest import Api, Json, expect, problem, verify
from tests.web.markup import choices_in

ALPHA, BETA = "https://alpha.example/mcp", "https://beta.example/mcp"


@pytest.fixture
def services(developer: Api, rival: Api) -> None:
    """Register a service for each of two organizations."""
    expect(201, developer.post("/resource-servers", {"name": "A", "identifier": ALPHA, "scopes": SCOPES}))
    expect(201, rival.post("/resource-servers", {"name": "B", "identifier": BETA, "scopes": SCOPES}))


SCOPES = ["email:read", "email:send", "calendar:read"]
# As a scope of its own, not as an action that another scope excludes.
NAMED = re.compile(r'"email:send"(?!, "email:move")')


@pytest.fixture
def stock(services: None) -> Any:
    from agents.models import Agent
    from tests.oauth.client import OAuthClient

    body = {"client_name": "Tool", "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none"}
    made = Client().post("/oauth/register", body, content_type="application/json")
    return OAuthClient(Agent.objects.get(client_id=made.json()["client_id"]), "")


@pytest.fixture
def person(ada: Any) -> Any:
    from accounts.models import User

    return User.objects.get(pk=ada.id)


def connect(stock: Any, ada: Any, scope: str, resource: Any) -> Json:
    """Let the user allow what is asked without changing the rest."""
    consent = stock.authorize(scope=scope, resource=resource)["Location"].rpartition("/")[2]
    code = expect(200, ada.post(f"/consent/{consent}/approve"))["code"]
    return expect(200, stock.redeem(code))


def log(organization: Api, *events: str) -> list[Json]:
    items = expect(200, organization.get("/audit"))["items"]
    return [one for one in items if one["event"] in events]


def test_a_stock_client_has_one_connection_for_all_services(stock: Any, ada: Any) -> None:
    connect(stock, ada, "email:read email:send", [ALPHA, BETA])
    connect(stock, ada, "email:read", BETA)
    connect(stock, ada, "email:read", None)
    items = expect(200, ada.get("/users/me/consents"))["items"]
    assert [one["status"] for one in items] == ["approved", "replaced", "replaced"]
    assert items[0]["grantedScopes"] == ["email:read", "email:send"]


def test_the_screen_of_a_later_request_shows_what_is_allowed_elsewhere(stock: Any, person: Any) -> None:
    from tests.world import sign_in

    token = stock.tokens(person, scope="email:read email:send", resource=[ALPHA, BETA])
    browser = sign_in(person)
    url = stock.authorize(browser, scope="email:read", resource=BETA)["Location"]
    page = browser.get(url)
    assert [choice.scope.id for choice in choices_in(page, "known")] == ["email:send", "email:read"]
    form = {"decision": "allow", "connection": page.context["connection_state"], "scopes": ["email:read"]}
    assert browser.post(url, form).status_code == 303
    assert verify(token["access_token"], "email:send", resource=BETA)["reason"] == "insufficient_scope"


def test_revoking_the_connection_revokes_its_tokens_at_every_service(stock: Any, person: Any, ada: Any) -> None:
    tokens = {one: stock.tokens(person, scope="email:read", resource=one) for one in (ALPHA, BETA)}
    live = expect(200, ada.get("/users/me/consents"))["items"][0]
    expect(200, ada.post(f"/users/me/consents/{live['id']}/revoke"))
    for resource, token in tokens.items():
        assert verify(token["access_token"], "email:read", resource=resource)["reason"] == "consent_revoked"


def test_a_services_log_does_not_reveal_what_is_allowed_elsewhere(
    stock: Any, ada: Any, developer: Api, rival: Api
) -> None:
    connect(stock, ada, "email:send calendar:read", ALPHA)
    connect(stock, ada, "email:read", BETA)
    connect(stock, ada, "calendar:read", ALPHA)
    live = expect(200, ada.get("/users/me/consents"))["items"][0]
    expect(200, ada.post(f"/users/me/consents/{live['id']}/revoke"))

    theirs = log(rival, "consent.requested", "consent.approved", "consent.replaced", "consent.revoked")

    assert [one["event"] for one in theirs] == [
        "consent.revoked",
        "consent.replaced",
        "consent.approved",
        "consent.requested",
    ]
    text = json.dumps(theirs)
    assert "email:read" in text
    assert not NAMED.search(text)
    assert "calendar:read" not in text
    approved = theirs[2]
    assert (approved["scopes"], approved["metadata"]["notGranted"]) == (["email:read"], [])
    assert [one["id"] for one in approved["metadata"]["shownScopes"]] == ["email:read"]
    text = json.dumps(log(developer, "consent.approved", "consent.replaced", "consent.revoked"))
    assert "calendar:read" in text
    assert "Read your email" not in text


def test_a_services_log_does_not_reveal_that_the_same_was_allowed_elsewhere(stock: Any, ada: Any, rival: Api) -> None:
    connect(stock, ada, "email:read", ALPHA)
    connect(stock, ada, "email:read", BETA)
    metadata = log(rival, "consent.approved")[0]["metadata"]
    assert not metadata.keys() & {"added", "kept", "removed", "replacedConsentId"}


def test_the_user_sees_all_scopes_of_the_connection(stock: Any, ada: Any) -> None:
    connect(stock, ada, "email:send", ALPHA)
    connect(stock, ada, "email:read", BETA)
    entry = expect(200, ada.get("/users/me/audit-logs?event=consent.approved&limit=1"))["items"][0]
    assert entry["scopes"] == ["email:read", "email:send"]
    assert (entry["metadata"]["added"], entry["metadata"]["kept"]) == (["email:read"], ["email:send"])


def test_a_services_organization_cannot_read_a_decided_consent(
    stock: Any, person: Any, ada: Any, developer: Api
) -> None:
    """Only the user and the agent's organization can read it, and a stock client has no organization."""
    stock.tokens(person, scope="email:read", resource=[ALPHA, BETA])
    live = expect(200, ada.get("/users/me/consents"))["items"][0]
    problem(developer.get(f"/consent/{live['id']}"), 404, "not_found")


def test_another_organizations_service_sees_only_the_scopes_of_its_own_request(
    agent: Json, ada: Api, services: None, developer: Api, rival: Api
) -> None:
    from tests.api.conftest import tokens_for

    tokens_for(agent, ada, requestedScopes=["email:send"])
    tokens_for(agent, ada, requestedScopes=["email:read"], resource=BETA)
    theirs = log(rival, "consent.approved")
    assert [one["scopes"] for one in theirs] == [["email:read"]]
    assert not NAMED.search(json.dumps(theirs))
    own = log(developer, "consent.approved")[0]
    assert own["scopes"] == ["email:read", "email:send"]
    assert own["metadata"]["kept"] == ["email:send"]
