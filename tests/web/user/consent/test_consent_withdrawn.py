"""Requests that became invalid: the redirect URI was removed, or the agent or an organization was suspended."""

from django.test import Client

from accounts.services import open_session
from agents.services import lift_agent_stop, stop_agent, update_agent
from consent.models import AuthorizationCode
from core.actor import SYSTEM
from developers.services import suspend_organization
from tests import world
from tests.shared import cases
from tests.world import make_resource_server

ALLOW = {"decision": "allow", "scopes": ["email:read"]}
OTHER = "https://smartmail.example/other"


def as_flow(response) -> str:
    """Return the page, after checking that it has the layout of the consent flow and does not redirect."""
    text = response.content.decode()
    assert '<body class="flow">' in text
    assert "Location" not in response
    return text


def remove_redirect_uri(agent) -> None:
    update_agent(actor=SYSTEM, agent=agent, changes={"redirect_uris": [OTHER]})


@cases("form", [None, ALLOW, {"decision": "deny"}, {"decision": "allow"}])
def test_a_removed_redirect_uri_receives_nothing(as_ada, ask, agent, form):
    consent = ask()
    remove_redirect_uri(agent)
    path = f"/consent/{consent.id}"
    response = as_ada.post(path, form) if form else as_ada.get(path)
    assert response.status_code == 400
    assert "removed the address" in as_flow(response)
    consent.refresh_from_db()
    assert consent.status == "pending"
    assert not AuthorizationCode.objects.exists()


@cases("verb", ["approve", "deny"])
def test_a_removed_redirect_uri_receives_nothing_through_the_api(ask, agent, ada, verb):
    consent = ask()
    remove_redirect_uri(agent)
    headers = {"Authorization": f"Bearer {open_session(actor=world.ANONYMOUS, user=ada).token}"}
    path = f"/api/v1/consent/{consent.id}/{verb}"
    answer = Client().post(path, {}, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_redirect_uri")
    assert "redirectUrl" not in answer.json()
    consent.refresh_from_db()
    assert consent.status == "pending"


def test_the_port_of_a_loopback_redirect_is_still_ignored(as_ada, developer):
    agent = world.make_agent(developer, redirect_uris=["http://127.0.0.1/callback"])
    consent = world.ask(agent, redirect_uri="http://127.0.0.1:49152/callback")
    update_agent(actor=SYSTEM, agent=agent, changes={"redirect_uris": ["http://127.0.0.1:8000/callback", OTHER]})
    answer = as_ada.post(f"/consent/{consent.id}", ALLOW)
    assert answer["Location"].startswith("http://127.0.0.1:49152/callback?code=")


STOPS = [
    (lambda agent: update_agent(actor=SYSTEM, agent=agent, changes={"status": "suspended"}), "developer has suspended"),
    (lambda agent: stop_agent(actor=SYSTEM, agent=agent, reason="spam"), "administrator has stopped"),
    (
        lambda agent: suspend_organization(actor=SYSTEM, organization=agent.organization, reason="fraud"),
        "organization is suspended",
    ),
]


@cases(("stop", "words"), STOPS)
def test_a_pending_request_of_a_suspended_agent_shows_the_reason(as_ada, ask, agent, stop, words):
    consent = ask()
    stop(agent)
    path = f"/consent/{consent.id}"
    for response in (as_ada.get(path), as_ada.post(path, ALLOW), as_ada.post(path, {"decision": "deny"})):
        assert response.status_code == 403
        assert words in as_flow(response)
    consent.refresh_from_db()
    assert consent.status == "pending"
    assert not AuthorizationCode.objects.exists()


def test_a_request_can_be_allowed_after_a_stop_is_lifted(as_ada, ask, agent):
    consent = ask()
    stop_agent(actor=SYSTEM, agent=agent, reason="spam")
    lift_agent_stop(actor=SYSTEM, agent=agent, reason="a mistake")
    assert as_ada.post(f"/consent/{consent.id}", ALLOW).status_code == 303


def test_a_request_for_a_suspended_service_is_refused(as_ada, developer):
    from agents.models import Agent

    service = make_resource_server(developer, "https://mail.example")
    metadata = {"client_name": "Stock", "redirect_uris": [world.CALLBACK], "token_endpoint_auth_method": "none"}
    client_id = Client().post("/oauth/register", metadata, content_type="application/json").json()["client_id"]
    stock = Agent.objects.get(client_id=client_id)
    consent = world.ask(stock, resource=[service.server.identifier], scopes=["email:read"], code_challenge="x" * 43)
    suspend_organization(actor=SYSTEM, organization=developer.organization, reason="fraud")
    for response in (as_ada.get(f"/consent/{consent.id}"), as_ada.post(f"/consent/{consent.id}", ALLOW)):
        assert response.status_code == 403
        assert "organization of the resource server is suspended" in as_flow(response)


def test_the_api_can_deny_but_not_approve_a_suspended_agent(ask, agent, ada):
    consent = ask()
    stop_agent(actor=SYSTEM, agent=agent, reason="spam")
    headers = {"Authorization": f"Bearer {open_session(actor=world.ANONYMOUS, user=ada).token}"}
    path = f"/api/v1/consent/{consent.id}"
    refused = Client().post(f"{path}/approve", {}, content_type="application/json", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "agent_suspended")
    assert Client().post(f"{path}/deny", {}, content_type="application/json", headers=headers).status_code == 200
