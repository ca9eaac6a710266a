"""Agents are typed, because an organization can have thousands: by name, by id, or as the browser suggests them."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from policies.models import Policy
from tests.shared import cases
from tests.web.ledger import words_of
from tests.web.markup import markup_of
from tests.web.portal.policies.test_developer_policies import BLOCKLIST, form_of
from tests.world import make_agent
from web.forms.agent_field import MAX_SUGGESTIONS

UNKNOWN, GONE = "No agent has this name or ID.", "Your organization has no agent with this ID."


@pytest.fixture
def thousand(developer):
    fields = {"client_type": "confidential", "authorization_grant_type": "authorization-code", "redirect_uris": "x"}
    organization = developer.organization
    made = (Agent(organization=organization, name=f"Agent {number}", **fields) for number in range(1000))
    return Agent.objects.bulk_create(made)


def save(client, agent: str):
    return client.post("/developer/policies/new", form_of(BLOCKLIST, agent=agent))


def test_a_page_suggests_the_newest_agents_only(as_developer, thousand):
    with CaptureQueriesContext(connection) as queries:
        text = markup_of(as_developer.get("/developer/policies/new"))
    assert text.count('<option value="Agent ') == MAX_SUGGESTIONS
    assert f'<option value="Agent 999 ({thousand[-1].id})">' in text
    assert "Agent 899 " not in text
    assert len(queries) <= 12


@cases(
    "typed",
    [
        lambda agent: agent.id,
        lambda agent: agent.client_id,
        lambda agent: agent.name,
        lambda agent: f"{agent.name} ({agent.id})",
        lambda agent: f"An earlier name ({agent.id})",
        lambda agent: f"  {agent.id} ",
    ],
)
def test_an_agent_can_be_typed_in_several_ways(as_developer, thousand, typed):
    agent = thousand[17]
    assert save(as_developer, typed(agent)).status_code == 303
    assert Policy.objects.get(name="Mine").agent == agent


def test_a_name_that_several_agents_have_is_refused(as_developer, developer, agent):
    make_agent(developer, name=agent.name)
    answer = save(as_developer, agent.name)
    assert answer.status_code == 422
    error = "Applies to: Several agents have this name. Choose a suggestion, or enter an agent's ID."
    assert error in markup_of(answer)
    assert save(as_developer, agent.id).status_code == 303


@cases("typed", ["Nobody", "agt_0000", "agt_" + "0" * 32, "Nobody (agt_" + "0" * 32 + ")", "%"])
def test_an_unknown_agent_is_refused_and_shown_again(as_developer, agent, typed):
    answer = save(as_developer, typed)
    assert answer.status_code == 422
    assert f"Applies to: {GONE if '0' * 32 in typed else UNKNOWN}" in markup_of(answer)
    assert f'value="{typed}"' in markup_of(answer)
    assert not Policy.objects.exists()


@cases("typed", ["\0", "x" * 351])
def test_a_malformed_agent_is_refused(as_developer, typed):
    assert save(as_developer, typed).status_code == 422
    assert not Policy.objects.exists()


def test_another_organizations_agent_is_unknown(as_developer, rival):
    foreign = make_agent(rival, name="Foreign")
    for typed in (foreign.id, foreign.client_id, foreign.name):
        assert (GONE if typed == foreign.id else UNKNOWN) in markup_of(save(as_developer, typed))


def test_the_edit_form_shows_the_agent_and_keeps_it(as_developer, agent):
    save(as_developer, agent.id)
    policy = Policy.objects.get()
    shown = f"{agent.name} ({agent.id})"
    assert f'value="{shown}"' in markup_of(as_developer.get(f"/developer/policies/{policy.id}/edit"))
    sent = form_of(BLOCKLIST, agent=shown, name="Renamed", version=policy.version)
    as_developer.post(f"/developer/policies/{policy.id}/edit", sent)
    policy.refresh_from_db()
    assert (policy.name, policy.agent) == ("Renamed", agent)


def test_adding_a_rule_keeps_what_was_typed(as_developer):
    answer = as_developer.post("/developer/policies/new", form_of(agent="Smart", add="rate_limit"))
    assert (answer.status_code, 'value="Smart"' in markup_of(answer)) == (200, True)


def test_the_log_names_an_unknown_agent_and_the_known_ones(as_developer, agent):
    text = markup_of(as_developer.get("/developer/logs", {"agent": "Nobody"}))
    assert "“agent:Nobody”: Nothing has this name or ID. Use one of these: SmartMail." in text
    assert 'value="agent:Nobody"' in text


def test_users_filter_by_agents_that_they_decided_about(as_ada, granted, developer):
    make_agent(developer, name="Ledgerbot")
    text = markup_of(as_ada.get("/activity", {"agent": "SmartMail"}))
    assert f'<option value="SmartMail ({granted.agent_id})">' in text
    assert "Ledgerbot" not in text
    assert "You allowed SmartMail" in words_of(as_ada, agent="SmartMail")
    assert "You created your account" not in text
    assert UNKNOWN in markup_of(as_ada.get("/activity", {"agent": "Ledgerbot"}))
