"""Stock clients that register themselves (RFC 7591): their metadata, scopes, policies and deletion."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import time_machine
from django.test import Client

from accounts.models import User
from tests.constants import NOON, basic
from tests.oauth.client import TICKETS, error_of, introspect, query_of
from tests.shared import cases

PUBLIC = {"token_endpoint_auth_method": "none"}


def post(body: Any, content_type: str = "application/json") -> Any:
    return Client().post("/oauth/register", body, content_type=content_type)


def test_the_response_describes_the_registered_client(db: None) -> None:
    body = {"redirect_uris": ["https://app.example/cb"], "client_name": "App", "scope": "email:read", "x": 1}
    answer = post(body)
    assert answer.status_code == 201
    said = answer.json()
    assert said.pop("client_id").startswith("agc_")
    assert said.pop("client_secret").startswith("ags_")
    assert said.pop("client_id_issued_at") > 0
    assert said == {
        "client_secret_expires_at": 0,
        "client_name": "App",
        "redirect_uris": ["https://app.example/cb"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
    }


def test_a_public_client_gets_no_secret(db: None) -> None:
    said = post({"redirect_uris": ["http://localhost/callback"], **PUBLIC}).json()
    assert "client_secret" not in said
    assert "client_secret_expires_at" not in said


@cases(
    "change",
    [
        {"grant_types": ["client_credentials"]},
        {"grant_types": "authorization_code"},
        {"response_types": ["token"]},
        {"token_endpoint_auth_method": "tls_client_auth"},
        {"token_endpoint_auth_methods_supported": ["tls_client_auth"]},
        {"token_endpoint_auth_methods_supported": "none"},
        {"client_name": "x" * 201},
        {"client_name": "a\u0000b"},
        {"client_name": 7},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "oct", "k": "AA"}]}},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://app.example/jwks"},
    ],
)
def test_invalid_metadata_is_refused(world: Any, db: None, change: dict[str, Any]) -> None:
    answer = post({"redirect_uris": ["https://app.example/cb"], **change})
    assert (answer.status_code, error_of(answer)) == (400, "invalid_client_metadata")


@cases(
    ("change", "method"),
    [
        ({"token_endpoint_auth_methods_supported": ["none", "client_secret_post"]}, "client_secret_post"),
        ({"token_endpoint_auth_methods_supported": ["none", "tls_client_auth"]}, "none"),
        ({"token_endpoint_auth_methods_supported": []}, "client_secret_basic"),
        ({"token_endpoint_auth_methods_supported": ["none", "client_secret_basic"], **PUBLIC}, "none"),
        (
            {
                "token_endpoint_auth_method": "tls_client_auth",
                "token_endpoint_auth_methods_supported": ["tls_client_auth", "none"],
            },
            "none",
        ),
    ],
)
def test_the_strongest_method_that_both_sides_support_is_registered_unless_the_client_names_one(
    db: None, change: dict[str, Any], method: str
) -> None:
    said = post({"redirect_uris": ["https://app.example/cb"], **change}).json()
    assert said["token_endpoint_auth_method"] == method
    assert ("client_secret" in said) is (method != "none")


TWICE = b'{"redirect_uris": ["https://app.example/cb"], "redirect_uris": ["https://evil.example/cb"]}'


@cases("body", [b"", b"[]", b"{", b'"x"', b"[" * 20000, b"\xff", b'{"a":"' + b"x" * 70000 + b'"}', TWICE])
def test_a_body_that_is_not_a_json_object_is_refused(world: Any, db: None, body: bytes) -> None:
    answer = post(body)
    assert (answer.status_code, error_of(answer)) == (400, "invalid_client_metadata")


@cases("uris", [[], None, "https://app.example/cb", ["https://a.example/"] * 21])
def test_redirect_uris_must_be_a_list_of_1_to_20(world: Any, db: None, uris: Any) -> None:
    assert error_of(post({"redirect_uris": uris})) == "invalid_redirect_uri"


def test_registration_can_be_turned_off(world: Any, settings: Any, db: None) -> None:
    settings.OAUTH_DYNAMIC_REGISTRATION = False
    answer = post({"redirect_uris": ["https://app.example/cb"]})
    assert (answer.status_code, error_of(answer)) == (403, "access_denied")


def test_registrations_are_throttled_by_address(world: Any, settings: Any, db: None) -> None:
    settings.THROTTLE_REGISTRATION = "2/hour"
    statuses = [post({"redirect_uris": ["https://app.example/cb"]}).status_code for _ in range(3)]
    assert statuses == [201, 201, 429]


@cases("method", ["none", "client_secret_basic", "client_secret_post"])
def test_a_registered_client_gets_tokens(register: Any, ada: User, method: str) -> None:
    client = register(token_endpoint_auth_method=method)
    tokens = client.tokens(ada)
    assert client.refresh(tokens["refresh_token"]).status_code == 200


def test_a_stock_client_can_ask_for_the_scopes_of_the_resource_server(
    register: Any, world: Any, ada: User, developer: Any
) -> None:
    server = world.make_resource_server(developer, "https://tickets.example/mcp", TICKETS, "email:read")
    client = register(**PUBLIC)
    resource = server.server.identifier

    refused = query_of(client.authorize(scope="email:send", resource=resource))
    assert refused["error"] == "invalid_scope"
    tokens = client.tokens(ada, scope=None, resource=resource)
    assert tokens["scope"] == "tickets:read email:read"
    found = introspect(server, tokens["access_token"])
    assert (found["active"], found["aud"]) == (True, resource)


def test_a_stock_client_without_a_resource_must_request_scopes(register: Any, world: Any) -> None:
    assert query_of(register(**PUBLIC).authorize(scope=None))["error"] == "invalid_scope"


def test_a_stock_client_cannot_use_client_credentials(register: Any, world: Any) -> None:
    client = register()
    assert error_of(client.token(grant_type="client_credentials")) == "unauthorized_client"


def test_the_resource_servers_organization_has_a_stock_client_in_its_log(
    register: Any, world: Any, ada: User, developer: Any, service: Any
) -> None:
    from audit.selectors import entries_for_organization

    register(**PUBLIC).tokens(ada, resource=service.server.identifier)
    events = [entry.event for entry in entries_for_organization(developer.organization_id)]
    assert events[:3] == ["token.issued", "consent.approved", "consent.requested"]


def test_the_screen_says_that_a_client_is_on_this_computer(register: Any, world: Any, ada: User) -> None:
    uris = ["https://app.example/cb", "http://localhost/cb"]
    client, browser = register(redirect_uris=uris, **PUBLIC), world.sign_in(ada)
    page = browser.get(
        client.authorize(browser, redirect_uri="http://localhost:4000/cb", scope="email:read")["Location"]
    )
    text = page.content.decode()
    assert "You return to a program on this computer" in text
    assert "app.example" not in text
    shown = browser.get(f"/api/v1/consent/{page.context['consent'].id}").json()
    assert shown["agent"]["developer"] == {"name": "this computer", "verified": False}


@cases("host", ["accounts.google.com", "localhost"])
def test_the_host_in_an_app_scheme_is_not_shown(register: Any, world: Any, ada: User, host: str) -> None:
    """An app scheme opens the app that owns the scheme, regardless of the host that the client writes."""
    client = register(client_name="", redirect_uris=[f"com.evil.app://{host}/cb"], **PUBLIC)
    browser = world.sign_in(ada)
    assert client.agent.name == "Unnamed client"
    page = browser.get(client.authorize(browser, scope="email:read")["Location"])
    text = page.content.decode()
    assert "<strong><bdi>an app on this device (com.evil.app:)</bdi></strong>" in text
    assert f"<bdi>{host}" not in text
    assert "You return to an app on this device" in text
    shown = browser.get(f"/api/v1/consent/{page.context['consent'].id}").json()
    assert shown["agent"]["developer"] == {"name": "an app on this device (com.evil.app:)", "verified": False}


def test_a_client_without_a_name_is_named_after_a_web_host(register: Any) -> None:
    uris = ["com.evil.app://accounts.google.com/cb", "http://localhost/cb", "https://tool.example:8443/cb"]
    assert register(client_name="", redirect_uris=uris, **PUBLIC).agent.name == "tool.example"


@cases("host", ["accounts.google.com%2eevil.example", "accounts.google.com;evil.example", "a_b!c"])
def test_an_ambiguous_host_is_refused(world: Any, db: None, host: str) -> None:
    assert error_of(post({"redirect_uris": [f"https://{host}/cb"]})) == "invalid_redirect_uri"


def test_a_stopped_client_is_not_deleted_as_unused(register: Any, world: Any) -> None:
    from agents.services import stop_agent
    from consent.tasks import sweep_unused_registrations

    with time_machine.travel(NOON, tick=False) as time:
        client = register(**PUBLIC)
        stop_agent(actor=world.ANONYMOUS, agent=client.agent, reason="phishing")
        time.shift(timedelta(days=30))
        assert sweep_unused_registrations() == 0
    assert query_of(client.authorize())["error"] == "unauthorized_client"


def initiate(client: Any, **fields: Any) -> Any:
    body = {
        "clientId": client.agent.client_id,
        "requestedScopes": ["email:read"],
        "redirectUri": client.agent.redirect_uri_list[0],
        "state": "attackers-session",
        "codeChallenge": "x" * 43,
        "codeChallengeMethod": "S256",
        **fields,
    }
    return Client().post("/api/v1/consent/initiate", body, content_type="application/json")


def test_a_public_stock_client_cannot_initiate_consent(register: Any) -> None:
    """Its id is public and a link is not bound to a browser, so a sender could use their own challenge."""
    from consent.models import Consent

    client = register(**PUBLIC)
    for credentials in ({}, {"clientSecret": "ags_guess"}, {"clientSecret": ""}):
        answer = initiate(client, **credentials)
        assert answer.status_code in (400, 401)
        assert answer.json()["code"] in ("invalid_client", "validation_failed")
    answer = initiate(client)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_client")
    assert "/oauth/authorize" in answer.json()["detail"]
    assert not Consent.objects.exists()


def test_a_stock_client_with_a_secret_must_send_it_to_initiate_consent(register: Any) -> None:
    client = register()
    assert client.secret
    assert (initiate(client).status_code, initiate(client).json()["code"]) == (400, "invalid_client")
    assert initiate(client, clientSecret="ags_wrong").status_code == 401
    assert initiate(client, clientSecret=client.secret).status_code == 201
    without = initiate(client, clientSecret=client.secret, codeChallenge="")
    assert [error["field"] for error in without.json()["errors"]] == ["codeChallenge"]


def test_a_client_with_a_metadata_document_cannot_initiate_consent(db: None) -> None:
    from agents.models import Agent

    document = Agent.objects.create(
        client_id="https://tool.example/client.json",
        name="Tool",
        redirect_uris="https://tool.example/cb",
        registration_source=Agent.RegistrationSource.CIMD,
        client_type=Agent.CLIENT_PUBLIC,
        token_endpoint_auth_method=Agent.AuthMethod.NONE,
        require_pkce=True,
    )
    answer = initiate(SimpleNamespace(agent=document))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_client")


def test_policies_of_the_resource_servers_organization_apply_to_stock_clients(
    register: Any, world: Any, ada: User, developer: Any, service: Any
) -> None:
    from policies.services import create_policy

    tokens = register(**PUBLIC).tokens(ada, resource=service.server.identifier)
    headers = {"Authorization": basic(service.server.id, service.secret)}
    question = {"token": tokens["access_token"], "requiredScopes": ["email:read"]}

    def decision() -> dict[str, Any]:
        path = "/api/v1/tokens/verify"
        return Client().post(path, question, content_type="application/json", headers=headers).json()

    assert decision()["allowed"] is True
    create_policy(
        actor=world.ANONYMOUS,
        organization=developer.organization,
        agent=None,
        name="No reading",
        rules=[{"type": "action_blocklist", "config": {"actions": ["email:read"]}}],
    )
    assert (decision()["allowed"], decision()["reason"]) == (False, "policy_denied")


def test_a_stopped_stock_client_gets_no_consents_and_no_tokens(
    register: Any, world: Any, ada: User, service: Any
) -> None:
    from agents.services import stop_agent

    client = register(**PUBLIC)
    tokens = client.tokens(ada, resource=service.server.identifier)
    stop_agent(actor=world.ANONYMOUS, agent=client.agent, reason="phishing")
    assert query_of(client.authorize())["error"] == "unauthorized_client"
    assert error_of(client.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert introspect(service, tokens["access_token"]) == {"active": False}
