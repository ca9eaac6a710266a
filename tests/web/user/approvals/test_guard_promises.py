"""What pages say about the guard against data flows, and about what is allowed without asking, is what verify does."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from approvals.models import Approval
from core import clock
from tests.shared import cases
from tests.web import consent_screen
from tests.web.ledger import words_of
from tests.web.user.connections.test_connection_promises import ALLOWED, READ, SEND, mail_to, refresh, send, verify
from tests.world import Grant, ask, make_grant, sign_in

BOTH = "If it has read such text and your private data for the same task"
REFUSED = {"ask": (False, "approval_required", "data_flow"), "deny": (False, "policy_denied", "data_flow")}
WHY = "“Protect your data”"
STILL = "Your limits still apply. So does “Protect your data”, except where it was the reason you were asked."


@pytest.fixture
def grant(db: None) -> Grant:
    return make_grant(scopes=[READ, SEND])


@pytest.fixture
def browser(grant: Grant) -> Client:
    return sign_in(grant.user)


def entry_words(browser: Client, grant: Grant, scope: str, **more: Any) -> str:
    """Return the page of the entry about a request that is allowed."""
    decision = consent_screen.verify(grant.access_token, scope, **more)
    assert decision["allowed"]
    return words_of(browser, f"/activity/{decision['auditId']}")


@pytest.mark.parametrize(
    ("guard", "on_card", "on_page", "on_screen"),
    [
        (
            "ask",
            "Asks before data can leave",
            "but asks you before data can leave",
            ", it must ask you before it sends",
        ),
        ("deny", "Denied once data can leave", "but denied once data can leave", ", it can send nothing out"),
    ],
)
def test_what_the_guard_stops_is_not_simply_allowed_without_asking(
    browser: Client, grant: Grant, guard: str, on_card: str, on_page: str, on_screen: str
) -> None:
    path = f"/connections/{grant.consent.id}"
    assert "Without asking Send email as you Read your email" in words_of(browser, "/connections")
    assert words_of(browser, path).count("Allowed without asking") == 2
    send(browser, grant, change="guard", guard=guard)
    words = words_of(browser, "/connections")
    assert f"Without asking Read your email {on_card} Send email as you" in words
    assert f"Allowed without asking, {on_page}" in words_of(browser, path)
    screen = words_of(browser, f"/consent/{ask(grant.agent, scopes=[READ, SEND]).id}")
    assert f"{BOTH}{on_screen}" in screen
    assert "even where it may act without asking" in screen

    now = clock.now()
    with time_machine.travel(now, tick=False):
        assert [verify(grant.access_token, scope) for scope in (SEND, READ)] == [ALLOWED, ALLOWED]
        assert verify(grant.access_token, SEND) == REFUSED[guard]
    for later, ruling in ((timedelta(days=1), REFUSED[guard]), (timedelta(days=1, seconds=1), ALLOWED)):
        with time_machine.travel(now + later, tick=False):
            renewed = refresh(grant)
            grant.refresh_token = renewed.refresh_token
            assert verify(renewed.access_token, SEND) == ruling


def test_an_entry_says_why_it_was_allowed(browser: Client, grant: Grant) -> None:
    unasked = "Why it was allowed You had allowed this agent to do this without asking you."
    words = entry_words(browser, grant, SEND)
    assert f"{unasked} If you have chosen to {WHY}, it asks or denies only after the agent has read both" in words
    words = entry_words(browser, grant, READ)
    assert unasked in words
    assert WHY not in words, "it sends nothing out"


def test_an_entry_names_the_approval(browser: Client, grant: Grant) -> None:
    send(browser, grant, change="scope", scope=SEND, mode_email__send="ask")
    context = mail_to("bob")
    for form, why in (
        ({"decision": "once"}, "You approved it."),
        ({"decision": "target", "seconds": "3600"}, "You had approved it for a time, so you were not asked again."),
    ):
        asked = consent_screen.verify(grant.access_token, SEND, context=context)["approvalId"]
        browser.post(f"/approvals/{asked}", form)
        words = entry_words(browser, grant, SEND, context=context)
        assert f"Why it was allowed {why} Open the approval" in words
        assert "without asking you" not in words
    Approval.objects.all().update(evidence={"perDay": 5, "answered": 5, "questions": 5})
    assert "A rule that follows from your answers allowed it" in entry_words(browser, grant, SEND, context=context)


def test_what_is_approved_in_advance_still_asks_before_data_leaves(browser: Client, grant: Grant) -> None:
    send(browser, grant, change="scope", scope=SEND, mode_email__send="ask")
    send(browser, grant, change="guard", guard="ask")
    context = mail_to("bob")
    asked = consent_screen.verify(grant.access_token, SEND, context=context)["approvalId"]
    browser.post(f"/approvals/{asked}", {"decision": "target", "seconds": "86400"})
    for path in (f"/connections/{grant.consent.id}", "/approvals", "/approvals?show=standing"):
        assert STILL in words_of(browser, path)
    assert verify(grant.access_token, SEND, context=context) == ALLOWED
    assert verify(grant.access_token, READ) == ALLOWED
    assert verify(grant.access_token, SEND, context=context) == REFUSED["ask"]
    asked = consent_screen.verify(grant.access_token, SEND, context=context)["approvalId"]
    browser.post(f"/approvals/{asked}", {"decision": "target", "seconds": "86400"})
    assert verify(grant.access_token, SEND, context=context) == ALLOWED, "the guard was why the user was asked"


@cases(("guard", "rule"), [("ask", "Ask me before data can leave"), ("deny", "Never let data leave")])
def test_a_denial_quotes_the_guard_that_is_set(browser: Client, grant: Grant, guard: str, rule: str) -> None:
    send(browser, grant, change="guard", guard=guard)
    assert verify(grant.access_token, READ) == ALLOWED
    denied = consent_screen.verify(grant.access_token, SEND)
    words = words_of(browser, f"/activity/{denied['auditId']}")
    assert rule in words
    assert "after the agent has read both my private data and what others wrote" in words
