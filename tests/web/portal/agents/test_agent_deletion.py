"""The page that deletes an agent."""

from html import unescape
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from consent.models import Consent


@pytest.fixture
def url(agent: Agent) -> str:
    return f"/developer/agents/{agent.id}/delete"


def test_says_whom_it_hits_and_needs_the_name(as_developer: Client, agent: Agent, url: str, granted: Consent) -> None:
    assert f'href="{as_developer.at(url)}"' in as_developer.get(url.replace("/delete", "/edit")).content.decode()
    page = as_developer.get(url).content.decode()
    assert "1 user</a>" in page
    for name in ("", "smartmail", "SmartMail2"):
        response = as_developer.post(url, {"name": name})
        assert response.status_code == 422
        assert f'value="{name}"' in response.content.decode() or not name
    assert "This is not the agent’s name" in unescape(response.content.decode())  # noqa: RUF001
    agent.refresh_from_db()
    assert agent.deleted_at is None


def test_a_deleted_agent_leaves_the_portal_but_not_the_log_and_the_users_history(
    as_developer: Client, as_ada: Client, agent: Agent, url: str, granted: Consent
) -> None:
    response = as_developer.post(url, {"name": "SmartMail"}, follow=True)
    assert response.redirect_chain == [(f"{as_developer.home}/agents", 303)]
    text = response.content.decode()
    assert "denied for good" in text
    assert "No agents yet" in text
    assert as_developer.get(f"/developer/agents/{agent.id}").status_code == 404
    assert "SmartMail" in as_developer.get("/developer/logs").content.decode()
    assert "The agent was deleted." in as_ada.get("/activity").content.decode()
    assert "SmartMail" not in as_ada.get("/connections").content.decode()


def test_a_request_for_consent_of_a_deleted_agent_has_expired(
    world: Any, as_developer: Client, as_bob: Client, ask: Any, url: str
) -> None:
    asked = ask()
    as_developer.post(url, {"name": "SmartMail"})
    page = as_bob.get(f"/consent/{asked.id}")
    assert page.status_code == 410
    assert "This request has expired" in page.content.decode()


def test_another_organizations_agent_is_absent(as_rival: Client, agent: Agent, url: str) -> None:
    assert as_rival.get(url).status_code == as_rival.post(url, {"name": "SmartMail"}).status_code == 404
    agent.refresh_from_db()
    assert agent.deleted_at is None
