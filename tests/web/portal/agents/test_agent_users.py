"""The users of an agent, as its developer sees them."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from consent.models import Consent
from consent.pausing import pause_agent
from consent.services import revoke_consent
from core import clock
from resources.catalogue import catalogue
from web.requests import paging


@pytest.fixture
def url(agent: Agent) -> str:
    return f"/developer/agents/{agent.id}/users"


def shown(client: Client, url: str) -> list[tuple[str, str]]:
    return [(one.user_id, one.status) for one in client.get(url).context["grants"]]


def test_shows_live_and_ended_access_but_no_requests_and_replaced_decisions(
    world: Any, as_developer: Client, agent: Agent, url: str, ask: Any, ada: Any, bob: Any
) -> None:
    world.allow(ask(), ada)
    world.allow(ask(), ada, ["email:read"])
    revoke_consent(actor=world.as_user(bob), consent=world.allow(ask(), bob))
    ask()
    assert shown(as_developer, url) == [(bob.id, "revoked"), (ada.id, "approved")]
    assert shown(as_developer, f"{url}?state=live") == [(ada.id, "approved")]
    assert shown(as_developer, f"{url}?state=ended") == [(bob.id, "revoked")]
    assert shown(as_developer, f"{url}?state=x") == []
    assert shown(as_developer, f"{url}?user={bob.id}") == [(bob.id, "revoked")]
    assert shown(as_developer, f"{url}?user=usr_none") == []
    page = as_developer.get(url).content.decode()
    assert "1 user has given this agent access" in page
    assert catalogue()["email:read"].title in page
    assert f"?agent={agent.id}&amp;user={ada.id}" in page


def test_shows_access_that_has_just_expired_as_ended(
    world: Any, as_developer: Client, url: str, ask: Any, ada: Any
) -> None:
    consent = world.allow(ask(), ada)
    Consent.objects.filter(pk=consent.pk).update(expires_at=clock.now() - timedelta(seconds=1))
    assert shown(as_developer, f"{url}?state=ended") == [(ada.id, "expired")]
    assert shown(as_developer, f"{url}?state=live") == []


def test_hides_who_the_user_is_and_how_they_bound_the_access(
    world: Any, as_developer: Client, url: str, granted: Consent, ada: Any
) -> None:
    before = as_developer.get(url).content.decode()
    for secret in (ada.email, ada.name):
        assert secret not in before
    terms = {"modes": {"email:send": "ask"}, "limits": {"email:send": [{"type": "rate_limit", "config": {}}]}}
    Consent.objects.filter(pk=granted.pk).update(terms=terms)
    pause_agent(actor=world.as_user(ada), consent=granted)
    assert "Paused" not in as_developer.get(url).content.decode()


def test_is_paged_and_keeps_the_filters(
    world: Any, as_developer: Client, url: str, ask: Any, ada: Any, bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.allow(ask(), ada)
    newest = world.allow(ask(), bob)
    monkeypatch.setattr(paging.paginate, "__defaults__", (1,))
    assert f"?state=live&amp;cursor={newest.id}" in as_developer.get(f"{url}?state=live").content.decode()
    assert shown(as_developer, f"{url}?state=live&cursor={newest.id}") == [(ada.id, "approved")]


def test_says_that_there_are_no_users(as_developer: Client, url: str) -> None:
    assert "No users yet" in as_developer.get(url).content.decode()
    page = as_developer.get(f"{url}?state=x").content.decode()
    assert "Access: Select a valid choice" in page


def test_another_organizations_agent_is_absent(as_rival: Client, url: str, granted: Consent) -> None:
    assert as_rival.get(url).status_code == 404
