"""Responses of a protected resource, introspection, revocation, registration, and the issuer.

The protected resource is behind forward authorization. The SDK's guards have their own tests.
"""

import re
from typing import Any

from django.test import Client

from accounts.models import User
from tests.constants import basic
from tests.oauth.client import FORM, ISSUER, OAuthClient, error_of, introspect, query_of
from tests.shared import cases

FORWARD_AUTH = "/api/v1/forward-auth"
PRM = "https://mail.example/.well-known/oauth-protected-resource"
METADATA = "/.well-known/oauth-authorization-server/oauth"


def ask(token: str | None = None, *, server: Any = None, scopes: str = "email:read", **query: str) -> Any:
    """Authorize a request with this bearer token like a proxy."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if server is not None:
        headers["X-Resource-Server"] = basic(server.server.id, server.secret)
    return Client().get(FORWARD_AUTH, {"scopes": scopes, "resource_metadata": PRM, **query}, headers=headers)


def challenge(response: Any) -> dict[str, str]:
    assert response["WWW-Authenticate"].startswith("Bearer ")
    return dict(re.findall(r'(\w+)="([^"]*)"', response["WWW-Authenticate"]))


def test_a_missing_token_is_401_with_the_metadata_url(db: None) -> None:
    response = ask()
    assert response.status_code == 401
    assert challenge(response) == {"scope": "email:read", "resource_metadata": PRM}


@cases("token", ["garbage", "a.b.c"])
def test_an_invalid_token_is_401_invalid_token(db: None, token: str) -> None:
    response = ask(token)
    assert response.status_code == 401
    assert challenge(response) == {"error": "invalid_token", "scope": "email:read", "resource_metadata": PRM}


def test_insufficient_scope_is_403_and_lists_every_required_scope(client: OAuthClient, ada: User) -> None:
    token = client.tokens(ada)["access_token"]
    assert ask(token).status_code == 200
    response = ask(token, scopes="email:read email:send")
    assert response.status_code == 403
    parameters = challenge(response)
    assert (parameters["error"], parameters["scope"]) == ("insufficient_scope", "email:read email:send")


def test_a_token_in_the_query_string_is_ignored(client: OAuthClient, ada: User) -> None:
    response = ask(access_token=client.tokens(ada)["access_token"])
    assert response.status_code == 401
    assert "error" not in challenge(response)


def test_a_token_for_another_audience_is_401(
    client: OAuthClient, world: Any, ada: User, service: Any, developer: Any
) -> None:
    elsewhere = world.make_resource_server(developer, "https://calendar.example/api")
    token = client.tokens(ada, resource=service.server.identifier)["access_token"]
    assert ask(token, server=service).status_code == 200
    for response in (ask(token, server=elsewhere), ask(token)):
        assert (response.status_code, response["X-AgentGate-Reason"]) == (401, "wrong_audience")


def test_a_token_without_an_audience_works_only_in_its_own_organization(
    client: OAuthClient, world: Any, ada: User, service: Any, rival: Any
) -> None:
    foreign = world.make_resource_server(rival, "https://rival.example/api")
    token = client.tokens(ada)["access_token"]
    assert ask(token, server=service).status_code == 200
    assert ask(token, server=foreign).status_code == 401


def test_introspection_requires_a_credential(world: Any, db: None) -> None:
    answer = Client().post("/oauth/introspect", "token=x", content_type=FORM)
    assert (answer.status_code, error_of(answer)) == (401, "invalid_client")


def test_clients_cannot_introspect(client: OAuthClient, world: Any) -> None:
    assert client.post("/oauth/introspect", token="x").status_code == 401


def test_an_unknown_token_is_inactive(world: Any, service: Any) -> None:
    assert introspect(service, "unknown") == {"active": False}


def test_introspection_by_get_is_405(db: None) -> None:
    assert Client().get("/oauth/introspect?token=x").status_code == 405


def test_a_live_token_is_described_and_logged(
    client: OAuthClient, world: Any, ada: User, service: Any, developer: Any
) -> None:
    from audit.events import Event
    from audit.selectors import entries_for_organization

    tokens = client.tokens(ada)
    found = introspect(service, tokens["access_token"])
    assert found.pop("iat") + 900 == found.pop("exp")
    assert found.pop("jti")
    assert found == {
        "active": True,
        "iss": ISSUER,
        "sub": ada.id,
        "aud": "http://localhost:8000",
        "client_id": client.agent.client_id,
        "scope": "email:read",
        "token_type": "Bearer",
        "agent_id": client.agent.id,
        "consent_id": ada.consents.get().id,
    }
    events = [entry.event for entry in entries_for_organization(developer.organization_id)]
    assert events[0] == Event.TOKEN_INTROSPECTED


def test_a_refresh_token_is_inactive_for_resource_servers(
    client: OAuthClient, world: Any, ada: User, service: Any
) -> None:
    assert introspect(service, client.tokens(ada)["refresh_token"]) == {"active": False}


def test_revoking_an_unknown_token_is_200(client: OAuthClient) -> None:
    assert client.post("/oauth/revoke", token="unknown").status_code == 200


def test_revoking_another_clients_token_is_200_and_does_nothing(
    client: OAuthClient, other: OAuthClient, ada: User
) -> None:
    tokens = client.tokens(ada)
    assert other.post("/oauth/revoke", token=tokens["access_token"]).status_code == 200
    assert ask(tokens["access_token"]).status_code == 200
    assert client.refresh(tokens["refresh_token"]).status_code == 200


@cases("kind", ["access_token", "refresh_token"])
def test_revoking_any_token_revokes_the_family(client: OAuthClient, world: Any, ada: User, kind: str) -> None:
    tokens = client.tokens(ada)
    answer = client.post("/oauth/revoke", token=tokens[kind], token_type_hint="nonsense")
    assert (answer.status_code, answer.content) == (200, b"")
    assert ask(tokens["access_token"]).status_code == 401
    assert error_of(client.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_revoking_requires_client_authentication(client: OAuthClient, world: Any) -> None:
    answer = client.post("/oauth/revoke", basic(client.agent.client_id, "wrong"), token="x")
    assert (answer.status_code, error_of(answer)) == (401, "invalid_client")


@cases("uri", ["http://app.example/cb", "https://app.example/cb#f", "https://u@app.example/", "javascript:alert(1)", 7])
def test_an_unsafe_redirect_uri_cannot_be_registered(world: Any, uri: Any) -> None:
    answer = Client().post("/oauth/register", {"redirect_uris": [uri]}, content_type="application/json")
    assert (answer.status_code, error_of(answer)) == (400, "invalid_redirect_uri")


def test_a_registration_response_is_not_cached(db: None) -> None:
    body = {"redirect_uris": ["https://app.example/cb"]}
    answer = Client().post("/oauth/register", body, content_type="application/json")
    assert (answer.status_code, answer["Cache-Control"]) == (201, "no-store")
    assert answer.json()["client_secret_expires_at"] == 0


def test_forged_forwarding_headers_do_not_change_the_issuer(client: OAuthClient, world: Any) -> None:
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Forwarded": "host=evil.example"}
    assert Client().get(METADATA, headers=forged).json()["issuer"] == ISSUER
    answer = Client().get("/oauth/authorize", client.parameters(scope="no:such"), headers=forged)
    assert query_of(answer)["iss"] == ISSUER


def test_the_device_flow_is_not_offered(client: OAuthClient, world: Any) -> None:
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    metadata = Client().get(METADATA).json()
    assert "device_authorization_endpoint" not in metadata
    assert grant not in metadata["grant_types_supported"]
    assert error_of(client.token(grant_type=grant, device_code="x")) == "unsupported_grant_type"
    for path in ("/oauth/device-authorization", "/oauth/device_authorization", "/oauth/device"):
        assert Client().post(path).status_code == 404


@cases("is_open", [True, False])
def test_metadata_lists_only_enabled_features(settings: Any, db: None, is_open: bool) -> None:
    settings.OAUTH_DYNAMIC_REGISTRATION = settings.OAUTH_CLIENT_METADATA_DOCUMENTS = is_open
    for path in (METADATA, "/.well-known/openid-configuration/oauth", "/oauth/.well-known/openid-configuration"):
        metadata = Client().get(path).json()
        assert ("registration_endpoint" in metadata) is is_open
        assert metadata["client_id_metadata_document_supported"] is is_open
        assert metadata["issuer"] == "http://localhost:8000/oauth"
        assert "scopes_supported" not in metadata, "some clients ask for every scope that they see there"
