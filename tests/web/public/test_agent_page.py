"""The page of an agent, which anyone may read, and the report that a user makes there."""

from datetime import timedelta
from html import unescape
from typing import Any

import time_machine
from django.test import Client

from agents.deletion import delete_agent
from agents.models import Agent, ReportedAgent
from agents.services import stop_agent
from audit.selectors import describe_for_user, entries_for_organization, entries_for_user
from core import clock
from core.actor import SYSTEM
from developers.acting import as_developer
from developers.services import suspend_organization
from resources.catalogue import describe_scopes
from resources.custom_scopes import ScopeDefinition
from tests.shared import cases
from tests.world import ANONYMOUS, allow, ask, make_developer, make_resource_server

EVENT = "agent.reported"
GIVEN = {"concern": "deceptive", "text": "It says\nthat it is my bank."}


def shown(client: Client, agent: Agent) -> str:
    answer = client.get(f"/agents/{agent.id}")
    assert answer.status_code == 200
    return unescape(answer.content.decode().split("<main")[1])


def test_anyone_reads_who_asks_for_what(client: Client, agent: Agent) -> None:
    answer = client.get(f"/agents/{agent.id}")
    assert (answer["X-Robots-Tag"], "no-store" in answer.get("Cache-Control", "")) == ("noindex", False)
    assert not answer.cookies
    html = shown(client, agent)
    for words in (agent.name, agent.organization.name, "Developer not verified", "Critical risk"):
        assert words in html
    titles = [html.index(one.title) for one in describe_scopes(["payments:charge", "email:send", "profile:read"])]
    assert titles == sorted(titles)  # by their risks
    assert agent.client_id not in html
    assert agent.redirect_uris not in html


def test_it_says_that_a_stopped_agent_is_suspended_and_not_why(client: Client, agent: Agent) -> None:
    assert "suspended" not in shown(client, agent)
    stop_agent(actor=SYSTEM, agent=agent, reason="Complaints about spam.")
    html = shown(client, agent)
    assert "This agent is suspended. All its requests are denied." in html
    assert "spam" not in html


def test_so_is_the_agent_of_a_suspended_organization(client: Client, agent: Agent) -> None:
    suspend_organization(actor=SYSTEM, organization=agent.organization, reason="Fraud.")
    html = shown(client, agent)
    assert "This agent is suspended." in html
    assert "Fraud" not in html


def test_a_program_that_registered_itself_has_no_developer(client: Client, agent: Agent) -> None:
    own = {"organization": None, "registration_source": Agent.RegistrationSource.DCR, "allowed_scopes": []}
    Agent.objects.filter(pk=agent.pk).update(**own)
    html = shown(client, agent)
    assert "This program registered itself" in html
    assert "It asks for permissions of the service that you use it with." in html


def test_unknown_and_deleted_agents_have_no_page(client: Client, as_ada: Client, agent: Agent) -> None:
    actor = as_developer(ANONYMOUS, agent.organization.developers.get())
    delete_agent(actor=actor, agent=agent)
    for path in (f"/agents/{agent.id}", "/agents/agt_0", "/agents/x"):
        assert client.get(path).status_code == 404
        assert as_ada.post(f"{path}/report", GIVEN).status_code == 404


def test_scopes_of_an_organization_are_in_its_words(client: Client, agent: Agent) -> None:
    owner = make_developer("books@example.com", "Books")
    make_resource_server(
        owner, "https://books.example", ScopeDefinition("books:lend", "low", "Lend", "Lend books", "x")
    )
    assert "Lend books" not in shown(client, agent)
    Agent.objects.filter(pk=agent.pk).update(allowed_scopes=["books:lend"])
    assert "In the words of <bdi>Books</bdi>" in shown(client, agent)


def test_a_user_reports_an_agent_once_a_day(as_ada: Client, ada: Any, agent: Agent) -> None:
    path = f"/agents/{agent.id}/report"
    assert path in shown(as_ada, agent)
    assert as_ada.post(path, GIVEN)["Location"] == path
    page = as_ada.get(path).content.decode()
    assert "You reported this agent" in page
    assert "<textarea" not in page
    as_ada.post(path, {"concern": "other"})
    (report,) = [one for one in entries_for_user(ada.id) if one.event == EVENT]
    (said,) = describe_for_user([report], ada.id)
    assert said["metadata"] == {"concern": "deceptive", "reason": "It says that it is my bank."}
    assert "reason" not in report.record["metadata"] or report.record["metadata"]["reason"] is None
    with time_machine.travel(clock.now() + timedelta(hours=25), tick=False):
        as_ada.post(path, {"concern": "other"})
    assert len([one for one in entries_for_user(ada.id) if one.event == EVENT]) == 2


def test_the_developer_does_not_read_the_report(as_ada: Client, as_developer: Client, ada: Any, agent: Agent) -> None:
    as_ada.post(f"/agents/{agent.id}/report", GIVEN)
    (report,) = [one for one in entries_for_user(ada.id) if one.event == EVENT]
    assert report.id not in {one.id for one in entries_for_organization(agent.organization_id)}
    assert as_developer.get(f"/developer/logs/{report.id}").status_code == 404


@cases("sent", [{}, {"concern": "rude"}, {"concern": "other", "text": "x" * 501}])
def test_an_invalid_report_is_shown_again(as_ada: Client, ada: Any, agent: Agent, sent: dict[str, str]) -> None:
    answer = as_ada.post(f"/agents/{agent.id}/report", sent)
    assert answer.status_code == 422
    assert not ReportedAgent.objects.exists()


def test_a_visitor_signs_in_first(client: Client, agent: Agent) -> None:
    assert client.post(f"/agents/{agent.id}/report", GIVEN)["Location"].startswith("/accounts/login/")


def test_reports_are_throttled_per_user(as_ada: Client, agent: Agent, settings: Any) -> None:
    settings.THROTTLE_REPORTS = "1/day"
    assert as_ada.post(f"/agents/{agent.id}/report", GIVEN).status_code == 303
    answer = as_ada.post(f"/agents/{agent.id}/report", GIVEN)
    assert (answer.status_code, answer.has_header("Retry-After")) == (429, True)


def test_a_request_and_a_connection_lead_to_the_agent(as_ada: Client, ada: Any, agent: Agent) -> None:
    asked = as_ada.get(f"/consent/{ask(agent).id}").content.decode()
    assert f'href="/agents/{agent.id}" target="_blank"' in asked
    connection = f"/connections/{allow(ask(agent), ada).id}"
    assert f'href="{connection}"' in shown(as_ada, agent)
    assert f'href="/agents/{agent.id}"' in as_ada.get(connection).content.decode()
