"""The page of the organization's audit log and its filters."""

import pytest
from django.db import transaction

from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import record
from core.actor import Actor
from tests.web.markup import text_of


@pytest.fixture
def denied(agent, ada):
    """The log entry of a denied request of the developer's agent."""
    with transaction.atomic():
        return record(
            Draft(
                event=Event.TOKEN_VERIFY,
                actor=Actor("service", ip="198.51.100.9"),
                outcome=Outcome.DENIED,
                reason="insufficient_scope",
                organization_id=agent.organization_id,
                agent_id=agent.id,
                user_id=ada.id,
                scopes=["email:send"],
                action="send<b>",
            )
        )


def rows(client, **query):
    response = client.get("/developer/audit", query)
    assert response.status_code == 200
    return [entry["id"] for entry in response.context["entries"]]


def test_shows_decisions_with_their_reasons(as_developer, denied, ada):
    text = text_of(as_developer, "/developer/audit")
    for fact in (denied, "token.verify", "insufficient_scope", "email:send", "198.51.100.9", ada.id, "SmartMail"):
        assert fact in text


def test_markup_that_agents_send_is_escaped(as_developer, denied):
    assert "send<b>" not in as_developer.get("/developer/audit").content.decode()


def test_another_organization_sees_none_of_it(as_rival, denied):
    assert denied not in rows(as_rival)


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ({"event": "token.verify"}, True),
        ({"event": "agent.created"}, False),
        ({"outcome": "denied"}, True),
        ({"outcome": "allowed"}, False),
        ({"user": "usr_0000"}, False),
        ({"since": "2000-01-01"}, True),
        ({"until": "2000-01-01"}, False),
    ],
)
def test_entries_can_be_filtered(as_developer, denied, query, is_found):
    assert (denied in rows(as_developer, **query)) is is_found


def test_entries_can_be_filtered_by_agent_and_user(as_developer, denied, agent, ada):
    assert rows(as_developer, agent=agent.id, user=ada.id) == [denied]


def test_an_invalid_filter_is_ignored(as_developer, denied):
    assert rows(as_developer, event="made.up", since="x", user="\x00", cursor="\x00")


def test_needs_few_queries(as_developer, denied, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        rows(as_developer)
