"""The developer portal: becoming a developer, agents, client secrets and API keys."""

from html import unescape

import pytest
import time_machine

from agents.models import Agent
from core import clock
from core.secrets import digest
from developers.models import ApiKey, Developer
from developers.stopping import delete_organization, stop_organization
from tests.log import log_entries, log_entry
from tests.shared import cases
from tests.web.markup import main_of
from tests.world import as_owner, sign_in_recently

NEW_AGENT = {
    "name": "Ledgerbot",
    "description": "Keeps the books.",
    "redirect_uris": "https://ledger.example/cb\nhttp://localhost/callback\n\n",
    "allowed_scopes": ["payments:read", "crm:deals:read"],
}


def shown_secret(response) -> str:
    text = response.content.decode()
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    return text.split('<code class="secret__value" id="secret-value" tabindex="0">')[1].split("</code>")[0]


def test_a_user_becomes_a_developer_and_sees_the_key_once(ada):
    as_ada = sign_in_recently(ada)
    assert "Become a developer" in as_ada.get("/developer/", follow=True).content.decode()
    response = as_ada.post("/developer/", {"name": "Ada's Engines"})
    assert (response.status_code, response["Location"]) == (
        303,
        f"/developer/{ada.developers.get().organization_id}/api-keys",
    )
    key = shown_secret(as_ada.get(response["Location"]))
    assert ApiKey.objects.get(developer__user=ada).digest == digest(key)
    assert key not in as_ada.get(response["Location"]).content.decode()
    assert "Ada&#x27;s Engines" in as_ada.get("/developer/", follow=True).content.decode()


def test_a_developer_needs_a_name(as_ada, ada):
    assert as_ada.post("/developer/", {"name": " "}).status_code == 422
    assert not Developer.objects.filter(user=ada).exists()


@cases("path", ["agents", "agents/new", "agents/agt_1", "policies", "policies/new", "logs", "api-keys"])
def test_a_user_who_is_not_a_developer_is_redirected_to_become_one(as_ada, path):
    response = as_ada.get(f"/developer/{path}")
    assert (response.status_code, response["Location"]) == (302, "/developer/")


def test_a_new_agents_secret_is_shown_once(as_developer, developer):
    response = as_developer.post("/developer/agents/new", NEW_AGENT)
    agent = Agent.objects.get(name="Ledgerbot")
    assert (response.status_code, response["Location"]) == (303, f"{as_developer.home}/agents/{agent.id}")
    secret = shown_secret(as_developer.get(response["Location"]))
    assert secret.startswith("ags_")
    assert agent.secrets.get().digest == digest(secret)
    assert secret not in as_developer.get(response["Location"]).content.decode()
    assert agent.organization == developer.organization
    assert agent.redirect_uri_list == ["https://ledger.example/cb", "http://localhost/callback"]
    assert agent.allowed_scopes == ["payments:read", "crm:deals:read"]


def test_the_secret_is_encrypted_between_the_two_requests(as_developer):
    as_developer.post("/developer/agents/new", NEW_AGENT)
    assert "ags_" not in str(dict(as_developer.session.items()))


def test_a_head_request_does_not_use_up_the_secret(as_developer):
    url = as_developer.post(f"{as_developer.home}/agents/new", NEW_AGENT)["Location"]
    as_developer.head(url)
    assert shown_secret(as_developer.get(url)).startswith("ags_")


def test_a_secret_is_no_longer_shown_after_five_minutes(as_developer):
    with time_machine.travel(clock.now(), tick=False) as now:
        url = as_developer.post(f"{as_developer.home}/agents/new", NEW_AGENT)["Location"]
        now.shift(301)
        assert "secret__value" not in as_developer.get(url).content.decode()


def test_the_secret_is_not_shown_on_another_agents_page(as_developer, agent):
    as_developer.post("/developer/agents/new", NEW_AGENT)
    assert "secret__value" not in as_developer.get(f"/developer/agents/{agent.id}").content.decode()


@cases(
    ("field", "value", "message"),
    [
        ("name", "", "Name: This field is required."),
        ("allowed_scopes", [], "Allowed scopes: This field is required."),
        ("allowed_scopes", ["made:up"], "made:up is not one of the available choices"),
        ("redirect_uris", "", "Redirect URIs, one per line: This field is required."),
        ("redirect_uris", "https://a.example/\nhttp://b.example/", "Line 2: Must use https"),
        ("redirect_uris", "https://a.example/#x", "Line 1: Must not have a fragment"),
    ],
)
def test_errors_are_shown_first_and_nothing_is_created(as_developer, field, value, message):
    response = as_developer.post("/developer/agents/new", {**NEW_AGENT, field: value})
    assert response.status_code == 422
    text = unescape(response.content.decode())
    assert text.index('id="errors"') < text.index(message) < text.index("<label")
    assert not Agent.objects.filter(name="Ledgerbot").exists()


def test_edits_are_saved(as_developer, agent):
    url = f"/developer/agents/{agent.id}/edit"
    assert 'name="allowed_scopes" value="email:read" checked' in _tidy(as_developer.get(url))
    response = as_developer.post(url, {**NEW_AGENT, "allowed_scopes": ["email:read"]})
    assert (response.status_code, response["Location"]) == (303, f"{as_developer.home}/agents/{agent.id}")
    agent.refresh_from_db()
    assert (agent.name, agent.allowed_scopes) == ("Ledgerbot", ["email:read"])


def _tidy(response) -> str:
    return " ".join(response.content.decode().split())


def test_suspending_needs_a_confirmation_and_can_be_undone(as_developer, agent):
    url = f"/developer/agents/{agent.id}"
    assert "Suspend SmartMail?" in as_developer.get(f"{url}/suspend").content.decode()
    agent.refresh_from_db()
    assert agent.status == "active"
    assert as_developer.post(f"{url}/suspend").status_code == 303
    agent.refresh_from_db()
    assert agent.status == "suspended"
    assert "Reactivate" in as_developer.get(url).content.decode()
    assert as_developer.get(f"{url}/reactivate")["Location"] == as_developer.at(url)
    agent.refresh_from_db()
    assert agent.status == "suspended"
    assert as_developer.post(f"{url}/reactivate").status_code == 303
    agent.refresh_from_db()
    assert agent.status == "active"


def test_the_confirmation_says_what_a_suspension_hits_and_takes_a_reason(as_developer, agent):
    url = f"/developer/agents/{agent.id}/suspend"
    assert "requests were allowed in the last 24 hours" in as_developer.get(url).content.decode()
    assert as_developer.post(url, {"reason": "x" * 301}).status_code == 422
    assert as_developer.post(url, {"reason": "It sends spam"}).status_code == 303
    assert log_entry(log_entries(event="agent.suspended").get().pk).content["metadata"]["reason"] == "It sends spam"


@pytest.mark.parametrize("page", ["", "/edit", "/credentials", "/suspend"])
def test_another_organizations_agent_looks_like_one_that_does_not_exist(as_rival, agent, page):
    theirs, none = (as_rival.get(f"/developer/agents/{one}{page}") for one in (agent.id, "agt_0000"))
    assert theirs.status_code == none.status_code == 404
    assert main_of(theirs.content.decode()) == main_of(none.content.decode())


@pytest.mark.parametrize("page", ["/edit", "/credentials", "/suspend", "/reactivate"])
def test_another_organization_cannot_change_it(as_rival, agent, page):
    before = Agent.objects.values().get(pk=agent.pk)
    assert as_rival.post(f"/developer/agents/{agent.id}{page}", NEW_AGENT).status_code == 404
    assert Agent.objects.values().get(pk=agent.pk) == before
    assert agent.secrets.get().expires_at is None


def test_lists_only_the_organizations_own_agents(as_developer, as_rival, agent):
    assert "SmartMail" in as_developer.get("/developer/agents").content.decode()
    assert "No agents yet" in as_rival.get("/developer/agents").content.decode()


def test_an_administrators_stop_is_shown_and_the_portal_cannot_lift_it(as_developer, agent):
    from agents.services import stop_agent
    from core.actor import SYSTEM

    stop_agent(actor=SYSTEM, agent=agent, reason="It sent mail to everybody.")
    url = f"/developer/agents/{agent.id}"
    page = as_developer.get(url).content.decode()
    assert "An administrator of AgentGate stopped this agent on <time" in page
    assert "It sent mail to everybody." in page
    assert "<dt>Your own setting</dt><dd>Active</dd>" in page
    assert "Stopped by AgentGate" in as_developer.get("/developer/agents").content.decode()

    as_developer.post(f"{url}/suspend")
    answer = as_developer.post(f"{url}/reactivate", follow=True).content.decode()

    agent.refresh_from_db()
    assert (agent.status, agent.may_act) == ("active", False)
    assert "still stopped by an administrator" in answer
    assert "works again" not in answer


def test_the_organizations_own_stop_and_its_deletion_are_shown(as_developer, agent):
    owner = as_owner(agent.organization)
    stop_organization(actor=owner, organization=agent.organization, reason="A key leaked.")
    url = f"/developer/agents/{agent.id}"
    page = as_developer.get(url).content.decode()
    assert "A member stopped all agents of this organization on <time" in page
    assert "A key leaked." in page
    assert "Organization stopped" in as_developer.get("/developer/agents").content.decode()
    as_developer.post(f"{url}/suspend")
    answer = as_developer.post(f"{url}/reactivate", follow=True).content.decode()
    assert "all agents of your organization are stopped" in answer

    delete_organization(actor=owner, organization=agent.organization)

    assert "This organization will be deleted on <time" in as_developer.get(url).content.decode()
    refused = as_developer.post(f"{url}/suspend")
    assert refused.status_code == 409
    assert "It will be deleted on" in refused.content.decode()
