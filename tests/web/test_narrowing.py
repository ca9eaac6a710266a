"""The page of a connection shows its terms in words, and narrows it."""

from html import unescape
from typing import Any

import pytest
from django.test import Client

from consent.models import Consent
from tests.log import log_entries

RATE = {"type": "rate_limit", "config": {"maxRequests": 10, "windowSeconds": 3600, "scope": "per_user"}}
TERMS = {"modes": {"email:send": "ask"}, "limits": {"email:read": [RATE]}, "guards": {"data_flow": "ask"}}


@pytest.fixture
def bounded(granted: Consent) -> Consent:
    Consent.objects.filter(pk=granted.pk).update(terms=TERMS)
    return granted


def page(client: Client, consent: Consent) -> str:
    answer = client.get(f"/connections/{consent.id}")
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def narrow(client: Client, consent: Consent, scope: str, change: str, **options: Any) -> Any:
    return client.post(f"/connections/{consent.id}/narrow", {"scope": scope, "change": change}, **options)


def test_shows_modes_limits_and_guards_in_words(as_ada: Client, bounded: Consent) -> None:
    html = page(as_ada, bounded)
    assert html.count("You are asked every time.") == html.count("Allowed without asking.") == 1
    assert "At most 10 times per hour" in html
    assert "you are asked before it sends anything out" in html
    assert html.count('value="ask"') == 1
    assert html.count('value="remove"') == 2


def test_a_guard_that_denies_is_shown_as_such(as_ada: Client, bounded: Consent) -> None:
    Consent.objects.filter(pk=bounded.pk).update(terms={"guards": {"data_flow": "deny"}})
    assert "it can send nothing out" in page(as_ada, bounded)


def test_switches_a_scope_to_ask(as_ada: Client, bounded: Consent) -> None:
    answer = narrow(as_ada, bounded, "email:read", "ask", follow=True)
    assert "You are now asked every time: Read your email." in answer.content.decode()
    bounded.refresh_from_db()
    assert bounded.terms["modes"] == {"email:read": "ask", "email:send": "ask"}
    assert log_entries(event="consent.narrowed").count() == 1


def test_removes_a_scope(as_ada: Client, bounded: Consent) -> None:
    answer = narrow(as_ada, bounded, "email:send", "remove", follow=True)
    assert "Removed: Send email as you." in answer.content.decode()
    bounded.refresh_from_db()
    assert bounded.granted_scopes == ["email:read"]
    assert 'value="remove"' not in page(as_ada, bounded), "the last scope is removed by revoking"


@pytest.mark.parametrize(
    ("scope", "change", "status"),
    [
        ("email:read", "allow", 400),
        ("email:read", "", 400),
        ("calendar:read", "ask", 400),
        ("no scope", "remove", 400),
        ("", "", 400),
    ],
)
def test_refuses_anything_else(as_ada: Client, bounded: Consent, scope: str, change: str, status: int) -> None:
    assert narrow(as_ada, bounded, scope, change).status_code == status
    bounded.refresh_from_db()
    assert (bounded.terms, len(bounded.granted_scopes)) == (TERMS, 2)


def test_the_last_scope_is_kept(as_ada: Client, bounded: Consent) -> None:
    narrow(as_ada, bounded, "email:send", "remove")
    assert narrow(as_ada, bounded, "email:read", "remove").status_code == 400


def test_only_the_user_may(as_bob: Client, bounded: Consent, client: Client) -> None:
    assert narrow(as_bob, bounded, "email:read", "ask").status_code == 404
    assert narrow(client, bounded, "email:read", "ask").status_code == 302
    bounded.refresh_from_db()
    assert bounded.terms == TERMS


def test_an_ended_connection_offers_nothing(as_ada: Client, bounded: Consent) -> None:
    Consent.objects.filter(pk=bounded.pk).update(status="revoked")
    html = page(as_ada, bounded)
    assert 'value="ask"' not in html
    assert 'value="remove"' not in html
    assert narrow(as_ada, bounded, "email:read", "ask").status_code == 409


def test_get_leads_to_the_page(as_ada: Client, bounded: Consent) -> None:
    assert as_ada.get(f"/connections/{bounded.id}/narrow")["Location"] == f"/connections/{bounded.id}"


def test_needs_a_csrf_token(ada: Any, bounded: Consent) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ada)
    assert narrow(browser, bounded, "email:read", "ask").status_code == 403
