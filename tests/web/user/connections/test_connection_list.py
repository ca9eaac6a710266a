"""The list of connections: one card per agent, in words, with what stands still and what is unused."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts.models import User
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import append
from consent.details import AuthorizationDetail
from consent.models import Consent
from core import clock
from core.actor import SYSTEM
from developers.models import Developer
from tests.shared import cases

SCOPES = ["email:read", "email:send", "calendar:freebusy"]
SPEND = {
    "type": "spend_limit",
    "config": {"maxAmount": "50", "currency": "EUR", "windowSeconds": 86_400, "scope": "per_user"},
}


@pytest.fixture
def many(world: Any, developer: Developer, ada: User) -> list[Consent]:
    agents = [world.make_agent(developer, name=f"Agent {number}") for number in range(8)]
    return [world.allow(world.ask(agent), ada) for agent in agents]


def use(consent: Consent, *scopes: str) -> None:
    used = {"event": Event.TOKEN_VERIFY, "outcome": Outcome.ALLOWED, "consent_id": consent.id}
    append([Draft(actor=SYSTEM, scopes=list(scopes), **used)])


def cards(client: Client, path: str = "/connections") -> list[str]:
    """Return the text of each card, without markup."""
    html = client.get(path).content.decode()
    found = re.findall(r'<li class="card connection.*?(?=<li class="card connection|</main>)', html, re.DOTALL)
    return [" ".join(unescape(re.sub(r"<[^>]+>", " ", card)).split()) for card in found]


def names(client: Client, path: str) -> list[str]:
    return [one.consent.agent.name for one in client.get(path).context["connections"]]


def test_a_card_says_what_the_agent_may_do(as_ada: Client, ada: User, ask: Any, world: Any) -> None:
    consent = world.allow(ask(scopes=[*SCOPES, "payments:charge"]), ada)
    terms = {"modes": {"email:send": "ask", "payments:charge": "ask"}, "limits": {"payments:charge": [SPEND]}}
    Consent.objects.filter(pk=consent.pk).update(terms=terms)
    (card,) = cards(as_ada)
    assert "Without asking Read your email See when you are busy" in card
    assert "If you approve Take payments from you ( At most €50.00 per day ) Send email as you" in card
    assert "Critical risk" in card


def test_a_card_says_what_bounds_a_permission(as_ada: Client, ada: User, ask: Any, world: Any) -> None:
    places = ["home", "work", "club", "choir"]
    calendars = AuthorizationDetail(type="calendar", identifiers=places, actions=["calendar:freebusy"])
    consent = world.allow(ask(scopes=SCOPES, authorization_details=[calendars]), ada)
    recipients = {"field": "recipient", "operator": "matches_any", "values": ["*@acme.com", "acme.com"]}
    rules = [
        {"type": "rate_limit", "config": {"maxRequests": 20, "windowSeconds": 86_400, "scope": "per_user"}},
        {"type": "context_match", "config": {"conditions": [recipients]}},
        SPEND,
    ]
    limits = {"email:send": rules, "calendar:freebusy": rules[:1], "email:read": rules[:2]}
    Consent.objects.filter(pk=consent.pk).update(terms={**consent.terms, "limits": limits})
    (card,) = cards(as_ada)
    day = "At most 20 times per day"
    assert f"Send email as you ( {day} ; 2 more limits)" in card
    assert f"See when you are busy (only for: home · work · 2 more; {day} )" in card
    assert f"Read your email ( {day} ; 1 more limit)" in card


def test_a_card_counts_what_it_does_not_name(as_ada: Client, ada: User, developer: Developer, world: Any) -> None:
    scopes = ["profile:read", "files:read", "notion:read", "slack:read", "linear:read", "crm:deals:read"]
    agent = world.make_agent(developer, allowed_scopes=scopes)
    world.allow(world.ask(agent, scopes=scopes), ada)
    assert "2 more" in cards(as_ada)[0]


def test_a_card_says_what_the_agent_did_last(as_ada: Client, granted: Consent) -> None:
    assert "Last used Not yet" in cards(as_ada)[0]
    use(granted, "email:read")
    assert re.search(r"Last used just now \(.*\) · Read your email", cards(as_ada)[0])


def test_the_agent_that_acted_last_comes_first(as_ada: Client, many: list[Consent]) -> None:
    use(many[3], "email:read")
    assert names(as_ada, "/connections")[:2] == ["Agent 3", "Agent 7"]


def test_says_how_many_agents_can_act(as_ada: Client, many: list[Consent]) -> None:
    assert "8 agents can act for you." in as_ada.get("/connections").content.decode()


def test_finds_agents_by_their_own_and_their_developers_names(
    as_ada: Client, ada: User, many: list[Consent], rival: Developer, world: Any
) -> None:
    world.allow(world.ask(world.make_agent(rival, name="Other")), ada)
    assert names(as_ada, "/connections?q=agent 3") == ["Agent 3"]
    assert names(as_ada, "/connections?q=RIVAL") == ["Other"]
    assert "No agent found" in as_ada.get("/connections?q=nobody").content.decode()
    assert names(as_ada, "/connections?q=nobody") == []
    assert names(as_ada, "/connections?show=ended&q=agent") == []


@cases("query", ["%", "_", "' OR 1=1", "x" * 500, "\x00zz"])
def test_a_hostile_search_finds_nothing(as_ada: Client, many: list[Consent], query: str) -> None:
    response = as_ada.get("/connections", {"q": query})
    assert response.status_code == 200
    assert response.context["connections"] == []


def test_short_lists_have_no_search(as_ada: Client, granted: Consent) -> None:
    assert 'role="search"' not in as_ada.get("/connections").content.decode()


def test_unused_permissions_are_removed_with_one_click(world: Any, ada: User, granted: Consent) -> None:
    later = granted.decided_at + timedelta(days=31)
    Consent.objects.update(expires_at=later + timedelta(days=1))
    with time_machine.travel(later):
        use(granted, "email:send")
        client = world.sign_in(ada)
        assert "1 permission was not used for 30 days: Read your email" in cards(client)[0]
        data = {"change": "unused", "scope": ["email:read"], "next": "/connections"}
        assert client.post(f"/connections/{granted.id}", data)["Location"] == "/connections"
        assert "Removed. The next request that needs it is denied: Read your email." in unescape(
            client.get("/connections").content.decode()
        )
    granted.refresh_from_db()
    assert granted.granted_scopes == ["email:send"]


def test_what_was_used_meanwhile_is_not_removed(as_ada: Client, granted: Consent) -> None:
    data = {"change": "unused", "scope": ["email:read"], "next": "/connections"}
    as_ada.post(f"/connections/{granted.id}", data)
    assert "so none was removed" in as_ada.get("/connections").content.decode()
    granted.refresh_from_db()
    assert len(granted.granted_scopes) == 2


def test_a_second_click_removes_nothing_more(as_ada: Client, granted: Consent) -> None:
    as_ada.post(f"/connections/{granted.id}", {"change": "remove", "scope": "email:read"})
    as_ada.post(f"/connections/{granted.id}", {"change": "unused", "scope": ["email:read"], "next": "/connections"})
    assert "These permissions have already been removed." in as_ada.get("/connections").content.decode()


def test_an_agent_that_uses_nothing_is_not_offered_a_removal(world: Any, ada: User, granted: Consent) -> None:
    later = granted.decided_at + timedelta(days=31)
    Consent.objects.update(expires_at=later + timedelta(days=1))
    with time_machine.travel(later):
        client = world.sign_in(ada)
        html = client.get("/connections").content.decode()
        assert "This agent has not acted for you for 30 days." in html
        assert 'value="unused"' not in html


def test_buttons_lead_back_to_the_list(as_ada: Client, granted: Consent) -> None:
    for act in ("pause", "resume"):
        answer = as_ada.post(f"/connections/{granted.id}/{act}", {"next": "/connections?q=smart"})
        assert answer["Location"] == "/connections?q=smart"


def test_past_connections_say_how_they_ended(as_ada: Client, ada: User, ask: Any, world: Any, granted: Consent) -> None:
    as_ada.post(f"/connections/{granted.id}/revoke")
    html = as_ada.get("/connections?show=ended").content.decode()
    assert "Revoked" in html
    assert "just now" in html
    assert "Read your email" in html
    assert f'href="/connections/{granted.id}"' in html


@cases("path", ["/connections", "/connections?q=agent", "/connections?show=ended"])
def test_the_number_of_queries_is_bounded(
    as_ada: Client, ada: User, many: list[Consent], path: str, django_assert_max_num_queries: Any
) -> None:
    for consent in many:
        use(consent, "email:read")
    with django_assert_max_num_queries(12):
        as_ada.get(path)


def test_the_number_of_queries_of_a_connection_is_bounded(
    as_ada: Client, granted: Consent, django_assert_max_num_queries: Any
) -> None:
    use(granted, "email:read")
    as_ada.get("/scopes")  # the first request of a while also records that the session is in use
    with django_assert_max_num_queries(13):
        as_ada.get(f"/connections/{granted.id}")


def test_the_end_is_shown_relative_to_now(as_ada: Client, granted: Consent) -> None:
    Consent.objects.update(expires_at=clock.now() + timedelta(hours=3, minutes=1))
    assert re.search(r"Access Allowed just now \(.*\) , ends in 3 hours", cards(as_ada)[0])
