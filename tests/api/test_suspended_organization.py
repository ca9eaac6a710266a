"""A suspended organization is suspended everywhere: API, pages, services, consents, tokens."""

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.services import open_session
from agents.models import Agent
from api.v1.urls import urlpatterns as endpoints
from core.actor import SYSTEM
from developers.models import ApiKey, Developer, Organization
from developers.services import reactivate_organization, suspend_organization
from policies.models import Policy
from resources.models import ResourceServer
from tests.api.conftest import (
    CALLBACK,
    PASSWORD,
    Api,
    Json,
    code_for,
    credentials,
    expect,
    initiate,
    new_agent,
    problem,
    tokens_for,
    verify,
)
from tests.log import log_entries, log_entry
from web.portal.urls import urlpatterns as pages

REASON = "Fraud reports."
MAIL = "https://mail.example/api"
FORM = "application/x-www-form-urlencoded"
RULES = [{"type": "action_blocklist", "config": {"actions": ["payments:*"]}}]

# Endpoints that a suspended organization or its members can still call. Add a new endpoint here if it is one.
OPEN_TO_OTHERS = {
    "POST developers/register",
    "POST developers/register/confirm",
    "POST developers/login",  # refused only if the password is right: see below
    "POST developers/logout",
    "GET approvals",
    "GET approvals/*",  # of the user's own; its agents and services are refused
    "POST approvals/*/approve",
    "POST approvals/*/deny",
    "POST approvals/*/revoke",
    "POST delegations",  # by an agent, which may not act then
    "POST consent/initiate",
    "GET consent/*",
    "POST consent/*/approve",
    "POST consent/*/deny",
    "POST tokens/exchange",
    "POST tokens/refresh",
    "POST tokens/revoke",
    "POST tokens/reservations/*/commit",  # of what was allowed before
    "POST tokens/reservations/*/void",
    "POST tokens/verify",
    "POST tokens/verify/batch",
    "POST users/register",
    "POST users/register/confirm",
    "POST users/*/email/verification",
    "POST users/*/email/verification/confirm",
    "POST users/login",
    "POST users/logout",
    "POST invitations/*/accept",  # of the user's own; the organization that invites is refused
    "POST invitations/*/decline",
    "POST organizations",  # another one
    "GET users/*/invitations",
    "GET users/*/organizations",
    "GET users/*/consents",
    "PATCH users/*/consents/*",
    "GET users/*/consents/*/delegations",
    "POST users/*/consents/*/revoke",
    "POST users/*/consents/*/pause",
    "POST users/*/consents/*/resume",
    "GET users/*/consents/*/stop",
    "POST users/*/agents/pause",
    "POST users/*/agents/resume",
    "GET users/*/agents/stop",
    "GET users/*/audit-logs",
    "GET users/*/audit-export",
    "GET users/*/consents/*/evidence",
    "GET audit/checkpoint",
    "GET audit/key",
    "GET audit/tile/*",
    "GET audit/*/proof",  # of an entry about the caller
    "GET revocations",  # services, with credentials of their own, that are refused, too
    "GET scopes",
    "GET scopes/*",
    "GET health",
}


def own_endpoints() -> list[str]:
    """Return "METHOD path" of every endpoint that is not in `OPEN_TO_OTHERS`, except those for proxies."""
    found = []
    for pattern in endpoints:
        path = re.sub("<[^>]+>", "*", str(pattern.pattern))
        view: Any = pattern.callback.cls
        methods = [name.upper() for name in ("get", "post", "put", "patch", "delete") if hasattr(view, name)]
        found += [f"{method} {path}" for method in methods if "forward-auth" not in path]
    assert set(found) >= OPEN_TO_OTHERS
    return [each for each in found if each not in OPEN_TO_OTHERS]


def own_pages() -> list[str]:
    """Return every path of the portal, without the organization."""
    return [re.sub("<[^>]+>", "*", str(pattern.pattern)) for pattern in pages]


@pytest.fixture
def server(developer: Api) -> Json:
    """A resource server of the organization that will be suspended."""
    body = {"name": "Mail", "identifier": MAIL, "scopes": ["email:read", "email:send"]}
    return expect(201, developer.post("/resource-servers", body))


@pytest.fixture
def policy(developer: Api) -> Json:
    return expect(201, developer.post("/policies", {"name": "No payments", "rules": RULES}))


@pytest.fixture
def session(developer: Api) -> Api:
    """The developer with a session token instead of the API key."""
    user = User.objects.get(email="acme@example.com")
    return Api(Authorization=f"Bearer {open_session(actor=SYSTEM, user=user).token}")


@pytest.fixture
def foreign(rival: Api) -> Json:
    """An agent of another organization."""
    return new_agent(rival, name="Foreign")


@pytest.fixture
def suspend(agent: Json) -> Callable[[], Organization]:
    organization = Organization.objects.get(agents__id=agent["id"])

    def suspend() -> Organization:
        assert suspend_organization(actor=SYSTEM, organization=organization, reason=REASON)
        return organization

    return suspend


def with_ids(path: str, agent: Json, policy: Json, server: Json) -> str:
    owned = {"agents": agent["id"], "policies": policy["id"], "resource-servers": server["id"]}
    return path.replace("*", owned.get(path.split("/")[0], "x"))


def contents() -> list[Any]:
    models = (Organization, Developer, Agent, Policy, ResourceServer, ApiKey)
    return [list(model.objects.order_by("pk").values()) for model in models] + [log_entries().count()]


def basic(server: Json) -> str:
    return "Basic " + base64.b64encode(f"{server['id']}:{server['secret']}".encode()).decode()


def test_every_endpoint_of_the_organization_refuses_key_and_session(
    developer: Api, session: Api, agent: Json, policy: Json, server: Json, suspend: Callable[[], Organization]
) -> None:
    suspend()
    before = contents()
    for endpoint in own_endpoints():
        method, path = endpoint.split()
        for caller in (developer, session):
            answer = caller.call(method, "/" + with_ids(path, agent, policy, server), {})
            assert REASON in problem(answer, 403, "organization_suspended")["detail"], endpoint
    assert contents() == before


def test_every_page_of_the_portal_shows_the_suspension_and_changes_nothing(
    agent: Json, policy: Json, server: Json, suspend: Callable[[], Organization]
) -> None:
    browser = Client()
    browser.force_login(User.objects.get(email="acme@example.com"))
    organization = suspend()
    before = contents()
    for page in own_pages():
        own_id = agent["id"] if "agents" in page else policy["id"]
        path = f"/developer/{organization.pk}/" + page.replace("history/*", "history/1").replace("*", own_id)
        for answer in (browser.get(path), browser.post(path, {"overlap_seconds": "0"})):
            if answer.status_code != 405:
                _shows_the_suspension(answer, path)
    assert contents() == before


def _shows_the_suspension(answer: Any, path: str) -> None:
    html = answer.content.decode()
    assert answer.status_code == 403, path
    for words in ("Organization suspended", REASON, "<time"):
        assert words in html, path


def test_lifting_the_suspension_restores_access(
    developer: Api, agent: Json, tokens: Json, suspend: Callable[[], Organization]
) -> None:
    organization = suspend()
    problem(developer.get("/agents"), 403, "organization_suspended")

    reactivate_organization(actor=SYSTEM, organization=organization, reason="Cleared.")

    assert expect(200, developer.get("/agents"))["items"]
    assert verify(tokens["accessToken"])["allowed"] is True


def test_a_developer_can_still_log_in_as_a_user(developer: Api, suspend: Callable[[], Organization]) -> None:
    suspend()
    login = {"email": "acme@example.com", "password": PASSWORD}

    problem(Api().post("/developers/login", login), 403, "organization_suspended")
    problem(Api().post("/developers/login", {**login, "password": "wrong"}), 401, "invalid_credentials")

    person = Api(Authorization=f"Bearer {expect(200, Api().post('/users/login', login))['sessionToken']}")
    assert expect(200, person.get("/users/me/consents"))["items"] == []


def test_the_organization_can_no_longer_read_decided_consents(
    developer: Api, session: Api, agent: Json, ada: Any, tokens: Json, suspend: Callable[[], Organization]
) -> None:
    path = f"/consent/{tokens['consentId']}"
    assert expect(200, session.get(path))["status"] == "approved"
    suspend()

    problem(developer.get(path), 403, "organization_suspended")
    problem(session.get(path), 404, "not_found")
    assert expect(200, ada.get(path))["status"] == "approved"


def test_its_agents_get_no_consents_and_no_tokens(
    anonymous: Api, agent: Json, ada: Any, tokens: Json, suspend: Callable[[], Organization]
) -> None:
    code, pending = code_for(agent, ada), initiate(agent)
    suspend()

    body = {"clientId": agent["clientId"], "requestedScopes": ["email:read"], "redirectUri": CALLBACK}
    problem(anonymous.post("/consent/initiate", body), 403, "organization_suspended")
    problem(ada.post(f"/consent/{pending}/approve"), 403, "organization_suspended")
    problem(anonymous.post("/tokens/exchange", {"code": code, **credentials(agent)}), 400, "invalid_grant")
    refresh = {"refreshToken": tokens["refreshToken"], **credentials(agent)}
    problem(anonymous.post("/tokens/refresh", refresh), 400, "invalid_grant")
    assert verify(tokens["accessToken"])["reason"] == "organization_suspended"
    assert expect(200, ada.post(f"/consent/{pending}/deny"))["status"] == "denied"


def test_every_decision_for_its_service_is_denied_and_logged_once(
    developer: Api, foreign: Json, ada: Any, server: Json, suspend: Callable[[], Organization]
) -> None:
    token = tokens_for(foreign, ada, requestedScopes=["email:read"], resource=MAIL)["accessToken"]
    service = Api(Authorization=basic(server))
    question = {"token": token, "requiredScopes": ["email:read"]}
    assert expect(200, service.post("/tokens/verify", question))["allowed"] is True
    suspend()
    logged = log_entries().count()

    decision = expect(200, service.post("/tokens/verify", question))

    assert (decision["allowed"], decision["reason"]) == (False, "service_suspended")
    assert log_entries().count() == logged + 1
    assert log_entry(decision["auditId"]).content["reason"] == "service_suspended"
    batch = expect(200, service.post("/tokens/verify/batch", {"requests": [question, question]}))
    assert [each["reason"] for each in batch["decisions"]] == ["service_suspended"] * 2


def test_naming_its_service_as_the_resource_is_denied(
    foreign: Json, ada: Any, server: Json, suspend: Callable[[], Organization]
) -> None:
    token = tokens_for(foreign, ada, requestedScopes=["email:read"], resource=MAIL)["accessToken"]
    assert verify(token, resource=MAIL)["allowed"] is True
    suspend()

    assert verify(token, resource=MAIL)["reason"] == "service_suspended"
    assert verify(token, resource="HTTPS://Mail.Example.:443/api")["reason"] == "service_suspended"
    assert verify(token)["reason"] == "wrong_audience"


def test_the_first_reason_that_applies_is_returned(
    agent: Json, tokens: Json, server: Json, suspend: Callable[[], Organization]
) -> None:
    """The token comes before the service's suspension, which comes before that of the agent's organization."""
    token = tokens["accessToken"]
    suspend()
    assert verify(token, resource=MAIL)["reason"] == "service_suspended"
    assert verify(token)["reason"] == "organization_suspended"

    Agent.objects.update(status="suspended")
    assert verify(token)["reason"] == "organization_suspended"

    expect(200, Api().post("/tokens/revoke", {"token": token}))
    assert verify(token, resource=MAIL)["reason"] == "token_revoked"


def test_introspection_and_forward_auth_deny(
    foreign: Json, ada: Any, server: Json, suspend: Callable[[], Organization]
) -> None:
    token = tokens_for(foreign, ada, requestedScopes=["email:read"], resource=MAIL)["accessToken"]
    headers = {"Authorization": f"Bearer {token}", "X-Resource-Server": basic(server)}
    path = "/api/v1/forward-auth?scopes=email:read"

    def introspect() -> Json:
        headers = {"Authorization": basic(server)}
        return expect(200, Client().post("/oauth/introspect", f"token={token}", content_type=FORM, headers=headers))

    assert introspect()["active"] is True
    assert Client().get(path, headers=headers).status_code == 200
    suspend()

    assert introspect() == {"active": False}
    refused = Client().get(path, headers=headers)
    problem(refused, 403, "service_suspended")
    assert refused["X-AgentGate-Reason"] == "service_suspended"
    assert "WWW-Authenticate" not in refused
    named = Client().get(f"{path}&resource={MAIL}", headers={"Authorization": f"Bearer {token}"})
    problem(named, 403, "service_suspended")


def test_consent_for_its_service_can_be_neither_requested_nor_given(
    anonymous: Api, foreign: Json, ada: Any, server: Json, suspend: Callable[[], Organization]
) -> None:
    asked = {"requestedScopes": ["email:read"], "resource": MAIL}
    pending, code = initiate(foreign, **asked), code_for(foreign, ada, **asked)
    tokens = tokens_for(foreign, ada, **asked)
    organization = suspend()

    body = {"clientId": foreign["clientId"], "redirectUri": CALLBACK, **asked}
    problem(anonymous.post("/consent/initiate", body), 403, "service_suspended")
    problem(ada.post(f"/consent/{pending}/approve"), 403, "service_suspended")
    problem(anonymous.post("/tokens/exchange", {"code": code, **credentials(foreign)}), 400, "invalid_grant")
    refresh = {"refreshToken": tokens["refreshToken"], **credentials(foreign)}
    problem(anonymous.post("/tokens/refresh", refresh), 400, "invalid_grant")

    reactivate_organization(actor=SYSTEM, organization=organization, reason="Cleared.")
    assert expect(200, anonymous.post("/tokens/refresh", refresh))["accessToken"]
    assert expect(200, ada.post(f"/consent/{pending}/approve"))["status"] == "approved"


def test_another_organizations_agent_still_works_elsewhere(
    foreign: Json, ada: Any, server: Json, suspend: Callable[[], Organization]
) -> None:
    token = tokens_for(foreign, ada)["accessToken"]
    suspend()

    assert verify(token)["allowed"] is True
