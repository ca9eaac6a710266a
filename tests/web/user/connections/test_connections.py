"""The pages of a user's connections: the list, one connection, and revoking it."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from agents.models import Agent
from agents.services import update_agent
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import append
from consent.models import Consent
from core import clock
from core.actor import SYSTEM
from developers.models import Organization
from developers.services import suspend_organization
from tests.shared import cases
from tests.web.ledger import say_about, words_of
from tests.web.markup import main_of, text_of


@cases("path", ["/dashboard", "/connections", "/activity", "/account", "/developer/"])
def test_pages_of_a_user_require_sign_in(client, db, path):
    response = client.get(path)
    assert response.status_code == 302
    assert response["Location"] == f"/accounts/login/?next={path}"


def test_the_dashboard_redirects_to_the_connections(as_ada):
    assert as_ada.get("/dashboard")["Location"] == "/connections"


def test_an_empty_list_says_so(as_ada):
    assert "No agent is connected yet" in as_ada.get("/connections").content.decode()


def test_a_card_shows_developer_highest_risk_and_times(as_ada, granted):
    text = as_ada.get("/connections").content.decode()
    assert "SmartMail" in text
    assert "Acme Robotics" in text
    assert "High risk" in text
    assert "Not yet" in text
    for moment in (granted.decided_at, granted.expires_at):
        assert moment.strftime("%Y-%m-%dT%H:%M:%S") in text


def test_does_not_list_connections_of_other_users(as_bob, granted):
    assert "SmartMail" not in as_bob.get("/connections").content.decode()


def test_an_agent_allowed_twice_is_listed_once(as_ada, ada, ask, world, granted):
    latest = world.allow(ask(scopes=["profile:read"]), ada)
    for path in ("/connections", "/connections?show=ended"):
        shown = [one.consent.id for one in as_ada.get(path).context["connections"]]
        assert shown == ([latest.id] if path == "/connections" else [])
    text = text_of(as_ada, f"/connections/{latest.id}")
    assert "Read your email" in text
    assert latest.decided_at.strftime("%Y-%m-%dT%H:%M:%S") in text


def test_a_link_to_a_replaced_consent_shows_and_revokes_the_current_connection(as_ada, ada, ask, world, granted):
    world.allow(ask(), ada)
    latest = world.allow(ask(), ada)
    answer = as_ada.get(f"/connections/{granted.id}")
    assert (answer.status_code, answer["Location"]) == (302, f"/connections/{latest.id}")
    assert as_ada.post(f"/connections/{granted.id}/revoke").status_code == 303
    latest.refresh_from_db()
    assert latest.status == "revoked"


def test_pending_requests_are_not_listed(as_ada, ask, ada):
    ask(user_id=ada.id)
    assert "SmartMail" not in as_ada.get("/connections").content.decode()


def test_an_expired_connection_is_listed_as_ended(world, ada, granted):
    with time_machine.travel(clock.now() + timedelta(days=31)):
        client = world.sign_in(ada)
        assert "SmartMail" not in client.get("/connections").content.decode()
        assert "Expired" in client.get("/connections?show=ended").content.decode()


def test_a_connection_shows_what_the_agent_may_do_now(as_ada, granted, agent):
    update_agent(actor=SYSTEM, agent=agent, changes={"allowed_scopes": ["email:read"]})
    text = text_of(as_ada, f"/connections/{granted.id}")
    assert text.index("What this agent may do for you") < text.index("Read your email")
    assert text.index("Removed by the developer") < text.index("Send email as you")


def test_a_connection_shows_the_use_of_each_scope(as_ada, ada, granted, world):
    page = f"/connections/{granted.id}"
    assert as_ada.get(page).content.decode().count("Never used") == 2
    used = {"event": Event.TOKEN_VERIFY, "outcome": Outcome.ALLOWED, "consent_id": granted.id}
    append([Draft(actor=SYSTEM, scopes=["email:read"], **used)] * 3)
    append([Draft(actor=SYSTEM, scopes=["email:send"], **used)])
    text = as_ada.get(page).content.decode()
    assert "Never used" not in text
    assert "Used 3 times, last <time" in text
    assert "Used once, <time" in text
    assert "for 30 days" not in text


def test_a_connection_names_the_scopes_that_were_not_used_for_30_days(ada, granted, world):
    later = granted.decided_at + timedelta(days=31)
    Consent.objects.update(expires_at=later + timedelta(days=1))
    used = {"event": Event.TOKEN_VERIFY, "outcome": Outcome.ALLOWED, "consent_id": granted.id}
    with time_machine.travel(later):
        append([Draft(actor=SYSTEM, scopes=["email:send"], **used)])
        text = world.sign_in(ada).get(f"/connections/{granted.id}").content.decode()
    notice = re.search(r'class="notice unused">(.*?)</p>', text, re.DOTALL)[1]
    assert "1 permission was not used for 30 days: <bdi>Read your email</bdi>" in notice
    assert "Send email as you" not in notice


@cases("who", ["agent", "organization"])
def test_a_suspension_is_shown(as_ada, granted, agent, who):
    if who == "agent":
        update_agent(actor=SYSTEM, agent=agent, changes={"status": "suspended"})
    else:
        suspend_organization(actor=SYSTEM, organization=agent.organization, reason="abuse")
    assert "Suspended" in as_ada.get("/connections").content.decode()
    assert "so all its requests are denied" in as_ada.get(f"/connections/{granted.id}").content.decode()


@cases("path", ["/connections/{}", "/connections/{}/revoke"])
def test_another_users_connection_looks_like_one_that_does_not_exist(as_bob, granted, path):
    theirs, none = as_bob.get(path.format(granted.id)), as_bob.get(path.format("cns_0000"))
    assert theirs.status_code == none.status_code == 404
    assert main_of(theirs.content.decode()) == main_of(none.content.decode())


def test_revoking_needs_a_confirmation(as_ada, granted):
    url = f"/connections/{granted.id}/revoke"
    assert "Revoke access for SmartMail?" in as_ada.get(url).content.decode()
    granted.refresh_from_db()
    assert granted.status == "approved"
    response = as_ada.post(url)
    assert (response.status_code, response["Location"]) == (303, f"/connections/{granted.id}")
    granted.refresh_from_db()
    assert granted.status == "revoked"
    text = as_ada.get(f"/connections/{granted.id}").content.decode()
    assert "can no longer act for you" in text
    assert f'href="/connections/{granted.id}/evidence"' in text


def test_revoking_twice_is_not_an_error(as_ada, granted):
    url = f"/connections/{granted.id}/revoke"
    assert [as_ada.post(url).status_code for _ in range(2)] == [303, 303]


def test_another_user_cannot_revoke(as_bob, granted):
    assert as_bob.post(f"/connections/{granted.id}/revoke").status_code == 404
    granted.refresh_from_db()
    assert granted.status == "approved"


def test_a_denied_request_cannot_be_revoked(as_ada, ask):
    consent = ask()
    as_ada.post(f"/consent/{consent.id}", {"decision": "deny"})
    assert as_ada.post(f"/connections/{consent.id}/revoke").status_code == 409


@cases("method", ["put", "patch", "delete"])
def test_other_methods_are_refused(as_ada, granted, method):
    for path in ("/connections", f"/connections/{granted.id}", f"/connections/{granted.id}/revoke"):
        assert getattr(as_ada, method)(path).status_code == 405


def test_long_lists_are_paged_without_gaps(as_ada, ada, developer, world, monkeypatch):
    monkeypatch.setattr("web.user.connections.views.PAGE_SIZE", 2)
    ids = [world.allow(world.ask(world.make_agent(developer)), ada).id for _ in range(3)]
    first = as_ada.get("/connections")
    cursor = first.context["page"].next_cursor
    second = as_ada.get("/connections", {"cursor": cursor})
    shown = [one.consent.id for page in (first, second) for one in page.context["connections"]]
    assert shown == sorted(ids, reverse=True)
    assert second.context["page"].next_cursor == ""
    assert "Newest" in second.content.decode()


@cases("cursor", ["\x00", "é", "x" * 500, "%", "' OR 1=1"])
def test_an_invalid_cursor_is_ignored(as_ada, granted, cursor):
    assert as_ada.get("/connections", {"cursor": cursor}).status_code == 200


def test_the_number_of_queries_does_not_grow_with_the_connections(
    as_ada, ada, developer, world, django_assert_max_num_queries
):
    for _ in range(5):
        world.allow(world.ask(world.make_agent(developer)), ada)
    with django_assert_max_num_queries(12):
        as_ada.get("/connections")


NAMES = {"agent": "Claude \u2714 Checked by AgentGate", "developer": "Google \u2714 Verified developer"}


@pytest.fixture
def impostor(ada, developer, world):
    """Return a connection of an agent with a name from before check marks were refused."""
    agent = world.make_agent(developer)
    Organization.objects.filter(id=developer.organization_id).update(name=NAMES["developer"])
    Agent.objects.filter(id=agent.id).update(name=NAMES["agent"])
    agent.refresh_from_db()
    return world.allow(world.ask(agent), ada)


def without_names(page: str) -> str:
    """Return the main part of the page without the marked names, which their owners chose."""
    return re.sub(r'<bdi class="named">.*?</bdi>|<span class="visually-hidden">.*?</span>', "", main_of(page))


@cases("is_verified", [True, False])
def test_names_are_marked_and_cannot_imitate_the_badge(as_ada, impostor, developer, is_verified):
    Organization.objects.filter(id=developer.organization_id).update(is_verified=is_verified)
    for path in ("/connections", f"/connections/{impostor.id}"):
        page = without_names(as_ada.get(path).content.decode())
        assert "\u2714" not in page
        assert ('class="domain domain--badge"' in page, "badge--warn" in page) == (is_verified, not is_verified)


def test_a_client_that_registered_itself_has_no_verified_badge(as_ada, ada, world):
    metadata = {
        "client_name": "Verified developer",
        "redirect_uris": [world.CALLBACK],
        "token_endpoint_auth_method": "none",
    }
    client = Client().post("/oauth/register", metadata, content_type="application/json").json()
    agent = Agent.objects.get(client_id=client["client_id"])
    world.allow(world.ask(agent, code_challenge="x" * 43), ada)
    page = without_names(as_ada.get("/connections").content.decode())
    assert "Verified developer" not in page
    assert "This program registered itself" in page
    assert "Developer not verified" in page


def test_the_consent_page_does_not_promise_to_ask_before_each_action(as_ada, ask):
    page = as_ada.get(f"/consent/{ask().id}").content.decode()
    assert "An agent can act for you only with your consent." in page
    assert "asks before" not in page


def test_the_last_entries_that_say_the_same_share_a_line(as_ada, ada, agent, granted):
    for _ in range(4):
        say_about(agent, ada)(outcome=Outcome.ALLOWED, scopes=["email:send"], consent_id=granted.id)
    assert "Send email as you 4 times" in words_of(as_ada, f"/connections/{granted.id}")
