"""What a user granted for a service is of no use to an organization that registers its identifier later."""

from typing import Any

import jwt
import pytest
from django.test import Client

from accounts.models import User
from consent.models import Consent
from consent.services import revoke_consent
from developers.acting import as_developer
from developers.models import Developer
from resources.models import ReservedIdentifier, ResourceServer
from resources.services import delete_resource_server
from tests.log import log_entries
from tests.oauth.client import OAuthClient, make_client
from tests.world import ANONYMOUS, make_developer, make_resource_server, make_user

MAIL, CALENDAR = "https://mail.example", "https://calendar.example"
GONE = "The service for which the tokens are meant is no longer registered by the same organization."

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_user("ada@example.com")


@pytest.fixture
def client() -> OAuthClient:
    return make_client(make_developer("dev@example.com", "Acme"))


@pytest.fixture
def owner() -> Developer:
    owner = make_developer("owner@example.com", "Owner")
    make_resource_server(owner, MAIL)
    make_resource_server(owner, CALENDAR)
    return owner


@pytest.fixture
def newcomer() -> Developer:
    return make_developer("newcomer@example.com", "Newcomer")


def pass_on(newcomer: Developer, identifier: str = MAIL) -> None:
    """Let the newcomer register the identifier after its owner deleted it, as if it were not reserved."""
    server = ResourceServer.objects.get(identifier=identifier)
    owner = Developer.objects.get(organization=server.organization)
    delete_resource_server(actor=as_developer(ANONYMOUS, owner), server=server)
    ReservedIdentifier.objects.all().delete()
    make_resource_server(newcomer, identifier)


def refusal(answer: Any) -> tuple[str, str]:
    assert answer.status_code == 400, answer.content
    return answer.json()["error"], answer.json()["error_description"]


def test_a_code_is_not_redeemed(client: OAuthClient, ada: User, owner: Developer, newcomer: Developer) -> None:
    code = client.code(ada, resource=MAIL)
    pass_on(newcomer)
    assert refusal(client.redeem(code)) == ("invalid_grant", GONE)


def test_tokens_are_not_refreshed(client: OAuthClient, ada: User, owner: Developer, newcomer: Developer) -> None:
    tokens = client.tokens(ada, resource=MAIL)
    pass_on(newcomer)
    assert refusal(client.refresh(tokens["refresh_token"])) == ("invalid_grant", GONE)
    pass_on(owner)
    assert client.refresh(tokens["refresh_token"]).status_code == 200


def test_tokens_for_several_services_are_refreshed_but_stay_useless_for_the_newcomer(
    client: OAuthClient, ada: User, owner: Developer, newcomer: Developer
) -> None:
    tokens = client.tokens(ada, resource=[MAIL, CALENDAR])
    pass_on(newcomer)
    fresh = client.refresh(tokens["refresh_token"]).json()["access_token"]
    assert [asked(fresh, each) for each in (MAIL, CALENDAR)] == ["wrong_audience", None]


def audience_of(answer: Any) -> Any:
    return jwt.decode(answer.json()["access_token"], options={"verify_signature": False})["aud"]


def test_no_token_names_a_service_that_has_changed_hands(
    client: OAuthClient, ada: User, owner: Developer, newcomer: Developer
) -> None:
    """A service that checks the audience by itself would take the token for its own."""
    tokens = client.tokens(ada, resource=[MAIL, CALENDAR])
    code = client.code(ada, resource=[MAIL, CALENDAR])
    pass_on(newcomer)

    refused = client.refresh(tokens["refresh_token"], resource=MAIL)
    assert refused.json()["error"] == "invalid_target"
    assert audience_of(client.refresh(tokens["refresh_token"])) == CALENDAR
    assert client.redeem(code, resource=MAIL).json()["error"] == "invalid_target"
    fresh = client.redeem(code)
    assert audience_of(fresh) == CALENDAR
    pass_on(owner)
    assert client.refresh(fresh.json()["refresh_token"], resource=MAIL).json()["error"] == "invalid_target"


def asked(token: str, resource: str) -> str | None:
    """Return why an anonymous request for the service is denied."""
    body = {"token": token, "requiredScopes": ["email:read"], "resource": resource}
    reason: str | None = (
        Client().post("/api/v1/tokens/verify", body, content_type="application/json").json().get("reason")
    )
    return reason


def test_the_newcomer_s_log_has_nothing_of_earlier_users(
    client: OAuthClient, ada: User, owner: Developer, newcomer: Developer
) -> None:
    tokens = client.tokens(ada, resource=MAIL)
    pass_on(newcomer)
    client.refresh(tokens["refresh_token"])
    revoke_consent(actor=ANONYMOUS, consent=Consent.objects.get())
    client.post("/oauth/revoke", token=tokens["refresh_token"])
    about_ada = [entry for entry in log_entries() if entry.user_id == ada.id]
    assert any(entry.event == "consent.revoked" for entry in about_ada)
    assert not [entry.event for entry in about_ada if newcomer.organization_id in entry.organization_ids]


def test_a_client_s_own_token_is_not_for_a_newcomer(newcomer: Developer) -> None:
    acme = make_developer("dev@example.com", "Acme")
    make_resource_server(acme, MAIL)
    client = make_client(acme)
    answer = client.token(grant_type="client_credentials", scope="email:read", resource=MAIL)
    token = answer.json()["access_token"]
    assert asked(token, MAIL) is None
    pass_on(newcomer)
    assert asked(token, MAIL) == "wrong_audience"
