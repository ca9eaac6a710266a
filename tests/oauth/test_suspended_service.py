"""A suspended organization, or one that is being deleted, at the OAuth endpoints.

Its clients, and its services as `resource` of other clients.
"""

from typing import Any

import pytest

from accounts.models import User
from core.actor import SYSTEM
from developers.models import Developer
from developers.services import reactivate_organization, suspend_organization
from developers.stopping import delete_organization, restore_organization
from tests.oauth.client import error_of, introspect, query_of

PUBLIC = {"token_endpoint_auth_method": "none"}


@pytest.fixture(params=["suspended", "being deleted"])
def is_suspended(request: Any) -> bool:
    return bool(request.param == "suspended")


@pytest.fixture
def suspend(developer: Developer, world: Any, *, is_suspended: bool) -> Any:
    def suspend() -> None:
        organization = developer.organization
        if is_suspended:
            assert suspend_organization(actor=SYSTEM, organization=organization, reason="Fraud reports.")
        else:
            delete_organization(actor=world.as_owner(organization), organization=organization)

    return suspend


@pytest.fixture
def lift(developer: Developer, world: Any, *, is_suspended: bool) -> Any:
    def lift() -> None:
        organization = developer.organization
        if is_suspended:
            reactivate_organization(actor=SYSTEM, organization=organization, reason="Cleared.")
        else:
            restore_organization(actor=world.as_owner(organization), organization=organization)

    return lift


def test_its_clients_cannot_ask_push_or_get_tokens(client: Any, world: Any, ada: User, suspend: Any) -> None:
    code, tokens = client.code(ada), client.tokens(ada)
    suspend()

    assert query_of(client.authorize())["error"] == "unauthorized_client"
    assert error_of(client.post("/oauth/par", **client.parameters())) == "unauthorized_client"
    assert error_of(client.redeem(code)) == "invalid_grant"
    assert error_of(client.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert error_of(client.token(grant_type="client_credentials")) == "unauthorized_client"


def test_no_client_gets_tokens_for_its_services(
    register: Any, ada: User, service: Any, suspend: Any, lift: Any
) -> None:
    client, resource = register(**PUBLIC), service.server.identifier
    code, tokens = client.code(ada, resource=resource), client.tokens(ada, resource=resource)
    suspend()

    assert query_of(client.authorize(resource=resource))["error"] == "invalid_target"
    pushed = client.parameters(resource=resource)
    assert error_of(client.post("/oauth/par", **pushed)) == "invalid_target"
    assert error_of(client.redeem(code, resource=resource)) == "invalid_target"
    assert error_of(client.redeem(code)) == "invalid_grant"
    assert error_of(client.refresh(tokens["refresh_token"], resource=resource)) == "invalid_target"
    assert error_of(client.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert introspect(service, tokens["access_token"]) == {"active": False}

    lift()
    assert client.refresh(tokens["refresh_token"]).status_code == 200


def test_a_request_for_its_service_cannot_be_allowed_on_the_page(
    register: Any, world: Any, ada: User, service: Any, suspend: Any
) -> None:
    client, browser = register(**PUBLIC), world.sign_in(ada)
    page = client.authorize(browser, resource=service.server.identifier)["Location"]
    assert browser.get(page).status_code == 200
    suspend()

    assert browser.get(page).status_code == 403
    assert browser.post(page, {"decision": "allow", "scopes": ["email:read"]}).status_code == 403


def test_a_grant_for_two_services_still_works_at_the_other(
    register: Any, world: Any, ada: User, service: Any, rival: Developer, suspend: Any
) -> None:
    other = world.make_resource_server(rival, "https://other.example/api")
    client = register(**PUBLIC)
    both = [service.server.identifier, other.server.identifier]
    tokens = client.tokens(ada, resource=both)
    suspend()

    renewed = client.refresh(tokens["refresh_token"]).json()["access_token"]

    assert introspect(service, renewed) == {"active": False}
    assert introspect(other, renewed)["active"] is True
