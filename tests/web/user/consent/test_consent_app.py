"""Requests of apps with a private-use scheme: the browser stays on the page, which says what was decided."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from consent.models import AuthorizationCode, Consent
from tests.shared import cases
from tests.web.markup import text_of

APP = "com.example.app:/done"
ALLOW = {"decision": "allow", "scopes": ["email:read"]}
DENY = {"decision": "deny"}


@pytest.fixture
def asked(world: Any, developer: Any) -> Consent:
    return world.ask(world.make_agent(developer, redirect_uris=[APP]), redirect_uri=APP, state="s" * 3000)


def url(consent: Consent) -> str:
    return f"/consent/{consent.id}"


def link_in(answer: Any) -> str:
    """Return the target of the link to the app."""
    assert answer.status_code == 200
    return unescape(re.search(rf'href="({APP}[^"]*)"[^>]*>Return to the app<', answer.content.decode())[1])


def test_allowing_says_so_and_links_to_the_app_with_a_code(as_ada: Client, asked: Consent) -> None:
    answer = as_ada.post(url(asked), ALLOW)
    query = parse_qs(urlsplit(link_in(answer)).query)
    assert query["state"] == ["s" * 3000]
    assert query["code"]
    html = answer.content.decode()
    assert 'You allowed <bdi class="named">SmartMail</bdi> to act for you' in html
    assert 'href="/connections"' in html
    assert 'name="decision"' not in html
    assert "no-store" in answer["Cache-Control"]


def test_denying_says_so_and_links_to_the_app_with_the_error(as_ada: Client, asked: Consent) -> None:
    answer = as_ada.post(url(asked), DENY)
    assert parse_qs(urlsplit(link_in(answer)).query)["error"] == ["access_denied"]
    assert "You did not allow the request of" in answer.content.decode()


def test_a_double_click_shows_the_same_link(as_ada: Client, asked: Consent) -> None:
    assert link_in(as_ada.post(url(asked), ALLOW)) == link_in(as_ada.post(url(asked), ALLOW))
    assert AuthorizationCode.objects.filter(consent=asked).count() == 1


@cases("decision", [ALLOW, DENY], ids=["allow", "deny"])
def test_opening_a_decided_request_again_shows_no_link(
    as_ada: Client, asked: Consent, world: Any, ada: Any, decision: dict[str, Any]
) -> None:
    as_ada.post(url(asked), decision)
    codes = AuthorizationCode.objects.count()
    for browser in (as_ada, world.sign_in(ada)):
        again = browser.get(url(asked))
        assert again.status_code == 409
        assert APP not in again.content.decode()
    assert AuthorizationCode.objects.count() == codes


def test_others_get_no_link(as_ada: Client, as_bob: Client, asked: Consent) -> None:
    as_ada.post(url(asked), ALLOW)
    for answer in (as_bob.get(url(asked)), as_bob.post(url(asked), ALLOW)):
        assert answer.status_code == 404
        assert APP not in answer.content.decode()


def test_forms_cannot_be_sent_to_the_app(as_ada: Client, asked: Consent) -> None:
    assert "form-action 'self';" in as_ada.get(url(asked))["Content-Security-Policy"]
    assert "an app on this device (com.example.app:)" in text_of(as_ada, url(asked))
