"""The delegations of an organization's agents, in the developer portal."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from agents.models import Agent
from agents.services import update_agent
from core import clock
from core.actor import SYSTEM
from developers.impact import (
    impact_on_agent,
    impact_on_connection,
    impact_on_everything,
    impact_on_organization,
    impact_on_user,
)
from developers.models import Developer
from developers.roles import Role
from tests.web.markup import words_of
from tests.world import as_user, grant_to, hand_over, let_delegate, make_agent, make_member, sign_in_recently
from tokens.delegations import end_delegation
from tokens.models import Delegation

URL = "/developer/delegations"
SCOPES = ["email:read"]
RATE = {"type": "rate_limit", "config": {"maxRequests": 7, "windowSeconds": 3600, "scope": "per_user"}}
SPEND = {
    "type": "spend_limit",
    "config": {"maxAmount": "50.00", "currency": "EUR", "windowSeconds": 3600, "scope": "per_user"},
}
ONLY = {
    "type": "context_match",
    "config": {"conditions": [{"field": "recipient", "operator": "matches_any", "values": ["*@secret.example"]}]},
}


@pytest.fixture
def given(agent: Agent, developer: Developer, rival: Developer, ada: User) -> tuple[Delegation, Delegation, str]:
    """Return what the agent handed to the Summarizer of its developer, and what that one handed to a rival's."""
    token = grant_to(agent, ada, SCOPES)
    let_delegate(token, "verified")
    type(rival.organization).objects.filter(pk=rival.organization_id).update(is_verified=True)
    summarizer = make_agent(developer, name="Summarizer")
    translator = make_agent(rival, name="Translator")
    upper, issued = hand_over(token, summarizer, SCOPES, task="Report of May")
    lower, last = hand_over(issued.access_token, translator, SCOPES, limits={"email:read": [RATE, SPEND, ONLY]})
    return upper, lower, last.access_token


def shown(client: Client, query: str = "", url: str = URL) -> list[tuple[str, str, str]]:
    rows = client.get(f"{url}{query}").context["rows"]
    return [(row.one.from_agent.name, row.one.to_agent.name, row.name) for row in rows]


def test_each_organization_sees_what_its_agents_gave_and_received(
    as_developer: Client, as_rival: Client, agent: Agent, given: Any
) -> None:
    upper, lower = (agent.name, "Summarizer", "active"), ("Summarizer", "Translator", "active")
    assert shown(as_developer) == [lower, upper]
    assert shown(as_developer, "?side=received") == [upper]
    assert shown(as_rival) == []
    assert shown(as_rival, "?side=received") == [lower]
    summarizer = given[0].to_agent
    assert shown(as_developer, f"?agent={summarizer.id}") == [lower]
    assert shown(as_developer, "?agent=Unknown") == []
    own = f"/developer/agents/{summarizer.id}/delegations"
    assert shown(as_developer, url=own) == [lower]
    assert shown(as_developer, "?side=received", url=own) == [upper]
    assert as_rival.get(own).status_code == 404


def test_the_status_is_that_of_all_above(as_developer: Client, given: Any, ada: User) -> None:
    upper, lower, _token = given
    assert shown(as_developer, "?status=ended") == []
    end_delegation(actor=as_user(ada), delegation=upper)
    assert [name for *_agents, name in shown(as_developer, "?status=ended")] == ["cut", "ended"]
    assert shown(as_developer, "?status=active") == []
    assert "something that it depends on ended" in words_of(as_developer.get(f"{URL}/{lower.id}"))
    Delegation.objects.filter(pk=upper.pk).update(ended_at=None)
    past = clock.now() - timedelta(seconds=1)
    Delegation.objects.filter(pk=lower.pk).update(expires_at=past)
    assert [name for *_agents, name in shown(as_developer)] == ["expired", "active"]
    Delegation.objects.filter(pk=lower.pk).update(expires_at=upper.expires_at, redeemed_at=None, token_expires_at=past)
    assert [name for *_agents, name in shown(as_developer)] == ["missed", "active"]


def test_with_a_status_the_page_reads_on_until_it_is_full(
    as_developer: Client, given: Any, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.portal.delegations.views.ROWS", 1)
    _upper, lower, _token = given
    end_delegation(actor=as_user(ada), delegation=lower)
    assert [name for *_agents, name in shown(as_developer)] == ["ended"]
    assert [name for *_agents, name in shown(as_developer, f"?cursor={lower.pk}")] == ["active"]
    update_agent(actor=SYSTEM, agent=lower.from_agent, changes={"status": "suspended"})
    Delegation.objects.filter(pk=lower.pk).update(ended_at=None)
    assert [name for *_agents, name in shown(as_developer, "?status=active")] == ["active"]


def test_a_page_shows_the_limits_and_only_the_giver_sees_what_can_be_personal(
    as_developer: Client, as_rival: Client, given: Any
) -> None:
    upper, lower, _token = given
    page = words_of(as_developer.get(f"{URL}/{lower.id}"))
    for words in ("Summarizer", "of Rival Robotics", "At most 7 times per hour", "0 of 7 used", "secret.example"):
        assert words in page
    assert "€0.00 of €50.00 used" in page
    assert "2 of 4" in page
    theirs = words_of(as_rival.get(f"{URL}/{lower.id}"))
    assert "At most 7 times per hour" in theirs
    assert "secret.example" not in theirs
    assert "Report of May" in words_of(as_developer.get(f"{URL}/{upper.id}"))
    assert "Report of May" not in theirs
    assert as_rival.get(f"{URL}/{upper.id}").status_code == 404


def test_a_developer_ends_what_their_agent_handed_over(as_developer: Client, given: Any, developer: Developer) -> None:
    upper, lower, _token = given
    url = f"{URL}/{upper.id}/end"
    assert "1 delegation that was handed on from it ends, too." in words_of(as_developer.get(url))
    as_developer.post(url)
    assert [one.ended_at is None for one in Delegation.objects.order_by("id")] == [False, True]
    page = words_of(as_developer.get(f"{URL}/{upper.id}"))
    assert developer.user.name in page
    assert f"/{lower.id}/end" not in as_developer.get(f"{URL}/{lower.id}").content.decode()


def test_what_was_received_is_not_the_receivers_to_end(as_rival: Client, given: Any) -> None:
    _upper, lower, _token = given
    page = as_rival.get(f"{URL}/{lower.id}")
    assert "developers of the agents that handed the work on" in words_of(page)
    assert as_rival.post(f"{URL}/{lower.id}/end").status_code == 303
    assert not Delegation.objects.exclude(ended_at=None).exists()


def test_the_organization_of_an_agent_above_may_end_what_is_below(
    as_developer: Client, as_rival: Client, given: Any, rival: Developer
) -> None:
    *_above, token = given
    deepest, _issued = hand_over(token, make_agent(rival, name="Printer"), SCOPES, limits={"email:read": [ONLY]})
    assert "secret.example" in words_of(as_rival.get(f"{URL}/{deepest.id}"))
    assert "secret.example" not in words_of(as_developer.get(f"{URL}/{deepest.id}"))
    as_developer.post(f"{URL}/{deepest.id}/end")
    assert list(Delegation.objects.exclude(ended_at=None)) == [deepest]


def test_a_stop_says_how_many_delegations_it_ends(as_developer: Client, agent: Agent, given: Any, ada: User) -> None:
    upper, lower, _token = given
    suspends = f"/developer/agents/{agent.id}/suspend"
    assert "2 delegations that it or agents below it handed over stop working" in words_of(as_developer.get(suspends))
    now = clock.now()
    assert impact_on_agent(lower.from_agent_id, now).delegations == 1
    assert impact_on_agent(lower.to_agent_id, now).delegations == 0
    assert impact_on_organization(str(agent.organization_id), now).delegations == 2
    assert impact_on_connection(ada.id, agent.id, now).delegations == 2
    assert impact_on_everything(now).delegations == 2
    end_delegation(actor=as_user(ada), delegation=upper)
    assert impact_on_user(ada.id, clock.now()).delegations == 0
    assert "delegation" not in words_of(as_developer.get(suspends)).partition("<main")[2]


def test_auditors_read_and_do_not_end(developer: Developer, given: Any) -> None:
    upper, _lower, _token = given
    auditor = sign_in_recently(make_member(developer, "auditor@example.com", Role.AUDITOR).user)
    assert len(shown(auditor)) == 2
    assert "/end" not in auditor.get(f"{URL}/{upper.id}").content.decode()
    assert auditor.post(f"{URL}/{upper.id}/end").status_code == 403
    assert not Delegation.objects.exclude(ended_at=None).exists()


def test_empty_pages_say_how_work_is_handed_over(as_developer: Client, agent: Agent) -> None:
    assert "agents:delegate" in words_of(as_developer.get(URL))
    assert "How to accept work" in words_of(as_developer.get(f"{URL}?side=received"))
    assert "No delegation matches" in words_of(as_developer.get(f"{URL}?status=active"))
