"""The activity page: the user's own log as a ledger, with filters in the URL."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.db import transaction

from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.models import Segment
from audit.sequencing.sequencer import sequence
from audit.services import record
from core import clock
from core.actor import Actor
from core.ids import new_id
from tests.audit.segments import shrink_segments
from tests.shared import cases
from tests.web.ledger import say_about, shown_entries, words_of
from tests.web.markup import text_of
from tests.world import as_user, make_agent
from web.user.activity.kinds import ACCOUNT, ACTIONS, DECISIONS, KINDS, ROUTINE
from web.wording.events import TITLES
from web.wording.sentences import ACTS, in_words

LACKS = {"missingScopes": ["email:send"]}


@pytest.fixture
def say(agent, ada):
    """Write an entry about Ada and the agent."""
    return say_about(agent, ada)


def test_shows_what_was_allowed_and_what_it_touched(as_ada, say):
    context = {"recipient": "anna@example.com", "target": "Report.pdf"}
    amount = {"value": "12.50", "currency": "EUR"}
    say(outcome=Outcome.ALLOWED, scopes=["email:read", "email:send"], personal={"context": context, "amount": amount})
    words = words_of(as_ada)
    assert "Send email as you for €12.50: anna@example.com (Report.pdf)" in words
    assert words.count("€12.50") == 1
    assert "denied" not in words


def test_says_what_was_done_not_the_permission_that_covers_it(as_ada, say):
    say(outcome=Outcome.ALLOWED, scopes=["calendar:write"], action="calendar:cancel", resource="Lunch")
    say(outcome=Outcome.ALLOWED, scopes=["email:manage", "email:read"], action="email:delete")
    words = words_of(as_ada)
    assert "Cancel events: Lunch" in words
    assert "Delete mail" in words
    assert "Organise your mailbox" not in words


def test_names_what_else_the_service_said(as_ada, say):
    """The verb and the address are named on the page of the entry."""
    context = {"recipient": "anna@example.com", "account": "DE1", "c,c": "eve@evil.example"}
    context |= {"verb": "send", "ip": "203.0.113.7"}
    say(outcome=Outcome.ALLOWED, scopes=["email:send"], personal={"context": context})
    assert 'anna@example.com SmartMail with an account and "c,c"' in words_of(as_ada)


@cases(
    ("recipient", "shown"),
    [
        (
            ["anna", {"address": "eve@evil.example"}],
            "Send email as you: [",
        ),
        (["anna", "bob", "", "eve"], "Send email as you: anna, bob, , eve"),
        ([{"address": "eve@evil.example"}], "with a recipient"),
    ],
)
def test_a_recipient_in_a_list_is_not_left_out_silently(as_ada, say, recipient, shown):
    say(outcome=Outcome.ALLOWED, scopes=["email:send"], personal={"context": {"recipient": recipient}})
    assert shown in words_of(as_ada)


def test_an_amount_that_cannot_be_read_is_not_shown_as_one(as_ada, say):
    context = {"amount": {"value": "10.00", "currency": "EUR", "multiplier": 100}}
    for _ in range(2):
        say(
            outcome=Outcome.ALLOWED,
            scopes=["email:send"],
            personal={"context": context, "amount": {"unreadable": True}},
        )
    words = words_of(as_ada)
    assert words.count("Its amount cannot be read.") == 2
    assert "€" not in words


def test_a_resource_stands_for_a_missing_target(as_ada, say):
    say(outcome=Outcome.ALLOWED, scopes=["email:read"], resource="https://mail.example/7")
    assert "Read your email: https://mail.example/7" in words_of(as_ada)


def test_a_long_context_still_names_what_it_touched(as_ada, say):
    named = {"recipient": "anna@example.com", "target": "Order 7"}
    fields = ["recipient", "target", "text"]
    shortened = {"size": 9000, "sha256": "00", "beginning": '{"recip', "fields": fields, "named": named}
    say(outcome=Outcome.ALLOWED, scopes=["email:send"], personal={"shortenedContext": shortened})
    words = words_of(as_ada)
    assert "Send email as you: anna@example.com (Order 7) SmartMail with a message" in words


@cases("value", [{"id": 1}, None, True, ["a", "b", "c", "d"], 7, "x" * 900, "<b>&\u202e"])
def test_any_value_of_a_context_can_be_shown(as_ada, say, value):
    context = {"recipient": value, "target": value, "amount": value}
    say(outcome=Outcome.ALLOWED, scopes=["email:send"], personal={"context": context})
    assert "<b>" not in as_ada.get("/activity").content.decode()


def test_a_denial_shows_the_reason_and_leads_to_the_explanation(as_ada, say):
    entry_id = say(outcome=Outcome.DENIED, reason="insufficient_scope", scopes=["email:send"], metadata=LACKS)
    words = words_of(as_ada)
    assert "Send email as you Denied · Why?" in words
    assert f'href="/activity/{entry_id}#why">Why?' in text_of(as_ada, "/activity")


def test_a_request_that_waits_for_the_user_is_not_a_denial(as_ada, say):
    say(outcome=Outcome.DENIED, reason="approval_required", scopes=["email:send"])
    assert "Send email as you Asked you SmartMail" in words_of(as_ada)
    assert "Why?" not in words_of(as_ada)


def test_entries_that_say_the_same_share_a_line(as_ada, say):
    with time_machine.travel("2026-03-10T12:00:00Z", tick=False) as now:
        for _ in range(42):
            say(outcome=Outcome.ALLOWED, scopes=["email:read"])
            now.shift(60)
    words = words_of(as_ada)
    assert "Read your email SmartMail 42 times" in words
    assert len(shown_entries(as_ada)) == 43  # with the registration


def test_a_denial_never_shares_a_line_with_what_was_allowed(as_ada, say):
    for outcome, reason in [(Outcome.ALLOWED, None), (Outcome.DENIED, "insufficient_scope")] * 3:
        say(outcome=outcome, reason=reason, scopes=["email:send"])
    words = words_of(as_ada)
    assert words.count("Send email as you Denied · Why? SmartMail 3 times") == 1
    assert words.count("3 times") == 2


def test_payments_have_lines_of_their_own(as_ada, say):
    personal = {"amount": {"value": "1.00", "currency": "EUR"}}
    for _ in range(3):
        say(outcome=Outcome.ALLOWED, scopes=["payments:charge"], personal=personal)
    assert words_of(as_ada).count("Take payments from you for €1.00") == 3


def test_approvals_of_an_agent_share_a_line_that_opens_to_each(as_ada, say, granted):
    for value in ("1.00", "2.00"):
        amount = {"value": value, "currency": "EUR"}
        fields = {"scopes": ["payments:charge"], "personal": {"context": {"recipient": "Shop", "amount": amount}}}
        say(event=Event.APPROVAL_APPROVED, **fields)
        say(event=Event.APPROVAL_APPROVED, metadata={"for": "rule"}, **fields)
    words = words_of(as_ada)
    assert "You approved 2 requests of SmartMail" in words
    assert "Take payments from you for €2.00: Shop You allowed it without asking" in words
    assert words.count("€1.00") == words.count("€2.00") == 2
    assert words.count("Developer not verified") == 1


def test_different_recipients_have_lines_of_their_own(as_ada, say):
    for name in ("anna", "anna", "bob"):
        say(outcome=Outcome.ALLOWED, scopes=["email:send"], personal={"context": {"recipient": name}})
    words = words_of(as_ada)
    assert "Send email as you: bob" in words
    assert "Send email as you: anna SmartMail 2 times" in words


def test_days_have_headings(as_ada, say, developer, ada):
    other = say_about(make_agent(developer, name="Ledgerbot"), ada)
    with time_machine.travel("2026-03-10T12:00:00Z", tick=False) as now:
        say(outcome=Outcome.ALLOWED, scopes=["email:read"])
        now.shift(timedelta(days=3, hours=1))
        other(outcome=Outcome.ALLOWED, scopes=["email:read"])
        now.shift(timedelta(days=1))
        say(outcome=Outcome.ALLOWED, scopes=["email:read"])
        say(outcome=Outcome.ALLOWED, scopes=["email:send"])
        page = text_of(as_ada, "/activity")
    headings = [" ".join(re.sub("<[^>]+>", " ", one).split()) for one in re.findall("<h[23].*?</h[23]>", page, re.S)]
    assert headings[:3] == ["Today", "Yesterday", "Tuesday, March 10, 2026"]


def test_agents_that_work_at_the_same_time_do_not_alternate(as_ada, say, developer, ada):
    other = say_about(make_agent(developer, name="Ledgerbot"), ada)
    with time_machine.travel("2026-03-10T12:00:00Z", tick=False) as now:
        for _ in range(5):
            say(outcome=Outcome.ALLOWED, scopes=["email:read"])
            other(outcome=Outcome.ALLOWED, scopes=["email:read"])
            now.shift(timedelta(minutes=14))
        words = words_of(as_ada)
        assert all(f"Read your email {name} 5 times" in words for name in ("SmartMail", "Ledgerbot"))
        now.shift(timedelta(hours=3))
        say(outcome=Outcome.ALLOWED, scopes=["email:read"])
        words = words_of(as_ada)
    assert "Read your email SmartMail 6 times" in words
    assert words.count("SmartMail") == words.count("Ledgerbot") == 1


def test_days_begin_at_midnight_in_the_zone_of_the_user(as_ada, say):
    as_ada.cookies["timezone"] = "Pacific/Auckland"
    with time_machine.travel("2026-03-10T12:30:00Z", tick=False):
        say(outcome=Outcome.ALLOWED, scopes=["email:read"])
        assert "1:30" in words_of(as_ada)
    assert "Wednesday, March 11" in words_of(as_ada)
    assert "Read your email" in words_of(as_ada, since="2026-03-11", until="2026-03-11")
    assert "Read your email" not in words_of(as_ada, since="2026-03-10", until="2026-03-10")


def test_all_events_of_a_consent_are_sentences(as_ada, granted):
    as_ada.post(f"/connections/{granted.id}/revoke")
    words = words_of(as_ada)
    assert "You created an account" in words
    assert "You allowed SmartMail to act for you Permissions: Read your email and Send email as you" in words
    assert "You revoked the access of SmartMail" in words


def test_only_the_names_of_others_are_set_apart(as_ada, say):
    say(event=Event.TOKEN_REFRESHED)
    page = as_ada.get("/activity?kind=account").content.decode()
    assert '><bdi class="named">SmartMail</bdi> renewed its access tokens</a>' in page
    assert ">You created an account</a>" in page


def test_the_amount_of_a_denied_payment_does_not_look_paid(as_ada, say):
    personal = {"amount": {"value": "12.50", "currency": "EUR"}, "context": {"recipient": "Shop"}}
    say(outcome=Outcome.DENIED, reason="insufficient_scope", scopes=["payments:charge"], personal=personal)
    assert "Take payments from you for €12.50: Shop Denied · Why?" in words_of(as_ada)


def test_denials_of_one_line_say_why_once(as_ada, say):
    fields = {"outcome": Outcome.DENIED, "reason": "insufficient_scope", "scopes": ["email:send"], "metadata": LACKS}
    ids = [say(**fields) for _ in range(3)]
    page = text_of(as_ada, "/activity")
    assert all(f'href="/activity/{each}#why"' in page for each in ids)
    assert page.count("The permission had not been granted.") == 1


@cases(
    ("one", "other"),
    [
        ({"ruleType": "rate_limit", "limitedBy": "user"}, {"ruleType": "spend_limit", "limitedBy": "user"}),
        ({"ruleType": "rate_limit", "ruleIndex": 0}, {"ruleType": "rate_limit", "ruleIndex": 1}),
    ],
)
def test_denials_by_different_rules_have_lines_of_their_own(as_ada, say, one, other):
    for metadata in (one, other) * 2:
        say(outcome=Outcome.DENIED, reason="policy_denied", scopes=["email:send"], metadata=metadata)
    assert words_of(as_ada).count("2 times") == 2


def test_denied_and_unasked_requests_have_lines_of_their_own(as_ada, say):
    for metadata in ({"approvalStatus": "denied"}, {"retryAfterSeconds": 60}) * 2:
        say(outcome=Outcome.DENIED, reason="approval_required", scopes=["email:send"], metadata=metadata)
    words = words_of(as_ada)
    assert words.count("2 times") == 2
    assert "The request for approval was denied." in words
    assert "It needs an approval, but the agent has asked too often." in words


def test_a_later_decision_shows_what_changed(as_ada, ada, ask, world, granted):
    world.allow(ask(scopes=["email:send", "profile:read"]), ada, ["profile:read"])
    text = words_of(as_ada)
    assert "You changed what SmartMail may do Added: See your profile Removed: Send email as you" in text
    assert "A new decision about SmartMail replaced the earlier one" in words_of(as_ada, kind="decisions")


def test_a_sign_in_with_a_new_browser_is_one_line_unless_filters_are_set(as_ada, ada):
    actor = as_user(ada)._replace(request_id=new_id("req"))
    for event in (Event.USER_DEVICE_ADDED, Event.USER_SIGNED_IN):
        with transaction.atomic():
            record(Draft(event=event, actor=actor, user_id=ada.id))
    assert words_of(as_ada).count("You signed in") == 1
    assert words_of(as_ada, kind="account").count("You signed in") == 2


def test_approving_the_same_scopes_again_is_described_as_such(as_ada, ada, ask, world, granted):
    with time_machine.travel(granted.decided_at, tick=False):  # so that the access ends as before
        world.allow(ask(), ada)
    words = words_of(as_ada)
    assert "SmartMail to keep the same access Permissions: Read your email and Send email as you" in words


def test_a_later_end_is_a_change(as_ada, ada, ask, world, granted):
    world.allow(ask(), ada)
    assert "You changed what SmartMail may do The access ends later than before" in words_of(as_ada)


def test_shows_nothing_about_other_users(as_bob, granted):
    assert "SmartMail" not in text_of(as_bob, "/activity")


def test_entries_can_be_filtered_by_the_url(as_ada, granted, say, world, developer, ada):
    other = make_agent(developer, name="Ledgerbot")
    world.allow(world.ask(other), ada)
    say(outcome=Outcome.DENIED, reason="insufficient_scope", scopes=["email:send"], metadata=LACKS)
    assert "You allowed Ledgerbot" not in words_of(as_ada, agent=granted.agent_id)
    assert "You allowed" not in words_of(as_ada, outcome="denied")
    assert "Send email as you Denied" in words_of(as_ada, outcome="denied")


def test_kinds_select_events(as_ada, granted, say):
    say(outcome=Outcome.ALLOWED, scopes=["email:read"])
    found = {kind: words_of(as_ada, kind=kind) for kind in ("actions", "decisions", "account")}
    has = {
        kind: [one in words for one in ("Read your email SmartMail", "You allowed", "created an")]
        for kind, words in found.items()
    }
    assert has == {
        "actions": [True, False, False],
        "decisions": [False, True, False],
        "account": [False, True, True],
    }


def test_each_event_about_a_user_has_one_kind():
    assert not ACTIONS & DECISIONS
    assert not ACCOUNT & (ACTIONS | DECISIONS)
    assert set(TITLES) == (ACTIONS | DECISIONS | ACCOUNT) - ACTS
    named = {event for event in Event if re.search(r"%\((person|account)\)s", event.sentence)}
    assert named - (ACTIONS | DECISIONS | ACCOUNT) == set()
    assert all(events <= set(Event) for events in KINDS.values())


def test_account_has_grants_revocations_and_sign_ins(as_ada, granted, say):
    say(outcome=Outcome.ALLOWED, scopes=["email:send"])
    say(event=Event.USER_SIGNED_IN, agent_id=None)
    as_ada.post(f"/connections/{granted.id}/revoke")
    events = set(shown_entries(as_ada, as_ada.get("/activity/audit")["Location"]).values())
    assert {"user.signed_in", "consent.approved", "consent.revoked"} <= events
    assert "token.verify" not in events


def test_tokens_are_shown_only_by_filters_and_under_account(as_ada, ada, granted, say):
    with transaction.atomic():
        for event in ROUTINE:
            record(Draft(event, Actor("agent"), user_id=ada.id, agent_id=granted.agent_id))
    hidden = set(map(str, ROUTINE))
    assert not hidden & set(shown_entries(as_ada).values())
    assert not hidden & set(shown_entries(as_ada, kind="actions").values())
    assert not hidden & set(shown_entries(as_ada, f"/connections/{granted.id}").values())
    assert hidden <= set(shown_entries(as_ada, kind="account").values())
    assert hidden <= set(shown_entries(as_ada, agent=granted.agent_id).values())


def test_a_token_that_was_used_twice_is_explained(as_ada, say):
    entry_id = say(event=Event.TOKEN_REPLAYED)
    assert "We stopped the session of SmartMail: its key was used twice Why?" in words_of(as_ada)
    assert "Why we stopped it" in words_of(as_ada, f"/activity/{entry_id}")


@cases("text", ["send EMAIL", "email:send", "mail.example", "Send  as"])
def test_a_search_finds_permissions_and_services(as_ada, say, text):
    say(outcome=Outcome.ALLOWED, scopes=["email:send"], resource="https://mail.example/")
    say(outcome=Outcome.ALLOWED, scopes=["calendar:read"])
    words = words_of(as_ada, q=text)
    assert "Send email as you" in words
    assert "See your calendar" not in words


def test_a_search_finds_the_organization_of_the_service(as_ada, say, rival):
    say(outcome=Outcome.ALLOWED, scopes=["email:send"], service_organization_ids=[rival.organization_id])
    assert "Send email as you" in words_of(as_ada, q="rival")
    assert "Send email as you" not in words_of(as_ada, q="other")


def test_a_search_reads_a_part_of_the_log_and_can_go_on(as_ada, say, monkeypatch):
    monkeypatch.setattr("web.user.activity.search.SEARCHED", 2)
    say(outcome=Outcome.ALLOWED, scopes=["email:send"])
    for _ in range(3):
        say(outcome=Outcome.ALLOWED, scopes=["calendar:read"])
    page = text_of(as_ada, "/activity", q="email:send")
    assert "Nothing found so far" in page
    assert "Searched back to:" in page
    further = re.search(r'href="([^"]+)" rel="next">Search further back', page)
    assert "Send email as you" in words_of(as_ada, f"/activity{further[1]}")


def test_active_filters_can_be_removed_one_by_one(as_ada, granted):
    page = text_of(as_ada, "/activity", agent=granted.agent_id, outcome="denied", kind="actions", q="mail")
    assert f'href="/activity?q=mail&agent={granted.agent_id}&kind=actions"' in page
    assert 'href="/activity?q=mail&outcome=denied&kind=actions"' in page
    assert "Outcome: Denied" in words_of(as_ada, outcome="denied")
    assert "Agent: SmartMail" in words_of(as_ada, agent=granted.agent_id)


def test_dates_are_whole_days(as_ada, say):
    with time_machine.travel("2026-03-10T23:59:59Z", tick=False):
        say(outcome=Outcome.ALLOWED, scopes=["email:read"])
    assert "Read your email" in text_of(as_ada, "/activity", since="2026-03-10", until="2026-03-10")
    assert "Read your email" not in text_of(as_ada, "/activity", since="2026-03-11", until="2026-03-12")


@cases(
    "query",
    [
        {"since": "yesterday"},
        {"outcome": "maybe"},
        {"agent": "agt_0000"},
        {"until": "9999-12-31"},
        {"since": "0001-01-01"},
        {"kind": "x"},
        {"q": "\0"},
        {"cursor": "log_0"},
    ],
)
def test_invalid_filters_are_ignored(as_ada, granted, query):
    text_of(as_ada, "/activity", **query)


def test_pages_have_so_many_lines_and_lose_no_entry(as_ada, say, monkeypatch):
    monkeypatch.setattr("web.user.activity.search.READ", 4)
    monkeypatch.setattr("web.user.activity.days.MAX_LINES", 3)
    for number in range(12):
        say(outcome=Outcome.ALLOWED, scopes=[["email:read"], ["email:send"], ["calendar:read"]][number % 3])
    pages, path, seen = 0, "/activity?kind=actions", []
    while path:
        seen += shown_entries(as_ada, path)
        found = re.search(r'href="([^"]+)" rel="next"', text_of(as_ada, path))
        path, pages = found and f"/activity{found[1]}", pages + 1
    assert len(seen) == len(set(seen)) == 12
    assert pages == 3


def test_the_link_to_the_next_page_keeps_the_filters(as_ada, say, monkeypatch):
    monkeypatch.setattr("web.user.activity.search.READ", 2)
    for _ in range(3):
        say(outcome=Outcome.ALLOWED, scopes=["email:read"])
    assert "?outcome=allowed&cursor=log_" in text_of(as_ada, "/activity", outcome="allowed")


def test_the_number_of_queries_does_not_grow_with_the_entries(
    as_ada, granted, say, developer, django_assert_max_num_queries, monkeypatch
):
    shrink_segments(monkeypatch, 32)
    for number in range(60):
        services = [developer.organization_id]
        say(outcome=Outcome.ALLOWED, scopes=["email:read", f"acme:{number}"], service_organization_ids=services)
    sequence()
    assert Segment.objects.exists()
    with django_assert_max_num_queries(12):
        text_of(as_ada, "/activity")
    with django_assert_max_num_queries(12):
        text_of(as_ada, "/activity", agent=granted.agent_id, kind="actions", outcome="allowed")


def test_every_shown_event_has_a_sentence(as_ada, granted):
    with time_machine.travel(clock.now() + timedelta(minutes=1)):
        words = words_of(as_ada)
    assert not [event for event in Event if event in words]


@cases(
    ("event", "kind", "metadata", "words"),
    [
        (Event.CONSENT_REVOKED, "user", {}, "You revoked the access of SmartMail"),
        (
            Event.CONSENT_REVOKED,
            "administrator",
            {"reason": "x"},
            "The access of SmartMail was revoked Done by an administrator",
        ),
        (Event.CONSENT_REVOKED, "system", {}, "The access of SmartMail was revoked Done by this server"),
        (Event.CONSENT_REVOKED, "developer", {}, "The access of SmartMail was revoked Done by the agent's developer"),
        (
            Event.CONSENT_REVOKED,
            "user",
            {"reason": "account_reclaimed"},
            "You revoked the access of SmartMail A password reset ended earlier access.",
        ),
        (Event.USER_SESSION_ENDED, "user", {}, "You ended sessions of your account"),
        (Event.USER_SESSION_ENDED, "administrator", {}, "Sessions of your account were ended Done by an administrator"),
        (Event.API_KEY_ROTATED, "user", {}, "You rotated an API key"),
        (Event.API_KEY_ROTATED, "administrator", {}, "An API key was rotated Done by an administrator"),
        (
            Event.API_KEY_REVOKED,
            "user",
            {"reason": "account_reclaimed"},
            "You revoked an API key A password reset ended earlier access.",
        ),
        (Event.API_KEY_REVOKED, "administrator", {}, "An API key was revoked Done by an administrator"),
        (Event.TOKEN_REVOKED, "agent", {}, "Access tokens of SmartMail were revoked Done by the agent"),
        (Event.TOKEN_REVOKED, "anonymous", {}, "Access tokens of SmartMail were revoked Done by an unknown caller"),
        (Event.TOKEN_REVOKED, "developer", {}, "Access tokens of SmartMail were revoked Done by the agent's developer"),
        (
            Event.TOKEN_REVOKED,
            "administrator",
            {"reason": "x"},
            "Access tokens of SmartMail were revoked Done by an administrator",
        ),
        (Event.TOKEN_REVOKED, "system", {"reason": "x"}, "Access tokens of SmartMail were revoked Done by this server"),
        (
            Event.TOKEN_REVOKED,
            "user",
            {"reason": "account_reclaimed"},
            "You revoked access tokens of SmartMail A password reset ended earlier access.",
        ),
    ],
)
def test_shows_who_acted(as_ada, ada, agent, event, kind, metadata, words):
    actor = Actor(kind, ada.id if kind == "user" else None)
    with transaction.atomic():
        record(Draft(event=event, actor=actor, user_id=ada.id, agent_id=agent.id, metadata=metadata))
    assert words in words_of(as_ada)


def test_a_revocation_by_an_administrator_is_shown_as_such(as_ada, granted):
    from consent.services import revoke_consent

    revoke_consent(actor=Actor("administrator", "usr_admin"), consent=granted, reason="A complaint")
    assert "The access of SmartMail was revoked Done by an administrator" in words_of(as_ada)
    assert "You ended" not in words_of(as_ada)


def test_percent_signs_in_names_are_not_interpolated():
    entry = {"event": "made.up%(x)s", "outcome": "info", "reason": None, "agentName": "50%s", "scopeTitles": []}
    entry |= {"actor": {"kind": "user"}, "metadata": {}, "userId": "usr_1", "policyName": ""}
    assert in_words(entry).text == "made.up%(x)s"
    entry["event"] = Event.CONSENT_DENIED
    assert in_words(entry).text == "You did not allow the request from 50%s"
