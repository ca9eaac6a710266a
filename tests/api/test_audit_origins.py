"""Developers do not see where users were: `ip` and `userAgent` in the organization's log, event by event."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from tests.api.conftest import CALLBACK, PASSWORD, SCOPES, Api, Json, credentials, expect, initiate, verify
from tests.api.test_tokens import basic
from tests.constants import challenge_for
from tests.world import sign_in

PERSON = {"User_Agent": "Ada's browser/1.0"}
AGENT = {"User_Agent": "SmartMail/2.0"}
DEVELOPER = {"User_Agent": "Terminal/3.0"}
SERVICE = {"User_Agent": "Mail service/4.0"}
SERVER = {"name": "Mail", "identifier": "https://mail.example/api", "scopes": ["email:read"]}


@pytest.fixture
def log(developer: Api) -> Any:
    """Return a function that reads the newest entry of an event as the developer."""

    def read(event: str) -> Json:
        return expect(200, developer.get(f"/audit?event={event}&limit=1"))["items"][0]

    return read


def origin(entry: Json) -> tuple[str | None, str | None]:
    return entry["ip"], entry["userAgent"]


def approved(agent: Json, person: Any) -> Json:
    consent = initiate(agent)
    return {**expect(200, person.post(f"/consent/{consent}/approve", **PERSON)), "id": consent}


def test_the_origin_of_a_users_decisions_is_hidden(agent: Json, ada: Any, log: Any) -> None:
    consent = approved(agent, ada)
    expect(200, ada.post(f"/consent/{initiate(agent)}/deny", **PERSON))
    expect(200, ada.post(f"/users/me/consents/{consent['id']}/revoke", **PERSON))

    for event in ("consent.approved", "consent.denied", "consent.revoked"):
        assert origin(log(event)) == (None, None), event
        assert log(event)["userId"] == ada.id


def test_the_origin_of_a_request_through_a_browser_is_hidden(agent: Json, log: Any) -> None:
    query = {
        "response_type": "code",
        "client_id": agent["clientId"],
        "redirect_uri": CALLBACK,
        "scope": "email:read",
        "code_challenge": challenge_for("x" * 43),
        "code_challenge_method": "S256",
    }
    answer = Client().get(f"/oauth/authorize?{urlencode(query)}", headers={"User-Agent": PERSON["User_Agent"]})
    assert answer.status_code == 303
    assert origin(log("consent.requested")) == (None, None)


def test_the_origin_of_an_agents_actions_is_shown(agent: Json, ada: Any, log: Any) -> None:
    body = {"clientId": agent["clientId"], "requestedScopes": ["email:read"], "redirectUri": CALLBACK}
    expect(201, Api(**AGENT).post("/consent/initiate", {**body, "clientSecret": agent["clientSecret"]}))
    assert origin(log("consent.requested")) == ("127.0.0.1", AGENT["User_Agent"])

    grant = {"code": approved(agent, ada)["code"], **credentials(agent)}
    tokens = expect(200, Api(**AGENT).post("/tokens/exchange", grant))
    refresh = {"refreshToken": tokens["refreshToken"], **credentials(agent)}
    expect(200, Api(**AGENT).post("/tokens/refresh", refresh))
    for event in ("token.issued", "token.refreshed"):
        assert origin(log(event)) == ("127.0.0.1", AGENT["User_Agent"]), event


def test_the_origin_of_an_unknown_token_holder_is_hidden(tokens: Json, log: Any) -> None:
    expect(200, Api(**PERSON).post("/tokens/revoke", {"token": tokens["accessToken"]}))
    assert origin(log("token.revoked")) == (None, None)


def test_the_origin_of_the_organizations_developers_is_shown(developer: Api, log: Any) -> None:
    body = {"name": "New", "redirectUris": [CALLBACK], "allowedScopes": SCOPES}
    new = expect(201, developer.post("/agents", body, **DEVELOPER))
    expect(200, developer.patch(f"/agents/{new['id']}", {"name": "Other"}, **DEVELOPER))
    for event in ("agent.created", "agent.updated"):
        assert origin(log(event)) == ("127.0.0.1", DEVELOPER["User_Agent"]), event


def test_the_origin_of_an_administrators_actions_is_hidden(agent: Json, log: Any) -> None:
    from agents.models import Agent
    from agents.services import stop_agent
    from core.actor import Actor

    administrator = Actor("administrator", "usr_admin", ip="198.51.100.1", user_agent="Admin/1.0")
    stop_agent(actor=administrator, agent=Agent.objects.get(pk=agent["id"]), reason="test")
    assert origin(log("agent.stopped")) == (None, None)


class TestVerify:
    def test_shows_where_the_organizations_agent_called_from(self, tokens: Json, log: Any) -> None:
        verify(tokens["accessToken"], context={"ip": "203.0.113.7"})
        assert origin(log("token.verify")) == ("203.0.113.7", None)

    def test_shows_what_the_organizations_service_reported(self, developer: Api, tokens: Json, log: Any) -> None:
        server = expect(201, developer.post("/resource-servers", SERVER))
        service = Api(Authorization=basic(server["id"], server["secret"]), **SERVICE)
        question = {"token": tokens["accessToken"], "requiredScopes": ["email:read"]}
        expect(200, service.post("/tokens/verify", {**question, "context": {"ip": "203.0.113.7"}}))
        assert origin(log("token.verify")) == ("203.0.113.7", SERVICE["User_Agent"])

    def test_only_the_agents_organization_sees_where_it_called_from(
        self, developer: Api, rival: Api, agent: Json, ada: Any, log: Any
    ) -> None:
        server = expect(201, rival.post("/resource-servers", SERVER))
        consent = initiate(agent, requestedScopes=["email:read"], resource=SERVER["identifier"])
        code = expect(200, ada.post(f"/consent/{consent}/approve", **PERSON))["code"]
        token = expect(200, Api().post("/tokens/exchange", {"code": code, **credentials(agent)}, **AGENT))
        service = Api(Authorization=basic(server["id"], server["secret"]), **SERVICE)
        question = {"token": token["accessToken"], "requiredScopes": ["email:read"], "context": {"ip": "203.0.113.7"}}
        expect(200, service.post("/tokens/verify", question))

        theirs = {entry["event"]: origin(entry) for entry in expect(200, rival.get("/audit"))["items"]}

        assert theirs["token.verify"] == (None, SERVICE["User_Agent"])
        assert theirs["token.issued"] == theirs["consent.approved"] == (None, None)
        assert origin(log("token.verify")) == ("203.0.113.7", None)
        assert origin(log("token.issued")) == ("127.0.0.1", AGENT["User_Agent"])

    def test_hides_the_user_agent_of_a_caller_behind_a_proxy(self, developer: Api, tokens: Json, log: Any) -> None:
        server = expect(201, developer.post("/resource-servers", SERVER))
        assert forwarded(tokens["accessToken"], server) == 200
        assert origin(log("token.verify")) == ("203.0.113.66", None)


class TestStockClient:
    """It runs on a user's computer, so its address is that user's."""

    def test_origin_is_hidden(self, rival: Api, ada: Any) -> None:
        server, agent_id, token = stock_tokens(rival, ada)
        verify(token, resource=SERVER["identifier"])
        service = Api(Authorization=basic(server["id"], server["secret"]))
        question = {"token": token, "requiredScopes": ["email:read"], "context": {"ip": "203.0.113.7"}}
        expect(200, service.post("/tokens/verify", question))

        entries = expect(200, rival.get(f"/audit?agentId={agent_id}"))["items"]
        assert {"token.verify", "token.issued", "consent.approved"} <= {entry["event"] for entry in entries}
        assert {origin(entry) for entry in entries} == {(None, None)}

    def test_only_the_user_agent_of_the_service_is_shown(self, rival: Api, ada: Any) -> None:
        server, agent_id, token = stock_tokens(rival, ada)
        service = Api(Authorization=basic(server["id"], server["secret"]), **SERVICE)
        question = {"token": token, "requiredScopes": ["email:read"], "context": {"ip": "203.0.113.7"}}
        expect(200, service.post("/tokens/verify", question))
        assert newest_verify(rival, agent_id) == (None, SERVICE["User_Agent"])

    def test_origin_is_hidden_behind_a_proxy(self, rival: Api, ada: Any) -> None:
        server, agent_id, token = stock_tokens(rival, ada)
        assert forwarded(token, server) == 200
        assert newest_verify(rival, agent_id) == (None, None)


def newest_verify(developer: Api, agent_id: str) -> tuple[str | None, str | None]:
    return origin(expect(200, developer.get(f"/audit?event=token.verify&agentId={agent_id}&limit=1"))["items"][0])


def stock_tokens(developer: Api, person: Any) -> tuple[Json, str, str]:
    """Return a service, the id of a stock client that may use it for the person, and the client's access token."""
    from accounts.models import User
    from agents.models import Agent
    from tests.oauth.client import OAuthClient

    server = expect(201, developer.post("/resource-servers", SERVER))
    body = {"client_name": "Stock", "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none"}
    answer = Client().post("/oauth/register", body, content_type="application/json")
    client = OAuthClient(Agent.objects.get(client_id=answer.json()["client_id"]), "")
    tokens = client.tokens(User.objects.get(pk=person.id), resource=SERVER["identifier"])
    return server, client.agent.id, tokens["access_token"]


def forwarded(token: str, server: Json) -> int:
    """Authorize a request from a user's computer like the service's proxy. Return the status."""
    machine = Client(REMOTE_ADDR="203.0.113.66", HTTP_USER_AGENT="Ada's laptop/1")
    credential = basic(server["id"], server["secret"])
    headers = {"Authorization": f"Bearer {token}", "X-Resource-Server": credential}
    return machine.get("/api/v1/forward-auth?scopes=email:read", headers=headers).status_code


def test_users_see_the_origin_of_their_own_actions(agent: Json, ada: Any) -> None:
    approved(agent, ada)
    entries = expect(200, ada.get("/users/me/audit-logs?event=consent.approved"))["items"]
    assert origin(entries[0]) == ("127.0.0.1", PERSON["User_Agent"])


def test_users_do_not_see_the_origin_of_others(agent: Json, ada: Any) -> None:
    from consent.models import Consent
    from consent.services import revoke_consent
    from core.actor import Actor

    tokens = expect(
        200, Api(**AGENT).post("/tokens/exchange", {"code": approved(agent, ada)["code"], **credentials(agent)})
    )
    verify(tokens["accessToken"], context={"ip": "203.0.113.7"})
    administrator = Actor("administrator", "usr_admin", ip="198.51.100.1", user_agent="Admin/1.0")
    revoke_consent(actor=administrator, consent=Consent.objects.get(pk=tokens["consentId"]), reason="A complaint")
    Api(REMOTE_ADDR="198.51.100.2").post("/users/login", {"email": "ada@example.com", "password": "wrong"})

    entries = expect(200, ada.get("/users/me/audit-logs"))["items"]
    seen = {entry["event"]: origin(entry) for entry in reversed(entries)}

    for event in ("consent.revoked", "token.issued", "token.verify", "user.sign_in_failed"):
        assert seen[event] == (None, None), event
    assert seen["consent.approved"] == ("127.0.0.1", PERSON["User_Agent"])


def test_developers_see_the_origin_of_their_own_actions(developer: Api) -> None:
    expect(200, developer.post("/developers/api-keys/rotate", {}, **DEVELOPER))
    session = expect(200, Api().post("/developers/login", {"email": "acme@example.com", "password": PASSWORD}))
    person = Api(Authorization=f"Bearer {session['sessionToken']}")
    (entry,) = expect(200, person.get("/users/me/audit-logs?event=api_key.rotated"))["items"]
    assert origin(entry) == ("127.0.0.1", DEVELOPER["User_Agent"])


def test_the_portal_hides_the_addresses_of_users(agent: Json, ada: Any) -> None:
    from accounts.models import User

    approved(agent, ada)
    browser = sign_in(User.objects.get(email="acme@example.com"))
    page = browser.get("/developer/logs?event=consent.approved").content.decode()
    assert agent["name"] in page
    assert "127.0.0.1" not in page
