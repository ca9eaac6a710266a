"""The activity page: the user's own log in sentences, with filters in the URL."""

from datetime import timedelta
from html import unescape

import pytest
import time_machine
from django.db import transaction

from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import record
from core import clock
from core.actor import Actor
from decisions.requests import Reason
from developers.acting import as_developer
from policies.services import create_policy
from tests.world import ANONYMOUS, make_agent
from web.sentences import REASONS, SENTENCES, sentence


@pytest.fixture
def say(agent, ada):
    """Write an entry about Ada and the agent."""

    def write(event=Event.TOKEN_VERIFY, **fields):
        with transaction.atomic():
            fields = {"agent_id": agent.id, "user_id": ada.id, **fields}
            return record(Draft(event=event, actor=Actor("service"), **fields))

    return write


def text_of(client, **query) -> str:
    response = client.get("/activity", query)
    assert response.status_code == 200
    return unescape(response.content.decode())


def test_shows_what_was_allowed(as_ada, say):
    say(outcome=Outcome.ALLOWED, scopes=["email:read", "email:send"])
    assert "SmartMail was allowed: Read your email and Send email as you." in text_of(as_ada)


def test_a_denial_shows_the_reason(as_ada, say):
    say(outcome=Outcome.DENIED, reason="insufficient_scope", scopes=["email:send"])
    assert "SmartMail was denied: Send email as you. You had not allowed this." in text_of(as_ada)


def test_a_denial_by_a_policy_names_it(as_ada, say, developer):
    actor = as_developer(ANONYMOUS, developer)
    rules = [{"type": "action_blocklist", "config": {"actions": ["email:*"]}}]
    policy = create_policy(actor=actor, organization=developer.organization, name="No mail", rules=rules)
    say(outcome=Outcome.DENIED, reason="policy_denied", policy_id=policy.id, scopes=["email:send"])
    assert "A policy of its developer denied this: No mail." in text_of(as_ada)


def test_all_events_of_a_consent_are_sentences(as_ada, granted):
    as_ada.post(f"/connections/{granted.id}/revoke")
    text = text_of(as_ada)
    assert "You created your account." in text
    assert "You allowed SmartMail: Read your email and Send email as you." in text
    assert "You revoked the access of SmartMail." in text


def test_a_later_decision_shows_what_changed(as_ada, ada, ask, world, granted):
    world.allow(ask(scopes=["email:send", "profile:read"]), ada, ["profile:read"])
    text = text_of(as_ada)
    assert "You changed what SmartMail may do. Added: See your profile. Removed: Send email as you." in text
    assert "Your new decision about SmartMail replaced your earlier one." in text


def test_approving_the_same_scopes_again_is_described_as_such(as_ada, ada, ask, world, granted):
    world.allow(ask(), ada)
    assert "You allowed SmartMail to keep the same access: Read your email and Send email as you." in text_of(as_ada)


def test_shows_nothing_about_other_users(as_bob, granted):
    assert "SmartMail" not in text_of(as_bob)


def test_entries_can_be_filtered_by_the_url(as_ada, granted, say, world, ask, developer, ada):
    other = make_agent(developer, name="Ledgerbot")
    world.allow(world.ask(other), ada)
    say(outcome=Outcome.DENIED, reason="insufficient_scope", scopes=["email:send"])
    assert "You allowed Ledgerbot" not in text_of(as_ada, agent=granted.agent_id)
    assert "You allowed" not in text_of(as_ada, outcome="denied")
    assert "was denied" in text_of(as_ada, outcome="denied")


def test_dates_are_whole_days_in_utc(as_ada, say):
    with time_machine.travel("2026-03-10T23:59:59Z", tick=False):
        say(outcome=Outcome.ALLOWED, scopes=["email:read"])
    assert "was allowed" in text_of(as_ada, since="2026-03-10", until="2026-03-10")
    assert "was allowed" not in text_of(as_ada, since="2026-03-11", until="2026-03-12")


@pytest.mark.parametrize(
    "query", [{"since": "yesterday"}, {"outcome": "maybe"}, {"agent": "agt_0000"}, {"until": "9999-12-31"}]
)
def test_invalid_filters_are_ignored(as_ada, granted, query):
    text_of(as_ada, **query)


def test_the_link_to_the_next_page_keeps_the_filters(as_ada, say, monkeypatch):
    monkeypatch.setattr("web.paging.PAGE_SIZE", 2)
    for _ in range(3):
        say(outcome=Outcome.ALLOWED, scopes=["email:read"])
    assert "?outcome=allowed&cursor=log_" in text_of(as_ada, outcome="allowed")


def test_the_number_of_queries_does_not_grow_with_the_entries(as_ada, say, django_assert_max_num_queries):
    for _ in range(20):
        say(outcome=Outcome.ALLOWED, scopes=["email:read"])
    with django_assert_max_num_queries(12):
        text_of(as_ada)


def test_every_shown_event_has_a_sentence(as_ada, granted):
    with time_machine.travel(clock.now() + timedelta(minutes=1)):
        text = text_of(as_ada)
    assert not [event for event in Event if f"<bdi>{event}</bdi>" in text]


@pytest.mark.parametrize(
    ("event", "kind", "metadata", "words"),
    [
        (Event.CONSENT_REVOKED, "user", {}, "You revoked the access of SmartMail."),
        (Event.CONSENT_REVOKED, "administrator", {"reason": "x"}, "An administrator revoked the access of SmartMail."),
        (Event.CONSENT_REVOKED, "system", {}, "The access of SmartMail was revoked."),
        (
            Event.CONSENT_REVOKED,
            "user",
            {"reason": "account_reclaimed"},
            "You confirmed your email address by resetting your password, so the access of SmartMail was revoked.",
        ),
        (Event.USER_SESSION_ENDED, "user", {}, "You ended one of your sessions."),
        (Event.USER_SESSION_ENDED, "administrator", {}, "An administrator ended one of your sessions."),
        (Event.API_KEY_ROTATED, "developer", {}, "You rotated your API key."),
        (Event.API_KEY_ROTATED, "administrator", {}, "An administrator rotated your API key."),
        (
            Event.API_KEY_REVOKED,
            "user",
            {"reason": "account_reclaimed"},
            "You confirmed your email address by resetting your password, so your API keys were revoked.",
        ),
        (Event.API_KEY_REVOKED, "administrator", {}, "An administrator revoked one of your API keys."),
        (Event.TOKEN_REVOKED, "agent", {}, "SmartMail revoked its own token."),
        (Event.TOKEN_REVOKED, "anonymous", {}, "A caller with a token of SmartMail revoked it."),
        (Event.TOKEN_REVOKED, "developer", {}, "The developer of SmartMail revoked one of its tokens."),
        (Event.TOKEN_REVOKED, "administrator", {"reason": "x"}, "An administrator revoked a token of SmartMail."),
        (Event.TOKEN_REVOKED, "system", {"reason": "x"}, "A token of SmartMail was revoked."),
        (
            Event.TOKEN_REVOKED,
            "user",
            {"reason": "account_reclaimed"},
            "You confirmed your email address by resetting your password, so a token of SmartMail was revoked.",
        ),
    ],
)
def test_shows_who_acted(as_ada, ada, agent, event, kind, metadata, words):
    actor = Actor(kind, ada.id if kind == "user" else None)
    with transaction.atomic():
        record(Draft(event=event, actor=actor, user_id=ada.id, agent_id=agent.id, metadata=metadata))
    assert f"<bdi>{words}</bdi>" in text_of(as_ada)


def test_a_revocation_by_an_administrator_is_shown_as_such(as_ada, granted):
    from consent.services import revoke_consent

    revoke_consent(actor=Actor("administrator", "usr_admin"), consent=granted, reason="A complaint")
    assert "An administrator revoked the access of SmartMail." in text_of(as_ada)
    assert "You ended" not in text_of(as_ada)


def test_a_denial_after_a_revocation_does_not_show_who_revoked(as_ada, say):
    say(outcome=Outcome.DENIED, reason="consent_revoked", scopes=["email:send"])
    assert "Its access had been revoked." in text_of(as_ada)


@pytest.mark.parametrize("event", [event for event in Event if event.startswith("user.")])
def test_every_user_event_has_a_sentence(event):
    assert str(SENTENCES[event])


def test_percent_signs_in_names_are_not_interpolated():
    entry = {"event": "made.up%(x)s", "outcome": "info", "reason": None, "agentName": "50%s", "scopeTitles": []}
    entry |= {"actor": {"kind": "user"}, "metadata": {}}
    assert sentence({**entry, "policyName": ""}) == "made.up%(x)s"
    entry["event"] = Event.CONSENT_DENIED
    assert sentence({**entry, "policyName": ""}) == "You did not allow the request of 50%s."


def test_every_denial_reason_has_a_text():
    assert set(Reason) - {"invalid_token", "policy_denied"} <= set(REASONS)
    assert all(str(words) for words in SENTENCES.values())
