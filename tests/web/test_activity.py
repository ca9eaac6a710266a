"""The person's own log: whole sentences, filters in the URL, nobody else's."""

from datetime import timedelta
from html import unescape

import pytest
import time_machine
from django.db import transaction

from audit.events import Event, Outcome
from audit.services import Draft, record
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


def test_tells_what_was_allowed(as_ada, say):
    say(outcome=Outcome.ALLOWED, scopes=["email:read", "email:send"])
    assert "SmartMail was allowed: Read your email and Send email as you." in text_of(as_ada)


def test_a_denial_says_why_in_plain_words(as_ada, say):
    say(outcome=Outcome.DENIED, reason="insufficient_scope", scopes=["email:send"])
    assert "SmartMail was denied: Send email as you. You had not allowed this." in text_of(as_ada)


def test_a_denial_by_a_policy_names_it(as_ada, say, developer):
    actor = as_developer(ANONYMOUS, developer)
    rules = [{"type": "action_blocklist", "config": {"actions": ["email:*"]}}]
    policy = create_policy(actor=actor, organization=developer.organization, name="No mail", rules=rules)
    say(outcome=Outcome.DENIED, reason="policy_denied", policy_id=policy.id, scopes=["email:send"])
    assert "A policy of its developer denied this: No mail." in text_of(as_ada)


def test_the_whole_life_of_a_consent_reads_as_sentences(as_ada, granted):
    as_ada.post(f"/connections/{granted.id}/revoke")
    text = text_of(as_ada)
    assert "You created your account." in text
    assert "You allowed SmartMail: Read your email and Send email as you." in text
    assert "You revoked the access of SmartMail." in text


def test_a_later_decision_says_what_it_changed(as_ada, ada, ask, world, granted):
    world.allow(ask(scopes=["email:send", "profile:read"]), ada, ["profile:read"])
    text = text_of(as_ada)
    assert "You changed what SmartMail may do. Added: See your profile. Removed: Send email as you." in text
    assert "Your new decision about SmartMail replaced your earlier one." in text


def test_a_second_device_reads_as_the_same_as_before(as_ada, ada, ask, world, granted):
    world.allow(ask(), ada)
    assert "You allowed SmartMail to keep the same access: Read your email and Send email as you." in text_of(as_ada)


def test_shows_nothing_about_another_person(as_bob, granted):
    assert "SmartMail" not in text_of(as_bob)


def test_filters_narrow_and_stay_in_the_url(as_ada, granted, say, world, ask, developer, ada):
    other = make_agent(developer, name="Ledgerbot")
    world.allow(world.ask(other), ada)
    say(outcome=Outcome.DENIED, reason="insufficient_scope", scopes=["email:send"])
    assert "You allowed Ledgerbot" not in text_of(as_ada, agent=granted.agent_id)
    assert "You allowed" not in text_of(as_ada, outcome="denied")
    assert "was denied" in text_of(as_ada, outcome="denied")


def test_days_are_whole_days_in_utc(as_ada, say):
    with time_machine.travel("2026-03-10T23:59:59Z", tick=False):
        say(outcome=Outcome.ALLOWED, scopes=["email:read"])
    assert "was allowed" in text_of(as_ada, since="2026-03-10", until="2026-03-10")
    assert "was allowed" not in text_of(as_ada, since="2026-03-11", until="2026-03-12")


@pytest.mark.parametrize(
    "query", [{"since": "yesterday"}, {"outcome": "maybe"}, {"agent": "agt_0000"}, {"until": "9999-12-31"}]
)
def test_a_filter_that_makes_no_sense_is_no_error(as_ada, granted, query):
    text_of(as_ada, **query)


def test_older_entries_are_a_page_away_and_keep_the_filters(as_ada, say, monkeypatch):
    monkeypatch.setattr("web.paging.PAGE_SIZE", 2)
    for _ in range(3):
        say(outcome=Outcome.ALLOWED, scopes=["email:read"])
    assert "?outcome=allowed&cursor=log_" in text_of(as_ada, outcome="allowed")


def test_needs_few_queries_however_much_happened(as_ada, say, django_assert_max_num_queries):
    for _ in range(20):
        say(outcome=Outcome.ALLOWED, scopes=["email:read"])
    with django_assert_max_num_queries(12):
        text_of(as_ada)


def test_a_person_is_only_told_events_that_have_a_sentence(as_ada, granted):
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
def test_says_who_did_it(as_ada, ada, agent, event, kind, metadata, words):
    actor = Actor(kind, ada.id if kind == "user" else None)
    with transaction.atomic():
        record(Draft(event=event, actor=actor, user_id=ada.id, agent_id=agent.id, metadata=metadata))
    assert f"<bdi>{words}</bdi>" in text_of(as_ada)


def test_an_administrators_revocation_is_told_as_such(as_ada, granted):
    from consent.services import revoke_consent

    revoke_consent(actor=Actor("administrator", "usr_admin"), consent=granted, reason="A complaint")
    assert "An administrator revoked the access of SmartMail." in text_of(as_ada)
    assert "You ended" not in text_of(as_ada)


def test_a_denial_after_a_revocation_does_not_say_whose_it_was(as_ada, say):
    say(outcome=Outcome.DENIED, reason="consent_revoked", scopes=["email:send"])
    assert "Its access had been revoked." in text_of(as_ada)


@pytest.mark.parametrize("event", [event for event in Event if event.startswith("user.")])
def test_every_event_of_a_person_has_a_sentence(event):
    assert str(SENTENCES[event])


def test_a_name_with_a_percent_sign_is_no_template():
    entry = {"event": "made.up%(x)s", "outcome": "info", "reason": None, "agentName": "50%s", "scopeTitles": []}
    entry |= {"actor": {"kind": "user"}, "metadata": {}}
    assert sentence({**entry, "policyName": ""}) == "made.up%(x)s"
    entry["event"] = Event.CONSENT_DENIED
    assert sentence({**entry, "policyName": ""}) == "You did not allow the request of 50%s."


def test_every_reason_of_a_denial_has_words():
    assert set(Reason) - {"invalid_token", "policy_denied"} <= set(REASONS)
    assert all(str(words) for words in SENTENCES.values())
